/** The tables of the log, and how older ones become the newest. */
import type { DatabaseSync } from "node:sqlite";

/** What a new log is made with. */
export interface Fresh {
  /** A random name: seqs of two logs can't be compared. */
  readonly epoch: string;
}

// A feed is what one subscription reads: a channel, or all direct messages of an account. `feed_messages` is its index: a
// direct message stands in three feeds, and every page of every feed is one range of it.
const VERSION_1 = `
  CREATE TABLE log (epoch TEXT NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;
  CREATE TABLE feeds (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, channel INTEGER NOT NULL, time INTEGER NOT NULL, account TEXT NOT NULL, name TEXT, key TEXT,
    data TEXT NOT NULL, checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE feed_messages (feed INTEGER, seq INTEGER, PRIMARY KEY (feed, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    channel INTEGER, account TEXT, key TEXT, seq INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (channel, account, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE accounts (
    account TEXT PRIMARY KEY, name TEXT, since INTEGER NOT NULL, time INTEGER NOT NULL, seen INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

const MIGRATIONS = [VERSION_1];

/**
 * Brings a database to the newest schema, in one transaction.
 *
 * @param db An open database, empty or of an older schema.
 * @param fresh What a new log gets.
 * @throws {Error} If the schema is newer than this program's, or isn't ours.
 */
export function migrate(db: DatabaseSync, fresh: Fresh): void {
  const row = db.prepare("PRAGMA user_version").get();
  const version = Number(row?.user_version);
  if (version > MIGRATIONS.length) {
    throw new Error(
      `Cannot open the log: its schema is version ${version}, this program knows ${MIGRATIONS.length} at most; start a newer one`,
    );
  }
  if (version === MIGRATIONS.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    if (version === 0) db.prepare("INSERT INTO log VALUES (?, 0, 0)").run(fresh.epoch);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
