/**
 * Reads SQLite's write-ahead log as a file. SQLite opens a damaged one without a word and drops what lies behind the damage
 * (architecture.md, "Traps of the runtime"), so that whoever promised to keep it has to look
 * first. Format: sqlite.org/fileformat2.html, section 4.
 */

import { type Identity, identityIn, LOG_PAGE } from "./identity.ts";

/** What committed transactions of a WAL hold. */
export interface Wal {
  /** Numbers of the pages in it. */
  readonly pages: ReadonlySet<number>;
  /** Pages of the whole database after its last commit; 0 where there is none. */
  readonly size: number;
  /** Which log it was written for; undefined where nothing is committed in it. */
  readonly log: Identity | undefined;
}

const HEADER = 32;
const FRAME = 24;
const LITTLE = 0x377f0682;
const BIG = 0x377f0683;
const VERSION = 3_007_000;

// Read in pieces: while another process reads, a WAL may grow to many times what is right to hold in memory.
const PIECE = 512;

/**
 * Reads a WAL.
 *
 * @param file The file, open at its start, not empty.
 * @returns What is committed in it, or a sentence that says what is damaged.
 */
export function readWal(file: Deno.FsFile): Wal | string {
  const head = new Uint8Array(HEADER);
  if (fill(file, head) < HEADER) return "its WAL was cut within its header";
  const view = new DataView(head.buffer);
  const magic = view.getUint32(0);
  const pageSize = view.getUint32(8);
  const little = magic === LITTLE;
  let sum = checksum(view, little, 0, HEADER - 8, [0, 0]);
  if (
    (!little && magic !== BIG) || view.getUint32(4) !== VERSION || !isPageSize(pageSize) ||
    !sumsTo(view, HEADER - 8, sum)
  ) {
    return "the header of its WAL is damaged";
  }
  const salts = [view.getUint32(16), view.getUint32(20)];
  const pages = new Set<number>();
  let size = 0;
  let open: number[] = [];
  let row: DataView<ArrayBuffer> | undefined;
  let log: Identity | undefined;
  let broken: number | undefined;
  let read = HEADER;
  for (const frame of frames(file, FRAME + pageSize)) {
    const at = read;
    read += frame.byteLength;
    const ours = frame.getUint32(8) === salts[0] && frame.getUint32(12) === salts[1];
    const commit = frame.getUint32(4);
    if (broken !== undefined) {
      // A kill ends what was being written: only damage has a commit of the same WAL behind it.
      if (ours && commit !== 0) return `its WAL is damaged at byte ${broken}`;
      continue;
    }
    const next = ours
      ? checksum(frame, little, FRAME, frame.byteLength, checksum(frame, little, 0, 8, sum))
      : sum;
    if (!ours || !sumsTo(frame, 16, next)) {
      broken = at;
      continue;
    }
    sum = next;
    open.push(frame.getUint32(0));
    if (frame.getUint32(0) === LOG_PAGE) {
      const page = frame.byteOffset + FRAME;
      row = new DataView(frame.buffer.slice(page, page + pageSize));
    }
    if (commit === 0) continue;
    if (row !== undefined) log = identityIn(row);
    row = undefined;
    for (const page of open) pages.add(page);
    open = [];
    size = commit;
  }
  return { pages, size, log };
}

function* frames(file: Deno.FsFile, step: number): Generator<DataView<ArrayBuffer>> {
  const piece = new Uint8Array(PIECE * step);
  for (;;) {
    const got = fill(file, piece);
    for (let at = 0; at + step <= got; at += step) yield new DataView(piece.buffer, at, step);
    if (got < piece.length) return;
  }
}

function fill(file: Deno.FsFile, into: Uint8Array): number {
  let got = 0;
  while (got < into.length) {
    const more = file.readSync(into.subarray(got));
    if (more === null) break;
    got += more;
  }
  return got;
}

type Sum = readonly [number, number];

function checksum(view: DataView, little: boolean, from: number, to: number, [a, b]: Sum): Sum {
  let [first, second] = [a, b];
  for (let at = from; at < to; at += 8) {
    first = (first + view.getUint32(at, little) + second) >>> 0;
    second = (second + view.getUint32(at + 4, little) + first) >>> 0;
  }
  return [first, second];
}

function sumsTo(view: DataView, at: number, [first, second]: Sum): boolean {
  return view.getUint32(at) === first && view.getUint32(at + 4) === second;
}

function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65_536 && (size & (size - 1)) === 0;
}
