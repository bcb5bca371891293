/** Tokens of other programs: JWT whose signature, times and claims are right (design: claims `sub`, `name`, `exp`, `channels`). */
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyOptions,
} from "jose";
import { isAccount } from "../protocol/channel.ts";
import { faultInName } from "../protocol/command.ts";

/** The audience that tokens are for where no other is named. */
export const AUDIENCE = "fanfare";

/** How far another machine's clock may be off, in seconds. */
export const LEEWAY = 30;

/** How far ahead a token's `iat` may lie, in seconds: clocks differ. */
export const AHEAD = 60;

// A token that is made right after a withdrawal is another one, in seconds.
const SOON = 5;

/** Tokens that are no longer taken: one by its `jti`, or those of an account that were made before a time. */
export type Withdrawal =
  | { readonly jti: string }
  | {
    readonly account: string;
    /** Seconds since 1970, as in `iat`; tokens without `iat` count as made before. */
    readonly before: number;
    /** When it was withdrawn, in seconds since 1970: tokens whose `iat` lay ahead then are withdrawn too. */
    readonly made?: number;
  };

/** What tokens are looked at with; it goes between isolates. */
export interface TokenSettings {
  /** At least 32 bytes, for HS256. */
  readonly secret?: Uint8Array<ArrayBuffer>;
  /** Public keys, for RS256, ES256 and EdDSA. */
  readonly jwks?: JSONWebKeySet;
  /** The claim that names the account. */
  readonly accountClaim: string;
  /** What `aud` has to hold; where none is named a token may do without. */
  readonly audience?: string;
  readonly withdrawn: readonly Withdrawal[];
}

/** What a token says. */
export interface Grant {
  readonly account: string;
  /** The display name, absent where the claim isn't one by our rules. */
  readonly name?: string;
  /** Its `jti`. */
  readonly id?: string;
  /** Its `iat`, in seconds since 1970. */
  readonly issued?: number;
  /** When it ends, in milliseconds since 1970; absent where it goes on until it is withdrawn. */
  readonly ends?: number;
  /** Where it may publish: channels, or their beginnings with a `*` behind; where it is absent the usual rules hold. */
  readonly publish?: readonly string[];
  /** The same for reading. */
  readonly subscribe?: readonly string[];
}

/** What was found in a token, or what is wrong with it. */
export type Looked =
  | { readonly grant: Grant }
  | {
    /** A sentence for the client. */
    readonly fault: string;
    /** Whether it may be someone who tries tokens out: its signature isn't right. */
    readonly guess: boolean;
  };

const MAX_LENGTH = 8192;
// A withdrawal names no longer one.
const MAX_ID = 256;
const MAX_PATTERNS = 100;
const MAX_PATTERN = 160;
const PUBLIC = ["RS256", "ES256", "EdDSA"];

/** Looks at tokens. */
export class Tokens {
  readonly #settings: TokenSettings;
  readonly #keys: ReturnType<typeof createLocalJWKSet> | undefined;
  readonly #ids = new Set<string>();
  readonly #accounts = new Map<string, Extract<Withdrawal, { readonly account: string }>[]>();

  /** @param settings What it goes by. */
  constructor(settings: TokenSettings) {
    this.#settings = settings;
    this.#keys = settings.jwks === undefined ? undefined : createLocalJWKSet(settings.jwks);
    for (const withdrawal of settings.withdrawn) {
      if ("jti" in withdrawal) this.#ids.add(withdrawal.jti);
      else {
        const known = this.#accounts.get(withdrawal.account) ?? [];
        this.#accounts.set(withdrawal.account, [...known, withdrawal]);
      }
    }
  }

