/** What every HTTP answer of ours is made with: refusals as problem+json, and bodies read within bounds. */
import { type Refusal, type RefusalCode, REFUSALS, refuse, Refused } from "../protocol/refusals.ts";
import { toJson } from "../protocol/json.ts";
import type { Meter } from "../delivery/byte_rates.ts";
import { ENCODINGS, isEncoding, unpacked } from "./sliced_zlib.ts";
import { STATUS_TEXT, type StatusCode } from "@std/http/status";

/** How long a body may take to come, in milliseconds (threats.md H10). */
export const BODY_TIME = 10_000;

/** What all bodies that are being read may hold together, in bytes: clients that never finish theirs shall not fill the memory. */
export const BODIES_BYTES = 64 * 1_048_576;

/**
 * What a small body holds at most, in bytes. Those have as much room again: whoever fills the first with unfinished ones shan't
 * keep out who sends a line.
 */
export const SMALL_BODY = 8192;

const BODIES_RETRY = 2000;

// Where nobody knows how long it takes, such as on a full disk: whoever tries again at once only adds to it.
const UNKNOWN_RETRY = 5000;

// Of this isolate.
let held = 0;

/** What the work for a request goes by. */
export interface Work {
  /** Waits until others had their turn. */
  turn(): Promise<void>;
  /** Counts what is read and unpacked; undefined where that isn't counted. */
  readonly meter: Meter | undefined;
}

// Beside requests, as handlers are asked with a request alone.
const works = new WeakMap<Request, Work>();
const NO_WORK: Work = { turn: () => Promise.resolve(), meter: undefined };

/**
 * Says what the work for a request goes by.
 *
 * @param request The request.
 * @param work What its bodies are read, packed and unpacked by.
 */
export function setWork(request: Request, work: Work): void {
  works.set(request, work);
}

/**
 * Tells what the work for a request goes by.
 *
 * @param request The request.
 * @returns What was set; without that nothing is counted, and nobody waited for.
 */
export function workOf(request: Request): Work {
  return works.get(request) ?? NO_WORK;
}

// What every answer carries that doesn't say otherwise: nothing of it runs, is framed, or is taken for something else.
const HARD: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
};

/**
 * Adds the headers that an answer of ours has to have.
 *
 * @param response The answer; what it says itself stays.
 * @returns The same answer.
 */
export function harden(response: Response): Response {
  for (const [name, value] of Object.entries(HARD)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}

/**
 * Answers with JSON.
 *
 * @param body What; a text is JSON already.
 * @param status The HTTP status.
 * @returns The response.
 */
export function json(body: unknown, status = 200): Response {
  return new Response(typeof body === "string" ? body : toJson(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}

/**
 * Answers with a refusal (RFC 9457).
 *
 * @param refusal Why.
 * @param status The HTTP status, where it isn't that of the code.
 * @param headers More headers.
 * @returns The response.
 */
export function problem(
  { code, message, retry }: Refusal,
  status: StatusCode = REFUSALS[code],
  headers: Record<string, string> = {},
): Response {
  const body = { status, title: STATUS_TEXT[status], detail: message, code };
  const again = retry ?? (status === 503 ? UNKNOWN_RETRY : undefined);
  return new Response(toJson(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...(again === undefined ? {} : { "retry-after": String(Math.ceil(again / 1000)) }),
      ...headers,
    },
  });
}

/**
 * Refuses whoever shows nothing, or something that isn't right.
 *
 * @param sentence What is needed.
 * @returns The response.
 */
export function unauthorized(sentence: string): Response {
  return problem(refuse("unauthorized", sentence), 401, { "www-authenticate": "Bearer" });
}

/** A refusal with an HTTP status that isn't its code's, thrown from where a body is read. */
export class HttpRefused extends Refused {
  override name = "HttpRefused";
  /** Of the answer. */
  readonly headers: Record<string, string>;

  /**
   * @param status The HTTP status.
   * @param code The refusal's code.
   * @param message A sentence.
   * @param more Milliseconds after which to try again, and headers that say what would do.
   */
  constructor(
    readonly status: StatusCode,
    code: RefusalCode,
    message: string,
    { retry, headers = {} }: { retry?: number; headers?: Record<string, string> } = {},
  ) {
    super({ ...refuse(code, message), ...(retry === undefined ? {} : { retry }) });
    this.headers = headers;
  }
}

/** A body that came to no end: its client is gone, or the server goes. */
export class BodyBroken extends HttpRefused {
  override name = "BodyBroken";

  constructor() {
    super(400, "bad_request", "The body broke off");
  }
}

const BROKEN = { done: undefined, value: undefined };

/**
 * Reads a body to its end.
 *
 * @param request Whose body.
 * @param limit The most bytes, counted while reading.
 * @returns The bytes.
 * @throws {HttpRefused} If it is too long (413), packed in a way that we don't know (415), too slow (408) or broken (400), if too
 *   much comes at once (503), or if its client had too much unpacked (429).
 */
export async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (!isEncoding(encoding)) {
    const known = ENCODINGS.join(", ");
    const sentence = `A body comes as it is, or as one of ${known}`;
    throw new HttpRefused(415, "bad_request", sentence, { headers: { "accept-encoding": known } });
  }
  const tooLarge = new HttpRefused(413, "too_large", `The body has more than ${limit} bytes`);
  if (Number(request.headers.get("content-length")) > limit) throw tooLarge;
  const reader = request.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    reader?.cancel().catch(() => {});
  }, BODY_TIME);
  try {
    while (reader !== undefined) {
      // It throws where the client is gone, and with it whoever could be told; and where the server is shut down.
      const { done, value } = await reader.read().catch(() => BROKEN);
      if (late) throw new HttpRefused(408, "bad_request", "The body took too long to come");
      if (done === undefined) throw new BodyBroken();
      if (done) break;
      size += value.length;
      held += value.length;
      if (size > limit) throw tooLarge;
      if (held > (size > SMALL_BODY ? 1 : 2) * BODIES_BYTES) {
        const retry = { retry: BODIES_RETRY };
        throw new HttpRefused(503, "unavailable", "Too much is being sent at once", retry);
      }
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
    held -= size;
    await reader?.cancel().catch(() => {});
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  const { turn, meter } = workOf(request);
  if (encoding === "identity") {
    // Reading it takes milliseconds: others have their turn before.
    if (size > SMALL_BODY) await turn();
    return whole;
  }
  const wait = meter?.wait() ?? 0;
  if (wait > 0) {
    const sentence = "Too much was unpacked: send bodies as they are, or later";
    throw new HttpRefused(429, "rate_limited", sentence, { retry: wait });
  }
  try {
    // What is small and grows is stopped where it is too large.
    const bytes = await unpacked(whole, encoding, limit, async (bytes) => {
      meter?.spend(bytes);
      await turn();
    });
    if (bytes.length > SMALL_BODY) await turn();
    return bytes;
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge;
    throw new HttpRefused(400, "bad_request", `The body isn't ${encoding}`);
  }
}

/** The most fields of a form, empty ones too. */
export const MOST_FIELDS = 100;

/**
 * Reads a form.
 *
 * @param request A request with `application/x-www-form-urlencoded`.
 * @param limit The most bytes.
 * @returns Its fields.
 * @throws {HttpRefused} If it has another type or too many fields (400), or the body can't be read.
 */
export async function readForm(request: Request, limit: number): Promise<URLSearchParams> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw new HttpRefused(
      400,
      "bad_request",
      "Send a form: Content-Type application/x-www-form-urlencoded",
    );
  }
  const text = new TextDecoder().decode(await readBody(request, limit));
  // Each is an object: a hundred thousand of them take a tenth of a second.
  if (text.split("&", MOST_FIELDS + 1).length > MOST_FIELDS) {
    throw new HttpRefused(400, "bad_request", `A form has at most ${MOST_FIELDS} fields`);
  }
  return new URLSearchParams(text);
}

