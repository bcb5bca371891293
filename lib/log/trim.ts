/** Retention: what takes old messages, forgotten keys and free pages out of the log, a bounded step at a time. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { parseChannel } from "../protocol/channel.ts";
import type { TrimScope } from "../protocol/message.ts";
import { ALL_PUSHES, keptIn } from "./feeds.ts";

/** Messages that one step removes at most: a step of 200 takes the core about 5 ms. */
export const TRIM_STEP = 200;

/** How long a key is remembered: 24 hours in milliseconds (protocol.md section 2). */
export const KEY_AGE = 86_400_000;

const KEYS_STEP = 500;
const PAGES_STEP = 64;

// Pages that stay free for what comes next; all above go back to the file system.
const PAGES_KEPT = 512;

/** The trimming part of an open log. It commits nothing: {@linkcode Trim.apply} runs in the transaction of its record. */
export class Trim {
  readonly #db: DatabaseSync;
  readonly #sql: Statements;

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = prepare(db);
  }

  /**
   * Removes messages.
   *
   * @param scope Of which channels.
   * @param upTo All up to this seq.
   */
  apply(scope: TrimScope, upTo: number): void {
    const rows = this.#sql[scope].all(upTo, -1);
    for (const { seq, channel } of rows) this.#remove(Number(seq), String(channel));
  }

  /**
   * Finds where the next step ends.
   *
   * @param scope Of which channels.
   * @param before Only messages whose time is less may go.
   * @returns The seq up to which to trim, or undefined where there is nothing to do.
   */
  next(scope: TrimScope, before: number): number | undefined {
    const step = this.#sql[scope].all(Number.MAX_SAFE_INTEGER, TRIM_STEP);
    const last = step.findLast(({ time }) => Number(time) < before);
    return last === undefined ? undefined : Number(last.seq);
  }

  /** What the log takes on the disk without its free pages, in bytes. */
  get bytes(): number {
    const pages = this.#pragma("page_count") - this.#pragma("freelist_count");
    return pages * this.#pragma("page_size");
  }

  /**
   * Forgets some keys whose time is over, and gives some free pages back.
   *
   * @param time The last record's.
   * @returns Whether there is more to do.
   */
  tidy(time: number): boolean {
    const forgotten = Number(this.#sql.forget.run(time - KEY_AGE, KEYS_STEP).changes);
    const free = this.#pragma("freelist_count") - PAGES_KEPT;
    if (free > 0) this.#db.exec(`PRAGMA incremental_vacuum(${Math.min(free, PAGES_STEP)})`);
    return forgotten === KEYS_STEP || free > PAGES_STEP;
  }

  #remove(seq: number, id: string): void {
    const channel = parseChannel(id);
    this.#sql.removeMessage.run(seq);
    for (const feed of channel === undefined ? [id] : keptIn(channel)) {
      this.#sql.markFeed.run(seq, feed);
      this.#sql.removeFromFeed.run(feed, seq);
    }
  }

  #pragma(name: "page_count" | "freelist_count" | "page_size"): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name]);
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  const columns = "m.seq, m.time, c.name AS channel";
  return {
    all: sql(
      `SELECT ${columns} FROM messages m JOIN feeds c ON c.id = m.channel
        WHERE m.seq <= ? ORDER BY m.seq LIMIT ?`,
    ),
    push: sql(
      `SELECT ${columns} FROM feed_messages f JOIN messages m ON m.seq = f.seq JOIN feeds c ON c.id = m.channel
        WHERE f.feed = (SELECT id FROM feeds WHERE name = '${ALL_PUSHES}') AND f.seq <= ? ORDER BY f.seq LIMIT ?`,
    ),
    removeMessage: sql("DELETE FROM messages WHERE seq = ?"),
    markFeed: sql("UPDATE feeds SET trimmed = max(trimmed, ?) WHERE name = ?"),
    removeFromFeed: sql(
      "DELETE FROM feed_messages WHERE feed = (SELECT id FROM feeds WHERE name = ?) AND seq = ?",
    ),
    forget: sql(
      `DELETE FROM keys WHERE (channel, account, key) IN
        (SELECT channel, account, key FROM keys WHERE time <= ? ORDER BY time LIMIT ?)`,
    ),
  };
}