  /**
   * Looks at a token. Nothing of it is believed before its signature holds, and nothing that it names is ever fetched.
   *
   * @param token The token.
   * @param now Milliseconds since 1970.
   * @returns What it grants, or what is wrong with it.
   */
  async look(token: string, now: number): Promise<Looked> {
    const none = { fault: WRONG, guess: true };
    if (token.length > MAX_LENGTH) return none;
    const { audience } = this.#settings;
    const options = {
      clockTolerance: LEEWAY,
      currentDate: new Date(now),
      ...(audience === undefined ? {} : { audience }),
    };
    try {
      const { alg = "" } = decodeProtectedHeader(token);
      const { secret } = this.#settings;
      // Which key it is follows from the algorithm: a public key is never a secret.
      if (alg === "HS256" && secret !== undefined) {
        const { payload } = await jwtVerify(token, secret, { ...options, algorithms: ["HS256"] });
        return this.#read(payload, now);
      }
      if (!PUBLIC.includes(alg) || this.#keys === undefined) return none;
      const pinned = { ...options, algorithms: PUBLIC };
      return this.#read(await verified(token, this.#keys, pinned), now);
    } catch (error) {
      if (error instanceof errors.JWTExpired) return wrong("The token ended, come with another");
      if (error instanceof errors.JWTClaimValidationFailed) {
        return wrong(`The token isn't valid: its claim "${error.claim}" is wrong`);
      }
      return none;
    }
  }

  /**
   * Tells whether a token that was right is so no longer.
   *
   * @param grant What it said.
   * @param now Milliseconds since 1970.
   * @returns Whether it ended or was withdrawn.
   */
  ended(grant: Grant, now: number): boolean {
    const { id, account, issued = 0, ends = Infinity } = grant;
    const withdrawals = this.#accounts.get(account) ?? [];
    return now >= ends || (id !== undefined && this.#ids.has(id)) ||
      withdrawals.some(({ before, made = -Infinity }) =>
        issued < before || (issued > made + SOON && issued <= made + AHEAD)
      );
  }

  #read(payload: JWTPayload, now: number): Looked {
    const { accountClaim, audience } = this.#settings;
    const account = payload[accountClaim];
    if (typeof account !== "string" || !isAccount(account)) {
      return wrong(
        `The token's claim "${accountClaim}" must be an account: 1 to 63 letters, digits, "_" or "-"`,
      );
    }
    const { aud, jti, iat, exp, name } = payload;
    if (audience === undefined && aud !== undefined && ![aud].flat().includes(AUDIENCE)) {
      return wrong(`The token isn't valid: its claim "aud" is wrong`);
    }
    const channels = readChannels(payload.channels);
    if (channels === undefined) {
      return wrong(
        'The token\'s claim "channels" must be {"publish": [channels], "subscribe": [channels]}, where a channel may end in "*"',
      );
    }
    if (iat !== undefined && 1000 * (iat - AHEAD) > now) {
      return wrong(`The token isn't valid: its claim "iat" lies more than ${AHEAD} s ahead`);
    }
    // One that can't be withdrawn by it isn't taken.
    if (jti !== undefined && !isId(jti)) {
      return wrong(
        `The token isn't valid: its claim "jti" must be text of 1 to ${MAX_ID} characters`,
      );
    }
    const grant: Grant = {
      account,
      ...(typeof name === "string" && faultInName(name) === undefined ? { name } : {}),
      ...(jti === undefined ? {} : { id: jti }),
      ...(iat === undefined ? {} : { issued: iat }),
      ...(exp === undefined ? {} : { ends: endOf(exp, now) }),
      ...channels,
    };
    return this.ended(grant, now) ? wrong("The token was withdrawn, come with another") : { grant };
  }
}

/**
 * Tells whether a channel is among those of a token.
 *
 * @param patterns Channels, or their beginnings with a `*` behind.
 * @param channel A channel, or `dm:*`.
 * @returns Whether it is.
 */
export function covers(patterns: readonly string[], channel: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? channel.startsWith(pattern.slice(0, -1)) : channel === pattern
  );
}

// A token that has no `kid`, or one that several keys have, is looked at with each key that it may be of.
async function verified(
  token: string,
  keys: ReturnType<typeof createLocalJWKSet>,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (several) {
    if (!(several instanceof errors.JWKSMultipleMatchingKeys)) throw several;
    for await (const key of several) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw several;
  }
}

const WRONG = "The token isn't valid; over HTTP it comes in the Authorization header alone";

function wrong(fault: string): Looked {
  return { fault, guess: false };
}

// One that is taken although it has ended, since clocks differ, ends when it wouldn't be taken any more.
function endOf(exp: number, now: number): number {
  return now < 1000 * exp ? 1000 * exp : 1000 * (exp + LEEWAY);
}

function readChannels(claim: unknown): Pick<Grant, "publish" | "subscribe"> | undefined {
  if (claim === undefined) return {};
  if (typeof claim !== "object" || claim === null || Array.isArray(claim)) return undefined;
  const lists = new Map<string, readonly string[]>();
  for (const [action, list] of Object.entries(claim)) {
    if (action !== "publish" && action !== "subscribe") return undefined;
    if (!Array.isArray(list) || list.length > MAX_PATTERNS || !list.every(isPattern)) {
      return undefined;
    }
    lists.set(action, list);
  }
  const [publish, subscribe] = [lists.get("publish"), lists.get("subscribe")];
  return {
    ...(publish === undefined ? {} : { publish }),
    ...(subscribe === undefined ? {} : { subscribe }),
  };
}

function isId(id: unknown): id is string {
  return typeof id === "string" && id !== "" && id.length <= MAX_ID;
}

function isPattern(pattern: unknown): pattern is string {
  return typeof pattern === "string" && pattern.length <= MAX_PATTERN &&
    /^[^*]*\*?$/.test(pattern);
}
