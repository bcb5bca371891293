/** The log's writing side: it applies records. Only the core opens it. */
import { Buffer } from "node:buffer";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { parseChannel } from "../protocol/channel.ts";
import {
  type LogRecord,
  type Message,
  messageJson,
  type Outcome,
  type TrimScope,
} from "../protocol/message.ts";
import { Ages, type Moment, momentAfter, readingOf } from "./ages.ts";
import { type Account, Accounts } from "./accounts.ts";
import { examine } from "./integrity/preflight.ts";
import { Feeds, keptIn, KEY_AGE } from "./feeds.ts";
import { Mark, readMark } from "./integrity/watermark.ts";
import { Mutes } from "./mutes.ts";
import { type PlaceReader, Places } from "./places.ts";
import { type SessionReader, Sessions } from "./sessions.ts";
import { rollBack } from "./integrity/journal.ts";
import { create, MESSAGE_BYTES, migrate } from "./schema.ts";
import { Spare } from "./integrity/disk_reserve.ts";
import { Trim } from "./trim.ts";

/** What applying a batch brought. */
export interface Applied {
  /** For each record, in order. */
  readonly outcomes: Outcome[];
  /** The messages among them that are new, in the order of seq. */
  readonly messages: Message[];
  /** The hashes of sessions that ended. */
  readonly ended: string[];
}

/** How a log is opened. */
export interface LogOptions {
  /**
   * Whether to keep a spare file, so that a full disk has room to carry the WAL over.
   *
   * @default {false}
   */
  readonly spare?: boolean;
}

// A WAL that had to grow is cut back to this many bytes once it was carried over.
const WAL_BYTES = 8_388_608;

/** The log, open for writing. */
export class Log {
  readonly epoch: string;
  /** Whether it was a copy, or had no mark of its own, and has a new epoch. */
  readonly renewed: boolean;
  #seq: number;
  #last: Moment;
  #bytes: number;
  readonly #path: string;
  readonly #inode: number | null;
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #trim: Trim;
  readonly #ages: Ages;
  readonly #mark: Mark;
  readonly #spare: Spare | undefined;
  /** The rows of feeds. */
  readonly feeds: Pick<Feeds, "empty">;
  readonly #feeds: Feeds;
  readonly #accounts: Accounts;
  /** Who is muted. */
  readonly mutes: Pick<Mutes, "has" | "count">;
  readonly #mutes: Mutes;
  /** The places of accounts in feeds. */
  readonly places: PlaceReader;
  readonly #places: Places;
  /** The sessions of browsers. */
  readonly sessions: SessionReader & Pick<Sessions, "idle">;
  readonly #sessions: Sessions;
  // Whether cookies of 0.1 are exchanged from the next record on.
  #exchanges: boolean;

