/**
 * The mark beside a log: whether its last end was clean, and the last seq that was acknowledged. SQLite alone can't tell a log
 * that lost its end from one that never had it.
 */
import { writeAtomically } from "./durable_file.ts";
import { LogDamaged } from "./errors.ts";

/** What a mark says. */
export interface Marked {
  /** Whether the log was closed in order: then no WAL is right, as long as the log has this seq. */
  readonly clean: boolean;
  /** A seq that was acknowledged: the log has at least this one. */
  readonly seq: number;
  /** The epoch of the log that it was written for. */
  readonly epoch: string;
}

/**
 * Tells where the mark of a log is.
 *
 * @param path The log's file.
 * @returns The mark's file.
 */
export function markPath(path: string): string {
  return `${path}-mark`;
}

/**
 * Reads a mark.
 *
 * @param path The log's file.
 * @returns What it says, or undefined where there is none.
 * @throws {LogDamaged} If it isn't one.
 */
export function readMark(path: string): Marked | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(markPath(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const [, state, seq, epoch] = /^(open|shut) (\d{16}) (.+)\n$/.exec(text) ?? [];
  if (epoch !== undefined) return { clean: state === "shut", seq: Number(seq), epoch };
  throw new LogDamaged(path, `the mark beside it, "${markPath(path)}", can't be read`);
}

/** A mark that is written. */
export class Mark {
  readonly #file: Deno.FsFile;
  readonly #epoch: string;
  readonly #encoder = new TextEncoder();

  /**
   * Says that the log is open from now on, on the disk when this returns.
   *
   * @param path The log's file.
   * @param epoch The log's.
   * @param seq Its last record's.
   */
  constructor(path: string, epoch: string, seq: number) {
    this.#epoch = epoch;
    writeAtomically(markPath(path), this.#line("open", seq));
    this.#file = Deno.openSync(markPath(path), { write: true });
  }

  /**
   * Says up to where the log was acknowledged. It isn't synced: it holds over the end of the process, and after a power cut
   * an older one is as true; so is it where the disk doesn't take this one.
   *
   * @param seq The last record's, committed.
   */
  advance(seq: number): void {
    try {
      this.#write("open", seq);
    } catch {
      // The records are committed: that they aren't marked makes only the next examination weaker.
    }
  }

  /**
   * Says that the log is closed in order from here on, on the disk when this returns.
   *
   * @param seq The last record's.
   */
  shut(seq: number): void {
    this.#write("shut", seq);
    this.#file.syncDataSync();
  }

  /** Closes its file. */
  close(): void {
    this.#file.close();
  }

  // One write of less than a sector, always of the same length: it is there whole or not at all.
  #write(state: "open" | "shut", seq: number): void {
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#file.writeSync(this.#encoder.encode(this.#line(state, seq)));
  }

  #line(state: "open" | "shut", seq: number): string {
    return `${state} ${String(seq).padStart(16, "0")} ${this.#epoch}\n`;
  }
}
