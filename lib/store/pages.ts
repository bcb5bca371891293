/** Pages of a feed, read in slices: generators that yield when others should have their turn. */
import type { Message } from "../protocol/message.ts";
import { type Page, PAGE_BYTES, type Reader } from "./reader.ts";

/** The most bytes that are read, parsed or written for one client before others have their turn. */
export const SLICE_BYTES = 262_144;

// How many messages are read upwards in one go, which suits the read-ahead of the system.
const CHUNK = 50;

/** What a page holds. */
export interface PageSize {
  /** The most messages. */
  readonly limit: number;
  /** The most bytes; one message at least. Absent: {@linkcode PAGE_BYTES}. */
  readonly bytes?: number;
}

/**
 * Reads the oldest messages of a feed after a place.
 *
 * @param reader The log.
 * @param feed The feed.
 * @param range The place, a seq, and the last seq to read.
 * @param size How much.
 * @returns Yields between slices; returns the page.
 * @throws {Error} If the log can't be read or a record is damaged.
 */
export function* pageAfter(
  reader: Reader,
  feed: string,
  { after, upTo }: { readonly after: number; readonly upTo: number },
  { limit, bytes: most = PAGE_BYTES }: PageSize,
): Generator<void, Page> {
  const messages: Message[] = [];
  let bytes = 0;
  for (let place = after;;) {
    const part = reader.after(
      feed,
      place,
      upTo,
      limit - messages.length,
      Math.min(SLICE_BYTES, most - bytes),
    );
    if (messages.length > 0 && bytes + part.bytes > most) return { messages, more: true, bytes };
    messages.push(...part.messages);
    bytes += part.bytes;
    const last = part.messages.at(-1);
    if (!part.more || last === undefined) return { messages, more: false, bytes };
    if (messages.length === limit || bytes >= most) return { messages, more: true, bytes };
    place = last.seq;
    yield;
  }
}

/**
 * Reads the newest messages of a feed.
 *
 * @param reader The log.
 * @param feed The feed.
 * @param upTo The last seq to read.
 * @param size How much.
 * @returns Yields between slices; returns the page, oldest first.
 * @throws {Error} If the log can't be read or a record is damaged.
 */
export function* newestPage(
  reader: Reader,
  feed: string,
  upTo: number,
  { limit, bytes: most = PAGE_BYTES }: PageSize,
): Generator<void, Page> {
  const seqs = reader.index.newest(feed, upTo, limit + 1);
  const more = seqs.length > limit;
  if (more) seqs.pop();
  const newest: Message[] = [];
  let bytes = 0;
  for (let from = 0; from < seqs.length;) {
    const chunk = seqs.slice(from, from + chunkSize(newest.length, bytes, most));
    for (const { message, size } of upwards(reader, chunk).reverse()) {
      if (bytes + size > most && newest.length > 0) {
        return { messages: newest.reverse(), more: true, bytes };
      }
      bytes += size;
      newest.push(message);
    }
    from += chunk.length;
    if (from < seqs.length) yield;
  }
  return { messages: newest.reverse(), more, bytes };
}

function upwards(
  reader: Reader,
  seqs: readonly number[],
): { readonly message: Message; readonly size: number }[] {
  return seqs.toReversed().flatMap((seq) => {
    const before = reader.bytesRead;
    const message = reader.message(seq);
    return message === undefined ? [] : [{ message, size: reader.bytesRead - before }];
  });
}

// The size of messages is known once they are read: a few at first, then as many as fit by the mean size so far.
function chunkSize(count: number, bytes: number, most: number): number {
  if (count === 0) return 4;
  const room = Math.min(SLICE_BYTES, most - bytes);
  return Math.max(1, Math.min(CHUNK, Math.floor(room * count / Math.max(1, bytes))));
}

/**
 * Runs slices one after the other, in one turn: for tests and tools.
 *
 * @param slices What yields between slices.
 * @returns What it returns.
 */
export function inOneTurn<T>(slices: Generator<void, T>): T {
  for (;;) {
    const { done, value } = slices.next();
    if (done) return value;
  }
}
