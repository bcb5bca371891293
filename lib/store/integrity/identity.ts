/**
 * Reads the identity of a log from a page of an SQLite file, without SQLite. A WAL or a rollback journal doesn't name the database
 * that it was written for, and SQLite applies it to any. Format: sqlite.org/fileformat2.html, sections 1.6 and 2.1.
 */

/** The page that holds the one row of the table `log`, which is the first that is made. */
export const LOG_PAGE = 3;

/** What tells one log from another. */
export interface Identity {
  readonly epoch: string;
  /** The last record's seq. */
  readonly seq: number;
  /** The last record's time. */
  readonly time: number;
}

const LEAF = 13;
// The row's columns in their order: a text, then whole numbers.
const COLUMNS = 3;

/**
 * Reads the row of the table `log`.
 *
 * @param page The content of {@linkcode LOG_PAGE}.
 * @returns What it says; undefined where it holds no such row.
 */
export function identityIn(page: DataView): Identity | undefined {
  try {
    if (page.getUint8(0) !== LEAF || page.getUint16(3) !== 1) return undefined;
    return readRow(page, page.getUint16(8));
  } catch (error) {
    // An offset that leads out of the page.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * Reads a page of a database file as it is on the disk, whatever its WAL says.
 *
 * @param path The file.
 * @param number The page's number, from 1.
 * @returns The page; undefined where the file ends before it or isn't a database.
 */
export function readPage(path: string, number: number): DataView | undefined {
  using file = Deno.openSync(path, { read: true });
  const head = new DataView(new ArrayBuffer(18));
  if (!fills(file, head, 0)) return undefined;
  const size = head.getUint16(16) === 1 ? 65_536 : head.getUint16(16);
  const page = new DataView(new ArrayBuffer(size));
  return size > 0 && fills(file, page, (number - 1) * size) ? page : undefined;
}

/**
 * Reads a part of a file.
 *
 * @param file The file.
 * @param into Is filled.
 * @param at Where the part begins, in bytes.
 * @returns Whether the file has all of it.
 */
export function fills(file: Deno.FsFile, into: DataView<ArrayBuffer>, at: number): boolean {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  file.seekSync(at, Deno.SeekMode.Start);
  for (let got = 0; got < bytes.length;) {
    const more = file.readSync(bytes.subarray(got));
    if (more === null) return false;
    got += more;
  }
  return true;
}

function readRow(page: DataView, cell: number): Identity | undefined {
  const payload = readVarint(page, readVarint(page, cell).next).next;
  const head = readVarint(page, payload);
  const types: number[] = [];
  for (let at = head.next; types.length < COLUMNS && at < payload + head.value;) {
    const type = readVarint(page, at);
    types.push(type.value);
    at = type.next;
  }
  const [text = 0, ...numbers] = types;
  if (types.length < COLUMNS || text < 13 || text % 2 === 0) return undefined;
  const length = (text - 13) / 2;
  let at = payload + head.value;
  const bytes = new Uint8Array(page.buffer, page.byteOffset + at, length);
  const epoch = new TextDecoder().decode(bytes);
  at += length;
  const [seq, time] = numbers.map((type) => {
    const size = SIZES[type] ?? 0;
    const value = type === 9 ? 1 : readInteger(page, at, size);
    at += size;
    return value;
  });
  return seq === undefined || time === undefined ? undefined : { epoch, seq, time };
}

// Bytes of a whole number by its serial type; 8 and 9 are the numbers 0 and 1.
const SIZES = [0, 1, 2, 3, 4, 6, 8];

function readInteger(page: DataView, at: number, size: number): number {
  let value = size === 0 ? 0 : page.getInt8(at);
  for (let i = 1; i < size; i++) value = value * 256 + page.getUint8(at + i);
  return value;
}

function readVarint(page: DataView, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 9; i++) {
    const byte = page.getUint8(at + i);
    value = value * 128 + (byte & 127);
    if (byte < 128) return { value, next: at + i + 1 };
  }
  return { value, next: at + 9 };
}
