/** The secrets and keys of a server: read at the start, and again when their files change; no restart is needed. */
import { join } from "node:path";
import type { JSONWebKeySet } from "jose";
import type { AccessSettings } from "./access.ts";
import { type Config, ConfigError } from "../config/config.ts";
import type { OlderKey } from "./cookies.ts";
import { readNamed } from "../config/system_errors.ts";
import { writeAtomically } from "../store/integrity/durable_file.ts";
import { log } from "../observability/logger.ts";
import { opennessOf, type OpennessSettings } from "../config/openness.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import { AHEAD, type Withdrawal } from "./tokens.ts";

/** How many withdrawals are kept; each is one line of a file that is read whole. */
export const MOST_WITHDRAWALS = 10_000;

// How often files are looked at, in milliseconds: what is withdrawn is felt within a second.
const LOOK = 250;

// How often keys at an address are fetched, how soon again after that failed, and how long it may take.
const FETCH_PAUSE = 300_000;
const FETCH_AGAIN = 10_000;
const FETCH_TIME = 10_000;
const FETCH_BYTES = 1_048_576;

const DAY = 86_400_000;
const OLDER_KEY = /^cookie\.key-(\d{4}-\d{2}-\d{2})$/;
const KEY_BYTES = 32;
const LEAST_TOKEN = 16;
const LEAST_SECRET = 32;

/** What of the command line is about secrets. */
export type CredentialSources =
  & Pick<
    Config,
    | "data"
    | "jwtSecretFile"
    | "jwks"
    | "accountClaim"
    | "jwtAudience"
  >
  & OpennessSettings;

/**
 * Tells where the admin token stands.
 *
 * @param sources What was told.
 * @returns The file.
 */
export function tokenPath({ data, adminTokenFile }: CredentialSources): string {
  return adminTokenFile ?? join(data, "admin.token");
}

/** The secrets of a server that runs. */
export class Credentials {
  readonly #sources: CredentialSources;
  readonly #files: ReadonlyMap<string, () => Promise<void>>;
  readonly #seen = new Map<string, string>();
  #settings: AccessSettings;
  #looking: ReturnType<typeof setTimeout> | undefined;
  #fetching: ReturnType<typeof setTimeout> | undefined;
  #changed: (settings: AccessSettings) => void = () => {};
  #closed = false;

