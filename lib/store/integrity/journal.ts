/**
 * Checks the rollback journal beside a log before SQLite opens the log, since SQLite applies a journal to any database of that
 * name. A log has a journal only while its epoch is changed; all else goes through its WAL. Format: sqlite.org/fileformat2.html,
 * section 3.
 */
import { DatabaseSync } from "node:sqlite";
import { LogDamaged } from "./errors.ts";
import { fills, type Identity, identityIn, LOG_PAGE, readPage } from "./identity.ts";

const MAGIC = [0xd9d505f9, 0x20a163d7];
const HEADER = 28;

// What a change of mode or of counters changes in the first page: two versions, the counter, and what goes with it.
const VOLATILE = [18, 19, 24, 25, 26, 27, 92, 93, 94, 95, 96, 97, 98, 99];

/**
 * Undoes what a kill interrupted while a log got another epoch.
 *
 * @param path The log's file.
 * @throws {LogDamaged} If the journal beside it is damaged or another database's; then nothing was changed.
 * @throws {Error} If the disk refuses.
 */
export function rollBack(path: string): void {
  const name = `${path}-journal`;
  if (sizeOf(name) === 0) return;
  if (sizeOf(path) === 0) {
    throw new LogDamaged(path, `it is gone, only its journal "${name}" is there`);
  }
  if (sizeOf(`${path}-wal`) > 0) {
    throw new LogDamaged(
      path,
      `beside it are a WAL and a journal, "${name}": one is another log's`,
    );
  }
  const original = readJournal(name);
  if (original === undefined) throw new LogDamaged(path, `the journal "${name}" is damaged`);
  // Nothing was written to the log yet. SQLite would cut the log to the size that the journal names.
  if (original === "unused") return Deno.removeSync(name);
  if (!belongs(original, path)) {
    throw new LogDamaged(path, `the journal "${name}" is another database's`);
  }
  const db = new DatabaseSync(path, { timeout: 5000 });
  try {
    // The first read rolls back.
    db.prepare("PRAGMA user_version").get();
  } finally {
    db.close();
  }
}

/** What a journal says of the database as it was before. */
interface Original {
  readonly first: DataView | undefined;
  readonly log: Identity | undefined;
}

// A change of the epoch leaves seq and time; a change of mode comes with the first page alone.
function belongs({ first, log }: Original, path: string): boolean {
  if (log !== undefined) {
    const page = readPage(path, LOG_PAGE);
    const now = page && identityIn(page);
    return now?.seq === log.seq && now.time === log.time;
  }
  const now = readPage(path, 1);
  if (first === undefined || now?.byteLength !== first.byteLength) return false;
  for (let at = 0; at < first.byteLength; at++) {
    if (first.getUint8(at) !== now.getUint8(at) && !VOLATILE.includes(at)) return false;
  }
  return true;
}

// All of it, so that a rollback doesn't stop half-way; undefined where it is damaged.
function readJournal(name: string): Original | "unused" | undefined {
  using file = Deno.openSync(name, { read: true });
  const { size } = file.statSync();
  let first: DataView | undefined;
  let log: Identity | undefined;
  let at = 0;
  while (at < size) {
    const header = new DataView(new ArrayBuffer(HEADER));
    const whole = fills(file, header, at);
    // SQLite writes how many records there are once they are on the disk, before it touches the database.
    if (at === 0 && whole && header.getUint32(8) === 0) return "unused";
    if (!whole || !MAGIC.every((word, i) => header.getUint32(4 * i) === word)) {
      // Behind the last part there may be a rest of an older round.
      return at === 0 ? undefined : { first, log };
    }
    const [sector, pageSize] = [header.getUint32(20), header.getUint32(24)];
    if (!isSize(sector, 32) || !isSize(pageSize, 512)) return undefined;
    at += sector;
    for (let left = header.getUint32(8); left > 0; left--) {
      const record = new DataView(new ArrayBuffer(pageSize + 8));
      if (!fills(file, record, at) || !isWhole(record, header.getUint32(12))) return undefined;
      at += record.byteLength;
      const page = new DataView(record.buffer, 4, pageSize);
      if (record.getUint32(0) === 1) first ??= page;
      if (record.getUint32(0) === LOG_PAGE) log ??= identityIn(page);
    }
    at = Math.ceil(at / sector) * sector;
  }
  return { first, log };
}

function isSize(size: number, least: number): boolean {
  return size >= least && size <= 65_536 && (size & (size - 1)) === 0;
}

// The checksum takes each 200th byte, counted from the end.
function isWhole(record: DataView, nonce: number): boolean {
  const pageSize = record.byteLength - 8;
  let sum = nonce;
  for (let at = pageSize - 200; at > 0; at -= 200) sum += record.getUint8(4 + at);
  return record.getUint32(4 + pageSize) === sum >>> 0;
}

function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
