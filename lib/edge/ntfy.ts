/** The codecs of `/push/NAME/json`, `/sse`, `/raw` and `/ws`: messages as subscribers of ntfy know them. */
import type { Codec } from "../protocol/codec.ts";
import { type Message, textOf } from "../protocol/message.ts";

/** A way to read pushes. */
export interface Format {
  readonly codec: Codec;
  readonly type: string;
  /** What is sent first. */
  open(topic: string, time: number): string | undefined;
  /** What is said when nothing else is. */
  keepalive(topic: string, time: number): string;
}

const none = { presence: () => undefined, signal: () => undefined };
const json: Codec = { name: "ntfy_json", index: 4, joins: true, message: messageText, ...none };

const JSON_LINES: Format = {
  codec: json,
  type: "application/x-ndjson; charset=utf-8",
  open: (topic, time) => eventText("open", topic, time),
  keepalive: (topic, time) => eventText("keepalive", topic, time),
};

/** The formats by the last part of their addresses. */
export const FORMATS: Readonly<Record<"json" | "sse" | "raw" | "ws", Format>> = {
  json: JSON_LINES,
  sse: {
    codec: {
      name: "ntfy_sse",
      index: 5,
      joins: true,
      message: (message) => `data: ${messageText(message)}\n`,
      ...none,
    },
    type: "text/event-stream; charset=utf-8",
    open: (topic, time) => `event: open\ndata: ${eventText("open", topic, time)}\n`,
    keepalive: (topic, time) => `event: keepalive\ndata: ${eventText("keepalive", topic, time)}\n`,
  },
  raw: {
    codec: {
      name: "ntfy_raw",
      index: 6,
      joins: true,
      // One line for each message: that is all that this format is.
      message: ({ data }) => textOf(data).replace(/[\r\n\u2028\u2029]+/g, " "),
      ...none,
    },
    type: "text/plain; charset=utf-8",
    open: () => "",
    keepalive: () => "",
  },
  // Each message is a frame of its own.
  ws: { ...JSON_LINES, codec: { ...json, name: "ntfy_ws", joins: false } },
};

function eventText(event: string, topic: string, time: number): string {
  return JSON.stringify({ id: `e${time}`, time: Math.floor(time / 1000), event, topic });
}

function messageText({ channel, seq, time, data }: Message): string {
  const topic = channel.slice(channel.indexOf(":") + 1);
  return JSON.stringify({
    id: String(seq),
    time: Math.floor(time / 1000),
    event: "message",
    topic,
    message: textOf(data),
    ...detailsIn(data),
  });
}

// What a push may have besides its text, where it is of the right kind: anyone may publish any JSON.
function detailsIn(data: string): Record<string, unknown> {
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
