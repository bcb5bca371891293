/** Texts that the server has: files and pages, compressed once for each coding and not for each request. */
import { eTag } from "@std/http/etag";
import { extname } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { type Bytes, type Coding, sendText, type Text } from "./text_responses.ts";

// Compressed once, so as well as possible. Browsers ask for br on https alone.
const smallest = promisify<Uint8Array, { level: number }, Uint8Array>(gzip);
const ENCODERS: readonly [Coding, (bytes: Uint8Array) => Promise<Uint8Array>][] = [
  ["br", promisify<Uint8Array, Uint8Array>(brotliCompress)],
  ["gzip", (bytes) => smallest(bytes, { level: 9 })],
];

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  // Browsers show plain text; some only download text/markdown.
  ".md": "text/plain; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".yaml": "application/yaml",
};

/** Texts in memory, one for each name: a name is a page or a file of `static/`, so there are few. */
export class TextCache {
  readonly #files = new Map<string, { changed: number; size: number; text: Promise<Text> }>();
  readonly #pages = new Map<string, { source: string; text: Promise<Text> }>();

  /**
   * Sends a file of text. A file that changed on the disk is read again.
   *
   * @param request A GET or HEAD.
   * @param name Key of the cache; always the same for the same file and change.
   * @param file Its path.
   * @param change Turns the file's text into what is sent.
   * @returns The response; undefined where there is no such file, or its name isn't that of a text.
   */
  async file(
    request: Request,
    name: string,
    file: string,
    change: (text: string) => string,
  ): Promise<Response | undefined> {
    const type = TYPES[extname(file)];
    const info = type === undefined ? undefined : await Deno.stat(file).catch(() => undefined);
    if (type === undefined || !info?.isFile) return undefined;
    const changed = info.mtime?.getTime() ?? 0;
    let kept = this.#files.get(name);
    if (kept === undefined || kept.changed !== changed || kept.size !== info.size) {
      const text = Deno.readTextFile(file).then((source) => toText(change(source)));
      kept = { changed, size: info.size, text };
      this.#files.set(name, kept);
      // A file that can't be read now is tried again by the next request.
      text.catch(() => this.#files.delete(name));
    }
    return await send(request, await kept.text, type);
  }

  /**
   * Sends a text.
   *
   * @param request A GET or HEAD.
   * @param name Key of the cache; another text under the same name replaces the first.
   * @param source The text.
   * @param type Its media type.
   * @returns The response.
   */
  async page(request: Request, name: string, source: string, type: string): Promise<Response> {
    let kept = this.#pages.get(name);
    if (kept?.source !== source) {
      kept = { source, text: toText(source) };
      this.#pages.set(name, kept);
    }
    return await send(request, await kept.text, type);
  }
}

async function toText(source: string): Promise<Text> {
  const bytes = new TextEncoder().encode(source);
  const encoders = ENCODERS.map(([coding, encode]) =>
    [coding, once(async () => new Uint8Array(await encode(bytes)))] as const
  );
  return { bytes, tag: await eTag(bytes), encoders: new Map(encoders) };
}

function once(encode: () => Promise<Bytes>): () => Promise<Bytes> {
  let encoded: Promise<Bytes> | undefined;
  return () => encoded ??= encode();
}

function send(request: Request, text: Text, type: string): Promise<Response> {
  return sendText(request, text, { "content-type": type, vary: "accept-encoding" });
}
