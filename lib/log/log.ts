/** The log's writing side: it applies records. Only the core opens it. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { feedsOf, parseChannel } from "../protocol/channel.ts";
import { type LogRecord, type Message, messageJson, type Outcome } from "../protocol/message.ts";
import { migrate } from "./schema.ts";

/** How long a key is remembered: 24 hours in milliseconds (protocol.md section 2). */
export const KEY_AGE = 86_400_000;

// Names of feeds that are looked up again and again; bounded because clients choose them.
const FEED_CACHE = 10_000;

/** What applying a batch brought. */
export interface Applied {
  /** For each record, in order. */
  readonly outcomes: Outcome[];
  /** The messages among them that are new, in the order of seq. */
  readonly messages: Message[];
}

/** The log, open for writing. */
export class Log {
  readonly epoch: string;
  #seq: number;
  #time: number;
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #feeds = new Map<string, number>();

  /**
   * Opens a log, and makes it where there is none.
   *
   * @param path The file.
   * @param newEpoch Makes the name of a new log.
   * @throws {Error} If it can't be opened, isn't a log, or is of a newer schema.
   */
  constructor(path: string, newEpoch: () => string) {
    this.#db = new DatabaseSync(path, { timeout: 5000 });
    try {
      // auto_vacuum only takes before the first table; VACUUM needs all permissions.
      this.#db.exec(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
      );
      migrate(this.#db, { epoch: newEpoch() });
      this.#sql = prepare(this.#db);
      const row = this.#db.prepare("SELECT epoch, seq, time FROM log").get();
      if (row === undefined) throw new Error("Cannot open the log: it has no epoch");
      this.epoch = String(row.epoch);
      this.#seq = Number(row.seq);
      this.#time = Number(row.time);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** The last record's seq; 0 for an empty log. */
  get seq(): number {
    return this.#seq;
  }

  /** The last record's time. */
  get time(): number {
    return this.#time;
  }

  /**
   * Tells what is known of an account.
   *
   * @param account The account.
   * @returns Its display name, and up to which seq its direct messages were sent to it; undefined if it never existed.
   */
  account(account: string): { name: string | null; seen: number } | undefined {
    const row = this.#sql.account.get(account);
    if (row === undefined) return undefined;
    return { name: row.name === null ? null : String(row.name), seen: Number(row.seen) };
  }

  /**
   * Applies records in one transaction: once this returns they are on disk. It uses nothing but the records and the tables.
   *
   * @param records In the order of seq, each greater than the log's.
   * @returns What became of each.
   * @throws {Error} If the disk or the database refuses; then nothing of the batch was applied.
   */
  apply(records: readonly LogRecord[]): Applied {
    const last = records.at(-1);
    if (last === undefined) return { outcomes: [], messages: [] };
    const messages: Message[] = [];
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const outcomes = records.map((record) => this.#applyOne(record, messages));
      this.#sql.advance.run(last.seq, last.time);
      this.#db.exec("COMMIT");
      this.#seq = last.seq;
      this.#time = last.time;
      return { outcomes, messages };
    } catch (error) {
      // A feed that was made in this transaction has no id any more.
      this.#feeds.clear();
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Closes the file. The log is of no use afterwards. */
  close(): void {
    this.#db.close();
  }

  #applyOne(record: LogRecord, messages: Message[]): Outcome {
    const { seq, time } = record;
    switch (record.kind) {
      case "message":
        return this.#applyMessage(record, messages);
      case "account":
        this.#sql.addAccount.run(record.account, seq, time, seq);
        break;
      case "rename":
        this.#sql.addAccount.run(record.account, seq, time, seq);
        this.#sql.rename.run(record.name, record.account);
        break;
      case "seen":
        this.#sql.seen.run(record.upTo, record.account);
    }
    return { seq, time };
  }

  #applyMessage(record: LogRecord & { kind: "message" }, messages: Message[]): Outcome {
    const { seq, time, channel: id, from, key, data } = record;
    const channel = parseChannel(id);
    if (channel === undefined) throw new Error(`Cannot apply record ${seq}: "${id}" is no channel`);
    const account = from ?? "";
    const home = this.#feed(id);
    if (key !== undefined) {
      const first = this.#sql.key.get(home, account, key);
      if (first !== undefined && Number(first.time) > time - KEY_AGE) {
        return { seq: Number(first.seq), time: Number(first.time), duplicate: true };
      }
      this.#sql.setKey.run(home, account, key, seq, time);
    }
    if (from !== null) this.#sql.addAccount.run(from, seq, time, seq);
    const name = from === null ? null : this.account(from)?.name ?? null;
    const message: Message = {
      channel: id,
      seq,
      time,
      from,
      ...(name === null ? {} : { name }),
      ...(key === undefined ? {} : { key }),
      data,
    };
    const checksum = crc32(messageJson(message));
    this.#sql.addMessage.run(seq, home, time, account, name, key ?? null, data, checksum);
    for (const feed of feedsOf(channel)) this.#sql.addToFeed.run(this.#feed(feed), seq);
    messages.push(message);
    return { seq, time };
  }

  #feed(name: string): number {
    const known = this.#feeds.get(name);
    if (known !== undefined) return known;
    const row = this.#sql.feed.get(name);
    const id = Number(row === undefined ? this.#sql.addFeed.run(name).lastInsertRowid : row.id);
    if (this.#feeds.size >= FEED_CACHE) this.#feeds.clear();
    this.#feeds.set(name, id);
    return id;
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    advance: sql("UPDATE log SET seq = ?, time = ?"),
    account: sql("SELECT name, seen FROM accounts WHERE account = ?"),
    addAccount: sql("INSERT INTO accounts VALUES (?, NULL, ?, ?, ?) ON CONFLICT DO NOTHING"),
    rename: sql("UPDATE accounts SET name = ? WHERE account = ?"),
    seen: sql("UPDATE accounts SET seen = max(seen, ?) WHERE account = ?"),
    feed: sql("SELECT id FROM feeds WHERE name = ?"),
    addFeed: sql("INSERT INTO feeds (name) VALUES (?)"),
    key: sql("SELECT seq, time FROM keys WHERE channel = ? AND account = ? AND key = ?"),
    setKey: sql("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?)"),
    addMessage: sql("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
    addToFeed: sql("INSERT INTO feed_messages VALUES (?, ?)"),
  };
}
