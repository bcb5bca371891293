/** The feeds that the log keeps of a message: those that are read, and what retention needs. */
import { type Channel, feedsOf } from "../protocol/channel.ts";

/** The feed of all pushes: they may be kept for another time than the rest. No channel's name has a `*`. */
export const ALL_PUSHES = "push:*";

/**
 * Lists the feeds in which a message of a channel stands.
 *
 * @param channel The message's channel.
 * @returns The feeds' names, each once.
 */
export function keptIn(channel: Channel): string[] {
  return channel.kind === "push" ? [channel.id, ALL_PUSHES] : feedsOf(channel);
}
