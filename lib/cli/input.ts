/** What comes by standard input: text in UTF-8, bounded, since whatever stands before the pipe may never end. */

/** The most bytes of one text: no server takes a message of a mebibyte. */
const MOST_BYTES = 1_048_576;

const NEWLINE = 10;

/**
 * Reads all of an input as one text.
 *
 * @param input The input.
 * @returns The text, without the end of its last line: that ends the line, not the message.
 * @throws {Error} If it is too long, or isn't text.
 */
export async function wholeText(input: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const text = new Piece();
  for await (const chunk of input) text.add(chunk);
  return text.take().replace(/\r?\n$/, "");
}

/**
 * Reads an input line by line.
 *
 * @param input The input.
 * @returns The lines, without their ends.
 * @throws {Error} If a line is too long, or isn't text.
 */
export async function* linesOf(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  const line = new Piece();
  for await (const chunk of input) {
    let from = 0;
    for (let to: number; (to = chunk.indexOf(NEWLINE, from)) >= 0; from = to + 1) {
      line.add(chunk.subarray(from, to));
      yield line.take().replace(/\r$/, "");
    }
    line.add(chunk.subarray(from));
  }
  if (line.length > 0) yield line.take();
}

/** A text that is being read: a character may stand in two chunks. */
class Piece {
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array<ArrayBuffer>): void {
    this.#length += chunk.length;
    if (this.#length > MOST_BYTES) {
      throw new Error(`Cannot publish standard input: a text has more than ${MOST_BYTES} bytes`);
    }
    this.#chunks.push(chunk);
  }

  take(): string {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [];
    this.#length = 0;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw new Error("Cannot publish standard input: it isn't text in UTF-8");
    }
  }
}
