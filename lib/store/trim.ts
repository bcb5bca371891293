/** Retention: what takes old messages, forgotten keys and free pages out of the log, a bounded step at a time. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { parseChannel } from "../protocol/channel.ts";
import type { TrimScope } from "../protocol/message.ts";
import { ALL_PUSHES, keptIn, KEY_AGE } from "./feeds.ts";
import { MESSAGE_BYTES } from "./schema.ts";

/** Messages that one step removes at most: a step of 200 takes the core about 5 ms. */
export const TRIM_STEP = 200;

const STEP_BYTES = 1_048_576;
const KEYS_STEP = 150;
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
   * @returns About how many bytes they took.
   */
  apply(scope: TrimScope, upTo: number): number {
    let removed = 0;
    for (const { seq, channel, bytes } of this.#sql[scope].all(upTo, -1)) {
      this.#remove(Number(seq), String(channel));
      removed += Number(bytes) + MESSAGE_BYTES;
    }
    return removed;
  }

  /**
   * Finds where the next step ends.
   *
   * @param scope Of which channels.
   * @param before Only messages whose time is less may go,
   * @param old and those up to this seq.
   * @returns The seq up to which to trim, or undefined where there is nothing to do.
   */
  next(scope: TrimScope, before: number, old: number): number | undefined {
    let upTo: number | undefined;
    let size = 0;
    for (const { seq, time, bytes } of this.#sql[scope].all(Number.MAX_SAFE_INTEGER, TRIM_STEP)) {
      if (Number(time) >= before && Number(seq) > old || size > STEP_BYTES) break;
      size += Number(bytes);
      upTo = Number(seq);
    }
    return upTo;
  }

  /**
   * Forgets some keys whose time is over, and gives some free pages back.
   *
   * @param time The last record's.
   * @returns Whether there is more to do.
   */
  tidy(time: number): boolean {
    const forgotten = Number(this.#sql.forget.run(time - KEY_AGE, KEYS_STEP).changes);
    const listed = this.#db.prepare("PRAGMA freelist_count").get()?.freelist_count;
    const free = Number(listed) - PAGES_KEPT;
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
}

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  const columns = "m.seq, m.time, c.name AS channel, octet_length(m.data) AS bytes";
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
