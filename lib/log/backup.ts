/**
 * Copies a log while a server writes it. All pages go in one step, in a process of its own: in steps each commit would begin
 * the copy anew, and in the core's isolate it would hold up everyone (design.md section 3).
 */
import { backup as copy, DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import { examine } from "./examine.ts";
import { BACKUP } from "./schema.ts";

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
  if (!exists(path)) throw new Error(`Cannot copy "${path}": there is no log`);
  const unfinished = `${file}.unfinished`;
  if (exists(unfinished)) Deno.removeSync(unfinished);
  const source = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    await copy(source, unfinished, { rate: ALL_PAGES });
  } finally {
    source.close();
  }
  const seq = seal(unfinished);
  examine(unfinished);
  Deno.chmodSync(unfinished, 0o600);
  // A name that is taken meanwhile is refused, as above.
  Deno.linkSync(unfinished, file);
  Deno.removeSync(unfinished);
  using folder = Deno.openSync(dirname(file), { read: true });
  folder.syncSync();
  return { seq, bytes: Deno.statSync(file).size };
}

function seal(file: string): number {
  const db = new DatabaseSync(file);
  try {
    // A single file: nothing of it is in a WAL.
    db.exec(`PRAGMA journal_mode = DELETE; PRAGMA application_id = ${BACKUP}`);
    return Number(db.prepare("SELECT seq FROM log").get()?.seq);
  } finally {
    db.close();
  }
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
