/** The accounts of a log: their names, when they were here, and which of them may be forgotten. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LogRecord } from "../protocol/message.ts";
import { directFeed } from "../protocol/channel.ts";
import { type Moment, readingOf } from "./ages.ts";
import { DAY } from "./schema.ts";

/** Accounts that one step forgets or looks at. */
export const ACCOUNTS_STEP = 200;

// What is looked up again and again; bounded because clients choose it.
const CACHE = 10_000;

/** How an account came to be: by a browser's session, or by a token. Nobody else may come to be it. */
export type AccountKind = "guest" | "token";

/** What is known of an account. */
export interface Account {
  readonly kind: AccountKind;
  readonly name: string | null;
  /** Whether it published something, or is one of the two of a direct message. */
  readonly kept: boolean;
  /** The day on which it was here last, in days since 1970; not kept up for accounts that are never forgotten. */
  readonly here: number;
}

/**
 * Finds a time's day.
 *
 * @param time Milliseconds since 1970.
 * @returns Days since 1970.
 */
export function dayOf(time: number): number {
  return Math.floor(time / DAY);
}

/** The part of an open log that knows accounts. It commits nothing: what it changes belongs to the transaction of a record. */
export class Accounts {
  readonly #sql: Statements;
  readonly #known = new Map<string, Account>();

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    this.#sql = prepare(db);
  }

  /**
   * Tells what is known of an account.
   *
   * @param account The account.
   * @returns It; undefined if it never existed or was forgotten.
   */
  find(account: string): Account | undefined {
    const cached = this.#known.get(account);
    if (cached !== undefined) return cached;
    const row = this.#sql.find.get(account);
    if (row === undefined) return undefined;
    return this.#remember(account, {
      kind: kindIn(row.kind),
      name: row.name === null ? null : String(row.name),
      kept: row.kept === 1,
      here: Number(row.here),
    });
  }

  /**
   * Finds those who may be forgotten.
   *
   * @param before The day: who was here on it or later isn't among them.
   * @returns Those who weren't here for longest, at most {@linkcode ACCOUNTS_STEP}.
   */
  gone(before: number): string[] {
    return this.#sql.gone.all(before, ACCOUNTS_STEP).map(({ account }) => String(account));
  }

  /**
   * Tells whether a name stands anywhere in the log: as an account, in direct messages, or muted. Every author is an account.
   *
   * @param account The name.
   * @returns Whether it does: then no newcomer may have it.
   */
  stands(account: string): boolean {
    return this.find(account) !== undefined ||
      this.#sql.stands.get(directFeed(account), account) !== undefined;
  }

  /**
   * An account is here; it is made where it is new.
   *
   * @param account The account.
   * @param record The record that says so.
   * @param kind What it is where it is new.
   */
  meet(account: string, record: Place, kind: AccountKind = "token"): void {
    this.#find(account, record, kind);
    const day = dayOf(readingOf(record));
    this.#sql.here.run(day, account, day);
    this.#known.delete(account);
  }

  /**
   * An account published something.
   *
   * @param account The account; it is made where it is new.
   * @param record The message's.
   * @returns Its display name.
   */
  publisher(account: string, record: Place): string | null {
    const known = this.#find(account, record);
    this.#keep(account, known);
    return known.name;
  }

  /**
   * An account is one of the two of a direct message. It was there when that was proposed; where it was forgotten since, it is
   * made once more.
   *
   * @param account The account.
   * @param record The message's.
   */
  party(account: string, record: Place): void {
    this.#keep(account, this.#find(account, record));
  }

  /**
   * Gives an account another name.
   *
   * @param account The account; it must be there.
   * @param name Its display name.
   */
  rename(account: string, name: string | null): void {
    this.#sql.rename.run(name, account);
    this.#known.delete(account);
  }

  /**
   * Forgets accounts, but for those of whom something has come since that was proposed.
   *
   * @param record Which.
   */
  forget({ accounts, before }: Extract<LogRecord, { kind: "forget" }>): void {
    for (const account of accounts) {
      this.#sql.forget.run(account, before);
      this.#known.delete(account);
    }
  }

  /** What was changed wasn't committed. */
  rollBack(): void {
    this.#known.clear();
  }

  // One that was forgotten just before its message has no record that tells its kind: those of browsers are known by their form.
  #find(account: string, record: Place, kind = kindByForm(account)): Account {
    const known = this.find(account);
    if (known !== undefined) return known;
    const { seq, time } = record;
    const here = dayOf(readingOf(record));
    this.#sql.add.run(account, seq, time, here, kind);
    return this.#remember(account, { kind, name: null, kept: false, here });
  }

  #keep(account: string, known: Account): void {
    if (known.kept) return;
    this.#sql.keep.run(account);
    this.#remember(account, { ...known, kept: true });
  }

  #remember(account: string, known: Account): Account {
    if (this.#known.size >= CACHE) this.#known.clear();
    this.#known.set(account, known);
    return known;
  }
}

/**
 * Reads a kind.
 *
 * @param value What stands in `accounts.kind`.
 * @returns The kind.
 */
export function kindIn(value: unknown): AccountKind {
  return value === "guest" ? "guest" : "token";
}

function kindByForm(account: string): AccountKind {
  return /^[0-9a-f]{8}$/.test(account) ? "guest" : "token";
}

type Place = Moment & Pick<LogRecord, "seq">;

type Statements = ReturnType<typeof prepare>;

function prepare(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    find: sql("SELECT kind, name, kept, here FROM accounts WHERE account = ?"),
    add: sql("INSERT INTO accounts (account, since, time, here, kind) VALUES (?, ?, ?, ?, ?)"),
    stands: sql(
      "SELECT 1 FROM feeds WHERE name = ? UNION ALL SELECT 1 FROM mutes WHERE account = ? LIMIT 1",
    ),
    here: sql("UPDATE accounts SET here = ? WHERE account = ? AND here < ?"),
    keep: sql("UPDATE accounts SET kept = 1 WHERE account = ?"),
    rename: sql("UPDATE accounts SET name = ? WHERE account = ?"),
    gone: sql(
      `SELECT account FROM accounts WHERE kept = 0 AND name IS NULL AND here < ?
        ORDER BY here, account LIMIT ?`,
    ),
    forget: sql(
      "DELETE FROM accounts WHERE account = ? AND kept = 0 AND name IS NULL AND here < ?",
    ),
  };
}
