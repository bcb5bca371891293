/**
 * Reading and writing cookies on `Headers` (RFC 6265).
 *
 * @module
 */

/** A cookie as a server sets it. */
export interface Cookie {
  /** The name; a token in the sense of HTTP. */
  name: string;
  /** The value; printable ASCII with no space, quote, comma, semicolon or backslash. */
  value: string;
  /** The moment at which it ends, as a date or in milliseconds since 1970. */
  expires?: Date | number;
  /** How many seconds it lives; 0 deletes it. */
  maxAge?: number;
  /** The domain whose hosts get it back. */
  domain?: string;
  /** The path under which it is sent back. */
  path?: string;
  /**
   * Whether it goes over TLS only.
   *
   * @default {false}
   */
  secure?: boolean;
  /**
   * Whether it is hidden from scripts.
   *
   * @default {false}
   */
  httpOnly?: boolean;
  /**
   * Whether each top-level site that embeds the page has its own.
   *
   * @default {false}
   */
  partitioned?: boolean;
  /** Which requests that come from other sites carry it. */
  sameSite?: "Strict" | "Lax" | "None";
  /**
   * Further attributes, each written as it should appear.
   *
   * @default {[]}
   */
  unparsed?: string[];
}

const NAME = /^[!#$%&'*+\-./0-9A-Z^_`a-z|~]+$/;
const VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e\x80]*$/;
const PATH = /^[\x20-\x3a\x3c-\x7e]*$/;
const DOMAIN = /^(?!-)(?:.*[^.-])?$/s;

/**
 * Reads the cookies that a request carries.
 *
 * @param headers The headers of the request.
 * @returns Name to value, without a prototype; of two with one name the last one holds.
 * @throws {SyntaxError} If one of them has no name.
 */
export function getCookies(headers: Headers): Partial<Record<string, string>> {
  const cookies: Partial<Record<string, string>> = Object.create(null);
  const header = headers.get("cookie");
  if (header === null) return cookies;
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (name === "") throw new SyntaxError(`Cannot read cookies: "${pair}" has no name`);
    cookies[name.trim()] = equals < 0 ? "" : pair.slice(equals + 1);
  }
  return cookies;
}

/**
 * Adds a `Set-Cookie` line. A name that starts with `__Secure` makes the cookie secure; one that
 * starts with `__Host` makes it secure, for the path `/`, with no domain. A cookie with an empty
 * name is left out.
 *
 * @param headers The headers of the response.
 * @param cookie The cookie to set.
 * @throws {SyntaxError} If the name, value, path or domain has a character that doesn't belong.
 * @throws {RangeError} If `maxAge` is negative.
 */
export function setCookie(headers: Headers, cookie: Cookie): void {
  if (cookie.name) headers.append("set-cookie", format(cookie));
}

function format(cookie: Cookie): string {
  const { name, value, expires, maxAge, sameSite } = cookie;
  const isHost = name.startsWith("__Host");
  const domain = isHost ? undefined : cookie.domain;
  const path = isHost ? "/" : cookie.path;
  check("name", name, NAME);
  check("value", value, VALUE);

  const parts = [`${name}=${value}`];
  if (cookie.secure || isHost || name.startsWith("__Secure")) parts.push("Secure");
  if (cookie.httpOnly) parts.push("HttpOnly");
  if (cookie.partitioned) parts.push("Partitioned");
  if (maxAge !== undefined && Number.isInteger(maxAge)) {
    if (maxAge < 0) throw new RangeError(`Cannot set a cookie: maxAge "${maxAge}" is negative`);
    parts.push(`Max-Age=${maxAge}`);
  }
  if (domain) parts.push(`Domain=${check("domain", domain, DOMAIN)}`);
  if (sameSite) parts.push(`SameSite=${sameSite}`);
  if (path) parts.push(`Path=${check("path", path, PATH)}`);
  if (expires) parts.push(`Expires=${new Date(expires).toUTCString()}`);
  if (cookie.unparsed) parts.push(cookie.unparsed.join("; "));
  return parts.join("; ");
}

function check(what: string, text: string, pattern: RegExp): string {
  if (pattern.test(text)) return text;
  throw new SyntaxError(`Cannot set a cookie: ${what} "${text}" has a character not allowed there`);
}
