/** Who is it, and may it do this. Asked for every command and every request. */
import { type Cookie, setCookie } from "@std/http/cookie";
import {
  parseSignedCookie,
  signCookie,
  verifySignedCookie,
} from "@std/http/unstable-signed-cookie";
import { createHash, timingSafeEqual } from "node:crypto";
import { ALL_DIRECT, parseChannel } from "./protocol/channel.ts";
import { type Refusal, refuse } from "./protocol/codes.ts";
import type { Mute } from "./protocol/message.ts";
import { covers, type Grant, Tokens, type TokenSettings } from "./tokens.ts";

/** Who speaks: an account, the admin, or nobody. */
export interface Who {
  /** Null for whoever shows the admin token alone, and for nobody. */
  readonly account: string | null;
  /** Whether the admin token was shown, now or when the browser was given a cookie for it. */
  readonly admin: boolean;
  /** Whether the account's cookie is signed by an older key: the next page gives it a new one. */
  readonly renew?: boolean;
  /** Names the admin token that was shown; another token ends what it allowed. */
  readonly proof?: string;
  /** What the token of a program says. */
  readonly grant?: Grant;
}

/** Someone without an account. */
export const NOBODY: Who = { account: null, admin: false };

/** What may be done in a channel. */
export type Action = "read" | "publish";

/** A key that cookies were signed with before. */
export interface OlderKey {
  readonly key: Uint8Array<ArrayBuffer>;
  /** Until when its cookies are good, in milliseconds since 1970. */
  readonly until: number;
}

/** What decides about access. */
export interface AccessSettings {
  /** At least 32 random bytes: the key that cookies are signed with. */
  readonly key: Uint8Array<ArrayBuffer>;
  /** Keys that were it before: their cookies are good for some time. */
  readonly older?: readonly OlderKey[];
  readonly adminToken: string;
  /** Whether anyone may push. */
  readonly open: boolean;
  readonly tokens: TokenSettings;
}

/** Who shows a token, or what is wrong with it and whether someone may be trying tokens out. */
export type Shown =
  | { readonly who: Who }
  | { readonly fault: string; readonly guess: boolean };

const YEAR = 365 * 86_400;
const MAX_COOKIE = 128;
const MAX_TRIED = 4;
const ACCOUNT = /^[0-9a-f]{8}$/;

/** Knows the accounts of cookies and tokens, and what they may do. */
export class Access {
  #settings: AccessSettings;
  #tokens: Tokens;
  readonly #key: CryptoKey;
  // Each finds the cookies of one older key.
  readonly #older: { readonly access: Access; readonly until: number }[] = [];
  readonly #mark: string;
  readonly #clock: () => number;
  #tokenHash: Uint8Array;
  // Until when each is muted.
  #mutes: ReadonlyMap<string, number> = new Map();
  // Names the token in cookies, and tells nothing of it.
  #proof: string;

  private constructor(
    settings: AccessSettings,
    { key, mark, clock }: { key: CryptoKey; mark: string; clock: () => number },
  ) {
    this.#settings = settings;
    this.#key = key;
    this.#mark = mark;
    this.#clock = clock;
    this.#tokens = new Tokens(settings.tokens);
    this.#tokenHash = hashOf(settings.adminToken);
    this.#proof = proofOf(settings, this.#tokenHash);
  }

