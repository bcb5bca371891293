/**
 * Checks the head of a request before anything parses it: its size, then the Host header that the runtime composed the address
 * from (threats.md H15, H16).
 *
 * @module
 */
import { refuse } from "../protocol/refusals.ts";
import { problem, SMALL_BODY } from "../web/responses.ts";

/** The most bytes of a head: method, address, and each header with four bytes around it. */
export const HEAD_BYTES = 32_768;

/** The most bytes of an address: room for the names of 128 channels. */
export const ADDRESS_BYTES = 16_384;

/** The most bytes of `Cookie` and of `Authorization`. */
export const CREDENTIAL_BYTES = 8192;

/** The most bytes of any other header that is parsed here. */
export const VALUE_BYTES = 4096;

const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie"]);

/** The other headers that are parsed, ntfy's with each of their names. */
const PARSED: ReadonlySet<string> = new Set(
  `accept accept-encoding accept-language connection content-encoding content-length content-type host idempotency-key
  if-modified-since if-none-match if-range last-event-id origin range referer sec-fetch-dest sec-fetch-mode sec-fetch-site
  sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version transfer-encoding upgrade
  x-forwarded-for x-forwarded-host x-forwarded-proto
  a action actions at attach cache call click delay e e-mail email encoding expires f file filename firebase i icon id in m mail
  markdown md message p po poll poll-id prio priority sched scheduled sequence-id si sid since t ta tag tags template ti title
  tpl ttl unifiedpush up wait
  x-action x-actions x-at x-attach x-cache x-call x-click x-delay x-e-mail x-email x-encoding x-expires x-filename x-firebase
  x-icon x-id x-in x-markdown x-message x-poll x-poll-id x-priority x-scheduled x-sequence-id x-since x-tag x-tags x-template
  x-title x-unifiedpush x-wait`.split(/\s+/),
);

// Liveness checks often send no Host, and learn nothing that depends on it.
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

// Addresses end up in logs and histories: a request with a token in its address is refused (threats.md H5).
const TOKENS: ReadonlySet<string> = new Set([
  "token",
  "access_token",
  "auth",
  "authorization",
  "jwt",
]);

// Every part has a bound of its own; `URL.canParse` checks the rest of a name.
const HOST = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/**
 * Tells whether a request asks for one of the addresses that answer without a Host and without a client address.
 *
 * @param request The request.
 * @returns Whether it does.
 */
export function isProbe({ url }: Request): boolean {
  return URL.canParse(url) && PROBES.has(new URL(url).pathname);
}

/**
 * Tells whether a text is a host as `Host` has it (RFC 9110, 7.2): a name or an address, and perhaps a port.
 *
 * @param text The text.
 * @returns Whether it is.
 */
export function isHost(text: string): boolean {
  const [, port = "0"] = HOST.exec(text) ?? [undefined, "none"];
  return Number(port) <= 65_535 && URL.canParse(`http://${text}`);
}

/**
 * Refuses a head that is too large or whose Host can't be trusted.
 *
 * @param request The request.
 * @param schemes What its address may begin with: `https` over TLS, else `http`; on a socket file also `http+unix`.
 * @returns The answer, 431 or 400; undefined where the head is right.
 */
export function refuseHead(request: Request, schemes: readonly string[]): Response | undefined {
  const large = faultInSize(request);
  if (large !== undefined) return problem(refuse("too_large", large), 431);
  const wrong = faultInHost(request, schemes);
  return wrong === undefined ? undefined : problem(refuse("bad_request", wrong));
}

/**
 * Tells whether a request has a token in its address.
 *
 * @param request The request.
 * @returns Whether its query names one.
 */
export function showsToken({ url }: Request): boolean {
  return [...new URL(url).searchParams.keys()].some((name) => TOKENS.has(name.toLowerCase()));
}

/**
 * Tells whether a request without a use for its body announces a large one. Deno (2.9.6) hands over no body of a GET, and
 * keeps in memory what arrives of it until the answer ends, which that of a stream doesn't. A small body, which some clients send
 * with each request, does no harm.
 *
 * @param request A GET or HEAD.
 * @returns Whether it does.
 */
export function announcesBody({ headers }: Request): boolean {
  return headers.has("transfer-encoding") ||
    Number(headers.get("content-length") ?? 0) > SMALL_BODY;
}

function faultInSize({ method, url, headers }: Request): string | undefined {
  if (url.length > ADDRESS_BYTES) return `The address has more than ${ADDRESS_BYTES} bytes`;
  let bytes = method.length + url.length;
  for (const [name, { length }] of headers) {
    bytes += name.length + length + 4;
    const most = CREDENTIALS.has(name) ? CREDENTIAL_BYTES : VALUE_BYTES;
    if (length > most && (CREDENTIALS.has(name) || PARSED.has(name))) {
      return `The header "${name}" has more than ${most} bytes`;
    }
  }
  return bytes > HEAD_BYTES ? `The head has more than ${HEAD_BYTES} bytes` : undefined;
}

function faultInHost(request: Request, schemes: readonly string[]): string | undefined {
  const { url, headers } = request;
  const host = headers.get("host");
  if (host === null && !schemes.includes("https")) {
    return isProbe(request) ? undefined : "The Host header is missing";
  }
  // By HTTP/2, which needs TLS here, the runtime has taken the host out of the head: it stands in the address alone.
  const start = "https://".length;
  const named = host ?? url.slice(start, url.indexOf("/", start));
  if (!isHost(named)) {
    return "The Host header is wrong: expected a host name or an IP address, and a port up to 65535";
  }
  const begins = (start: string) =>
    url.slice(0, start.length).toLowerCase() === start.toLowerCase();
  return schemes.some((scheme) => begins(`${scheme}://${named}/`))
    ? undefined
    : "The address of the request names another host than its Host header";
}
