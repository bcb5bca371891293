/** Where the messages of feeds stand: seqs from the index, without reading a message. */
import type { DatabaseSync, StatementSync } from "node:sqlite";

/** A feed in the index. */
export interface IndexedFeed {
  /** It names the feed within one read transaction. */
  readonly id: number;
  /** The greatest seq of the feed that retention removed, or may have; 0 where it removed none. */
  readonly trimmed: number;
}

/** Where a feed goes on. */
export interface Head extends IndexedFeed {
  /** The feed's name. */
  readonly feed: string;
  /** The seq of its next message; undefined where there is none. */
  readonly seq: number | undefined;
}

/** The index of a log that is open for reading. */
export class FeedIndex {
  readonly #find: StatementSync;
  readonly #seqs: StatementSync;
  readonly #newest: StatementSync;
  readonly #place: StatementSync;
  readonly #heads: StatementSync;
  readonly #timeAfter: StatementSync;

  /** @param db The log's database. */
  constructor(db: DatabaseSync) {
    this.#find = db.prepare("SELECT id, trimmed FROM feeds WHERE name = ?");
    this.#seqs = db.prepare(
      "SELECT seq FROM feed_messages WHERE feed = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
    );
    this.#newest = db.prepare(
      "SELECT seq FROM feed_messages WHERE feed = ? AND seq <= ? ORDER BY seq DESC LIMIT ?",
    );
    const range = "FROM feed_messages WHERE feed = c.id AND seq";
    this.#place = db.prepare(
      `SELECT (SELECT min(seq) FROM (SELECT seq ${range} <= ? ORDER BY seq DESC LIMIT ?)) AS seq
      FROM feeds c WHERE name = ?`,
    );
    // One statement for all feeds: each costs more in JavaScript than in SQLite.
    this.#heads = db.prepare(
      `SELECT p.key AS name, coalesce(c.id, 0) AS id,
      coalesce(c.trimmed, (SELECT trimmed FROM log)) AS trimmed,
      (SELECT seq ${range} > p.value AND seq <= ? ORDER BY seq LIMIT 1) AS seq
      FROM json_each(?) p LEFT JOIN feeds c ON c.name = p.key`,
    );
    // The time's column is before the data's: SQLite doesn't read the data.
    this.#timeAfter = db.prepare(
      "SELECT seq, time FROM messages WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1",
    );
  }

  /**
   * Finds a feed.
   *
   * @param feed The feed's name.
   * @returns The feed; undefined where nothing was published in it, or nothing is kept.
   */
  find(feed: string): IndexedFeed | undefined {
    const row = this.#find.get(feed);
    return row === undefined ? undefined : { id: Number(row.id), trimmed: Number(row.trimmed) };
  }

  /**
   * Lists the oldest seqs of a feed after a place.
   *
   * @param id The feed's number.
   * @param after The place: a seq.
   * @param upTo The last seq to list.
   * @param limit The most seqs.
   * @returns The seqs, lowest first.
   */
  seqs(id: number, after: number, upTo: number, limit: number): number[] {
    return this.#seqs.all(id, after, upTo, limit).map(({ seq }) => Number(seq));
  }

  /**
   * Lists the newest seqs of a feed.
   *
   * @param feed The feed's name.
   * @param upTo The last seq to list.
   * @param limit The most seqs.
   * @returns The seqs, highest first.
   */
  newest(feed: string, upTo: number, limit: number): number[] {
    const found = this.find(feed);
    if (found === undefined) return [];
    return this.#newest.all(found.id, upTo, limit).map(({ seq }) => Number(seq));
  }

  /**
   * Finds the oldest message of a feed after a place.
   *
   * @param feed The feed's name.
   * @param after The place: a seq.
   * @param upTo The last seq to look at.
   * @returns Its seq; undefined where there is none.
   */
  next(feed: string, after: number, upTo: number): number | undefined {
    const found = this.find(feed);
    return found && this.seqs(found.id, after, upTo, 1)[0];
  }

  /**
   * Finds the oldest message after a place in each of several feeds.
   *
   * @param places The feeds' names, each with the place in it.
   * @param upTo The last seq to look at.
   * @returns All of them; one in which nothing is kept may have the id 0, which no feed has.
   */
  heads(places: ReadonlyMap<string, number>, upTo: number): Head[] {
    const rows = this.#heads.all(upTo, JSON.stringify(Object.fromEntries(places)));
    return rows.map(({ name, id, trimmed, seq }) => ({
      feed: String(name),
      id: Number(id),
      trimmed: Number(trimmed),
      seq: typeof seq === "number" ? seq : undefined,
    }));
  }

  /**
   * Finds the place from which the newest messages of a feed follow.
   *
   * @param feed The feed's name.
   * @param upTo The last seq to look at.
   * @param count How many messages, 1 or more.
   * @returns The place: a seq; `upTo` where there are no messages.
   */
  placeBefore(feed: string, upTo: number, count: number): number {
    const seq = this.#place.get(upTo, count, feed)?.seq;
    return typeof seq === "number" ? seq - 1 : upTo;
  }

  /**
   * Finds the oldest message after a place, in any feed, and reads its time.
   *
   * @param after The place: a seq.
   * @param upTo The last seq to look at.
   * @returns Its seq and its time in milliseconds since 1970; undefined where there is none.
   */
  timeAfter(after: number, upTo: number): { seq: number; time: number } | undefined {
    const row = this.#timeAfter.get(after, upTo);
    return row === undefined ? undefined : { seq: Number(row.seq), time: Number(row.time) };
  }
}