  private constructor(
    sources: CredentialSources,
    keys: Pick<AccessSettings, "key" | "older">,
  ) {
    this.#sources = sources;
    const { jwtSecretFile, jwks } = sources;
    const { accountClaim, jwtAudience: audience } = sources;
    this.#settings = {
      ...keys,
      adminToken: "",
      open: opennessOf(sources) !== "closed",
      tokens: {
        accountClaim,
        ...(audience === undefined ? {} : { audience }),
        withdrawn: [],
      },
    };
    const files = new Map<string, () => Promise<void>>();
    const tokenFile = tokenPath(sources);
    files.set(tokenFile, async () => this.#set({ adminToken: await readToken(tokenFile) }));
    // At once: what is withdrawn while the file is being read would be taken back by what stood there before.
    files.set(this.#withdrawals, () => {
      this.#setTokens({ withdrawn: readWithdrawals(this.#withdrawals) });
      return Promise.resolve();
    });
    if (jwtSecretFile !== undefined) {
      files.set(jwtSecretFile, async () => {
        this.#setTokens({ secret: await readSecret(jwtSecretFile) });
      });
    }
    if (jwks !== undefined && !isUrl(jwks)) {
      files.set(jwks, async () => {
        this.#setTokens({ jwks: readKeys(await readNamed(jwks, "jwks"), jwks) });
      });
    }
    this.#files = files;
  }

  /**
   * Reads all, and makes what has to be there.
   *
   * @param sources Where from.
   * @param now Milliseconds since 1970: keys whose last day is over aren't read.
   * @returns The secrets.
   * @throws {ConfigError} If a file that was named can't be used.
   */
  static async open(sources: CredentialSources, now: number): Promise<Credentials> {
    const { data, adminTokenFile, jwks } = sources;
    const key = keyIn(await kept(join(data, "cookie.key"), KEY_BYTES), join(data, "cookie.key"));
    const older = await olderKeys(data, now);
    if (adminTokenFile === undefined) await kept(tokenPath(sources), 24);
    const credentials = new Credentials(sources, { key, older });
    for (const [file, read] of credentials.#files) {
      credentials.#seen.set(file, await stampOf(file));
      await read();
    }
    if (jwks !== undefined && isUrl(jwks)) await credentials.#fetch(jwks);
    return credentials;
  }

  /** What access goes by now. */
  get settings(): AccessSettings {
    return this.#settings;
  }

  /**
   * Looks after the files from now on.
   *
   * @param changed Called with what access is to go by, each time that it is something else.
   */
  watch(changed: (settings: AccessSettings) => void): void {
    this.#changed = changed;
    this.#lookLater();
  }

  /**
   * Takes the place of another, which looks after nothing any more. What was withdrawn there meanwhile is withdrawn here, and
   * keys that couldn't be fetched are the ones that it had.
   *
   * @param other The one of before.
   */
  follow(other: Credentials): void {
    other.close();
    const { withdrawn, jwks } = other.#settings.tokens;
    const kept = this.#sources.jwks === other.#sources.jwks && jwks !== undefined ? { jwks } : {};
    this.#setTokens({ ...kept, ...this.#settings.tokens, withdrawn });
    // The file has the last word.
    this.#seen.delete(this.#withdrawals);
    this.watch(other.#changed);
    other.#changed = () => {};
  }

  /**
   * Withdraws tokens, for good: it is on the disk when this returns.
   *
   * @param withdrawal Which.
   * @returns Why not.
   */
  withdraw(withdrawal: Withdrawal): Refusal | undefined {
    const { withdrawn } = this.#settings.tokens;
    const others = withdrawn.filter((known) => !covered(known, withdrawal));
    if (others.length >= MOST_WITHDRAWALS) {
      return refuse("unavailable", `At most ${MOST_WITHDRAWALS} withdrawals are kept`);
    }
    const all = [...others, withdrawal];
    try {
      writeAtomically(this.#withdrawals, `${JSON.stringify(all, null, 1)}\n`);
    } catch (error) {
      log.error("credentials.unwritable", { error: String(error) });
      return refuse("unavailable", "The disk refuses it, try again");
    }
    this.#setTokens({ withdrawn: all });
    return undefined;
  }

  /** Looks after nothing any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#looking);
    clearTimeout(this.#fetching);
  }

  get #withdrawals(): string {
    return join(this.#sources.data, "withdrawn.json");
  }

  #set(change: Partial<AccessSettings>): void {
    this.#settings = { ...this.#settings, ...change };
    this.#changed(this.#settings);
  }

  #setTokens(change: Partial<AccessSettings["tokens"]>): void {
    this.#set({ tokens: { ...this.#settings.tokens, ...change } });
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#looking = setTimeout(() => void this.#look(), LOOK);
  }

  async #look(): Promise<void> {
    for (const [file, read] of this.#files) {
      const stamp = await stampOf(file);
      if (this.#closed || stamp === this.#seen.get(file)) continue;
      this.#seen.set(file, stamp);
      try {
        await read();
        log.info("credentials.read", { file });
      } catch (error) {
        // What was right goes on until the file is right again.
        log.error("credentials.wrong", { file, error: String(error) });
      }
    }
    this.#lookLater();
  }

  // By time and never because a token asks for it: what isn't proven makes nobody fetch anything.
  async #fetch(url: string): Promise<void> {
    let pause = FETCH_PAUSE;
    try {
      const response = await fetch(url, {
        redirect: "error",
        signal: AbortSignal.timeout(FETCH_TIME),
      });
      if (!response.ok) throw new Error(`It answers ${response.status}`);
      const keys = readKeys(await textOf(response), url);
      if (JSON.stringify(keys) !== JSON.stringify(this.#settings.tokens.jwks)) {
        this.#setTokens({ jwks: keys });
        log.info("credentials.read", { url });
      }
    } catch (error) {
      // The server goes on with the keys that it has; without any no such token is right.
      pause = FETCH_AGAIN;
      log.error("credentials.wrong", { url, error: String(error) });
    }
    if (!this.#closed) this.#fetching = setTimeout(() => void this.#fetch(url), pause);
  }
}

/**
 * Reads a secret that tokens are signed with.
 *
 * @param path Its file.
 * @returns What stands there, without white space around it, in UTF-8.
 * @throws {ConfigError} If it is too short.
 */
export async function readSecret(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const secret = new TextEncoder().encode((await readNamed(path, "jwt-secret-file")).trim());
  if (secret.length >= LEAST_SECRET) return secret;
  throw new ConfigError(`The secret in "${path}" must have at least ${LEAST_SECRET} characters`);
}

function covered(known: Withdrawal, by: Withdrawal): boolean {
  if ("jti" in known) return "jti" in by && by.jti === known.jti;
  // Of tokens whose `iat` lay ahead then, one that is withdrawn stays so.
  const last = Math.max(known.before, (known.made ?? -Infinity) + AHEAD + 1);
  return "account" in by && by.account === known.account && by.before >= last;
}

function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtime, size, ino } = await Deno.stat(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch {
    // Not there, or not to be read: reading it says which.
    return "none";
  }
}

async function readToken(path: string): Promise<string> {
  const token = (await readNamed(path, "admin-token-file")).trim();
  if (token.length >= LEAST_TOKEN) return token;
  throw new ConfigError(`The token in "${path}" must have at least ${LEAST_TOKEN} characters`);
}

function readWithdrawals(path: string): readonly Withdrawal[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const list = parsed(text);
  if (Array.isArray(list) && list.every(isWithdrawal)) return list;
  throw new ConfigError(
    `The file "${path}" must be a list of {"jti": text} and {"account": text, "before": seconds}`,
  );
}

function isWithdrawal(value: unknown): value is Withdrawal {
  if (typeof value !== "object" || value === null) return false;
  if ("jti" in value) return typeof value.jti === "string";
  return "account" in value && "before" in value && typeof value.account === "string" &&
    typeof value.before === "number";
}

function readKeys(text: string, from: string): JSONWebKeySet {
  const set = parsed(text);
  const keys: unknown = typeof set === "object" && set !== null && "keys" in set ? set.keys : null;
  // A symmetric key in a public place is a mistake, and never one of ours.
  if (Array.isArray(keys) && keys.every(isPublicKey)) return { keys };
  throw new ConfigError(`The keys in "${from}" must be {"keys": [public keys]}`);
}

function isPublicKey(key: unknown): key is JSONWebKeySet["keys"][number] {
  return typeof key === "object" && key !== null && "kty" in key && typeof key.kty === "string" &&
    key.kty !== "oct" && !("d" in key);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function textOf(response: Response): Promise<string> {
  let text = "";
  const body = response.body?.pipeThrough(new TextDecoderStream());
  for await (const part of body ?? []) {
    text += part;
    if (text.length > FETCH_BYTES) throw new Error(`It has more than ${FETCH_BYTES} characters`);
  }
  return text;
}

// Kept as base64, so that an operator can read it out of the file.
async function kept(path: string, bytes: number): Promise<string> {
  const known = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (known !== undefined) {
    return known.trim();
  }
  const fresh = crypto.getRandomValues(new Uint8Array(bytes)).toBase64();
  writeAtomically(path, `${fresh}\n`);
  return fresh;
}

// Such as `cookie.key-2026-12-24`: a key of version 0.1, with the last day on which its cookies are exchanged.
async function olderKeys(data: string, now: number): Promise<OlderKey[]> {
  const keys: OlderKey[] = [];
  for await (const { name } of Deno.readDir(data)) {
    const day = Date.parse(OLDER_KEY.exec(name)?.[1] ?? "");
    if (Number.isNaN(day) || day + DAY < now) continue;
    const path = join(data, name);
    keys.push({ key: keyIn((await Deno.readTextFile(path)).trim(), path), until: day + DAY });
  }
  return keys;
}

function keyIn(text: string, path: string): Uint8Array<ArrayBuffer> {
  const key = /^[A-Za-z0-9+/]{43}=$/.test(text) ? Uint8Array.fromBase64(text) : undefined;
  if (key !== undefined) return key;
  throw new Error(`Cannot use "${path}": it must hold ${KEY_BYTES} bytes in base64`);
}
