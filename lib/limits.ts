/** Every limit and its default, in one place. */
import { KEY_LENGTH, NAME_LENGTH, PAGE_MESSAGES } from "./protocol/command.ts";

/** What bounds a client. Bytes, unless it says otherwise. */
export interface Limits {
  /** A message's data as JSON in UTF-8. */
  readonly message: number;
  /** A frame from a client. */
  readonly frame: number;
  /** Channels that one connection subscribes to. */
  readonly channels: number;
  /** Commands of one connection that wait for their answers; clients keep to it, at twice that they are closed. */
  readonly pending: number;
  /** Messages that a subscription recovers with `since`. */
  readonly recovery: number;
  /** Publications a second for each account, 0 for no limit. */
  readonly rate: number;
  /** Publications at once. */
  readonly burst: number;
}

/** How long messages are kept; 0 is for ever, or without a bound. */
export interface RetentionPolicy {
  /** Milliseconds, in every channel. */
  readonly keep: number;
  /** Milliseconds, in channels of pushes. */
  readonly keepPush: number;
  /** Bytes of the whole log. */
  readonly keepBytes: number;
}

/** The defaults; protocol.md sections 2 and 5. */
export const DEFAULT_LIMITS: Limits = {
  message: 65_536,
  frame: 1_048_576,
  channels: 128,
  pending: 256,
  recovery: 10_000,
  rate: 0,
  burst: 0,
};

/**
 * The limits as `hello` tells them.
 *
 * @param limits The limits in force.
 * @returns What a client keeps to.
 */
export function toldLimits(limits: Limits): Record<string, number> {
  return { ...limits, history: PAGE_MESSAGES, key: KEY_LENGTH, name: NAME_LENGTH };
}

/**
 * The most that the body of a request may have (protocol.md section 4): the form and percent encoding of a message of the
 * greatest size, with room for the rest.
 *
 * @param limits The limits in force.
 * @returns Bytes.
 */
export function bodyLimit(limits: Limits): number {
  return 4 * limits.message + 4096;
}
