/** The log's reading side: pages of feeds, and accounts. Each edge has one, with its own read-only connection. */
import { Buffer } from "node:buffer";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { type Account, kindIn } from "./accounts.ts";
import { Ages } from "./ages.ts";
import { FeedIndex } from "./feed_index.ts";
import { ALL_PUSHES } from "./feeds.ts";
import { MUTE_COLUMNS, readMute } from "./mutes.ts";
import { PlaceReader } from "./places.ts";
import { SessionReader } from "./sessions.ts";
import { type Message, messageJson, type Mute } from "../protocol/message.ts";

export type { ListedSession, SessionReader } from "./sessions.ts";

/** The most that a page holds in bytes; protocol.md, "Recovery". */
export const PAGE_BYTES = 1_048_576;

// Names of direct messages are before it, those of pushes and rooms behind it.
const FIRST = "push:";

// Over how many milliseconds a rate is told, and of how many messages at most.
const RATE_SPAN = 60_000;
const RATE_SAMPLE = 10_000;

/** A page of a feed. */
export interface Page {
  /** In the order of seq. */
  readonly messages: Message[];
  /** Whether there are more in the direction that was asked for. */
  readonly more: boolean;
  /** What the messages take as JSON in UTF-8. */
  readonly bytes: number;
}

/** What {@linkcode readMessage} needs of `messages m` and `feeds c`. */
export const MESSAGE_COLUMNS =
  "m.seq, c.name AS channel, m.time, m.account, m.name, m.key, m.data, m.checksum";

/** The log, open for reading. */
export class Reader {
  readonly epoch: string;
  /** Where messages stand, without reading them. */
  readonly index: FeedIndex;
  /** How old messages are where their time can't say. */
  readonly ages: Pick<Ages, "upTo">;
  readonly #db: DatabaseSync;
  readonly #after: StatementSync;
  readonly #before: StatementSync;
  readonly #count: StatementSync;
  readonly #oldest: StatementSync;
  readonly #trimmed: StatementSync;
  readonly #account: StatementSync;
  readonly #between: StatementSync;
  readonly #channels: StatementSync;
  readonly #recent: StatementSync;
  readonly #last: StatementSync;
  readonly #mutes: StatementSync;
  /** The sessions of browsers. */
  readonly sessions: SessionReader;
  /** The places of accounts in feeds. */
  readonly places: PlaceReader;
  readonly #one: StatementSync;
  #bytesRead = 0;

