/** Compressing and decompressing in slices: others have their turn between them. */
import { Buffer } from "node:buffer";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

// About 2 ms each.
const PACK_PIECE = 65_536;

const UNPACKERS = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** How a body may come. */
export const ENCODINGS = ["identity", "gzip", "deflate", "br"] as const;

/** One of them. */
export type Encoding = typeof ENCODINGS[number];

/**
 * Tells whether a word is one of {@linkcode ENCODINGS}.
 *
 * @param word The word.
 * @returns Whether it is.
 */
export function isEncoding(word: string): word is Encoding {
  return ENCODINGS.some((encoding) => encoding === word);
}

/**
 * Compresses with gzip.
 *
 * @param bytes What to compress.
 * @param turn Yields to other connections; awaited before each slice.
 * @returns The compressed bytes.
 */
export async function packedIn(
  bytes: Uint8Array<ArrayBuffer>,
  turn: () => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new CompressionStream("gzip");
  const whole = new Response(stream.readable).arrayBuffer();
  const writer = stream.writable.getWriter();
  for (let at = 0; at < bytes.length; at += PACK_PIECE) {
    await turn();
    await writer.write(bytes.subarray(at, at + PACK_PIECE));
  }
  await writer.close();
  return new Uint8Array(await whole);
}

/**
 * Decompresses.
 *
 * @param packed The bytes.
 * @param encoding How they were compressed.
 * @param limit The most bytes that come of them.
 * @param unpackedSome Is told of each piece how many bytes it has, and waits until others had their turn.
 * @returns The bytes.
 * @throws {RangeError} If more comes of them.
 * @throws {Error} If they were compressed in another way, or are cut.
 */
export async function unpacked(
  packed: Uint8Array,
  encoding: Exclude<Encoding, "identity">,
  limit: number,
  unpackedSome: (bytes: number) => Promise<void>,
): Promise<Uint8Array> {
  const stream = UNPACKERS[encoding]({ chunkSize: PACK_PIECE });
  const pieces: Uint8Array[] = [];
  let size = 0;
  stream.end(packed);
  // An iterator that is left ends its stream.
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) continue;
    if (size + chunk.length > limit) throw new RangeError(`More than ${limit} bytes`);
    pieces.push(chunk);
    size += chunk.length;
    await unpackedSome(chunk.length);
  }
  return Buffer.concat(pieces);
}