  /**
   * Opens a log, and makes it where there is none.
   *
   * @param path The file; others stand beside it: its WAL, its mark, its spare.
   * @param newEpoch Makes the random name of a new log.
   * @param options How.
   * @throws {LogDamaged} If it is damaged or isn't a log; then nothing was changed.
   * @throws {Error} If it is of a newer schema, or the disk refuses.
   */
  constructor(path: string, newEpoch: () => string, { spare = false }: LogOptions = {}) {
    this.#spare = spare ? new Spare(path) : undefined;
    // On a full disk its room is what the log is opened with.
    this.#spare?.free();
    rollBack(path);
    const found = examine(path);
    if (found === "nothing") create(path, newEpoch);
    this.renewed = found === "copy";
    this.#path = path;
    this.#inode = Deno.statSync(path).ino;
    this.#db = new DatabaseSync(path, { timeout: 5000 });
    try {
      this.#db.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_BYTES}`);
      // A copy gets its epoch in its own file, at once or not at all: a WAL with another epoch than its file is another log's.
      if (this.renewed) this.#useJournal();
      migrate(this.#db, this.renewed ? newEpoch() : undefined);
      this.#db.exec("PRAGMA journal_mode = WAL");
      this.#sql = prepare(this.#db);
      this.#trim = new Trim(this.#db);
      this.#ages = new Ages(this.#db);
      this.feeds = this.#feeds = new Feeds(this.#db);
      this.#accounts = new Accounts(this.#db);
      this.mutes = this.#mutes = new Mutes(this.#db);
      this.places = this.#places = new Places(this.#db, this.#accounts);
      this.sessions = this.#sessions = new Sessions(this.#db, this.#accounts);
      // The WAL has a commit before the mark says that there has to be one.
      this.#sql.opened.run();
      const row = this.#db.prepare("SELECT epoch, seq, time, bytes, exchange FROM log").get();
      this.epoch = String(row?.epoch);
      this.#seq = Number(row?.seq);
      this.#last = { time: Number(row?.time), stamp: this.#ages.last() };
      this.#bytes = Number(row?.bytes);
      this.#exchanges = row?.exchange === null;
      this.#mark = new Mark(path, this.epoch, this.#seq);
    } catch (error) {
      this.#giveUp(path);
      throw error;
    }
  }

  /** The last record's seq; 0 for an empty log. */
  get seq(): number {
    return this.#seq;
  }

  /** The last record's time. */
  get time(): number {
    return this.#last.time;
  }

  /** The last record's time and stamp. */
  get last(): Moment {
    return this.#last;
  }

  /**
   * Tells what is known of an account.
   *
   * @param account The account.
   * @returns It; undefined if it never existed or was forgotten.
   */
  account(account: string): Account | undefined {
    return this.#accounts.find(account);
  }

  /**
   * Tells whether a name stands anywhere in the log.
   *
   * @param account The name.
   * @returns Whether it does: then no newcomer may have it.
   */
  stands(account: string): boolean {
    return this.#accounts.stands(account);
  }

  /**
   * Finds accounts that left nothing behind and weren't here for long, for a `forget` record.
   *
   * @param before The day: who was here on it or later isn't among them.
   * @returns Some of them, those who weren't here for longest.
   */
  gone(before: number): string[] {
    return this.#accounts.gone(before);
  }

  /**
   * Tells whether a message with this key would be a repeat.
   *
   * @param channel Where.
   * @param from Whose.
   * @param key The client's key.
   * @param time When, in milliseconds since 1970.
   * @returns Whether it is known and not too old.
   */
  knows(channel: string, from: string | null, key: string, time: number): boolean {
    const home = this.#feeds.find(channel);
    if (home === undefined) return false;
    const first = this.#sql.key.get(home, from ?? "", key);
    return first !== undefined && Number(first.time) > Math.max(this.time, time) - KEY_AGE;
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
    if (last === undefined) return { outcomes: [], messages: [], ended: [] };
    const messages: Message[] = [];
    const ended: string[] = [];
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      let bytes = this.#bytes;
      const outcomes = records.map((record) => {
        if (record.kind === "trim") bytes -= this.#trim.apply(record.scope, record.upTo);
        return this.#applyOne(record, messages, ended);
      });
      for (const { data } of messages) bytes += Buffer.byteLength(data) + MESSAGE_BYTES;
      if (this.#exchanges) this.#sql.exchange.run(readingOf(last));
      this.#sql.advance.run(last.seq, last.time, bytes);
      this.#db.exec("COMMIT");
      this.#bytes = bytes;
      this.#exchanges = false;
      this.#seq = last.seq;
      this.#last = momentAfter(this.#last, last);
      this.#mark.advance(last.seq);
      return { outcomes, messages, ended };
    } catch (error) {
      // What was made in this transaction isn't there any more.
      this.#feeds.rollBack();
      this.#accounts.rollBack();
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      this.#spare?.free();
      throw error;
    }
  }

  /**
   * Tries whether the disk takes writes, with room for the spare: at the start, and after {@linkcode apply} or
   * {@linkcode tidy} threw.
   *
   * @throws {Error} If it doesn't.
   */
  heal(): void {
    this.#assertThere();
    this.#carryOver();
    this.#spare?.keep();
    this.#sql.opened.run();
  }

  /**
   * Finds where a step of retention ends.
   *
   * @param scope Of which channels.
   * @param before Only messages that are older may go, in milliseconds since 1970.
   * @param now The clock.
   * @returns The seq for a `trim` record, or undefined where there is nothing to trim.
   */
  trimPoint(scope: TrimScope, before: number, now: number): number | undefined {
    return this.#trim.next(scope, before, this.#ages.upTo(before, now));
  }

  /** What the messages take, about, in bytes: what retention by size can do something about. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Forgets some keys that are over and gives some free pages back; a step of some milliseconds.
   *
   * @returns Whether there is more to do.
   * @throws {Error} If the disk refuses.
   */
  tidy(): boolean {
    this.#assertThere();
    return this.#trim.tidy(this.time);
  }

  /** Closes the file. The log is of no use afterwards. */
  close(): void {
    // The mark first: the last connection that closes carries the WAL over and deletes it, whenever that is. What is
    // acknowledged stands in the mark, so that a log without it would be seen.
    try {
      this.#mark.shut(this.#seq);
    } finally {
      this.#mark.close();
      this.#db.close();
    }
  }

  // The log couldn't be opened: closing deletes its WAL all the same, so the mark must not ask for one.
  #giveUp(path: string): void {
    try {
      const marked = readMark(path);
      if (marked === undefined) return;
      const mark = new Mark(path, marked.epoch, marked.seq);
      mark.shut(marked.seq);
      mark.close();
    } finally {
      this.#db.close();
    }
  }

