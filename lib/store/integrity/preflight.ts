/** Looks at a log before it is opened: SQLite opens a cut, emptied or half-deleted one without a word (threats.md L5). */
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FolderLock } from "./lock.ts";
import { LogDamaged } from "./errors.ts";
import { type Marked, markPath, readMark } from "./watermark.ts";
import { identityIn, LOG_PAGE, readPage } from "./identity.ts";
import { APPLICATION, BACKUP, NEWEST_SCHEMA } from "./format.ts";
import { readWal, type Wal } from "./wal.ts";

/**
 * What is there: nothing, a log that goes on, or a copy: one that `backup` made, or a log without a mark of its own. Nobody knows
 * whether seqs after a copy's end were given out already, so that it gets a new epoch.
 */
export type Found = "nothing" | "log" | "copy";

const MAGIC = "SQLite format 3\0";
const HEADER = 100;

// Programs of the first schema wrote no marks.
const FIRST_MARKED = 2;

/**
 * Examines a log and what lies beside it; changes nothing.
 *
 * @param path The log's file.
 * @returns What is there.
 * @throws {LogDamaged} If it is damaged, isn't a log, or parts of it are gone.
 * @throws {Error} If it is of a newer program.
 */
export function examine(path: string): Found {
  const mark = readMark(path);
  const walSize = sizeOf(`${path}-wal`);
  const size = sizeOf(path);
  if (size === undefined) {
    if (mark !== undefined) throw new LogDamaged(path, "it is gone, only its mark is there");
    if (walSize !== undefined) throw new LogDamaged(path, "it is gone, only its WAL is there");
    return "nothing";
  }
  const header = readHeader(path, size);
  const application = header.getUint32(68);
  if (application === BACKUP) {
    // SQLite would apply the WAL of another log to it.
    if (walSize === undefined || walSize === 0) return "copy";
    throw new LogDamaged(path, `it is a backup, but "${path}-wal" beside it is another log's`);
  }
  if (application !== APPLICATION && application !== 0) {
    throw new LogDamaged(path, "it is the database of another program");
  }
  const epoch = epochOf(path);
  const own = mark?.epoch === epoch ? mark : undefined;
  const wal = examineWal(path, walSize, own);
  if (wal?.log !== undefined && epoch !== undefined && wal.log.epoch !== epoch) {
    throw new LogDamaged(path, `the WAL "${path}-wal" is another log's`);
  }
  examineSize(path, size, header, wal);
  const version = examineRecords(path, own);
  return own === undefined && (mark !== undefined || version >= FIRST_MARKED) ? "copy" : "log";
}

// As the file alone says: what a WAL says belongs to the log that the WAL was written for.
function epochOf(path: string): string | undefined {
  const page = readPage(path, LOG_PAGE);
  return page && identityIn(page)?.epoch;
}

/**
 * Examines a log that a server may have open: that server looked at it when it started, and writes it now.
 *
 * @param path The log's file.
 * @throws {LogDamaged} If it is damaged, isn't a log, or parts of it are gone.
 * @throws {Error} If there is none, or it is of a newer program.
 */
export function examineBeside(path: string): void {
  if (sizeOf(path) === undefined && sizeOf(markPath(path)) === undefined) {
    throw new Error(`There is no log at "${path}"`);
  }
  // Held only as long as it takes: a server that starts meanwhile is refused.
  using lock = FolderLock.tryTake(dirname(path));
  if (lock === undefined) examineRecords(path, readMark(path));
  else examine(path);
}

function readHeader(path: string, size: number): DataView {
  if (size === 0) throw new LogDamaged(path, "it is empty");
  const header = new Uint8Array(HEADER);
  using file = Deno.openSync(path, { read: true });
  const got = file.readSync(header);
  const magic = new TextDecoder("latin1").decode(header.subarray(0, MAGIC.length));
  if (got !== HEADER || magic !== MAGIC) throw new LogDamaged(path, "it is no SQLite database");
  return new DataView(header.buffer);
}

function examineWal(
  path: string,
  size: number | undefined,
  mark: Marked | undefined,
): Wal | undefined {
  if (size !== undefined && size > 0) {
    using file = Deno.openSync(`${path}-wal`, { read: true });
    const wal = readWal(file);
    if (typeof wal === "string") throw new LogDamaged(path, wal);
    return wal;
  }
  // After a kill the WAL is there and has at least its header: the log is only marked as open behind its first commit.
  if (mark === undefined || mark.clean) return undefined;
  const what = size === undefined ? "gone" : "empty";
  throw new LogDamaged(path, `it wasn't closed in order, and its WAL "${path}-wal" is ${what}`);
}

// Every page is in the file, or in the WAL while it wasn't carried over.
function examineSize(path: string, size: number, header: DataView, wal: Wal | undefined): void {
  const pageSize = header.getUint16(16) === 1 ? 65_536 : header.getUint16(16);
  const pages = (wal?.size ?? 0) || header.getUint32(28);
  for (let page = Math.floor(size / pageSize) + 1; page <= pages; page++) {
    if (!wal?.pages.has(page)) {
      throw new LogDamaged(path, `it was cut: it has ${size} bytes instead of ${pages * pageSize}`);
    }
  }
}

// Read-only: the last connection that closes a writable log deletes its WAL.
function examineRecords(path: string, mark: Marked | undefined): number {
  let row;
  let version;
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    try {
      version = Number(db.prepare("PRAGMA user_version").get()?.user_version);
      row = version > NEWEST_SCHEMA ? undefined : db.prepare("SELECT epoch, seq FROM log").get();
    } finally {
      db.close();
    }
  } catch (error) {
    throw new LogDamaged(path, error instanceof Error ? error.message : String(error));
  }
  if (version > NEWEST_SCHEMA) {
    throw new Error(
      `Cannot open the log "${path}": its schema is version ${version}, this program knows ${NEWEST_SCHEMA} at most; start a newer one`,
    );
  }
  if (row === undefined) throw new LogDamaged(path, "it has no epoch");
  if (mark?.epoch === row.epoch && Number(row.seq) < (mark?.seq ?? 0)) {
    throw new LogDamaged(
      path,
      `it ends with seq ${row.seq}, but ${mark?.seq} was acknowledged: its end is gone`,
    );
  }
  return version;
}

function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
