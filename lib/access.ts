/** Who is it, and may it do this. Asked for every command and every request. */
import { type Cookie, setCookie } from "@std/http/cookie";
import {
  parseSignedCookie,
  signCookie,
  verifySignedCookie,
} from "@std/http/unstable-signed-cookie";
import { timingSafeEqual } from "node:crypto";
import { ALL_DIRECT, parseChannel } from "./protocol/channel.ts";

/** Who speaks: an account, the admin, or nobody. */
export interface Who {
  /** Null for the admin and for nobody. */
  readonly account: string | null;
  readonly admin: boolean;
}

/** Someone without an account. */
export const NOBODY: Who = { account: null, admin: false };

/** What may be done in a channel. */
export type Action = "read" | "publish";

/** What decides about access. */
export interface AccessSettings {
  /** At least 32 random bytes: the key that cookies are signed with. */
  readonly key: Uint8Array<ArrayBuffer>;
  readonly adminToken: string;
  /** Whether anyone may push. */
  readonly open: boolean;
}

const YEAR = 365 * 86_400;
const MAX_COOKIE = 128;
const MAX_TRIED = 4;
const ADMIN: Who = { account: null, admin: true };

/** Knows the accounts of cookies and tokens, and what they may do. */
export class Access {
  readonly #settings: AccessSettings;
  readonly #key: CryptoKey;
  readonly #cookie: string;

  private constructor(settings: AccessSettings, key: CryptoKey, cookie: string) {
    this.#settings = settings;
    this.#key = key;
    this.#cookie = cookie;
  }

  /**
   * Prepares the key.
   *
   * @param settings What decides.
   * @returns Ready to be asked.
   */
  static async create(settings: AccessSettings): Promise<Access> {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", settings.key, hmac, false, ["sign", "verify"]);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", settings.key));
    // Cookies don't know ports: two servers on one host need two names.
    return new Access(settings, key, `fanfare_${hash.toHex().slice(0, 4)}`);
  }

  /**
   * Finds the account that a browser was given.
   *
   * @param headers A request's.
   * @returns The account, or undefined without a cookie of ours that is whole.
   */
  async account(headers: Headers): Promise<string | undefined> {
    // Two of our name may come, such as one of another path: the first that is whole counts.
    let tried = 0;
    for (const pair of (headers.get("cookie") ?? "").split(";")) {
      const [name, ...rest] = pair.split("=");
      if (name?.trim() !== this.#cookie || ++tried > MAX_TRIED) continue;
      const account = await this.#verified(rest.join("=").trim());
      if (account !== undefined) return account;
    }
    return undefined;
  }

  /**
   * Gives a browser an account.
   *
   * @param headers Of the answer; the cookie is added.
   * @param account Eight lower-case hex digits.
   */
  async give(headers: Headers, account: string): Promise<void> {
    const cookie: Cookie = {
      name: this.#cookie,
      value: await signCookie(account, this.#key),
      httpOnly: true,
      sameSite: "Lax",
      path: "/",
      maxAge: YEAR,
    };
    setCookie(headers, cookie);
  }

  async #verified(signed: string): Promise<string | undefined> {
    if (signed.length > MAX_COOKIE) return undefined;
    try {
      if (!await verifySignedCookie(signed, this.#key)) return undefined;
      const account = parseSignedCookie(signed);
      return /^[0-9a-f]{8}$/.test(account) ? account : undefined;
    } catch {
      // A cookie that isn't even of the right form throws; it counts as none, like one with a wrong signature.
      return undefined;
    }
  }

  /**
   * Looks at a bearer token.
   *
   * @param token From the `Authorization` header or from `hello`.
   * @returns Who it is, or undefined if it is none of ours.
   */
  token(token: string): Who | undefined {
    const [given, ours] = [token, this.#settings.adminToken].map((text) =>
      new TextEncoder().encode(text)
    );
    if (given === undefined || ours === undefined || given.length !== ours.length) return undefined;
    return timingSafeEqual(given, ours) ? ADMIN : undefined;
  }

  /**
   * Decides.
   *
   * @param who Who wants it.
   * @param action What.
   * @param channel Where: a channel's name, or `dm:*`.
   * @returns Whether it may.
   */
  may(who: Who, action: Action, channel: string): boolean {
    if (channel === ALL_DIRECT) return action === "read" && who.account !== null;
    const parsed = parseChannel(channel);
    if (parsed === undefined) return false;
    switch (parsed.kind) {
      case "push":
        return action === "read" || who.admin || this.#settings.open;
      case "room":
        return who.admin || who.account !== null;
      case "dm":
        return who.account !== null && parsed.parties.includes(who.account);
    }
  }
}
