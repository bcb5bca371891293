/**
 * How much is sent to one client at once, so that what all sockets of an isolate hold has an end. Deno (2.9.6) gives a socket that
 * nobody reads what it was sent for as long as its client stays, closed or not, and each WebSocket a buffer of the size of the
 * largest frame that it ever was sent. Nothing but the end of the isolate, or of the client, gives either back: so it is bounded
 * before anything is sent.
 *
 * @module
 */
import { PAGE_BYTES } from "../store/reader.ts";

/** What may be unsent in a socket before its connection waits; more is latency and memory (architecture.md, "Measured facts"). */
export const UNSENT = 65_536;

/** Where a frame is cut, in characters. */
export const FRAME_CUT = 131_072;

/** Frame size in bytes while the isolate is over its budget; a larger message is still sent whole. */
export const LITTLE = 8192;

/** What the sockets of one isolate may hold where the memory has no limit, in bytes. */
const FREELY = 256 * 1_048_576;

/** What large pages may hold in the sockets of one isolate before pages are no larger than frames, in bytes. */
export const PAGED = 8 * 1_048_576;

// More than a socket holds by frames that are cut: what is unsent before and in a frame, and the room for the frame.
const LARGE = UNSENT + 2 * FRAME_CUT + 65_536;

// The part of a limit that they may hold, all of them.
const PART = 1 / 8;

// Under this part of what they may hold all is as usual again.
const CALM = 0.75;

// Asking all sockets takes some milliseconds where they are many: so often at most, in milliseconds, and while large pages go out.
const PAUSE = 100;
const PAGED_PAUSE = 10;

/** How much is sent to one connection at once. */
export interface SendSizes {
  /** What may be unsent in a socket that is to be sent more. */
  readonly room: number;
  /** Where a frame is cut, in characters. */
  readonly frame: number;
  /** The most that a page of messages holds, in bytes; one message at least. */
  readonly page: number;
}

const USUAL: SendSizes = { room: UNSENT, frame: FRAME_CUT, page: PAGE_BYTES };
// A page of 1 MiB is there up to four times while it is sent, and its room stays: many of them at once are cut.
const CUT_PAGES: SendSizes = { ...USUAL, page: FRAME_CUT };

/** Something with a socket. */
export interface Holder {
  /** How many bytes its socket holds: what the network hasn't taken, and the room for the largest frame. */
  readonly held: number;
  /** The largest frame that it was sent. */
  readonly largest: number;
}

/**
 * Tells how much the sockets of one isolate may hold.
 *
 * @param memory What the process may have, in bytes; 0 for any.
 * @param isolates How many have sockets.
 * @returns Bytes.
 */
export function heldAtMost(memory: number, isolates: number): number {
  return memory === 0 ? FREELY : Math.floor(memory * PART / Math.max(1, isolates));
}

/** The bytes that all sockets of an isolate may hold unsent; limits frames and pages while they hold more. */
export class SendBudget {
  #most: number;
  #holders: Iterable<Holder>[] = [];
  #short = false;
  #crowded = false;
  // Since it was counted: all, and by large frames.
  #sent = 0;
  #large = 0;
  #counted = -Infinity;

  /** @param most What all may hold, in bytes. */
  constructor(most = FREELY) {
    this.#most = most;
  }

  /** @param most What all may hold from now on, in bytes. */
  renew(most: number): void {
    this.#most = most;
  }

  /**
   * Counts what a set of sockets holds for as long as it isn't empty: sockets of an edge that ended still hold memory.
   *
   * @param holders All that have sockets in one edge; they may become others.
   */
  watch(holders: Iterable<Holder>): void {
    this.#holders = this.#holders.filter((before) => !before[Symbol.iterator]().next().done);
    this.#holders.push(holders);
  }

  /** @param bytes How much was sent in one frame. */
  add(bytes: number): void {
    this.#sent += bytes;
    if (bytes > LARGE) this.#large += bytes;
  }

  /**
   * Returns how much may be sent to one connection now.
   *
   * @param now Milliseconds that never go back.
   * @param holder The connection.
   * @returns Its sizes.
   */
  of(now: number, { largest }: Pick<Holder, "largest">): SendSizes {
    if (this.#isDue(now)) this.#count(now);
    if (!this.#short) return this.#crowded ? CUT_PAGES : USUAL;
    const size = leftTo(largest);
    return { room: 1, frame: Math.min(size, FRAME_CUT), page: Math.min(size, PAGE_BYTES) };
  }

  #isDue(now: number): boolean {
    if (this.#sent >= this.#most / 4) return true;
    const since = now - this.#counted;
    if (this.#large >= PAGED / 4) return since >= PAGED_PAUSE;
    return since >= PAUSE && (this.#sent >= this.#most / 16 || this.#short || this.#crowded);
  }

  #count(now: number): void {
    let [all, paged] = [0, 0];
    for (const holders of this.#holders) {
      for (const { held } of holders) {
        all += held;
        paged += Math.max(0, held - LARGE);
      }
    }
    this.#short = all > (this.#short ? CALM : 1) * this.#most;
    this.#crowded = paged > (this.#crowded ? CALM : 1) * PAGED;
    [this.#counted, this.#sent, this.#large] = [now, 0, 0];
  }
}

// The room for as much as before is there in any case. A frame may have five budget, of answers, words and pages: by a quarter of
// the largest, in powers of two, nobody who reads on pumps up what is kept for it, and those who are at the same place share frames.
function leftTo(largest: number): number {
  return LITTLE * 2 ** Math.floor(Math.log2(Math.max(1, largest / (4 * LITTLE))));
}
