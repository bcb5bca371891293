/** What each contestant is spoken to in. */

/** The channel that everyone publishes in and reads. */
export const CHANNEL = "push:bench";

/** A message as every contestant sends it. */
export interface Told {
  readonly seq: number;
  readonly data: { readonly text: string };
}

/** How a contestant is spoken to. */
export interface Speech {
  readonly path: string;
  readonly headers: readonly string[];
  /** What a frame of messages begins with, up to the seq of the first. */
  readonly head: string;
  /** What a reader sends once it is connected. */
  subscribe(channel: string): string;
  /** Answers what has to be answered before that; undefined where nothing is. */
  greet(text: string): string | undefined;
  /** Whether a client that hears this may begin. */
  readonly greeting: ((text: string) => boolean) | undefined;
  /** Whether this is the answer to the subscription. */
  subscribed(text: string): boolean;
  /** The messages in a frame. */
  messages(text: string): { told: Told; bytes: number }[];
  /** Publications as frames; `id` is of the first. */
  publish(texts: readonly string[], id: number): string[];
  /** Whether every publication is acknowledged. */
  readonly acknowledges: boolean;
}

const MESSAGE = `{"message":{"channel":"${CHANNEL}","seq":`;

const fanfare: Speech = {
  path: "/ws",
  headers: ["Sec-WebSocket-Protocol: fanfare.v1"],
  head: MESSAGE,
  subscribe: (channel) => JSON.stringify({ id: 1, subscribe: { channel } }),
  greet: () => undefined,
  greeting: undefined,
  subscribed: (text) => text.startsWith('{"id":1,"subscribe"'),
  messages: (text) =>
    text.split("\n").filter((line) => line.startsWith('{"message"')).map((line) => ({
      told: JSON.parse(line).message,
      bytes: line.length + 1,
    })),
  // As many as are due in one frame, as the client library does.
  publish: (texts, id) => [
    texts.map((text, i) =>
      JSON.stringify({ id: id + i, publish: { channel: CHANNEL, data: { text } } })
    ).join("\n"),
  ],
  acknowledges: true,
};

const plain: Speech = {
  ...fanfare,
  path: "/",
  headers: [],
  subscribe: (channel) => JSON.stringify({ subscribe: { channel } }),
  subscribed: (text) => text.startsWith('{"subscribed"'),
  publish: (texts) =>
    texts.map((text) => JSON.stringify({ publish: { channel: CHANNEL, data: { text } } })),
  acknowledges: false,
};

const socketio: Speech = {
  path: "/socket.io/?EIO=4&transport=websocket",
  headers: [],
  head: `42["message",{"channel":"${CHANNEL}","seq":`,
  subscribe: (channel) => `42${JSON.stringify(["subscribe", { channel }])}`,
  greet: (text) => text.startsWith("0") ? "40" : text === "2" ? "3" : undefined,
  greeting: (text) => text.startsWith("40"),
  subscribed: (text) => text.startsWith('42["subscribed"'),
  messages: (text) =>
    text.startsWith('42["message"')
      ? [{ told: JSON.parse(text.slice(2))[1], bytes: text.length + 1 }]
      : [],
  publish: (texts) =>
    texts.map((text) => `42${JSON.stringify(["publish", { channel: CHANNEL, data: { text } }])}`),
  acknowledges: false,
};

/** All that are spoken. */
export const SPEECHES = { fanfare, plain, socketio };

/** One of them. */
export type SpeechName = keyof typeof SPEECHES;