/**
 * Reads a body that has to be JSON.
 *
 * @param request A request with `application/json`.
 * @param limit The most bytes.
 * @returns The JSON text.
 * @throws {HttpRefused} If it has another type (415), isn't UTF-8 (400), or can't be read.
 */
export async function readJson(request: Request, limit: number): Promise<string> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    const headers = { accept: "application/json" };
    const sentence = "Send JSON: Content-Type application/json";
    throw new HttpRefused(415, "bad_request", sentence, { headers });
  }
  return await readText(request, limit);
}

/**
 * Reads a body that has to be text.
 *
 * @param request A request.
 * @param limit The most bytes.
 * @returns The text.
 * @throws {HttpRefused} If it isn't UTF-8 (400), or can't be read.
 */
export async function readText(request: Request, limit: number): Promise<string> {
  const body = await readBody(request, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new HttpRefused(400, "bad_request", "The body isn't UTF-8");
  }
}

/**
 * Finds the token that a request shows: as a bearer, or as the password of Basic with any user name.
 *
 * @param headers The request's.
 * @returns The token; undefined where it shows none.
 */
export function bearerIn(headers: Headers): string | undefined {
  const [scheme, shown] = authorizationIn(headers);
  return scheme === "basic" ? basicIn(shown).password : scheme === "bearer" ? shown : undefined;
}

/**
 * Finds the user name that a request shows beside its token.
 *
 * @param headers The request's.
 * @returns The name; undefined where it shows none, or an empty one.
 */
export function userIn(headers: Headers): string | undefined {
  const [scheme, shown] = authorizationIn(headers);
  return scheme === "basic" && basicIn(shown).user || undefined;
}

function authorizationIn(headers: Headers): [scheme: string, shown: string] {
  const header = headers.get("authorization")?.trim() ?? "";
  const [scheme = ""] = header.split(/[ \t]/, 1);
  return [scheme.toLowerCase(), header.slice(scheme.length).trim()];
}

// What can't be read is a token that isn't right.
function basicIn(shown: string): { user: string; password: string } {
  try {
    const text = new TextDecoder().decode(Uint8Array.fromBase64(shown));
    const colon = text.indexOf(":");
    return {
      user: text.slice(0, Math.max(0, colon)),
      password: text.slice(colon + 1),
    };
  } catch {
    return { user: "", password: "" };
  }
}

/** Says that there is nothing at an address. */
export function notFound(): Response {
  return problem(refuse("not_found", "There is nothing at this address"));
}