  /**
   * Prepares the key.
   *
   * @param settings What decides.
   * @param clock Milliseconds since 1970.
   * @returns Ready to be asked.
   */
  static async create(settings: AccessSettings, clock: () => number = Date.now): Promise<Access> {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", settings.key, hmac, false, ["sign", "verify"]);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", settings.key));
    // Cookies don't know ports: two servers on one host need two names.
    const access = new Access(settings, { key, mark: hash.toHex().slice(0, 4), clock });
    for (const { key, until } of settings.older ?? []) {
      const older = await Access.create({ ...settings, key, older: [] }, clock);
      access.#older.push({ access: older, until });
    }
    return access;
  }

  /**
   * Goes by other settings from now on; who came before may have to go.
   *
   * @param settings What decides; the keys of cookies stay as they were.
   */
  renew(settings: AccessSettings): void {
    this.#settings = settings;
    this.#tokens = new Tokens(settings.tokens);
    this.#tokenHash = hashOf(settings.adminToken);
    this.#proof = proofOf(settings, this.#tokenHash);
  }

  /**
   * Goes by other mutes from now on.
   *
   * @param mutes All that are in force.
   */
  mute(mutes: readonly Mute[]): void {
    this.#mutes = new Map(mutes.map(({ account, until = Infinity }) => [account, until]));
  }

  /**
   * Tells whether someone is muted: then it reads, and publishes nothing, whatever else it may.
   *
   * @param who Whose account.
   * @returns What it is told; undefined where it isn't.
   */
  muted({ account }: Who): Refusal | undefined {
    const until = account === null ? undefined : this.#mutes.get(account);
    if (until === undefined || until <= this.#clock()) return undefined;
    const end = until === Infinity ? "" : ` until ${new Date(until).toISOString()}`;
    return refuse("forbidden", `Your account is muted${end}: you may read and not publish`);
  }

  /**
   * Tells whether what someone showed holds no longer.
   *
   * @param who Whom it was right for.
   * @returns Whether the token ended, was withdrawn, or is no longer the admin's.
   */
  ended({ admin, proof, grant }: Who): boolean {
    if (admin && proof !== this.#proof) return true;
    return grant !== undefined && this.#tokens.ended(grant, this.#clock());
  }

  /**
   * Finds out who a browser is, by the cookies that it was given.
   *
   * @param headers A request's.
   * @param secure Whether it came by TLS: then only cookies count that were given over TLS, which nobody else can plant.
   * @returns Its account and whether it showed the admin token; nobody without a cookie of ours that is whole.
   */
  async browser(headers: Headers, secure: boolean): Promise<Who> {
    const who = await this.#browser(headers, secure);
    if (who.account !== null) return who;
    for (const { access, until } of this.#older) {
      if (this.#clock() > until) continue;
      const { account } = await access.#browser(headers, secure);
      if (account !== null) return { ...who, account, renew: true };
    }
    return who;
  }

  async #browser(headers: Headers, secure: boolean): Promise<Who> {
    const account = await this.#read(
      headers,
      this.#cookie("", secure),
      (value) => ACCOUNT.test(value),
    );
    const admin = await this.#read(
      headers,
      this.#cookie("admin_", secure),
      (value) => value === this.#proof,
    );
    const proven = admin === undefined ? {} : { proof: admin };
    return { account: account ?? null, admin: admin !== undefined, ...proven };
  }

  /**
   * Gives a browser an account.
   *
   * @param headers Of the answer; the cookie is added.
   * @param account Eight lower-case hex digits.
   * @param secure Whether it goes over TLS.
   */
  async give(headers: Headers, account: string, secure: boolean): Promise<void> {
    const cookie = { name: this.#cookie("", secure), sameSite: "Lax" as const };
    await this.#set(headers, cookie, account, secure);
  }

  /**
   * Lets a browser that showed the admin token push from now on. It isn't given the token: another token ends it.
   *
   * @param headers Of the answer; the cookie is added.
   * @param secure Whether it goes over TLS.
   */
  async giveAdmin(headers: Headers, secure: boolean): Promise<void> {
    const cookie = { name: this.#cookie("admin_", secure), sameSite: "Strict" as const };
    await this.#set(headers, cookie, this.#proof, secure);
  }

  /**
   * Looks at a bearer token, in a time that doesn't depend on how much of it is right.
   *
   * @param token From the `Authorization` header, from `hello` or from the send page.
   * @returns Who it is, or what is wrong with it.
   */
  async token(token: string): Promise<Shown> {
    if (timingSafeEqual(hashOf(token), this.#tokenHash)) {
      return { who: { account: null, admin: true, proof: this.#proof } };
    }
    const looked = await this.#tokens.look(token, this.#clock());
    if ("fault" in looked) return looked;
    const { grant } = looked;
    return { who: { account: grant.account, admin: false, grant } };
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
    return this.refusal(who, action, channel) === undefined;
  }

  /**
   * Decides, and says why not.
   *
   * @param who Who wants it.
   * @param action What.
   * @param channel Where: a channel's name, or `dm:*`.
   * @returns What to say to whoever may not.
   */
  refusal(who: Who, action: Action, channel: string): Refusal | undefined {
    const muted = action === "publish" ? this.muted(who) : undefined;
    if (muted !== undefined || this.#allows(who, action, channel)) return muted;
    return refuse(
      "forbidden",
      `You may not ${action === "read" ? "read" : "publish in"} ${channel}`,
    );
  }

  #allows(who: Who, action: Action, channel: string): boolean {
    // What a token lists is all that it is for.
    const listed = action === "read" ? who.grant?.subscribe : who.grant?.publish;
    if (listed !== undefined && !covers(listed, channel)) return false;
    if (channel === ALL_DIRECT) return action === "read" && who.account !== null;
    const parsed = parseChannel(channel);
    if (parsed === undefined) return false;
    switch (parsed.kind) {
      case "push":
        return action === "read" || who.admin || listed !== undefined || this.#settings.open;
      case "room":
        return who.admin || who.account !== null;
      case "dm":
        return who.account !== null && parsed.parties.includes(who.account);
    }
  }

  #cookie(what: string, secure: boolean): string {
    return `${secure ? "__Host-" : ""}fanfare_${what}${this.#mark}`;
  }

  async #set(
    headers: Headers,
    cookie: Pick<Cookie, "name" | "sameSite">,
    value: string,
    secure: boolean,
  ): Promise<void> {
    const signed = await signCookie(value, this.#key);
    setCookie(headers, {
      ...cookie,
      value: signed,
      httpOnly: true,
      secure,
      path: "/",
      maxAge: YEAR,
    });
  }

  async #read(
    headers: Headers,
    wanted: string,
    fits: (value: string) => boolean,
  ): Promise<string | undefined> {
    // Two of our name may come, such as one of another path: the first that is whole counts.
    let tried = 0;
    for (const pair of (headers.get("cookie") ?? "").split(";")) {
      const [name, ...rest] = pair.split("=");
      if (name?.trim() !== wanted || ++tried > MAX_TRIED) continue;
      const value = await this.#verified(rest.join("=").trim());
      if (value !== undefined && fits(value)) return value;
    }
    return undefined;
  }

  async #verified(signed: string): Promise<string | undefined> {
    if (signed.length > MAX_COOKIE) return undefined;
    try {
      return await verifySignedCookie(signed, this.#key) ? parseSignedCookie(signed) : undefined;
    } catch {
      // A cookie that isn't even of the right form throws; it counts as none, like one with a wrong signature.
      return undefined;
    }
  }
}

function proofOf({ key }: AccessSettings, tokenHash: Uint8Array): string {
  const named = createHash("sha256").update(key).update(tokenHash).digest("hex");
  return `admin-${named.slice(0, 32)}`;
}

function hashOf(token: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(token).digest());
}
