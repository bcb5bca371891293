/** The latest messages of a feed, kept for connections that are at different places in it. */
import type { Codec } from "../codecs/codec.ts";
import type { Message } from "../protocol/message.ts";

/**
 * How much one ring holds, in bytes of memory; all together are bounded too. At 8,000 messages of 100 bytes a second it is two
 * seconds: with less those who fall behind for a moment go to the log, and a busy server stays behind.
 */
export const RING_BYTES = 8 * 1_048_576;

/** A message with its line for each codec, filled at first use; shared by all rings and connections that it goes to. */
export class Entry {
  readonly message: Message;
  /** About what it takes in memory. */
  readonly bytes: number;
  readonly #lines: (string | undefined)[] = [];

  /** @param message The message. */
  constructor(message: Message) {
    this.message = message;
    this.bytes = 2 * message.data.length + 300;
  }

  /**
   * Encodes the message, once for each codec.
   *
   * @param codec Whose line.
   * @returns The line.
   */
  line(codec: Codec): string {
    return this.#lines[codec.index] ??= codec.message(this.message);
  }
}

/** A feed's latest entries in the order of seq. */
export class Ring {
  #entries: (Entry | undefined)[] = [];
  #start = 0;
  #bytes = 0;
  #floor: number;

  /** @param floor The seq above which everything is going to be here. */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** All of the feed with a greater seq is in the ring; what isn't is in the log. */
  get floor(): number {
    return this.#floor;
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes in the newest.
   *
   * @param entry Of a seq above all before.
   */
  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    this.shrink(RING_BYTES);
  }

  /**
   * Lets the oldest go.
   *
   * @param bytes What may stay.
   */
  shrink(bytes: number): void {
    while (this.#bytes > bytes) {
      const oldest = this.#entries[this.#start];
      if (oldest === undefined) break;
      // The place stays until the rest is moved, the entry must not.
      this.#entries[this.#start] = undefined;
      this.#start += 1;
      this.#bytes -= oldest.bytes;
      this.#floor = oldest.message.seq;
    }
    // Moving the rest once for every half keeps the cost of an eviction constant.
    if (this.#start > 32 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /**
   * Lets all go: what follows is in the log.
   *
   * @param seq The seq above which everything is going to be here again.
   */
  skip(seq: number): void {
    [this.#entries, this.#start, this.#bytes, this.#floor] = [[], 0, 0, seq];
  }

  /**
   * Goes through what follows a place; the ring mustn't change meanwhile.
   *
   * @param seq The place, not below {@linkcode floor}.
   * @returns The entries after it.
   */
  *from(seq: number): Generator<Entry, undefined> {
    for (let i = this.#find(seq); i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry !== undefined) yield entry;
    }
  }

  /**
   * Finds what follows a place.
   *
   * @param seq The place, not below {@linkcode floor}.
   * @returns The seq of the next entry; undefined where there is none.
   */
  next(seq: number): number | undefined {
    return this.#entries[this.#find(seq)]?.message.seq;
  }

  #find(seq: number): number {
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.message.seq ?? 0) > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
