/** Retention: what takes old messages, forgotten keys and free pages out of the log, a bounded step at a time. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { feedsOf, parseChannel } from "../protocol/channel.ts";
import type { TrimScope } from "../protocol/message.ts";

/** Messages that one step removes at most: a step of 200 takes the core about 5 ms. */
export const TRIM_STEP = 200;

/** How long a key is remembered: 24 hours in milliseconds (protocol.md section 2). */
export const KEY_AGE = 86_400_000;

// Messages that one step looks at: those of rooms stand between the pushes that are looked for.
const SCAN_STEP = 2000;
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
    const { trimmed, first, pushes } = this.#sql;
    const from = scope === "push" ? Number(trimmed.get()?.push_trimmed) : 0;
    for (const row of (scope === "push" ? pushes : first).all(from, upTo)) {
      this.#remove(Number(row.seq), String(row.channel));
    }
    if (scope === "push") this.#sql.setTrimmed.run(upTo);
  }

  /**
   * Finds where the next step ends.
   *
   * @param scope Of which channels.
   * @param before Only messages whose time is less may go.
   * @returns The seq up to which to trim, or undefined where there is nothing to do.
   */
  next(scope: TrimScope, before: number): number | undefined {
    const rows = scope === "push"
      ? this.#sql.scan.all(Number(this.#sql.trimmed.get()?.push_trimmed), SCAN_STEP)
      : this.#sql.scan.all(0, TRIM_STEP);
    let upTo: number | undefined;
    let found = 0;
    for (const { seq, time, push } of rows) {
      if (Number(time) >= before || found === TRIM_STEP) break;
      if (push === 1) found += 1;
      upTo = Number(seq);
    }
    return upTo;
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
    for (const feed of channel === undefined ? [id] : feedsOf(channel)) {
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
  const rows = `FROM messages m JOIN feeds c ON c.id = m.channel WHERE m.seq > ?`;
  const push = "substr(c.name, 1, 5) = 'push:'";
  return {
    first: sql(`SELECT m.seq, c.name AS channel ${rows} AND m.seq <= ?`),
    pushes: sql(`SELECT m.seq, c.name AS channel ${rows} AND m.seq <= ? AND ${push}`),
    scan: sql(`SELECT m.seq, m.time, ${push} AS push ${rows} ORDER BY m.seq LIMIT ?`),
    trimmed: sql("SELECT push_trimmed FROM log"),
    setTrimmed: sql("UPDATE log SET push_trimmed = max(push_trimmed, ?)"),
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