  /**
   * Opens a log that exists.
   *
   * @param path The file.
   * @throws {Error} If it can't be opened.
   */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    const rows =
      `SELECT ${MESSAGE_COLUMNS} FROM feed_messages f JOIN messages m ON m.seq = f.seq JOIN feeds c ON c.id = m.channel
      WHERE f.feed = (SELECT id FROM feeds WHERE name = ?) AND f.seq > ? AND f.seq <= ?`;
    this.#after = this.#db.prepare(`${rows} ORDER BY f.seq LIMIT ?`);
    const range = "FROM feed_messages WHERE feed = (SELECT id FROM feeds WHERE name = ?)";
    this.#before = this.#db.prepare(
      `SELECT seq ${range} AND seq <= ? ORDER BY seq DESC LIMIT ?`,
    );
    this.#count = this.#db.prepare(
      `SELECT count(*) AS n FROM (SELECT 1 ${range} AND seq > ? AND seq <= ? LIMIT ?)`,
    );
    this.#oldest = this.#db.prepare(`SELECT min(seq) AS seq ${range}`);
    this.#trimmed = this.#db.prepare(
      `SELECT coalesce((SELECT trimmed FROM feeds WHERE name = ?), (SELECT trimmed FROM log)) AS trimmed`,
    );
    this.#account = this.#db.prepare("SELECT kind, name FROM accounts WHERE account = ?");
    this.#between = this.#db.prepare(
      `SELECT ${MESSAGE_COLUMNS} FROM messages m JOIN feeds c ON c.id = m.channel
      WHERE m.seq > ? AND m.seq <= ? ORDER BY m.seq LIMIT ?`,
    );
    this.#channels = this.#db.prepare(
      `SELECT name, (SELECT max(seq) FROM feed_messages WHERE feed = id) AS seq FROM feeds
      WHERE name > ? AND name <> '${ALL_PUSHES}' ORDER BY name LIMIT ?`,
    );
    this.#recent = this.#db.prepare(
      `SELECT c.name, count(*) AS n, min(m.time) AS oldest
      FROM (SELECT channel, coalesce(stamp, time) AS time FROM messages ORDER BY seq DESC LIMIT ?) m
      JOIN feeds c ON c.id = m.channel WHERE m.time > ? GROUP BY c.id`,
    );
    this.#mutes = this.#db.prepare(
      `SELECT ${MUTE_COLUMNS} FROM mutes WHERE account > ? AND (until IS NULL OR until > ?)
      ORDER BY account LIMIT ?`,
    );
    this.sessions = new SessionReader(this.#db);
    this.places = new PlaceReader(this.#db);
    this.#last = this.#db.prepare("SELECT seq FROM log");
    this.#one = this.#db.prepare(
      `SELECT ${MESSAGE_COLUMNS} FROM messages m JOIN feeds c ON c.id = m.channel WHERE m.seq = ?`,
    );
    this.index = new FeedIndex(this.#db);
    this.ages = new Ages(this.#db);
    this.epoch = String(this.#db.prepare("SELECT epoch FROM log").get()?.epoch);
  }

  /** How many bytes of messages were read since it was opened. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /**
   * Reads several things as the log is at one moment.
   *
   * @param read Reads; nothing is awaited in it.
   * @returns What it returned.
   * @throws {Error} If the log can't be read, or what `read` throws.
   */
  atOnce<T>(read: () => T): T {
    this.#db.exec("BEGIN");
    try {
      return read();
    } finally {
      // An error of SQLite's may have ended it already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    }
  }

  /**
   * Reads one message.
   *
   * @param seq Its seq.
   * @returns The message; undefined where it isn't kept.
   * @throws {Error} If the log can't be read or the record is damaged.
   */
  message(seq: number): Message | undefined {
    const row = this.#one.get(seq);
    if (row === undefined) return undefined;
    const { message, json } = readWhole(row);
    this.#bytesRead += Buffer.byteLength(json) + 1;
    return message;
  }

  /**
   * Reads the oldest messages of a feed after a place.
   *
   * @param feed The feed.
   * @param after The place: a seq.
   * @param upTo The last seq to read.
   * @param limit The most messages.
   * @param bytes The most bytes; one message at least.
   * @returns The page.
   * @throws {Error} If the log can't be read or a record is damaged.
   */
  after(feed: string, after: number, upTo: number, limit: number, bytes = PAGE_BYTES): Page {
    return this.#page(this.#after.iterate(feed, after, upTo, limit + 1), limit, bytes);
  }

  /**
   * Reads the oldest messages after a place, of whatever channel.
   *
   * @param after The place: a seq.
   * @param upTo The last seq to read.
   * @param limit The most messages.
   * @param bytes The most bytes; one message at least.
   * @returns The page.
   * @throws {Error} If the log can't be read or a record is damaged.
   */
  between(after: number, upTo: number, limit: number, bytes = PAGE_BYTES): Page {
    return this.#page(this.#between.iterate(after, upTo, limit + 1), limit, bytes);
  }

  /**
   * Tells the last record that is committed.
   *
   * @returns Its seq; 0 in an empty log.
   */
  lastSeq(): number {
    return Number(this.#last.get()?.seq);
  }

  /**
   * Counts a feed's messages between two places.
   *
   * @param feed The feed.
   * @param after The place that is left out.
   * @param upTo The place that counts.
   * @param limit Where to stop counting.
   * @returns How many, at most `limit`.
   */
  count(feed: string, after: number, upTo: number, limit: number): number {
    return Number(this.#count.get(feed, after, upTo, limit)?.n);
  }

  /**
   * Finds the oldest message that is still kept.
   *
   * @param feed The feed.
   * @returns Its seq, or undefined where the feed is empty.
   */
  oldest(feed: string): number | undefined {
    const seq = this.#oldest.get(feed)?.seq;
    return typeof seq === "number" ? seq : undefined;
  }

  /**
   * Tells what retention has removed.
   *
   * @param feed The feed.
   * @returns The greatest seq of the feed that is gone, or may be; 0 where nothing is.
   */
  trimmed(feed: string): number {
    return Number(this.#trimmed.get(feed)?.trimmed);
  }

  /**
   * Tells what is known of an account.
   *
   * @param account The account.
   * @returns Its kind and its display name; undefined if it never existed.
   */
  account(account: string): Pick<Account, "kind" | "name"> | undefined {
    const row = this.#account.get(account);
    if (row === undefined) return undefined;
    return {
      kind: kindIn(row.kind),
      name: row.name === null ? null : String(row.name),
    };
  }

  /**
   * Lists accounts that are muted.
   *
   * @param now Milliseconds since 1970: those whose time is over aren't.
   * @param after The account that is left out, with all before it.
   * @param limit The most.
   * @returns The mutes, by account.
   */
  mutes(now: number, after: string, limit: number): Mute[] {
    return this.#mutes.all(after, now, limit).map(readMute);
  }

  /**
   * Lists channels that something was published in, direct messages aside.
   *
   * @param after The name that is left out, with all before it.
   * @param limit The most channels.
   * @returns Each with the seq of its newest message that is kept, 0 where none is; by name.
   */
  channels(after: string, limit: number): { channel: string; seq: number }[] {
    const rows = this.#channels.all(after > FIRST ? after : FIRST, limit);
    return rows.map(({ name, seq }) => ({ channel: String(name), seq: Number(seq ?? 0) }));
  }

  /**
   * Finds the newest message that is kept.
   *
   * @param feed The feed.
   * @returns Its seq; 0 where there is none.
   */
  newestSeq(feed: string): number {
    return Number(this.#before.get(feed, Number.MAX_SAFE_INTEGER, 1)?.seq ?? 0);
  }

  /**
   * Tells how much is published where, by what the last minute brought; of a busy server by its newest messages.
   *
   * @param now Milliseconds since 1970.
   * @returns Messages a second of each channel with any.
   */
  rates(now: number): Map<string, number> {
    const rows = this.#recent.all(RATE_SAMPLE, now - RATE_SPAN);
    const counted = rows.reduce((sum, { n }) => sum + Number(n), 0);
    const oldest = Math.min(now, ...rows.map(({ oldest }) => Number(oldest)));
    const span = counted < RATE_SAMPLE ? RATE_SPAN : Math.max(1, now - oldest);
    return new Map(rows.map(({ name, n }) => [
      String(name),
      Math.round(1e6 * Number(n) / span) / 1000,
    ]));
  }

  /** Closes the connection. */
  close(): void {
    this.#db.close();
  }

  // The iterator is used up or left within the call: a read that stays open would stop checkpoints.
  #page(rows: Iterable<Record<string, SQLOutputValue>>, limit: number, most: number): Page {
    const messages: Message[] = [];
    let bytes = 0;
    for (const row of rows) {
      if (messages.length === limit) return { messages, more: true, bytes };
      const { message, json } = readWhole(row);
      const size = Buffer.byteLength(json) + 1;
      this.#bytesRead += size;
      // A single message is a page, however large.
      if (bytes + size > most && messages.length > 0) return { messages, more: true, bytes };
      messages.push(message);
      bytes += size;
    }
    return { messages, more: false, bytes };
  }
}

/**
 * Makes a message of a row.
 *
 * @param row With {@linkcode MESSAGE_COLUMNS}.
 * @returns The message.
 * @throws {Error} If it isn't what was written.
 */
export function readMessage(row: Record<string, SQLOutputValue>): Message {
  return readWhole(row).message;
}

function readWhole(row: Record<string, SQLOutputValue>): { message: Message; json: string } {
  const message: Message = {
    channel: String(row.channel),
    seq: Number(row.seq),
    time: Number(row.time),
    from: row.account === "" ? null : String(row.account),
    ...(row.name === null ? {} : { name: String(row.name) }),
    ...(row.key === null ? {} : { key: String(row.key) }),
    data: String(row.data),
  };
  const json = messageJson(message);
  if (crc32(json) !== row.checksum) {
    throw new Error(
      `Cannot read message ${message.seq}: its checksum is wrong, the log is damaged`,
    );
  }
  return { message, json };
}
