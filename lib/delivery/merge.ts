/** Several feeds as one, in the order of seq: reads what is taken, and from the log little more than that. */
import type { Head } from "../store/feed_index.ts";
import type { Reader } from "../store/reader.ts";
import { Entry, type Ring } from "./feed_ring.ts";

// How many seqs of one feed are listed at once, the second time and at most: the first is known.
const SECOND_LIST = 4;
const LONGEST_LIST = 256;

/** What is left of one feed, lowest seq first. */
export interface Source {
  /** The seq of its next entry. */
  readonly seq: number;
  /** Reads the next entry; undefined where it isn't kept any more. */
  entry(): Entry | undefined;
  /** Goes on to the entry after it; false where there is none. */
  advance(): boolean;
}

/**
 * Makes the source of a feed whose entries are in its ring.
 *
 * @param ring The ring; it mustn't change meanwhile.
 * @param after The place, not below the ring's floor.
 * @returns The source; undefined where nothing follows.
 */
export function ringSource(ring: Ring, after: number): Source | undefined {
  const entries = ring.from(after);
  let next = entries.next().value;
  if (next === undefined) return undefined;
  let current: Entry = next;
  return {
    get seq() {
      return current.message.seq;
    },
    entry: () => current,
    advance() {
      next = entries.next().value;
      if (next !== undefined) current = next;
      return next !== undefined;
    },
  };
}

/**
 * Makes the source of a feed that is read from the log: the index tells the order, and only messages that are taken are read.
 *
 * @param reader The log; see its `atOnce`.
 * @param head Where the feed goes on, as the log's index says.
 * @param upTo The last seq to read.
 * @returns The source; undefined where nothing follows.
 */
export function logSource(reader: Reader, { id, seq }: Head, upTo: number): Source | undefined {
  if (seq === undefined) return undefined;
  let length = 1;
  let seqs = [seq];
  let at = 0;
  return {
    get seq() {
      return seqs[at] ?? upTo;
    },
    entry() {
      const message = reader.message(this.seq);
      return message === undefined ? undefined : new Entry(message);
    },
    advance() {
      if (at + 1 < seqs.length) at += 1;
      else if (seqs.length < length) return false;
      else {
        const last = seqs.at(-1) ?? upTo;
        length = Math.min(SECOND_LIST * length, LONGEST_LIST);
        [seqs, at] = [reader.index.seqs(id, last, upTo, length), 0];
      }
      return seqs.length > 0;
    },
  };
}

/**
 * Merges feeds. An entry that is in several comes once.
 *
 * @param sources What is left of each.
 * @returns The entries, lowest seq first.
 */
export function* merged(sources: Iterable<Source>): Generator<Entry> {
  const heap: Source[] = [];
  for (const source of sources) {
    heap.push(source);
    rise(heap);
  }
  let last = -1;
  for (let first = heap[0]; first !== undefined; first = heap[0]) {
    if (first.seq !== last) {
      last = first.seq;
      const entry = first.entry();
      if (entry !== undefined) yield entry;
    }
    if (first.advance()) sink(heap);
    else {
      const end = heap.pop();
      if (end === undefined || heap.length === 0) return;
      heap[0] = end;
      sink(heap);
    }
  }
}

// A binary heap: the source with the lowest seq is at 0.
function rise(heap: Source[]): void {
  for (let at = heap.length - 1; at > 0;) {
    const up = (at - 1) >> 1;
    if (!swapped(heap, up, at)) return;
    at = up;
  }
}

function sink(heap: Source[]): void {
  for (let at = 0;;) {
    const left = 2 * at + 1;
    const lower = (heap[left + 1]?.seq ?? Infinity) < (heap[left]?.seq ?? Infinity) ? 1 : 0;
    if (!swapped(heap, at, left + lower)) return;
    at = left + lower;
  }
}

function swapped(heap: Source[], up: number, down: number): boolean {
  const [above, below] = [heap[up], heap[down]];
  if (above === undefined || below === undefined || above.seq <= below.seq) return false;
  [heap[up], heap[down]] = [below, above];
  return true;
}
