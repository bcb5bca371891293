/** Places: up to which seq an account received the messages of a feed. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LogRecord } from "../protocol/message.ts";
import type { Accounts } from "./accounts.ts";

/** The reading part. */
export class PlaceReader {
  readonly #received: StatementSync;

  /** @param db A connection to the log. */
  constructor(db: DatabaseSync) {
    this.#received = db.prepare(
      `SELECT received FROM places
        WHERE feed = (SELECT id FROM feeds WHERE name = ?) AND account = ?`,
    );
  }

  /**
   * Finds up to which seq an account received a feed.
   *
   * @param account The account.
   * @param feed The feed's name.
   * @returns The seq; 0 where the account has no place in the feed.
   */
  received(account: string, feed: string): number {
    return Number(this.#received.get(feed, account)?.received ?? 0);
  }
}

/** The writing part. It commits nothing: what it changes belongs to the transaction of a record. */
export class Places extends PlaceReader {
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
   * Raises a place; one above the feed's newest message is taken as that. Unknown accounts and feeds get none.
   *
   * @param record Whose place, in which feed, and up to which seq.
   */
  raise({ account, feed, received }: Extract<LogRecord, { kind: "place" }>): void {
    if (this.#accounts.find(account) === undefined) return;
    this.#sql.raise.run(account, received, feed);
  }

  /**
   * Removes the places of accounts that were forgotten.
   *
   * @param accounts Which were to be; those that are still there keep theirs.
   */
  forget(accounts: readonly string[]): void {
    for (const account of accounts) {
      if (this.#accounts.find(account) === undefined) this.#sql.forget.run(account);
    }
  }
}

function prepare(db: DatabaseSync) {
  return {
    raise: db.prepare(
      `INSERT INTO places (feed, account, received)
        SELECT id, ?, min(?, coalesce((SELECT max(seq) FROM feed_messages WHERE feed = id), 0))
        FROM feeds WHERE name = ?
        ON CONFLICT DO UPDATE SET received = max(received, excluded.received)`,
    ),
    forget: db.prepare("DELETE FROM places WHERE account = ?"),
  };
}
