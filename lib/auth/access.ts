/** Who is it, and may it do this. Asked for every command and every request. */
import { createHash, timingSafeEqual } from "node:crypto";
import { Cookies, type CookieSettings } from "./cookies.ts";
import { ALL_DIRECT, parseChannel } from "../protocol/channel.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Mute } from "../protocol/message.ts";
import { covers, type Grant, Tokens, type TokenSettings } from "./tokens.ts";

/** Who speaks: an account, a browser whose session isn't recorded yet, the admin, or nobody. */
export interface Who {
  /** Null for whoever shows the admin token alone, for a session that isn't recorded, and for nobody. */
  readonly account: string | null;
  /** Whether the admin token was shown, now or when the browser was given a cookie for it. */
  readonly admin: boolean;
  /** A browser's session, by its hash. */
  readonly session?: string;
  /** The token of its session, which the next page gives again: its cookie lives a year from then on. */
  readonly renew?: string;
  /** The account whose cookie of version 0.1 the next page or handshake exchanges. */
  readonly exchange?: string;
  /** Names the admin token that was shown; another token ends what it allowed. */
  readonly proof?: string;
  /** What the token of a program says. */
  readonly grant?: Grant;
}

/** Someone without an account. */
export const NOBODY: Who = { account: null, admin: false };

/** What may be done in a channel. */
export type Action = "read" | "publish";

/** What decides about access. */
export interface AccessSettings extends CookieSettings {
  readonly adminToken: string;
  /** Whether anyone may push. */
  readonly open: boolean;
  readonly tokens: TokenSettings;
}

/** Who shows a token, or what is wrong with it and whether someone may be trying tokens out. */
export type Shown =
  | { readonly who: Who }
  | { readonly fault: string; readonly guess: boolean };

/** Knows the accounts of cookies and tokens, and what they may do. */
export class Access {
  #settings: AccessSettings;
  #tokens: Tokens;
  /** The cookies of this server. */
  readonly cookies: Cookies;
  readonly #clock: () => number;
  #tokenHash: Uint8Array;
  // Until when each is muted.
  #mutes: ReadonlyMap<string, number> = new Map();
  // Names the token in cookies, and tells nothing of it.
  #proof: string;

  private constructor(settings: AccessSettings, cookies: Cookies, clock: () => number) {
    this.#settings = settings;
    this.cookies = cookies;
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
    return new Access(settings, await Cookies.create(settings), clock);
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
   * Finds the proof that a browser has shown the admin token.
   *
   * @param headers A request's.
   * @param secure Whether it came by TLS.
   * @returns The proof; undefined where there is none, or another token took that one's place.
   */
  async proof(headers: Headers, secure: boolean): Promise<string | undefined> {
    const proof = await this.cookies.proof(headers, secure);
    return proof === this.#proof ? proof : undefined;
  }

  /**
   * Lets a browser that showed the admin token push from now on. It isn't given the token: another token ends it.
   *
   * @param headers Of the answer; the cookie is added.
   * @param secure Whether it goes over TLS.
   */
  async giveAdmin(headers: Headers, secure: boolean): Promise<void> {
    await this.cookies.giveProof(headers, this.#proof, secure);
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
        return who.admin || isSomebody(who);
      case "dm":
        return who.account !== null && parsed.parties.includes(who.account);
    }
  }
}

/**
 * Tells whether somebody has an account, or gets one with what they do first.
 *
 * @param who Whoever it is.
 * @returns Whether it is an account or a browser with a session.
 */
export function isSomebody({ account, session }: Who): boolean {
  return account !== null || session !== undefined;
}

/** What is said to a connection whose token has ended. */
export const TOKEN_ENDED: Refusal = refuse(
  "unauthorized",
  "The token ended, come back with another",
);

/** What is said to a session that has ended. */
export const SESSION_ENDED: Refusal = refuse(
  "unauthorized",
  "This session has ended: open a page, which gives a new one",
);

function proofOf({ key }: AccessSettings, tokenHash: Uint8Array): string {
  const named = createHash("sha256").update(key).update(tokenHash).digest("hex");
  return `admin-${named.slice(0, 32)}`;
}

function hashOf(token: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(token).digest());
}
