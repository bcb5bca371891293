/** What browsers are given as text, compressed once for each encoding and not for each request. */
import { eTag } from "@std/http/etag";
import { extname } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { hasTag, packing } from "./responses.ts";

// Each text is compressed once: as well as it can be. Browsers ask for br on https alone.
const smallest = promisify<Uint8Array, { level: number }, Uint8Array>(gzip);
const ENCODERS = {
  br: promisify<Uint8Array, Uint8Array>(brotliCompress),
  gzip: (bytes: Uint8Array) => smallest(bytes, { level: 9 }),
};

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  // Browsers show it; what they are told is Markdown some only save.
  ".md": "text/plain; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".yaml": "application/yaml",
};

type Bytes = Uint8Array<ArrayBuffer>;

/** One text and what was made of it. */
interface Entity {
  readonly bytes: Bytes;
  readonly tag: string;
  readonly encoded: Map<keyof typeof ENCODERS, Promise<Bytes>>;
}

/** Texts in memory. As many are kept as there are names: those of files that are served, which aren't many. */
export class Compressed {
  readonly #files = new Map<string, { changed: number; size: number; entity: Promise<Entity> }>();
  readonly #texts = new Map<string, { text: string; entity: Promise<Entity> }>();

  /**
   * Serves a file of text. One that changed on the disk is read anew.
   *
   * @param request A GET or HEAD.
   * @param name Names what is served; always the same for the same file and change.
   * @param file Its path.
   * @param change Makes what is served of the file's text.
   * @returns The file, or undefined where there is none or it isn't text.
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
      const entity = Deno.readTextFile(file).then((text) => toEntity(change(text)));
      kept = { changed, size: info.size, entity };
      this.#files.set(name, kept);
      // What can't be read now may be read the next time.
      entity.catch(() => this.#files.delete(name));
    }
    return await respond(request, await kept.entity, type);
  }

  /**
   * Serves a text.
   *
   * @param request A GET or HEAD.
   * @param name Names it; another text under the same name takes its place.
   * @param text The text.
   * @param type Its media type.
   * @returns The answer.
   */
  async text(request: Request, name: string, text: string, type: string): Promise<Response> {
    let kept = this.#texts.get(name);
    if (kept?.text !== text) {
      kept = { text, entity: toEntity(text) };
      this.#texts.set(name, kept);
    }
    return await respond(request, await kept.entity, type);
  }
}

async function toEntity(text: string): Promise<Entity> {
  const bytes = new TextEncoder().encode(text);
  return { bytes, tag: await eTag(bytes), encoded: new Map() };
}

async function respond(request: Request, entity: Entity, type: string): Promise<Response> {
  const encoding = packing(request, "br", "gzip");
  const headers = new Headers({ "content-type": type, vary: "accept-encoding" });
  const bytes = encoding === undefined ? entity.bytes : await encode(entity, encoding);
  // What has no fewer bytes compressed stays as it is.
  const smaller = bytes.length < entity.bytes.length;
  if (smaller && encoding !== undefined) headers.set("content-encoding", encoding);
  // Another encoding is another representation, and has another tag (RFC 9110, 8.8.3.3).
  const tag = smaller ? entity.tag.replace(/"$/, `-${encoding}"`) : entity.tag;
  headers.set("etag", tag);
  if (hasTag(request, tag)) return new Response(null, { status: 304, headers });
  const body = smaller ? bytes : entity.bytes;
  headers.set("content-length", String(body.length));
  return new Response(body, { headers });
}

function encode(entity: Entity, encoding: keyof typeof ENCODERS): Promise<Bytes> {
  let encoded = entity.encoded.get(encoding);
  if (encoded === undefined) {
    encoded = ENCODERS[encoding](entity.bytes).then((bytes) => new Uint8Array(bytes));
    entity.encoded.set(encoding, encoded);
  }
  return encoded;
}
