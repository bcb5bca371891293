/** The sessions of browsers, as the log has them: a hash of each cookie's token with its account. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { LogRecord, SessionOutcome } from "../protocol/message.ts";
import { type Accounts, dayOf } from "./accounts.ts";
import { readingOf } from "./ages.ts";
import { DAY } from "./schema.ts";

/** Sessions that one step forgets. */
export const SESSIONS_STEP = 200;

/** How long cookies of version 0.1 are exchanged, from the first record of this one on, in milliseconds. */
export const EXCHANGE_TIME = 90 * DAY;

/** How many days a session lives that isn't used: as long as its cookie. */
export const SESSION_DAYS = 366;

/** A session that was recorded. */
export interface Session {
  /** Null for one that has ended. */
  readonly account: string | null;
  /** The day on which it was used last, in days since 1970. */
  readonly used: number;
}

/** A session as its account sees it. */
export interface ListedSession {
  /** In hex. */
  readonly hash: string;
  /** When it was recorded, in milliseconds since 1970. */
  readonly made: number;
  /** The beginning of the day (UTC) on which it was used last, in milliseconds since 1970. */
  readonly used: number;
}

/** Finds sessions; for the core and for edges. Each look-up is one row of an index. */
export class SessionReader {
  readonly #find: StatementSync;
  readonly #list: StatementSync;
  readonly #old: StatementSync;
  readonly #rights: StatementSync;

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    this.#find = db.prepare("SELECT account, used FROM sessions WHERE hash = ?");
    this.#list = db.prepare(
      "SELECT hash, made, used FROM sessions WHERE account = ? ORDER BY made DESC LIMIT ?",
    );
    this.#old = db.prepare(
      "SELECT exchanged, (SELECT exchange FROM log) AS began FROM accounts WHERE account = ?",
    );
    this.#rights = db.prepare("SELECT rights FROM log");
  }

  /**
   * Finds a session.
   *
   * @param hash In hex.
   * @returns It; undefined where it isn't recorded.
   */
  find(hash: string): Session | undefined {
    const row = this.#find.get(Uint8Array.fromHex(hash));
    return row === undefined ? undefined : readSession(row);
  }

  /**
   * Lists the sessions of an account.
   *
   * @param account Whose.
   * @param limit The most.
   * @returns Those that haven't ended, the newest first.
   */
  of(account: string, limit: number): ListedSession[] {
    return this.#list.all(account, limit).map(({ hash, made, used }) => ({
      hash: hash instanceof Uint8Array ? hash.toHex() : "",
      made: Number(made),
      used: Number(used) * DAY,
    }));
  }

  /**
   * Tells whether the log says already that a session is used today.
   *
   * @param session The session.
   * @param now Milliseconds since 1970.
   * @returns Whether it does.
   */
  isCurrent({ used }: Session, now: number): boolean {
    return used >= dayOf(now);
  }

  /**
   * Tells whether an account's cookie of version 0.1 may be exchanged.
   *
   * @param account The account.
   * @param now Milliseconds since 1970.
   * @returns `true` if it may be, else when it was, in milliseconds since 1970; undefined where it wasn't and can't be.
   */
  exchanged(account: string, now: number): true | number | undefined {
    const row = this.#old.get(account);
    if (row === undefined || row.exchanged === null) return undefined;
    if (row.exchanged !== 0) return Number(row.exchanged);
    return row.began === null || now < Number(row.began) + EXCHANGE_TIME ? true : undefined;
  }

  /**
   * Finds the last record that ended sessions.
   *
   * @returns Its seq; 0 if there was none.
   */
  rights(): number {
    return Number(this.#rights.get()?.rights);
  }
}

/** The writing part. It commits nothing: what it changes belongs to the transaction of a record. */
export class Sessions extends SessionReader {
  readonly #accounts: Accounts;
  readonly #sql: ReturnType<typeof prepare>;

  /**
   * @param db The log's connection.
   * @param accounts The log's accounts.
   */
  constructor(db: DatabaseSync, accounts: Accounts) {
    super(db);
    this.#accounts = accounts;
    this.#sql = prepare(db);
  }

  /**
   * Applies a session record.
   *
   * @param record The record.
   * @returns The session's account, or why it has none.
   */
  apply(record: Extract<LogRecord, { kind: "session" }>): SessionOutcome {
    const { hash, account, exchange, time } = record;
    const now = readingOf(record);
    const known = this.find(hash);
    if (known?.account === null) return "ended";
    const used = dayOf(now);
    if (known !== undefined) {
      this.#accounts.meet(known.account, record, "guest");
      this.#sql.use.run(used, Uint8Array.fromHex(hash));
      return { account: known.account };
    }
    if (exchange) {
      if (this.exchanged(account, now) !== true) return "ended";
      this.#sql.exchange.run(time, account);
    } else if (this.#accounts.stands(account)) return "taken";
    this.#accounts.meet(account, record, "guest");
    this.#sql.add.run(Uint8Array.fromHex(hash), account, time, used);
    return { account };
  }

  /**
   * Ends sessions of an account, and closes the exchange of its cookie of 0.1 where all or others end.
   *
   * @param record Which.
   * @returns The hashes of those that ended, in hex.
   */
  end(record: Extract<LogRecord, { kind: "end_sessions" }>): string[] {
    const { account, only, except, seq } = record;
    const ended = this.of(account, -1).map(({ hash }) => hash)
      .filter((hash) => hash !== except && (only === undefined || hash === only));
    for (const hash of ended) this.#sql.end.run(dayOf(readingOf(record)), Uint8Array.fromHex(hash));
    if (only === undefined) this.#sql.close.run(account);
    if (ended.length > 0) this.#sql.rights.run(seq);
    return ended;
  }

  /**
   * Forgets sessions that weren't used since a day, those that ended too: a step of them.
   *
   * @param before The day.
   */
  trim(before: number): void {
    this.#sql.trim.run(before, SESSIONS_STEP);
  }

  /**
   * Forgets the sessions of accounts that were forgotten.
   *
   * @param accounts Which were to be; those that are still there keep theirs.
   */
  forget(accounts: readonly string[]): void {
    for (const account of accounts) {
      if (this.#accounts.find(account) === undefined) this.#sql.forget.run(account);
    }
  }

  /**
   * Tells whether a `trim_sessions` record has something to do.
   *
   * @param before The day.
   * @returns Whether there are sessions that weren't used since.
   */
  idle(before: number): boolean {
    return this.#sql.idle.get(before) !== undefined;
  }
}

function readSession({ account, used }: Record<string, SQLOutputValue>): Session {
  return { account: account === null ? null : String(account), used: Number(used) };
}

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    add: sql("INSERT INTO sessions VALUES (?, ?, ?, ?)"),
    use: sql("UPDATE sessions SET used = max(used, ?) WHERE hash = ?"),
    end: sql("UPDATE sessions SET account = NULL, used = max(used, ?) WHERE hash = ?"),
    trim: sql(
      `DELETE FROM sessions WHERE hash IN
        (SELECT hash FROM sessions WHERE used < ? ORDER BY used, hash LIMIT ?)`,
    ),
    idle: sql("SELECT 1 FROM sessions WHERE used < ? LIMIT 1"),
    forget: sql("DELETE FROM sessions WHERE account = ?"),
    exchange: sql("UPDATE accounts SET exchanged = ? WHERE account = ?"),
    close: sql("UPDATE accounts SET exchanged = NULL WHERE account = ? AND exchanged = 0"),
    rights: sql("UPDATE log SET rights = ?"),
  };
}
