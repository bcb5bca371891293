/** Many readers of one channel: each message's latency, and whether each came once and in order. */
import { Buffer } from "node:buffer";
import { type OnText, RawWebSocket } from "../raw_websocket.ts";
import { Histogram } from "./figures.ts";

/** What the publisher puts into a message's data; `pad` is always as long. */
export interface Stamped {
  /** Its number, from 0. */
  readonly nth: number;
  /** `performance.now()` when it was sent, in whole microseconds. */
  readonly at: number;
  readonly pad: string;
}

interface Known {
  readonly nth: number;
  readonly at: number;
  /** The lengths of all lines up to this one, each with its line feed. */
  readonly bytes: number;
}

/** What every reader of a channel shares: each message is parsed where it is seen first, all others are only compared. */
export class Crowd {
  /** Latencies of those that are measured, while {@linkcode measuring}. */
  readonly latencies = new Histogram();
  measuring = false;
  delivered = 0;
  readonly faults = { lost: 0, repeated: 0, reordered: 0, damaged: 0 };
  readonly #channel: string;
  readonly #known = new Map<number, Known>();
  readonly #byNumber: Known[] = [];
  #bytes = 0;

  /** @param channel Which messages count. */
  constructor(channel: string) {
    this.#channel = channel;
  }

  /** How many different messages were seen. */
  get seen(): number {
    return this.#byNumber.length;
  }

  /**
   * Takes a frame in that holds nothing but messages of the channel, or answers without any.
   *
   * @param payload The frame.
   * @param last The number of the last message that this reader had.
   * @param thorough Whether every line is parsed.
   * @returns The number of the last message that it has now.
   */
  take(payload: Uint8Array, last: number, thorough: boolean): number {
    const frame = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    if (!frame.subarray(0, 11).equals(MESSAGE)) return last;
    const now = performance.now();
    const final = frame.lastIndexOf(MESSAGE);
    if (thorough || !this.#known.has(seqIn(frame, final))) return this.#parse(frame, last, now);
    const from = this.#known.get(seqIn(frame, 0));
    const to = this.#known.get(seqIn(frame, final));
    if (from === undefined || to === undefined) return this.#parse(frame, last, now);
    // Of the right numbers at both ends and of the right length: then it is made of the right lines.
    const before = this.#byNumber[from.nth - 1]?.bytes ?? 0;
    if (from.nth !== last + 1 || to.bytes - before - 1 !== frame.length) {
      return this.#parse(frame, last, now);
    }
    for (let nth = from.nth; nth <= to.nth; nth++) this.#count(this.#byNumber[nth], now);
    return to.nth;
  }

  /**
   * Holds a reader's place against what was published.
   *
   * @param last The number of the last message that it had.
   * @param published How many there are.
   */
  close(last: number, published: number): void {
    this.faults.lost += Math.max(0, published - 1 - last);
  }

  #parse(frame: Buffer, last: number, now: number): number {
    for (const line of frame.toString().split("\n")) {
      const { message } = JSON.parse(line);
      if (message?.channel !== this.#channel) continue;
      const { nth, at }: Stamped = message.data;
      const length = Buffer.byteLength(line) + 1;
      let known = this.#byNumber[nth];
      if (known === undefined && nth === this.#byNumber.length) {
        this.#bytes += length;
        known = { nth, at, bytes: this.#bytes };
        this.#byNumber.push(known);
        this.#known.set(message.seq, known);
      }
      if (known === undefined || known.at !== at || this.#known.get(message.seq) !== known) {
        this.faults.damaged += 1;
      }
      if (nth > last + 1) this.faults.lost += nth - last - 1;
      if (nth === last) this.faults.repeated += 1;
      if (nth < last) this.faults.reordered += 1;
      this.#count(known, now);
      last = Math.max(last, nth);
    }
    return last;
  }

  #count(known: Known | undefined, now: number): void {
    this.delivered += 1;
    if (this.measuring && known !== undefined) this.latencies.add(now - known.at / 1000);
  }
}

/** One of the crowd. */
export class CrowdReader {
  /** The number of the last message that it had. */
  last = -1;
  /** Whether its connection ended by itself. */
  ended = false;
  readonly socket: RawWebSocket;
  readonly #crowd: Crowd;
  readonly #thorough: boolean;

  private constructor(socket: RawWebSocket, crowd: Crowd, thorough: boolean) {
    this.socket = socket;
    this.#crowd = crowd;
    this.#thorough = thorough;
  }

  /**
   * Connects and subscribes.
   *
   * @param port On 127.0.0.1.
   * @param cookie Whose connection.
   * @param crowd Where it belongs.
   * @param subscribe Bodies of its subscriptions.
   * @param thorough Whether it parses every line.
   * @returns The reader, and the answers in the order in which they came.
   */
  static async enter(
    port: number,
    cookie: string,
    crowd: Crowd,
    subscribe: readonly object[],
    thorough = false,
  ): Promise<{ reader: CrowdReader; answers: readonly Answer[] }> {
    const socket = await RawWebSocket.open(port, cookie);
    const reader = new CrowdReader(socket, crowd, thorough);
    const lines = subscribe.map((body, i) => JSON.stringify({ id: i + 1, subscribe: body }));
    await socket.send(lines.join("\n"));
    const answers: Answer[] = [];
    const onText: OnText = (payload) => {
      for (const line of Buffer.from(payload).toString().split("\n")) {
        const { subscribe: answer, error, message } = JSON.parse(line);
        if (error !== undefined) throw new Error(`Cannot subscribe: ${error.message}`);
        if (answer !== undefined) {
          answers.push(answer);
          for (const one of answer.messages) reader.#take(JSON.stringify({ message: one }));
        } else if (message !== undefined) reader.#take(line);
      }
    };
    while (answers.length < subscribe.length) {
      if (!await socket.read(onText)) throw new Error("Cannot subscribe: the connection ended");
    }
    return { reader, answers };
  }

  /** Reads until the connection ends. */
  async run(): Promise<void> {
    const onText: OnText = (payload) => {
      this.last = this.#crowd.take(payload, this.last, this.#thorough);
    };
    while (await this.socket.read(onText));
    this.ended = true;
  }

  #take(line: string): void {
    this.last = this.#crowd.take(encoder.encode(line), this.last, true);
  }
}

/** The answer to a subscription. */
export interface Answer {
  readonly channel: string;
  readonly epoch: string;
  readonly seq: number;
  readonly recovered?: boolean;
  readonly more?: boolean;
  readonly messages: readonly { readonly seq: number; readonly data: unknown }[];
}

const encoder = new TextEncoder();
const MESSAGE = Buffer.from('{"message":');
const SEQ = Buffer.from('"seq":');
const ZERO = 48;

function seqIn(frame: Buffer, line: number): number {
  let at = frame.indexOf(SEQ, line) + SEQ.length;
  let seq = 0;
  for (;;) {
    const digit = (frame[at++] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return seq;
    seq = seq * 10 + digit;
  }
}
