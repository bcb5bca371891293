/** The tables of the log, and how older ones become the newest. */
import { DatabaseSync } from "node:sqlite";
import { ALL_PUSHES } from "./feeds.ts";
import { renameDurably } from "./integrity/durable_file.ts";
import { APPLICATION, NEWEST_SCHEMA } from "./integrity/format.ts";

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

/** Milliseconds of a day. */
export const DAY = 86_400_000;

/** What a message takes besides its data, about: its row, its places in feeds, its key. */
export const MESSAGE_BYTES = 200;

// What was trimmed must be told apart from what never was; keys are forgotten by their time. Pushes have an age of their
// own, so that they stand in one feed more, which nobody reads.
const VERSION_2 = `
  ALTER TABLE log ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE log ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE log SET bytes = (SELECT coalesce(sum(octet_length(data) + ${MESSAGE_BYTES}), 0) FROM messages);
  ALTER TABLE feeds ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX keys_by_time ON keys (time);
  INSERT INTO feeds (name) VALUES ('${ALL_PUSHES}');
  INSERT INTO feed_messages
    SELECT (SELECT id FROM feeds WHERE name = '${ALL_PUSHES}'), m.seq
    FROM messages m JOIN feeds c ON c.id = m.channel WHERE substr(c.name, 1, 5) = 'push:';
`;

// Accounts that left nothing behind are forgotten: `kept` says that one published or is in a direct message, `here` is the day on
// which it was seen last. What was trimmed tells nothing any more, so accounts as old as that are kept; and nobody knows who was
// here before, so all were on the last day.
const VERSION_3 = `
  ALTER TABLE accounts ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE accounts ADD COLUMN here INTEGER NOT NULL DEFAULT 0;
  UPDATE accounts SET here = (SELECT time FROM log) / ${DAY}, kept =
    since <= (SELECT coalesce(max(trimmed), 0) FROM feeds)
    OR account IN (SELECT account FROM messages) OR account IN (SELECT account FROM keys)
    OR EXISTS (SELECT 1 FROM feeds WHERE name = 'dm:*' || account);
  CREATE TABLE mutes (account TEXT PRIMARY KEY, time INTEGER NOT NULL, until INTEGER) STRICT, WITHOUT ROWID;
  CREATE INDEX mutes_by_end ON mutes (until);
  CREATE INDEX accounts_by_day ON accounts (here, account) WHERE kept = 0 AND name IS NULL;
`;

const GUEST = "[0-9a-f]".repeat(8);

// Browsers have sessions. `log.exchange` is when the exchange of cookies of 0.1 began: NULL with the next record, 0 never; `rights`
// is the last record that ended sessions. `accounts.exchanged` is 0 where such a cookie may be exchanged, else when it was, or NULL
// where it can't be. An ended session stays, without an account, for as long as its cookie lives: it must not begin anew. Every
// author has an account, so that no newcomer is given the name of one. `log.trimmed` is what feeds had lost whose rows are removed,
// `messages.stamp` the clock's own reading where it was behind `time`.
const VERSION_4 = `
  ALTER TABLE log ADD COLUMN exchange INTEGER;
  ALTER TABLE log ADD COLUMN rights INTEGER NOT NULL DEFAULT 0;
  INSERT INTO accounts (account, since, time, seen, kept)
    SELECT account, min(seq), min(time), max(seq), 1 FROM messages m
    WHERE account <> '' AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.account = m.account) GROUP BY account;
  INSERT INTO accounts (account, since, time, seen, kept)
    SELECT account, min(seq), min(time), max(seq), 1 FROM keys k
    WHERE account <> '' AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.account = k.account) GROUP BY account;
  ALTER TABLE accounts ADD COLUMN kind TEXT NOT NULL DEFAULT 'token';
  ALTER TABLE accounts ADD COLUMN exchanged INTEGER;
  UPDATE accounts SET kind = 'guest', exchanged = 0 WHERE account GLOB '${GUEST}';
  CREATE TABLE sessions (
    hash BLOB PRIMARY KEY, account TEXT, made INTEGER NOT NULL, used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_account ON sessions (account, made) WHERE account IS NOT NULL;
  CREATE INDEX sessions_by_day ON sessions (used);
  ALTER TABLE log ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE messages ADD COLUMN stamp INTEGER;
  CREATE INDEX messages_by_stamp ON messages (time, stamp) WHERE stamp IS NOT NULL;
`;

