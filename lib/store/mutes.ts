/** The accounts that are muted, as the log has them. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { LogRecord, Mute } from "../protocol/message.ts";

/** The part of an open log that knows who is muted. It commits nothing: what it changes belongs to a record. */
export class Mutes {
  readonly #add: StatementSync;
  readonly #end: StatementSync;
  readonly #find: StatementSync;
  readonly #remove: StatementSync;
  readonly #count: StatementSync;

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    this.#add = db.prepare("INSERT OR REPLACE INTO mutes VALUES (?, ?, ?)");
    this.#end = db.prepare("DELETE FROM mutes WHERE until <= ?");
    this.#find = db.prepare(
      "SELECT 1 FROM mutes WHERE account = ? AND (until IS NULL OR until > ?)",
    );
    this.#remove = db.prepare("DELETE FROM mutes WHERE account = ?");
    this.#count = db.prepare("SELECT count(*) AS n FROM mutes WHERE until IS NULL OR until > ?");
  }

  /**
   * Mutes an account; what is over by then is forgotten.
   *
   * @param record Which, and until when.
   */
  add({ account, until, time }: Extract<LogRecord, { kind: "mute" }>): void {
    this.#end.run(time);
    this.#add.run(account, time, until);
  }

  /**
   * Lets an account publish again.
   *
   * @param account Which.
   */
  remove(account: string): void {
    this.#remove.run(account);
  }

  /**
   * Tells whether an account is muted.
   *
   * @param account Which.
   * @param now Milliseconds since 1970.
   * @returns Whether it is.
   */
  has(account: string, now: number): boolean {
    return this.#find.get(account, now) !== undefined;
  }

  /**
   * Counts those who are muted.
   *
   * @param now Milliseconds since 1970.
   * @returns How many.
   */
  count(now: number): number {
    return Number(this.#count.get(now)?.n);
  }
}

/** What {@linkcode readMute} needs of `mutes`. */
export const MUTE_COLUMNS = "account, time, until";

/**
 * Makes a mute of a row.
 *
 * @param row With {@linkcode MUTE_COLUMNS}.
 * @returns The mute.
 */
export function readMute({ account, time, until }: Record<string, SQLOutputValue>): Mute {
  return {
    account: String(account),
    time: Number(time),
    ...(until === null ? {} : { until: Number(until) }),
  };
}
