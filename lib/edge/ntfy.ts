/** How subscribers of ntfy are told: `/push/NAME/json`, `/sse`, `/raw` and `/ws`, and the answers of addresses that are ntfy's alone. */
import type { Codec } from "../protocol/codec.ts";
import { toJson } from "../protocol/json.ts";
import { type Message, textOf } from "../protocol/message.ts";

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

/** The formats by the last part of their addresses. */
export const FORMATS: Readonly<Record<FormatName, Format>> = {
  json: format("ntfy_json", 4, JSON_LINES),
  sse: format("ntfy_sse", 5, {
    type: "text/event-stream; charset=utf-8",
    write: (told) =>
      `${told.event === "message" ? "" : `event: ${told.event}\n`}data: ${toJson(told)}\n`,
  }),
  raw: format("ntfy_raw", 6, {
    type: "text/plain; charset=utf-8",
    // One line for each message: that is all that this format is.
    write: ({ message = "" }) => message.replace(/[[\p{Cc}\p{Zl}\p{Zp}]--\t]+/gv, " "),
  }),
  // Each message is a frame of its own.
  ws: format("ntfy_ws", 4, JSON_LINES, false),
};

function format(
  name: string,
  index: number,
  { type, write }: Pick<Format, "type" | "write">,
  joins = true,
): Format {
  const codec: Codec = {
    name,
    index,
    joins,
    message: (message) => write(toldOf(message)),
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
 * @param message The message.
 * @returns What is told.
 */
export function toldOf({ channel, seq, time, data }: Message): Told {
  return {
    ...toldPlace(channel, seq, time),
    message: textOf(data),
    ...detailsIn(data),
  };
}

/**
 * Tells of a message of which nothing but its place is known.
 *
 * @param channel Its channel.
 * @param seq Its seq.
 * @param time Its time.
 * @returns What is told.
 */
export function toldPlace(channel: string, seq: number, time: number): Told {
  const topic = channel.slice(channel.indexOf(":") + 1);
  return { id: String(seq), time: Math.floor(time / 1000), event: "message", topic };
}

// What a push may have besides its text, where it is of the right kind: anyone may publish any JSON.
function detailsIn(data: string): Pick<Told, "title" | "priority" | "tags" | "click"> {
  const value: unknown = JSON.parse(data);
  if (typeof value !== "object" || value === null) return {};
  const fits: Record<string, (field: unknown) => boolean> = {
    title: (field) => typeof field === "string",
    priority: (field) => Number.isInteger(field),
    tags: (field) => Array.isArray(field) && field.every((tag) => typeof tag === "string"),
    click: (field) => typeof field === "string" && /^https?:\/\//i.test(field),
  };
  return Object.fromEntries(Object.entries(value).filter(([name, field]) => fits[name]?.(field)));
}
