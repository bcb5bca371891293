/**
 * Copies a log while a server writes it. All pages go in one step, in a process of its own: in steps each commit would begin
 * the copy anew, and in the core's isolate it would hold up everyone (design.md section 3).
 */
import { backup as copy, DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import { LogDamaged } from "./damage.ts";
import { examineBeside } from "./examine.ts";
import { readMark } from "./mark.ts";
import { BACKUP, removeIfThere, SIDES } from "./schema.ts";

/** What a backup holds. */
export interface Copied {
  /** The last record's seq. */
  readonly seq: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

const ALL_PAGES = 2 ** 31 - 1;

/**
 * Copies a log. The copy is whole or not there, and is marked: the first server that opens it gives it a new epoch, since
 * the seqs that follow were given out already.
 *
 * @param path The log's file; a server may be writing it.
 * @param file The copy, which must not exist.
 * @returns What was copied.
 * @throws {LogDamaged} If the log is damaged.
 * @throws {Error} If there is no log, `file` exists, or the disk refuses.
 */
export async function backup(path: string, file: string): Promise<Copied> {
  if (exists(file)) throw new Error(`Cannot write "${file}": it exists`);
  const folder = dirname(file);
  if (!exists(folder)) throw new Error(`Cannot write "${file}": there is no folder "${folder}"`);
  if (!exists(path)) throw new Error(`Cannot copy "${path}": there is no log`);
  // SQLite copies a log that lost its end as if it were whole: what was acknowledged before has to be in the copy.
  const mark = readMark(path);
  examineBeside(path);
  const unfinished = `${file}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    const source = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    try {
      await copy(source, unfinished, { rate: ALL_PAGES });
    } finally {
      source.close();
    }
    const { seq, epoch } = seal(unfinished);
    if (mark?.epoch === epoch && seq < mark.seq) {
      throw new LogDamaged(path, `it ends with seq ${seq}, but ${mark.seq} was acknowledged`);
    }
    Deno.chmodSync(unfinished, 0o600);
    sync(unfinished);
    if (exists(file)) throw new Error(`Cannot write "${file}": it exists`);
    Deno.renameSync(unfinished, file);
    sync(folder);
    return { seq, bytes: Deno.statSync(file).size };
  } finally {
    for (const end of SIDES) removeIfThere(unfinished + end);
  }
}

function seal(file: string): { seq: number; epoch: string } {
  const db = new DatabaseSync(file);
  try {
    // A single file: nothing of it is in a WAL.
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA application_id = ${BACKUP}`);
    const row = db.prepare("SELECT seq, epoch FROM log").get();
    return { seq: Number(row?.seq), epoch: String(row?.epoch) };
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  using file = Deno.openSync(path, { read: true });
  file.syncSync();
}

function exists(file: string): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
