/** Responses with text: 304 for a client that has it, compressed for a client that asks for that. */
import { eTag, ifNoneMatch } from "@std/http/etag";
import { acceptsEncodings } from "@std/http/negotiation";
import { workOf } from "./responses.ts";
import { packedIn } from "./sliced_zlib.ts";

/** Encoded text. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Content codings of responses. */
export type Coding = "br" | "gzip";

/** Text to send. */
export interface Text {
  /** UTF-8. */
  readonly bytes: Bytes;
  /** Its entity tag; a weak one is that of every coding. Undefined: the client can't revalidate it. */
  readonly tag?: string;
  /** Compress it, in the server's order of preference. */
  readonly encoders: ReadonlyMap<Coding, () => Promise<Bytes>>;
}

/**
 * Sends text. The one path of pages, scripts, guides, JSON and metrics.
 *
 * @param request A GET or HEAD.
 * @param text The text.
 * @param given Headers of the response; `Vary` has to name `Accept-Encoding`.
 * @returns 200, or 304 where the request's `If-None-Match` names the tag.
 */
export async function sendText(
  request: Request,
  { bytes, tag, encoders }: Text,
  given: Record<string, string>,
): Promise<Response> {
  const headers = new Headers(given);
  const coding = chooseCoding(request, ...encoders.keys());
  if (tag !== undefined) {
    // Another coding is another representation, and has another strong tag (RFC 9110, 8.8.3.3).
    const strong = coding !== undefined && !tag.startsWith("W/");
    const own = strong ? tag.replace(/"$/, `-${coding}"`) : tag;
    headers.set("etag", own);
    if (hasTag(request, own)) return new Response(null, { status: 304, headers });
  }
  const encoded = coding === undefined ? undefined : await encoders.get(coding)?.();
  if (coding === undefined || encoded === undefined || encoded.length >= bytes.length) {
    return new Response(bytes, { headers });
  }
  headers.set("content-encoding", coding);
  return new Response(encoded, { headers });
}

// Smaller texts are one packet either way.
const LEAST_COMPRESSED = 1400;

/**
 * Sends text that was made for this request, compressed in slices.
 *
 * @param request A GET or HEAD.
 * @param text The text.
 * @param headers Headers of the response.
 * @returns The response, without an entity tag.
 */
export async function sendFresh(
  request: Request,
  text: string,
  headers: Record<string, string>,
): Promise<Response> {
  return await sendText(request, fresh(request, new TextEncoder().encode(text)), headers);
}

/**
 * Sends JSON that the client may revalidate.
 *
 * @param request A GET or HEAD.
 * @param body JSON text.
 * @param type Its media type.
 * @returns 200 with a weak entity tag, or 304.
 */
export async function tagged(
  request: Request,
  body: string,
  type = "application/json",
): Promise<Response> {
  const bytes = new TextEncoder().encode(body);
  const tag = await eTag(bytes, { weak: true });
  return await sendText(request, { ...fresh(request, bytes), tag }, {
    "content-type": type,
    "cache-control": "private, no-cache",
    vary: "Accept-Encoding, Authorization, Cookie",
  });
}

const NO_ENCODERS: Text["encoders"] = new Map();

function fresh(request: Request, bytes: Bytes): Text {
  if (bytes.length < LEAST_COMPRESSED) return { bytes, encoders: NO_ENCODERS };
  return { bytes, encoders: new Map([["gzip", () => packedIn(bytes, workOf(request).turn)]]) };
}

/**
 * Chooses the coding of a response.
 *
 * @param request The request.
 * @param offered Codings that the server has, the best first.
 * @returns One that the client accepts; undefined for none: also where it names none, like a plain curl, which writes what it gets.
 */
export function chooseCoding<T extends Coding>(request: Request, ...offered: T[]): T | undefined {
  if (!request.headers.get("accept-encoding")?.trim()) return undefined;
  const best = acceptsEncodings<T | "identity">(request, ...offered, "identity");
  return best === "identity" ? undefined : best;
}

/**
 * Compares a request's `If-None-Match` with an entity tag.
 *
 * @param request The request.
 * @param tag The entity tag of the representation.
 * @returns Whether the client has the representation: send 304.
 */
export function hasTag({ headers }: Request, tag: string): boolean {
  return !ifNoneMatch(plainTags(headers), tag);
}

/**
 * Removes white space from a request's `If-None-Match`: `@std/http` splits it with a pattern that takes quadratic time on a run of
 * blanks.
 *
 * @param request A GET or HEAD.
 * @returns The request, or an equivalent one without a body.
 */
export function withPlainTags(request: Request): Request {
  const tags = plainTags(request.headers);
  if (tags === null) return request;
  const headers = new Headers(request.headers);
  headers.set("if-none-match", tags);
  return new Request("http://localhost/", { method: request.method, headers });
}

// No tag has white space in it (RFC 9110, 8.8.3).
function plainTags(headers: Headers): string | null {
  const value = headers.get("if-none-match");
  if (value === null) return null;
  return value.split(",").map((tag) => tag.trim()).filter((tag) => !/\s/.test(tag)).join(",");
}
