/**
 * Cookies: the token of a session, the proof of the admin token, and accounts as version 0.1 gave them. A session's token is 256
 * random bits and carries no signature: whether it is one is found by its SHA-256 in an index. The time that
 * takes reveals nothing of a token, since an attacker can't choose hashes: no comparison in constant time is needed.
 */
import { type Cookie, setCookie } from "@std/http/cookie";
import {
  parseSignedCookie,
  signCookie,
  verifySignedCookie,
} from "@std/http/unstable-signed-cookie";
import { createHash, createHmac } from "node:crypto";

/** A key that cookies of version 0.1 were signed with, before another took its place. */
export interface OlderKey {
  readonly key: Uint8Array<ArrayBuffer>;
  /** Until when its cookies are good, in milliseconds since 1970. */
  readonly until: number;
}

/** What cookies are made with. */
export interface CookieSettings {
  /** At least 32 random bytes: they name the cookies of this server, sign the admin's, and signed those of 0.1. */
  readonly key: Uint8Array<ArrayBuffer>;
  /** Keys that were it while version 0.1 served. */
  readonly older?: readonly OlderKey[];
}

const YEAR = 365 * 86_400;
const TOKEN_BYTES = 32;
// 43 characters hold 258 bits: the last two must be 0.
const TOKEN = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const OLD = /^[0-9a-f]{8}\./;
const MAX_COOKIE = 128;

// A browser may send several cookies of one name, of different paths.
const MAX_TRIED = 4;

interface Key {
  readonly name: string;
  readonly signing: CryptoKey;
  readonly until: number;
}

/** Reads and gives the cookies of one server. */
export class Cookies {
  readonly #settings: CookieSettings;
  // The first is that of now.
  readonly #keys: readonly [Key, ...Key[]];

  private constructor(settings: CookieSettings, keys: readonly [Key, ...Key[]]) {
    this.#settings = settings;
    this.#keys = keys;
  }

  /**
   * Prepares the keys.
   *
   * @param settings What cookies are made with.
   * @returns Ready to read and give.
   */
  static async create(settings: CookieSettings): Promise<Cookies> {
    const first = await keyOf({ key: settings.key, until: Infinity });
    const older = await Promise.all((settings.older ?? []).map(keyOf));
    return new Cookies(settings, [first, ...older]);
  }

  /**
   * Finds the tokens of sessions that a request brings.
   *
   * @param headers The request's.
   * @param secure Whether it came by TLS: then only the name with the prefix `__Host-` counts.
   * @returns Those of the right form, at most four.
   */
  tokens(headers: Headers, secure: boolean): string[] {
    return valuesOf(headers, nameOf(this.#keys[0], "", secure)).filter((value) =>
      TOKEN.test(value)
    );
  }

  /**
   * Gives a session's token to a browser, for a year.
   *
   * @param headers Of the answer; the cookie is added.
   * @param token The token.
   * @param secure Whether it goes over TLS.
   */
  give(headers: Headers, token: string, secure: boolean): void {
    this.#set(headers, { name: nameOf(this.#keys[0], "", secure), sameSite: "Lax" }, token, secure);
  }

  /**
   * Finds the account of a cookie of version 0.1.
   *
   * @param headers A request's.
   * @param secure Whether it came by TLS.
   * @param now Milliseconds since 1970: keys whose last day is over don't count.
   * @returns The account; undefined where there is no such cookie, or its signature is wrong.
   */
  async old(headers: Headers, secure: boolean, now: number): Promise<string | undefined> {
    for (const key of this.#keys) {
      if (now > key.until) continue;
      for (const value of valuesOf(headers, nameOf(key, "", secure))) {
        if (OLD.test(value) && await isSigned(value, key)) return parseSignedCookie(value);
      }
    }
    return undefined;
  }

  /**
   * Makes the token that takes the place of an account's cookie of version 0.1: always the same one, so that a page and its socket
   * that bring the old cookie at the same time are given one session.
   *
   * @param account The account.
   * @returns The token.
   */
  exchanged(account: string): string {
    return createHmac("sha256", this.#settings.key).update(`session of ${account}`)
      .digest("base64url");
  }

  /**
   * Finds the proof of the admin token that a browser was given.
   *
   * @param headers A request's.
   * @param secure Whether it came by TLS.
   * @returns What was signed; undefined where there is no such cookie that is whole.
   */
  async proof(headers: Headers, secure: boolean): Promise<string | undefined> {
    const [key] = this.#keys;
    for (const value of valuesOf(headers, nameOf(key, "admin_", secure))) {
      if (await isSigned(value, key)) return parseSignedCookie(value);
    }
    return undefined;
  }

  /**
   * Gives a browser the proof of the admin token.
   *
   * @param headers Of the answer; the cookie is added.
   * @param proof What is signed; it tells nothing of the token.
   * @param secure Whether it goes over TLS.
   */
  async giveProof(headers: Headers, proof: string, secure: boolean): Promise<void> {
    const [key] = this.#keys;
    const cookie = { name: nameOf(key, "admin_", secure), sameSite: "Strict" as const };
    this.#set(headers, cookie, await signCookie(proof, key.signing), secure);
  }

  #set(
    headers: Headers,
    cookie: Pick<Cookie, "name" | "sameSite">,
    value: string,
    secure: boolean,
  ): void {
    setCookie(headers, { ...cookie, value, httpOnly: true, secure, path: "/", maxAge: YEAR });
  }
}

/**
 * Makes the token of a new session.
 *
 * @returns 256 random bits in base64url, 43 characters.
 */
export function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * Makes the hash by which a session is known.
 *
 * @param token Its token.
 * @returns SHA-256 in hex.
 */
export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

async function keyOf({ key, until }: OlderKey): Promise<Key> {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const signing = await crypto.subtle.importKey("raw", key, hmac, false, ["sign", "verify"]);
  // Cookies don't know ports: two servers on one host need two names.
  return { name: createHash("sha256").update(key).digest("hex").slice(0, 4), signing, until };
}

function nameOf({ name }: Key, what: string, secure: boolean): string {
  return `${secure ? "__Host-" : ""}fanfare_${what}${name}`;
}

function valuesOf(headers: Headers, wanted: string): string[] {
  const values: string[] = [];
  for (const pair of (headers.get("cookie") ?? "").split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== wanted) continue;
    const value = pair.slice(equals + 1).trim();
    if (value.length <= MAX_COOKIE) values.push(value);
    if (values.length === MAX_TRIED) break;
  }
  return values;
}

async function isSigned(value: string, { signing }: Key): Promise<boolean> {
  try {
    return await verifySignedCookie(value, signing);
  } catch {
    // One that isn't even of the right form throws; it counts as none, like one with a wrong signature.
    return false;
  }
}
