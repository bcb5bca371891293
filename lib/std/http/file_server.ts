/**
 * Files as responses, with tags, dates and ranges.
 *
 * @module
 */

import { extname } from "node:path";
import { eTag, ifNoneMatch } from "./etag.ts";
import { STATUS_CODE, STATUS_TEXT, type StatusCode } from "./status.ts";

/** Options for {@linkcode serveFile}. */
export interface ServeFileOptions {
  /**
   * The digest for the entity tag.
   *
   * @default {"SHA-256"}
   */
  etagAlgorithm?: AlgorithmIdentifier;
  /** What {@linkcode Deno.stat} says of the file, where the caller has asked already. */
  fileInfo?: Deno.FileInfo;
}

const CONTENT_TYPES = new Map([
  [".css", "text/css; charset=UTF-8"],
  [".htm", "text/html; charset=UTF-8"],
  [".html", "text/html; charset=UTF-8"],
  [".ico", "image/vnd.microsoft.icon"],
  [".jpeg", "image/jpeg"],
  [".jpg", "image/jpeg"],
  [".js", "text/javascript; charset=UTF-8"],
  [".json", "application/json; charset=UTF-8"],
  [".map", "application/json; charset=UTF-8"],
  [".md", "text/markdown; charset=UTF-8"],
  [".mjs", "text/javascript; charset=UTF-8"],
  [".png", "image/png"],
  [".svg", "image/svg+xml"],
  [".txt", "text/plain; charset=UTF-8"],
  [".webmanifest", "application/manifest+json; charset=UTF-8"],
  [".webp", "image/webp"],
  [".woff2", "font/woff2"],
  [".xml", "application/xml"],
  [".yaml", "text/yaml; charset=UTF-8"],
  [".yml", "text/yaml; charset=UTF-8"],
]);

/**
 * Answers a request with a file: 304 where the client has it already, 206 or 416 where it asks for
 * one range, 404 where there is no file of that name (or it is a folder), 405 for anything but GET
 * and HEAD.
 *
 * @param req The request; its body is dropped.
 * @param filePath Where the file is.
 * @param options Digest, and what is known of the file.
 * @returns The response; its body reads the file as it is sent.
 */
export async function serveFile(
  req: Request,
  filePath: string,
  options?: ServeFileOptions,
): Promise<Response> {
  await req.body?.cancel();
  if (req.method !== "GET" && req.method !== "HEAD") {
    return plain(STATUS_CODE.MethodNotAllowed);
  }
  const info = options?.fileInfo ?? await statIfThere(filePath);
  if (!info || info.isDirectory) return plain(STATUS_CODE.NotFound);

  const etag = await eTag(info, { algorithm: options?.etagAlgorithm ?? "SHA-256" });
  const headers = describe(filePath, info, etag);
  if (req.method === "HEAD") {
    headers.set("content-length", `${info.size}`);
    return respond(STATUS_CODE.OK, null, headers);
  }
  if (isFresh(req.headers, info, etag)) return respond(STATUS_CODE.NotModified, null, headers);

  const range = info.size > 0 ? parseRange(req.headers.get("range"), info.size) : undefined;
  if (range) return await respondPart(filePath, info.size, range, headers);
  headers.set("content-length", `${info.size}`);
  const file = await Deno.open(filePath);
  return respond(STATUS_CODE.OK, file.readable, headers);
}

async function statIfThere(filePath: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(filePath);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function describe(filePath: string, info: Deno.FileInfo, etag: string | undefined): Headers {
  const headers = new Headers({ server: "deno", "accept-ranges": "bytes" });
  if (info.mtime) headers.set("last-modified", info.mtime.toUTCString());
  if (etag) headers.set("etag", etag);
  const type = CONTENT_TYPES.get(extname(filePath).toLowerCase());
  if (type) headers.set("content-type", type);
  return headers;
}

/** HTTP dates have whole seconds, so that a file is as old as its second. */
function isFresh(headers: Headers, { mtime }: Deno.FileInfo, etag: string | undefined): boolean {
  const tags = headers.get("if-none-match");
  if (tags !== null) return !ifNoneMatch(tags, etag);
  const since = headers.get("if-modified-since");
  return mtime !== null && since !== null && mtime.getTime() < new Date(since).getTime() + 1000;
}

/** The first and last byte that one range asks for; `undefined` for what isn't one range. */
function parseRange(header: string | null, size: number): [number, number] | undefined {
  const [, from, to] = /bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (from) return [Number(from), to ? Number(to) : size - 1];
  return to ? [size - Number(to), size - 1] : undefined;
}

async function respondPart(
  filePath: string,
  size: number,
  [from, to]: [number, number],
  headers: Headers,
): Promise<Response> {
  if (to < from || from >= size) {
    headers.set("content-range", `bytes */${size}`);
    return plain(STATUS_CODE.RangeNotSatisfiable, headers);
  }
  const first = Math.max(0, from);
  const last = Math.min(to, size - 1);
  headers.set("content-range", `bytes ${first}-${last}/${size}`);
  headers.set("content-length", `${last - first + 1}`);
  const file = await Deno.open(filePath);
  await file.seek(first, Deno.SeekMode.Start);
  const body = file.readable.pipeThrough(firstBytes(last - first + 1));
  return respond(STATUS_CODE.PartialContent, body, headers);
}

function firstBytes(count: number): TransformStream<Uint8Array, Uint8Array> {
  let left = count;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate();
    },
  });
}

function plain(status: StatusCode, headers = new Headers()): Response {
  return respond(status, STATUS_TEXT[status], headers);
}

function respond(status: StatusCode, body: BodyInit | null, headers: Headers): Response {
  return new Response(body, { status, statusText: STATUS_TEXT[status], headers });
}
