/**
 * Copies a log while a server writes it. All pages go in one step, in a process of its own: in steps each commit would begin
 * the copy anew, and in the core's isolate it would hold up everyone (architecture.md, "Traps of the runtime").
 */
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import type { Copying } from "./copier.ts";
import { renameDurably } from "./integrity/durable_file.ts";
import { LogDamaged } from "./integrity/errors.ts";
import { examineBeside } from "./integrity/preflight.ts";
import { readMark } from "./integrity/watermark.ts";
import { BACKUP } from "./integrity/format.ts";
import { removeIfThere, SIDES } from "./schema.ts";

/** What a backup holds. */
export interface Copied {
  /** The last record's seq. */
  readonly seq: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

const COPIER = new URL("./copier.ts", import.meta.url);

// How often it is told how far the copy is, in milliseconds.
const LOOK = 100;

/**
 * Copies a log. The copy is whole or not there, and is marked: the first server that opens it gives it a new epoch, since
 * the seqs that follow were given out already.
 *
 * @param path The log's file; a server may be writing it.
 * @param file The copy, which must not exist.
 * @param progress Told how many bytes are copied, of how many about.
 * @returns What was copied.
 * @throws {LogDamaged} If the log is damaged.
 * @throws {Error} If there is no log, `file` exists, or the disk refuses.
 */
export async function backup(
  path: string,
  file: string,
  progress: (done: number, all: number) => void = () => {},
): Promise<Copied> {
  if (exists(file)) throw new Error(`Cannot write "${file}": it exists`);
  const folder = dirname(file);
  if (!exists(folder)) throw new Error(`Cannot write "${file}": there is no folder "${folder}"`);
  if (!exists(path)) throw new Error(`Cannot copy "${path}": there is no log`);
  // SQLite copies a log that lost its end as if it were whole: what was acknowledged before has to be in the copy.
  const mark = readMark(path);
  examineBeside(path);
  const unfinished = `${file}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    // Its owner's alone from the first byte on.
    Deno.openSync(unfinished, { createNew: true, write: true, mode: 0o600 }).close();
    await copy({ from: path, to: unfinished }, progress);
    const { seq, epoch } = seal(unfinished);
    if (mark?.epoch === epoch && seq < mark.seq) {
      throw new LogDamaged(path, `it ends with seq ${seq}, but ${mark.seq} was acknowledged`);
    }
    if (exists(file)) throw new Error(`Cannot write "${file}": it exists`);
    renameDurably(unfinished, file);
    return { seq, bytes: Deno.statSync(file).size };
  } finally {
    for (const end of SIDES) removeIfThere(unfinished + end);
  }
}

async function copy(
  copying: Copying,
  progress: (done: number, all: number) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const worker = new Worker(COPIER, { workerData: copying });
  worker.on("message", (sentence?: string) => {
    if (sentence === undefined) resolve();
    else reject(new Error(`Cannot copy "${copying.from}": ${sentence}`));
  });
  worker.on("error", reject);
  worker.on("exit", (code: number) => reject(new Error(`The copier ended with ${code}`)));
  const all = sizeOf(copying.from);
  const look = setInterval(() => progress(Math.min(sizeOf(copying.to), all), all), LOOK);
  try {
    await promise;
    progress(all, all);
  } finally {
    clearInterval(look);
    await worker.terminate();
  }
}

// The copy isn't there at first.
function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
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

function exists(file: string): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