  #useJournal(): void {
    const mode = this.#db.prepare("PRAGMA journal_mode = DELETE").get()?.journal_mode;
    if (mode !== "delete") {
      throw new Error(`Cannot give "${this.#path}" a new epoch: another process reads it`);
    }
  }

  // A folder that was removed or exchanged takes writes and keeps nothing.
  #assertThere(): void {
    if (Deno.statSync(this.#path).ino === this.#inode) return;
    throw new Error(`Cannot write "${this.#path}": another file is in its place`);
  }

  // What it can't carry over now, such as while another process reads, is carried over later.
  #carryOver(): void {
    this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
  }

  #applyOne(record: LogRecord, messages: Message[], ended: string[]): Outcome {
    const { seq, time } = record;
    switch (record.kind) {
      case "message":
        return this.#applyMessage(record, messages);
      case "account":
        this.#accounts.meet(record.account, record);
        break;
      case "rename":
        this.#accounts.meet(record.account, record);
        this.#accounts.rename(record.account, record.name);
        break;
      case "place":
        this.#places.raise(record);
        break;
      case "forget":
        this.#accounts.forget(record);
        this.#sessions.forget(record.accounts);
        this.#places.forget(record.accounts);
        break;
      case "session":
        return { seq, time, session: this.#sessions.apply(record) };
      case "end_sessions":
        ended.push(...this.#sessions.end(record));
        break;
      case "trim_sessions":
        this.#sessions.trim(record.before);
        break;
      case "trim_feeds":
        this.#feeds.trim(record);
        break;
      case "mute":
        this.#mutes.add(record);
        break;
      case "unmute":
        this.#mutes.remove(record.account);
    }
    return { seq, time };
  }

  #applyMessage(record: LogRecord & { kind: "message" }, messages: Message[]): Outcome {
    const { seq, time, stamp = null, channel: id, from, key, data } = record;
    const channel = parseChannel(id);
    if (channel === undefined) throw new Error(`Cannot apply record ${seq}: "${id}" is no channel`);
    const account = from ?? "";
    const home = this.#feeds.make(id);
    if (key !== undefined) {
      const first = this.#sql.key.get(home, account, key);
      if (first !== undefined && Number(first.time) > time - KEY_AGE) {
        return { seq: Number(first.seq), time: Number(first.time), duplicate: true };
      }
      this.#sql.setKey.run(home, account, key, seq, time);
    }
    const name = from === null ? null : this.#accounts.publisher(from, record);
    for (const party of channel.parties) this.#accounts.party(party, record);
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
    const said = [account, name, key ?? null, data, checksum, stamp];
    this.#sql.addMessage.run(seq, home, time, ...said);
    for (const feed of keptIn(channel)) this.#sql.addToFeed.run(this.#feeds.make(feed), seq);
    messages.push(message);
    return { seq, time };
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    opened: sql("UPDATE log SET opened = opened + 1"),
    exchange: sql("UPDATE log SET exchange = ?"),
    advance: sql("UPDATE log SET seq = ?, time = ?, bytes = ?"),
    key: sql("SELECT seq, time FROM keys WHERE channel = ? AND account = ? AND key = ?"),
    setKey: sql("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?)"),
    addMessage: sql("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    addToFeed: sql("INSERT INTO feed_messages VALUES (?, ?)"),
  };
}
