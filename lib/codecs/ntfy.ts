/** How subscribers of ntfy are told: `/push/NAME/json`, `/sse`, `/raw` and `/ws`, and the answers of addresses that are ntfy's alone. */
import { crc32 } from "node:zlib";
import type { Codec } from "./codec.ts";
import { toJson } from "../protocol/json.ts";
import { type Message, textIn } from "../protocol/message.ts";

/** One line of a subscription, as its JSON has it. */
export interface Told {
  readonly id: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly event: "open" | "keepalive" | "message";
  /** The topic; those of all, with commas between them, where it is no message. */
  readonly topic: string;
  readonly message?: string;
  readonly title?: string;
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly click?: string;
}

/** A way to read pushes. */
export interface Format {
  readonly codec: Codec;
  readonly type: string;
  /** Writes what is told. */
  write(told: Told): string;
}

/** The last parts of the addresses where pushes are read. */
export type FormatName = "json" | "sse" | "raw" | "ws";

const JSON_LINES = { type: "application/x-ndjson; charset=utf-8", write: toJson };

const EVENTS: Pick<Format, "type" | "write"> = {
  type: "text/event-stream; charset=utf-8",
  write: (told) =>
    `${told.event === "message" ? "" : `event: ${told.event}\n`}data: ${toJson(told)}\n`,
};

const TEXTS: Pick<Format, "type" | "write"> = {
  type: "text/plain; charset=utf-8",
  // One line for each message: that is all that this format is.
  write: ({ message = "" }) => message.replace(/[[\p{Cc}\p{Zl}\p{Zp}]--\t]+/gv, " "),
};

/**
 * Makes the formats of a log.
 *
 * @param epoch The log's.
 * @returns The formats by the last part of their addresses.
 */
export function formatsOf(epoch: string): Readonly<Record<FormatName, Format>> {
  return {
    json: format(epoch, "ntfy_json", 4, JSON_LINES),
    sse: format(epoch, "ntfy_sse", 5, EVENTS),
    raw: format(epoch, "ntfy_raw", 6, TEXTS),
    // Each message is a frame of its own.
    ws: format(epoch, "ntfy_ws", 4, JSON_LINES, false),
  };
}

function format(
  epoch: string,
  name: string,
  index: number,
  { type, write }: Pick<Format, "type" | "write">,
  joins = true,
): Format {
  const codec: Codec = {
    name,
    index,
    joins,
    message: (message) => write(toldOf(epoch, message)),
    presence: () => undefined,
    signal: () => undefined,
  };
  return { codec, type, write };
}

/**
 * Tells of something other than a message.
 *
 * @param event What.
 * @param topics Of which topics.
 * @param now Milliseconds since 1970.
 * @returns What is told.
 */
export function toldEvent(
  event: "open" | "keepalive",
  topics: readonly string[],
  now: number,
): Told {
  return { id: `e${now}`, time: Math.floor(now / 1000), event, topic: topics.join(",") };
}

/**
 * Tells of a message.
 *
 * @param epoch The log's.
 * @param message The message.
 * @returns What is told.
 */
export function toldOf(epoch: string, { channel, seq, time, data }: Message): Told {
  const value: unknown = JSON.parse(data);
  return {
    ...toldPlace(epoch, channel, seq, time),
    message: textIn(value, data),
    ...detailsIn(value),
  };
}

/**
 * Tells of a message of which nothing but its place is known.
 *
 * @param epoch The log's.
 * @param channel Its channel.
 * @param seq Its seq.
 * @param time Its time.
 * @returns What is told.
 */
export function toldPlace(
  epoch: string,
  channel: string,
  seq: number,
  time: number,
): Told {
  const topic = channel.slice(channel.indexOf(":") + 1);
  return {
    id: idOf(epoch, seq),
    time: Math.floor(time / 1000),
    event: "message",
    topic,
  };
}

const LETTERS = 6;

/**
 * Makes the id of a message: letters for the epoch, then the seq. It is never taken for a time or a duration.
 *
 * @param epoch The log's.
 * @param seq The message's.
 * @returns The id, such as `kqzmwa17`.
 */
export function idOf(epoch: string, seq: number): string {
  let letters = "";
  for (
    let rest = crc32(epoch);
    letters.length < LETTERS;
    rest = Math.floor(rest / 26)
  ) {
    letters += String.fromCharCode(97 + rest % 26);
  }
  return letters + seq;
}

/**
 * Reads an id: one of {@linkcode idOf}, or of another server.
 *
 * @param epoch The log's.
 * @param id The id.
 * @returns The seq; "unknown" for an id of another log or server, undefined for what is no id.
 */
export function seqInId(
  epoch: string,
  id: string,
): number | "unknown" | undefined {
  const seq = Number(/^[a-z]{6}(\d{1,15})$/.exec(id)?.[1]);
  if (idOf(epoch, seq) === id) return seq;
  // Those of ntfy have twelve letters and digits.
  const foreign = /^[A-Za-z][A-Za-z0-9]{1,30}$/.test(id) && /\d/.test(id) ||
    /^[A-Za-z0-9]{12}$/.test(id) && /[A-Za-z]/.test(id);
  return foreign ? "unknown" : undefined;
}

// What a push may have besides its text, where it is of the right kind: anyone may publish any JSON.
function detailsIn(value: unknown): Pick<Told, "title" | "priority" | "tags" | "click"> {
  if (typeof value !== "object" || value === null) return {};
  const fits: Record<string, (field: unknown) => boolean> = {
    title: (field) => typeof field === "string",
    priority: (field) => Number.isInteger(field),
    tags: (field) => Array.isArray(field) && field.every((tag) => typeof tag === "string"),
    click: (field) => typeof field === "string" && /^https?:\/\//i.test(field),
  };
  return Object.fromEntries(Object.entries(value).filter(([name, field]) => fits[name]?.(field)));
}
