/** Reads all of a log and looks for damage that nobody has met yet. */
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { parseChannel } from "../protocol/channel.ts";
import { examineBeside } from "./integrity/preflight.ts";
import { ALL_PUSHES, keptIn } from "./feeds.ts";
import { MESSAGE_COLUMNS, readMessage } from "./reader.ts";
import { isWholeSchema, schemaOf } from "./schema.ts";

/** How large a log is. */
export interface Sizes {
  /** Bytes of its file and of its WAL. */
  readonly file: number;
  readonly wal: number;
  /** Bytes of all that was written in messages. */
  readonly data: number;
  readonly channels: number;
  readonly accounts: number;
  /** The newest record's seq. */
  readonly seq: number;
}

/** What was found. */
export interface Checked {
  /** Messages that were read. */
  readonly messages: number;
  readonly sizes: Sizes;
  /** A sentence for each fault, at most {@linkcode MAX_FAULTS}. */
  readonly faults: readonly string[];
}

/** Where the list of faults ends. */
export const MAX_FAULTS = 100;

const STEP = 1000;

/**
 * Checks a log: SQLite's own structure, the checksum of each message, that each message is in its feeds and no other, and that
 * each place is in a feed. It only reads; a server may be writing. A log of an older schema is one that the next start brings to the newest.
 *
 * @param path The log's file.
 * @param progress Told how many messages were read, of how many about.
 * @returns What was found.
 * @throws {LogDamaged} If it can't be opened at all.
 * @throws {Error} If there is no log.
 */
export function check(
  path: string,
  progress: (done: number, all: number) => void = () => {},
): Checked {
  examineBeside(path);
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  const faults: string[] = [];
  let messages = 0;
  let sizes = { file: sizeOf(path), wal: sizeOf(`${path}-wal`), ...NO_SIZES };
  try {
    sizes = { ...sizes, ...measure(db) };
    const all = Number(db.prepare("SELECT count(*) AS n FROM messages").get()?.n);
    progress(0, all);
    for (const row of db.prepare(`PRAGMA integrity_check(${MAX_FAULTS})`).all()) {
      if (row.integrity_check !== "ok") faults.push(String(row.integrity_check));
    }
    if (!isWholeSchema(db)) faults.push("Its tables aren't those of its version");
    for (const { seq, found } of readAll(db)) {
      messages += 1;
      if (messages % STEP === 0) progress(messages, all);
      for (const sentence of found) faults.push(`Message ${seq}: ${sentence}`);
      if (faults.length >= MAX_FAULTS) break;
    }
    // A server may have written meanwhile: what is told fits what was read.
    sizes = { ...sizes, ...measure(db) };
    const orphans = db.prepare(ORPHANS).get()?.n;
    if (orphans !== 0) faults.push(`${orphans} entries of feeds have no message`);
    // Places came with the fifth schema.
    const lost = schemaOf(db) < 5 ? 0 : db.prepare(LOST_PLACES).get()?.n;
    if (lost !== 0) faults.push(`${lost} places are in no feed, or beyond the end of the log`);
  } catch (error) {
    faults.push(`It can't be read to its end: ${error instanceof Error ? error.message : error}`);
  } finally {
    db.close();
  }
  return { messages, sizes, faults: faults.slice(0, MAX_FAULTS) };
}

const NO_SIZES = { data: 0, channels: 0, accounts: 0, seq: 0 };

function measure(db: DatabaseSync): typeof NO_SIZES {
  const row = db.prepare(
    `SELECT (SELECT coalesce(sum(octet_length(data)), 0) FROM messages) AS data,
      (SELECT count(DISTINCT channel) FROM messages) AS channels,
      (SELECT count(*) FROM accounts) AS accounts, (SELECT seq FROM log) AS seq`,
  ).get();
  const number = (name: keyof typeof NO_SIZES) => Number(row?.[name]);
  return {
    data: number("data"),
    channels: number("channels"),
    accounts: number("accounts"),
    seq: number("seq"),
  };
}

// A log that was closed in order has no WAL.
function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

const ORPHANS =
  "SELECT count(*) AS n FROM feed_messages f LEFT JOIN messages m ON m.seq = f.seq WHERE m.seq IS NULL";

const LOST_PLACES = `SELECT count(*) AS n FROM places p LEFT JOIN feeds f ON f.id = p.feed
  WHERE f.id IS NULL OR p.received > (SELECT seq FROM log)`;

// A step at a time, each in one transaction: a server that trims meanwhile is no fault, and its checkpoints go on in between.
function* readAll(db: DatabaseSync): Generator<{ seq: number; found: string[] }> {
  const rows = db.prepare(
    `SELECT ${MESSAGE_COLUMNS} FROM messages m LEFT JOIN feeds c ON c.id = m.channel
      WHERE m.seq > ? ORDER BY m.seq LIMIT ?`,
  );
  const entry = db.prepare(
    "SELECT 1 FROM feed_messages WHERE feed = (SELECT id FROM feeds WHERE name = ?) AND seq = ?",
  );
  // The feed of all pushes came with the second schema.
  const unknown = schemaOf(db) === 1 ? ALL_PUSHES : undefined;
  let after = 0;
  for (;;) {
    const step: { seq: number; found: string[] }[] = [];
    db.exec("BEGIN");
    for (const row of rows.all(after, STEP)) {
      after = Number(row.seq);
      const missing = (feed: string) => feed !== unknown && entry.get(feed, after) === undefined;
      step.push({ seq: after, found: faultsOf(row, missing) });
    }
    db.exec("COMMIT");
    yield* step;
    if (step.length < STEP) return;
  }
}

function faultsOf(
  row: Record<string, SQLOutputValue>,
  missing: (feed: string) => boolean,
): string[] {
  try {
    const { channel: id } = readMessage(row);
    const channel = parseChannel(id);
    if (channel === undefined) return [`"${id}" is no channel`];
    return keptIn(channel).filter(missing).map((feed) => `it isn't in the feed "${feed}"`);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