// Accounts have places in feeds. `accounts.seen` was the place of the account in its direct messages.
const VERSION_5 = `
  CREATE TABLE places (
    feed INTEGER, account TEXT, received INTEGER NOT NULL, PRIMARY KEY (feed, account)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX places_by_account ON places (account);
  INSERT INTO places SELECT f.id, a.account, a.seen FROM accounts a JOIN feeds f ON f.name = 'dm:*' || a.account;
  ALTER TABLE accounts DROP COLUMN seen;
`;

const MIGRATIONS = [VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5] as const satisfies {
  readonly length: typeof NEWEST_SCHEMA;
};

/**
 * Brings a database to the newest schema, in one transaction.
 *
 * @param db An open database, empty or of an older schema, or a backup.
 * @param epoch The random name of a new log, or of what follows a copy: seqs of two can't be compared. Undefined for a log that
 *   goes on.
 * @throws {Error} If the disk refuses; then nothing was changed.
 */
export function migrate(db: DatabaseSync, epoch: string | undefined): void {
  const version = schemaOf(db);
  if (version === NEWEST_SCHEMA && epoch === undefined) return;
  // First of all, so that a rollback journal holds the row that says whose it is.
  const rename = () => {
    if (epoch !== undefined) db.prepare("UPDATE log SET epoch = ?").run(epoch);
  };
  db.exec("BEGIN IMMEDIATE");
  try {
    if (version > 0) rename();
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    if (version === 0) db.exec("INSERT INTO log (epoch, seq, time, exchange) VALUES ('', 0, 0, 0)");
    if (version === 0) rename();
    db.exec(`PRAGMA user_version = ${NEWEST_SCHEMA}; PRAGMA application_id = ${APPLICATION}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** What SQLite may put beside a database, and the database itself. */
export const SIDES = ["", "-journal", "-wal", "-shm"];

/**
 * Makes a new log: under another name first, so that a log is there whole or not at all.
 *
 * @param path The file.
 * @param newEpoch Makes its name.
 * @throws {Error} If the disk refuses.
 */
export function create(path: string, newEpoch: () => string): void {
  const unfinished = `${path}-new`;
  for (const end of SIDES) removeIfThere(unfinished + end);
  // Direct messages are in it: its owner's alone, whatever the folder is, and so is what SQLite puts beside it.
  Deno.openSync(unfinished, { createNew: true, write: true, mode: 0o600 }).close();
  const db = new DatabaseSync(unfinished);
  try {
    // auto_vacuum only takes before the first table; VACUUM needs all permissions.
    db.exec("PRAGMA auto_vacuum = INCREMENTAL");
    migrate(db, newEpoch());
    // In its final mode before it has its name: afterwards it never needs a rollback journal.
    db.exec("PRAGMA journal_mode = WAL");
  } finally {
    db.close();
  }
  renameDurably(unfinished, path);
}

/**
 * Tells which schema a database has.
 *
 * @param db An open database.
 * @returns Its number; 0 for none.
 */
export function schemaOf(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

/**
 * Compares the tables of a database with those that programs of its schema made.
 *
 * @param db An open database of the newest schema, or of an older one that nobody has migrated yet.
 * @returns Whether they are the same, to the letter.
 */
export function isWholeSchema(db: DatabaseSync): boolean {
  const made = new DatabaseSync(":memory:");
  try {
    const version = schemaOf(db);
    for (const step of MIGRATIONS.slice(0, version)) made.exec(step);
    made.exec(`PRAGMA user_version = ${version}`);
    const listed = (of: DatabaseSync) =>
      JSON.stringify([
        of.prepare("PRAGMA user_version").get(),
        of.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all(),
      ]);
    return listed(db) === listed(made);
  } finally {
    made.close();
  }
}

/**
 * Removes a file.
 *
 * @param name The file, which may not be there.
 */
export function removeIfThere(name: string): void {
  try {
    Deno.removeSync(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
