/** Many readers of one channel: how late each message is, and whether each came to each reader once and in order. */
import type { Buffer } from "node:buffer";
import { Histogram } from "../../../helpers/load/figures.ts";
import { type FrameSocket, type FrameTaker, SIGHT } from "../../../helpers/load/frames.ts";
import type { Speech } from "./speech.ts";
import { stampOf } from "../../../helpers/load/stamp.ts";

const ZERO = 48;
const HEAD_END = 6;

/** What all readers share: a message is parsed where it is seen first, all others compare its seq and its length. */
export class Crowd {
  readonly latencies = new Histogram();
  readonly faults = { lost: 0, repeated: 0, reordered: 0, damaged: 0 };
  measuring = false;
  /** Where each latency is kept, with its moment; not for many. */
  trace: [number, number][] | undefined;
  delivered = 0;
  bytes = 0;
  /** How many different messages were seen. */
  seen = 0;
  readonly head: Uint8Array;
  // By how far a seq is above the first: looked up for each frame, and quicker than a map.
  readonly #places: Int32Array;
  #firstSeq: number | undefined;
  readonly #seqs: Float64Array;
  readonly #at: Float64Array;
  // The lengths of all lines up to and with this one, each with its line feed.
  readonly #ends: Float64Array;
  readonly #lastOf = new Map<number, number>();

  /**
   * @param speech How the contestant is spoken to.
   * @param most How many messages there can be.
   */
  constructor(readonly speech: Speech, most: number) {
    this.head = new TextEncoder().encode(speech.head);
    // Ours has other records between messages.
    this.#places = new Int32Array(2 * most).fill(-1);
    this.#seqs = new Float64Array(most);
    this.#at = new Float64Array(most);
    this.#ends = new Float64Array(most);
  }

  /**
   * Finds a message.
   *
   * @param seq Its seq.
   * @returns The how manieth it is, undefined where nobody has seen it.
   */
  place(seq: number): number | undefined {
    const place = this.#places[seq - (this.#firstSeq ?? 0)];
    return place === undefined || place < 0 ? undefined : place;
  }

  /**
   * Finds with which message a frame ends.
   *
   * @param first The place of its first.
   * @param size The length of the frame.
   * @returns The place of its last, undefined where it can't be made of known messages.
   */
  lastIn(first: number, size: number): number | undefined {
    const end = (first === 0 ? 0 : this.#ends[first - 1] ?? 0) + size + 1;
    if (this.#ends[first] === end) return first;
    let low = first + 1;
    let high = this.seen;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) < end) low = middle + 1;
      else high = middle;
    }
    return low < this.seen && this.#ends[low] === end ? low : undefined;
  }

  /**
   * Takes in a message that was parsed.
   *
   * @param seq Its seq.
   * @param text Its text.
   * @param bytes Its length with the line feed.
   * @returns Its place.
   */
  parsed(seq: number, text: string, bytes: number): number {
    const known = this.place(seq);
    const { publisher, nth, at } = stampOf(text);
    if (known !== undefined) {
      if (this.#at[known] !== at) this.faults.damaged += 1;
      return known;
    }
    const place = this.seen++;
    if (place >= this.#seqs.length) throw new RangeError("More messages came than were published");
    if (place > 0 && seq <= (this.#seqs[place - 1] ?? 0)) this.faults.reordered += 1;
    // A publisher's own messages keep their order; what it sent and isn't here was lost for everyone.
    const before = this.#lastOf.get(publisher) ?? -1;
    if (nth <= before) this.faults.reordered += 1;
    this.#lastOf.set(publisher, Math.max(nth, before));
    this.#firstSeq ??= seq;
    this.#places[seq - this.#firstSeq] = place;
    this.#seqs[place] = seq;
    this.#at[place] = at;
    this.#ends[place] = (place === 0 ? 0 : this.#ends[place - 1] ?? 0) + bytes;
    return place;
  }

  /**
   * Counts what came to one reader.
   *
   * @param before The place of the last message that it had.
   * @param first The place of the first that came.
   * @param last That of the last.
   * @param now When, in microseconds since 1970.
   */
  count(before: number, first: number, last: number, now: number): void {
    if (first > before + 1) this.faults.lost += first - before - 1;
    else if (first === before) this.faults.repeated += 1;
    else if (first < before) this.faults.reordered += 1;
    this.delivered += last - first + 1;
    if (!this.measuring) return;
    for (let i = first; i <= last; i++) {
      const late = (now - (this.#at[i] ?? 0)) / 1000;
      this.latencies.add(late);
      this.trace?.push([now, late]);
    }
  }
}

/** One of the crowd. */
export class Reader implements FrameTaker {
  /** The place of the last message that it had. */
  last = -1;
  /** Ends once its subscription stands. */
  readonly subscribed: Promise<void>;
  readonly #crowd: Crowd;
  readonly #socket: FrameSocket;
  readonly #thorough: boolean;
  #stands = () => {};
  #first = 0;
  #final = 0;
  readonly #channel: string;

  /**
   * @param crowd Where it belongs.
   * @param socket Connected.
   * @param channel What it reads.
   * @param thorough Whether it parses every message.
   */
  constructor(crowd: Crowd, socket: FrameSocket, channel: string, thorough = false) {
    this.#crowd = crowd;
    this.#socket = socket;
    this.#thorough = thorough;
    this.subscribed = new Promise((resolve) => this.#stands = resolve);
    this.#channel = channel;
    socket.listen(this);
    if (crowd.speech.greeting === undefined) socket.send(crowd.speech.subscribe(channel));
  }

  known(bytes: Buffer, start: number, size: number): boolean {
    this.#crowd.bytes += size;
    const { head } = this.#crowd;
    if (this.#thorough || size < SIGHT || bytes[start] !== head[0]) return false;
    // The end of it tells a message; all of it is what the thorough one is for.
    for (let i = head.length - HEAD_END; i < head.length; i++) {
      if (bytes[start + i] !== head[i]) return false;
    }
    let seq = 0;
    for (let at = start + head.length;; at++) {
      const digit = (bytes[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) break;
      seq = seq * 10 + digit;
    }
    const first = this.#crowd.place(seq);
    const final = first === undefined ? undefined : this.#crowd.lastIn(first, size);
    if (first === undefined || final === undefined) return false;
    this.#first = first;
    this.#final = final;
    return true;
  }

  arrived(now: number): void {
    this.#took(this.#first, this.#final, now);
  }

  whole(payload: Buffer, now: number): void {
    const text = payload.toString("latin1");
    const { speech } = this.#crowd;
    const answer = speech.greet(text);
    if (answer !== undefined) this.#socket.send(answer);
    if (speech.greeting?.(text)) this.#socket.send(speech.subscribe(this.#channel));
    if (speech.subscribed(text)) this.#stands();
    for (const { told, bytes } of speech.messages(text)) {
      const place = this.#crowd.parsed(told.seq, told.data.text, bytes);
      this.#took(place, place, now);
    }
  }

  #took(first: number, last: number, now: number): void {
    this.#crowd.count(this.last, first, last, now);
    this.last = Math.max(this.last, last);
  }
}
