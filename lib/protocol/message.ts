/** Messages and the records of the log. */
import { faultInText, onOneLine } from "./json.ts";

/**
 * A message as it lies in the log and goes between isolates. `data` stays the JSON text that it was published as, so that
 * nobody on its way has to parse it again.
 */
export interface Message {
  /** Where it was published. */
  readonly channel: string;
  /** Its place among all records of the log. */
  readonly seq: number;
  /** Milliseconds since 1970, never going down with seq. */
  readonly time: number;
  /** The account, or null for a push by none. */
  readonly from: string | null;
  /** The display name at that moment. */
  readonly name?: string;
  /** The client's idempotency key. */
  readonly key?: string;
  /** JSON text. */
  readonly data: string;
}

/** A record before it has its place: what a sequencer puts in order. */
export type Proposal =
  | { readonly kind: "message"; channel: string; from: string | null; key?: string; data: string }
  /** It is here, and exists from now on. */
  | { readonly kind: "account"; account: string }
  | SessionProposal
  /** Of an account all sessions end, or one, or all but one; named by their hashes. */
  | { readonly kind: "end_sessions"; account: string; only?: string; except?: string }
  /** Sessions that weren't used since a day are forgotten, a step of them. */
  | { readonly kind: "trim_sessions"; before: number }
  | { readonly kind: "rename"; account: string; name: string | null }
  /** An account received all messages of a feed up to a seq; a place never falls. */
  | { readonly kind: "place"; account: string; feed: string; received: number }
  | { readonly kind: "trim"; scope: TrimScope; upTo: number }
  /** Those of the feeds in which nothing is kept are forgotten. */
  | { readonly kind: "trim_feeds"; feeds: readonly string[] }
  /** Those of the accounts that left nothing behind and weren't here since a day. */
  | { readonly kind: "forget"; accounts: readonly string[]; before: number }
  /** It publishes nothing, until a time or, where that is null, until it is unmuted. */
  | { readonly kind: "mute"; account: string; until: number | null }
  | { readonly kind: "unmute"; account: string };

/**
 * A browser's session. The first record of a session in the order of the log decides its account; later ones say that it was
 * used, and are answered with that account.
 */
export interface SessionProposal {
  /** Names the kind of record. */
  readonly kind: "session";
  /** SHA-256 of the cookie's token, in hex. */
  readonly hash: string;
  /** The account that is proposed for it. */
  readonly account: string;
  /** Whether it takes the place of the account's cookie of version 0.1. */
  readonly exchange?: true;
}

/** What a session record came to: its account, or why it has none. */
export type SessionOutcome = { readonly account: string } | "taken" | "ended";

/** A message before it has its place. */
export type Publication = Extract<Proposal, { readonly kind: "message" }>;

/** What a trim removes from: every channel, or those of pushes alone. */
export type TrimScope = "all" | "push";

/** A proposal with its place and time: what the log applies. */
export type LogRecord = Proposal & {
  readonly seq: number;
  readonly time: number;
  /** The clock's own reading, in milliseconds since 1970, where it was behind `time`. */
  readonly stamp?: number;
};

/** An account that may read and not publish. */
export interface Mute {
  /** Which; it may be one that never came. */
  readonly account: string;
  /** Since when, in milliseconds since 1970. */
  readonly time: number;
  /** Until when; absent where that isn't set. */
  readonly until?: number;
}

/** What became of a proposal: its own seq and time, or those of the first message with the same key. */
export interface Outcome {
  /** Its place. */
  readonly seq: number;
  /** Its time. */
  readonly time: number;
  /** Whether it had been published before. */
  readonly duplicate?: true;
  /** Of a session record, what it came to. */
  readonly session?: SessionOutcome;
}

/**
 * Writes a message as JSON, the same text wherever it is told; `data` goes in as it is.
 *
 * @param message The message.
 * @returns The object of protocol.md, "Messages", as JSON text.
 */
export function messageJson(message: Message): string {
  const { channel, seq, time, from, name, key, data } = message;
  let json = `{"channel":${JSON.stringify(channel)},"seq":${seq},"time":${time},"from":`;
  json += from === null ? "null" : `"${from}"`;
  if (name !== undefined) json += `,"name":${JSON.stringify(name)}`;
  if (key !== undefined) json += `,"key":${JSON.stringify(key)}`;
  return onOneLine(`${json},"data":${data}}`);
}

/**
 * Finds the text to show where a client knows only text: `data.text`, else a string as it is, else the JSON.
 *
 * @param data A message's data as JSON text.
 * @returns The text.
 */
export function textOf(data: string): string {
  return textIn(JSON.parse(data), data);
}

/**
 * The same of data that was parsed already.
 *
 * @param value What the data says.
 * @param data The data as JSON text.
 * @returns The text.
 */
export function textIn(value: unknown, data: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "text" in value) {
    if (typeof value.text === "string") return value.text;
  }
  return data;
}

/**
 * Reads a text from a client that knows only texts: CRLF becomes LF, and control characters but tab and line feed are dropped.
 *
 * @param text The text as it came.
 * @returns The text as it is published, or the sentence that says what is wrong with it.
 */
export function plainText(text: string): { readonly text: string } | { readonly fault: string } {
  const fault = faultInText(text);
  if (fault !== undefined) return { fault: `The text ${fault}` };
  return { text: text.replaceAll("\r\n", "\n").replace(/(?![\t\n])\p{Cc}/gu, "") };
}
