/** The codec of the first demo's `/chat/` (demo-protocol.md, "Chat"). */
import type { Codec } from "./codec.ts";
import { textOf } from "../protocol/message.ts";

/** What a client sends once it is open; all else is ignored. */
export const GREETING = "test";

/** Encodes chat messages; the list has frames of its own. */
export const firstChat: Codec = {
  name: "first_chat",
  index: 2,
  joins: false,
  message: ({ data, from }) =>
    JSON.stringify({ type: 1, data: { msg: textOf(data), user: from ?? "" } }),
  presence: () => undefined,
  signal: () => undefined,
};

/**
 * The list for the client that greeted.
 *
 * @param userlist Who is online.
 * @param userid The client's own account, in the list even where it is cut.
 * @returns The frame.
 */
export function greetingFrame(userlist: readonly string[], userid: string): string {
  return JSON.stringify({ type: 0, userlist: withOwn(userlist, userid), userid });
}

/**
 * The list for everyone when it changed.
 *
 * @param userlist Who is online.
 * @param userid The client's own account, in the list even where it is cut.
 * @returns The frame.
 */
export function listFrame(userlist: readonly string[], userid: string): string {
  return JSON.stringify({ type: 0, userlist: withOwn(userlist, userid), user: null });
}

function withOwn(userlist: readonly string[], own: string): readonly string[] {
  return userlist.includes(own) ? userlist : [...userlist, own];
}
