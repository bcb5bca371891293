/** Channels: their names, their kinds, and the feeds that a message of one is read in. */
import { hasInvisible } from "./invisible.ts";

/** What a channel is for: `push` to whoever listens, `room` for any account, `dm` between two. */
export type Kind = "push" | "room" | "dm";

/** A channel whose name was found right. */
export interface Channel {
  /** `kind:name`, as it stands on the wire. */
  readonly id: string;
  /** What it is for. */
  readonly kind: Kind;
  /** What follows the kind; 1 to 128 bytes of UTF-8. */
  readonly name: string;
  /** The two accounts of a direct channel, in the order of the name; empty for the other kinds. */
  readonly parties: readonly string[];
}

/** The subscription to all direct messages of one's own account; no channel, so nothing is published to it. */
export const ALL_DIRECT = "dm:*";

/** The first demo's `/link/` and `/send/`. */
export const DEMO_PUSH = "push:all";

/** The first demo's chat room. */
export const DEMO_ROOM = "room:lobby";

const NAME_BYTES = 128;

// Every message asks for its channel several times on its way; bounded because clients choose the names.
const KNOWN = new Map<string, Channel>();
const MOST_KNOWN = 10_000;

// Most names; the rest of the rules is for other scripts.
const PLAIN = /^[A-Za-z0-9_.-]+$/;

// Letters, marks and digits, and the joiners that some scripts need between them.
const NAME = /^[\p{L}\p{M}\p{Nd}\u200c\u200d_.-]+$/u;
const ACCOUNT = /^[A-Za-z0-9_-]{1,63}$/;
const encoder = new TextEncoder();

/**
 * Tells whether a text has the form of an account: 1 to 63 of `[A-Za-z0-9_-]`.
 *
 * @param text What may be an account.
 * @returns Whether it is one by its form; not whether it exists.
 */
export function isAccount(text: string): boolean {
  return ACCOUNT.test(text);
}

/**
 * Reads a channel's name.
 *
 * @param id `kind:name`, from a client.
 * @returns The channel, or undefined where the name isn't one (`dm:*` isn't either).
 */
export function parseChannel(id: string): Channel | undefined {
  const known = KNOWN.get(id);
  if (known !== undefined) return known;
  const channel = read(id);
  if (channel === undefined) return undefined;
  if (KNOWN.size >= MOST_KNOWN) KNOWN.clear();
  KNOWN.set(id, channel);
  return channel;
}

function read(id: string): Channel | undefined {
  const colon = id.indexOf(":");
  const kind = id.slice(0, colon);
  const name = id.slice(colon + 1);
  if (name.length > NAME_BYTES || !NAME.test(name)) return undefined;
  if (kind === "push" || kind === "room") {
    if (!PLAIN.test(name) && !isNameOfOtherScript(name)) return undefined;
    return { id, kind, name, parties: [] };
  }
  if (kind !== "dm") return undefined;
  const parties = name.split(".");
  const [first, second] = parties;
  if (parties.length !== 2 || first === undefined || second === undefined) return undefined;
  if (!isAccount(first) || !isAccount(second) || first > second) return undefined;
  return { id, kind, name, parties };
}

function isNameOfOtherScript(name: string): boolean {
  return name === name.normalize("NFC") && encoder.encode(name).length <= NAME_BYTES &&
    !hasInvisible(name);
}

/**
 * Names the direct channel of two accounts.
 *
 * @param one An account.
 * @param other The other, or the same for notes to oneself.
 * @returns `dm:A.B`, the smaller by bytes first.
 */
export function directChannel(one: string, other: string): string {
  return one <= other ? `dm:${one}.${other}` : `dm:${other}.${one}`;
}

/**
 * Names the feed of all direct messages of an account, which is what `dm:*` reads. No channel's name has a `*`.
 *
 * @param account Whose messages.
 * @returns The feed's name.
 */
export function directFeed(account: string): string {
  return ALL_DIRECT + account;
}

/**
 * Lists the feeds that a message of a channel is read in. A feed is what one subscription reads: the channel itself, and
 * for a direct channel the feeds of its parties too.
 *
 * @param channel The message's channel.
 * @returns The feeds' names, each once.
 */
export function feedsOf(channel: Channel): string[] {
  return [channel.id, ...new Set(channel.parties.map(directFeed))];
}
