/** The codec of event streams (protocol.md, "Event streams"): an event is a few lines and a blank one, which the frame's end adds. */
import type { Codec } from "./codec.ts";
import { toJson } from "../protocol/json.ts";
import { messageJson } from "../protocol/message.ts";

/** How long a client waits before it comes back, in milliseconds. */
const RETRY = 1000;

/** A comment, so that nobody on the way takes the stream for dead. */
export const COMMENT = ":\n";

/**
 * Makes the codec for the streams of one log.
 *
 * @param epoch The log's.
 * @returns The codec.
 */
export function sse(epoch: string): Codec {
  return {
    name: "sse",
    index: 3,
    joins: true,
    message: (message) =>
      `id: ${epoch}:${message.seq}\nevent: message\ndata: ${messageJson(message)}\n`,
    presence: () => undefined,
    signal: () => undefined,
    // No event that a page hears of.
    closing: (_, retry) => `retry: ${Math.max(1, Math.round(retry))}\n`,
  };
}

/**
 * Writes how a stream begins: its place alone, and which channels have a gap.
 *
 * @param place The place it starts from.
 * @param gaps Channels whose recovery can't be had.
 * @returns The events.
 */
export function opening(place: Place, gaps: readonly string[]): string {
  const begin = `id: ${place.epoch}:${place.seq}\n\nretry: ${RETRY}\n`;
  if (gaps.length === 0) return begin;
  return `${begin}\nevent: gap\ndata: ${toJson({ channels: gaps })}\n`;
}

/** A place in all channels of a log. */
export interface Place {
  readonly epoch: string;
  readonly seq: number;
}

/**
 * Reads an event's id.
 *
 * @param id `EPOCH:SEQ`.
 * @returns The place, or undefined where it is none.
 */
export function placeIn(id: string): Place | undefined {
  const [, epoch = "", digits = ""] = /^([\w.-]{1,128}):(\d{1,16})$/.exec(id) ?? [];
  const seq = Number(digits);
  return epoch === "" || !Number.isSafeInteger(seq) ? undefined : { epoch, seq };
}
