/** The feeds that the log keeps of a message: those that are read, and what retention needs. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Channel, feedsOf } from "../protocol/channel.ts";
import type { LogRecord } from "../protocol/message.ts";

/** The feed of all pushes: they may be kept for another time than the rest. No channel's name has a `*`. */
export const ALL_PUSHES = "push:*";

/** How long a key is remembered: 24 hours in milliseconds (protocol.md, "Publications and keys"). */
export const KEY_AGE = 86_400_000;

/** Feeds that one step looks at; to remove as many takes the core about 4 ms. */
export const FEEDS_STEP = 100;

// Names are looked up again and again; bounded because clients choose them.
const CACHE = 10_000;

/**
 * Lists the feeds in which a message of a channel stands.
 *
 * @param channel The message's channel.
 * @returns The feeds' names, each once.
 */
export function keptIn(channel: Channel): string[] {
  return channel.kind === "push" ? [channel.id, ALL_PUSHES] : feedsOf(channel);
}

/** The rows of feeds in an open log. It commits nothing: what it changes belongs to the transaction of a record. */
export class Feeds {
  readonly #sql: ReturnType<typeof prepare>;
  readonly #ids = new Map<string, number>();
  // Where the next step looks.
  #after = 0;

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    this.#sql = prepare(db);
  }

  /**
   * Finds a feed.
   *
   * @param name Its name.
   * @returns Its id; undefined where there is none.
   */
  find(name: string): number | undefined {
    const id = this.#ids.get(name) ?? this.#sql.find.get(name)?.id;
    return typeof id === "number" ? id : undefined;
  }

  /**
   * Finds a feed, and makes it where there is none. Its row may have been removed before: so the new one begins with the greatest
   * seq that any removed feed had lost.
   *
   * @param name Its name.
   * @returns Its id.
   */
  make(name: string): number {
    const id = this.find(name) ?? Number(this.#sql.add.run(name).lastInsertRowid);
    if (this.#ids.size >= CACHE) this.#ids.clear();
    this.#ids.set(name, id);
    return id;
  }

  /**
   * Finds feeds of which nothing is kept, for a `trim_feeds` record: looks at the next {@linkcode FEEDS_STEP}, and begins anew
   * after the last.
   *
   * @returns Their names.
   */
  empty(): string[] {
    const rows = this.#sql.next.all(this.#after, FEEDS_STEP);
    this.#after = rows.length < FEEDS_STEP ? 0 : Number(rows.at(-1)?.id);
    return rows.filter(({ used }) => used === 0).map(({ name }) => String(name));
  }

  /**
   * Removes feeds, but for those in which something was published since that was proposed. The log remembers one seq for all of
   * them: the greatest that any of them had lost. So a client that comes back to a channel without a row is told of a gap if it
   * has been away for as long as that, whether or not something of this channel was lost.
   *
   * @param record Which.
   */
  trim({ feeds, time }: Extract<LogRecord, { kind: "trim_feeds" }>): void {
    for (const name of feeds) {
      const id = this.find(name);
      if (id === undefined || this.#sql.used.get(id, id, time - KEY_AGE) !== undefined) continue;
      this.#sql.raise.run(id);
      this.#sql.removeKeys.run(id);
      // Whatever comes in a feed of that name later is above them.
      this.#sql.removePlaces.run(id);
      this.#sql.remove.run(id);
      this.#ids.delete(name);
    }
  }

  /** What was changed wasn't committed. */
  rollBack(): void {
    this.#ids.clear();
  }
}

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    find: sql("SELECT id FROM feeds WHERE name = ?"),
    add: sql("INSERT INTO feeds (name, trimmed) VALUES (?, (SELECT trimmed FROM log))"),
    next: sql(
      `SELECT id, name, name = '${ALL_PUSHES}' OR EXISTS (SELECT 1 FROM feed_messages WHERE feed = id)
        OR EXISTS (SELECT 1 FROM keys WHERE channel = id) AS used FROM feeds WHERE id > ? ORDER BY id LIMIT ?`,
    ),
    used: sql(
      `SELECT 1 FROM feed_messages WHERE feed = ?
        UNION ALL SELECT 1 FROM keys WHERE channel = ? AND time > ? LIMIT 1`,
    ),
    raise: sql(
      "UPDATE log SET trimmed = max(trimmed, (SELECT trimmed FROM feeds WHERE id = ?))",
    ),
    removeKeys: sql("DELETE FROM keys WHERE channel = ?"),
    removePlaces: sql("DELETE FROM places WHERE feed = ?"),
    remove: sql("DELETE FROM feeds WHERE id = ?"),
  };
}
