/** The command line and the environment; nothing else reads them. */
import { parseArgs } from "node:util";
import {
  BURST_FACTOR,
  DEFAULT_LIMITS,
  type Limits,
  READ_BURST_FACTOR,
  type RetentionPolicy,
} from "./limits.ts";
import { NAME_LENGTH } from "../protocol/command.ts";
import { readOrigin } from "./origin.ts";

/** How much is told. */
export const LEVELS = ["debug", "info", "warning", "error"] as const;

/** One of {@linkcode LEVELS}. */
export type Level = (typeof LEVELS)[number];

/** What the program is to do: serve, copy the log into a file, or look for damage in it. */
export type Command =
  | { readonly name: "serve" | "check" }
  | { readonly name: "backup"; readonly file: string };

/** What the program was told. */
export interface Config {
  readonly command: Command;
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly workers: number;
  readonly origins: readonly string[];
  readonly open: boolean;
  readonly pages: string | undefined;
  /** The files of the certificate and its key, in PEM. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** A socket in the file system, in the place of a port. */
  readonly unix: string | undefined;
  readonly adminTokenFile: string | undefined;
  /** What tokens of programs are signed with. */
  readonly jwtSecretFile: string | undefined;
  /** A file or an address with public keys. */
  readonly jwks: string | undefined;
  readonly accountClaim: string;
  readonly jwtAudience: string | undefined;
  readonly trustProxy: boolean;
  readonly limits: Limits;
  readonly retention: RetentionPolicy;
  /** Bytes of resident memory; 0 for no limit, undefined for three quarters of what the process may have. */
  readonly maxMemory: number | undefined;
  readonly logLevel: Level;
  /** Whether somebody wants what OpenTelemetry is told; the runtime exports it, or doesn't. */
  readonly tracing: boolean;
}

/** A flag or a value that is wrong; its message is the line to show. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

interface Flag {
  readonly value?: string;
  readonly fallback: string;
  readonly text: string;
  readonly many?: true;
}

/** The most isolates that serve. */
export const MAX_WORKERS = 256;

/**
 * Tells how many isolates serve where nothing is said.
 *
 * @param cores The machine's.
 * @returns One for each core but that of the log; none of their own on up to two.
 */
export function defaultWorkers(cores: number): number {
  return cores <= 2 ? 0 : Math.min(cores - 1, MAX_WORKERS);
}

const FLAGS: Readonly<Record<string, Flag>> = {
  port: { value: "N", fallback: "8000", text: "port to listen on; 0 takes a free one" },
  host: { value: "NAME", fallback: "127.0.0.1", text: "address to listen on" },
  data: { value: "DIR", fallback: "./data", text: "folder of the log and the keys" },
  workers: {
    value: "N",
    fallback: String(defaultWorkers(navigator.hardwareConcurrency)),
    text: "isolates that serve; 0: all in one",
  },
  origin: {
    value: "URL",
    fallback: "",
    text: "another origin whose pages may connect, no pattern; repeatable",
    many: true,
  },
  open: { fallback: "", text: "let anyone push, on any address" },
  pages: {
    value: "DIR",
    fallback: "",
    text: "a folder of pages of your own, served under /pages/",
  },
  "admin-token-file": {
    value: "FILE",
    fallback: "",
    text: "the admin token; closes the server unless --open",
  },
  cert: { value: "FILE", fallback: "", text: "serve over TLS: the certificate, in PEM" },
  key: { value: "FILE", fallback: "", text: "and its private key" },
  unix: {
    value: "PATH",
    fallback: "",
    text: "listen on a socket in the file system, not on a port; with --workers 0",
  },
  "jwt-secret-file": {
    value: "FILE",
    fallback: "",
    text: "the secret that programs sign their tokens with (HS256)",
  },
  jwks: {
    value: "FILE|URL",
    fallback: "",
    text: "public keys of tokens (RS256, ES256, EdDSA)",
  },
  "account-claim": { value: "NAME", fallback: "sub", text: "the claim that names the account" },
  "jwt-audience": {
    value: "NAME",
    fallback: "",
    text: 'what a token\'s "aud" must hold; where not said, it may be absent or fanfare',
  },
  "trust-proxy": {
    fallback: "",
    text: "believe X-Forwarded-For, -Proto and -Host; closes the server unless --open",
  },
  rate: {
    value: "N",
    fallback: "20",
    text: "publications a second for an account, three times that at once; 0: any number",
  },
  "max-connections": { value: "N", fallback: "20000", text: "connections in all; 0: any number" },
  "max-per-address": {
    value: "N",
    fallback: "100",
    text: "connections of an address, the loopback not counted; 0: any number",
  },
  "max-per-account": {
    value: "N",
    fallback: "",
    text: "connections of an account (as --max-per-address)",
  },
  "max-handshakes": {
    value: "N",
    fallback: "5000",
    text: "connections that are being made; 0: any number",
  },
  "max-new-accounts": {
    value: "N",
    fallback: "60",
    text: "accounts a minute that an address brings into being; 0: any number",
  },
  "max-read": {
    value: "SIZE",
    fallback: "8M",
    text: "bytes a second read or unpacked for an account, eight times that at once; 0: any",
  },
  "max-channels": { value: "N", fallback: "128", text: "channels of a connection" },
  "max-commands": {
    value: "N",
    fallback: "",
    text: "commands a second of a connection; 0: any number (ten times --rate)",
  },
  "max-signals": {
    value: "N",
    fallback: "20",
    text: "signals a second of an account, three times that at once; 0: any",
  },
  "max-repeats": {
    value: "N",
    fallback: "200",
    text: "repeats of known keys a second of an account, three times that at once; 0: any",
  },
  "max-refusals": {
    value: "N",
    fallback: "50",
    text: "refused commands or requests a second, ten times that at once; 0: any",
  },
  "max-name": { value: "N", fallback: "40", text: "most characters of a display name" },
  "max-message": {
    value: "BYTES",
    fallback: "65536",
    text: "most bytes of a message's data as JSON",
  },
  recovery: {
    value: "N",
    fallback: "10000",
    text: "most messages that a client recovers after a break; 0: any number",
  },
  keep: { value: "TIME", fallback: "0", text: "how long messages are kept, like 90d; 0: for ever" },
  "keep-push": { value: "TIME", fallback: "30d", text: "how long pushes are kept; 0: for ever" },
  "keep-bytes": {
    value: "SIZE",
    fallback: "0",
    text: "how large the log may be, like 10G: the oldest goes first; 0: any size",
  },
  "max-memory": {
    value: "SIZE",
    fallback: "",
    text:
      "memory near which newcomers are refused, and isolates replaced, like 2G; 0: any (3/4 of what it may have)",
  },
  settings: {
    value: "FILE",
    fallback: "",
    text: "lines like FANFARE_RATE=50, weaker than the environment; SIGHUP reads them again",
  },
  "log-level": { value: "LEVEL", fallback: "info", text: LEVELS.join(", ") },
  help: { fallback: "", text: "show this" },
  version: { fallback: "", text: "show the version" },
};

// What asks something of the program isn't set: many images have a variable FANFARE_VERSION of their own.
const QUESTIONS: ReadonlySet<string> = new Set(["help", "version"]);

/** The text of `--help`. */
export const HELP = [
  "Fanfare: push messages and chat rooms for browsers.",
  "",
  "Usage: fanfare [serve] [--flag value …]      serve",
  "       fanfare publish CHANNEL [TEXT|-]      publish a text, or standard input",
  "       fanfare subscribe CHANNEL…            write messages as they come, one JSON a line",
  "       fanfare history CHANNEL               write messages of the past",
  "       fanfare token --sub ACCOUNT …         make a token for a program",
  "       fanfare backup FILE [--data DIR]      copy the log into a new file, while a server runs or not",
  "       fanfare check [--data DIR]            read all of the log and look for damage",
  "Without the binary `fanfare` is `deno task start`. COMMAND --help tells of one command.",
  "",
  "Flags of serve; backup and check take --data:",
  "",
  ...Object.entries(FLAGS).map(([name, { value, fallback, text }]) => {
    const left = `  --${name}${value === undefined ? "" : ` ${value}`}`.padEnd(28);
    return `${left}${text}${fallback === "" ? "" : ` (${fallback})`}`;
  }),
  "",
  `Each flag has an environment variable: --log-level is FANFARE_LOG_LEVEL, --open is FANFARE_OPEN=1; lists are
separated by spaces.`,
  "",
  `Exit codes: 0 done; 1 refused, damaged or failed; 2 wrong command line or setting, or a file of one that can't
be read; 69 a server couldn't be reached in time; 70 an isolate hung: start the server again.`,
].join("\n");

/**
 * Reads a file of settings, as systemd has them: a variable a line.
 *
 * @param text The file's.
 * @param file Its name, for errors.
 * @returns The variables.
 * @throws {ConfigError} If a line is none, or names nothing that there is.
 */
export function readSettings(text: string, file: string): Map<string, string> {
  const names = Object.keys(FLAGS).filter((name) => name !== "settings" && !QUESTIONS.has(name));
  const known = new Set(names.map(variable));
  const settings = new Map<string, string>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue;
    const [, name = "", value = ""] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
    if (!known.has(name)) {
      throw new ConfigError(`Line ${i + 1} of "${file}" is no setting of FANFARE_…=…`);
    }
    settings.set(name, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return settings;
}

/**
 * Tells which file of settings was named, if any.
 *
 * @param args The command line.
 * @param env Tells an environment variable.
 * @returns The file.
 */
export function settingsFile(
  args: string[],
  env: (name: string) => string | undefined,
): string | undefined {
  const named = readArguments(args).flags.get("settings")?.at(-1) ?? env(variable("settings"));
  return named === "" ? undefined : named;
}

/**
 * Reads flags and environment; a flag wins.
 *
 * @param args The command line.
 * @param env Tells an environment variable.
 * @returns What the server was told, or that help or the version was asked for.
 * @throws {ConfigError} If a flag or a value is wrong; the message names it.
 */
export function readConfig(
  args: string[],
  env: (name: string) => string | undefined,
): Config | "help" | "version" {
  const given = new Map<string, string[]>();
  for (const [name, { many, value }] of Object.entries(FLAGS)) {
    const text = env(variable(name));
    if (text === undefined || text === "") continue;
    if (QUESTIONS.has(name) || (value === undefined && !isOn(name, text))) continue;
    given.set(name, many ? text.split(/\s+/) : [text]);
  }
  const { flags, words } = readArguments(args);
  for (const [name, values] of flags) given.set(name, values);
  if (given.has("help")) return "help";
  if (given.has("version")) return "version";
  const one = (name: string) => given.get(name)?.at(-1) ?? FLAGS[name]?.fallback ?? "";
  const optional = (name: string) => one(name) === "" ? undefined : one(name);
  const level = LEVELS.find((name) => name === one("log-level"));
  if (level === undefined) {
    throw wrong("log-level", one("log-level"), `one of ${LEVELS.join(", ")}`);
  }
  return {
    command: command(words),
    port: whole("port", one("port"), 0, 65_535),
    host: one("host"),
    data: one("data"),
    workers: workers(one, given.has("workers")),
    origins: (given.get("origin") ?? []).map(origin),
    open: given.has("open"),
    pages: optional("pages"),
    tls: certificate(optional("cert"), optional("key"), optional("unix")),
    unix: optional("unix"),
    adminTokenFile: optional("admin-token-file"),
    jwtSecretFile: optional("jwt-secret-file"),
    jwks: optional("jwks"),
    accountClaim: one("account-claim"),
    jwtAudience: optional("jwt-audience"),
    trustProxy: given.has("trust-proxy"),
    limits: limits(one),
    retention: {
      keep: scaled("keep", one("keep"), TIMES),
      keepPush: scaled("keep-push", one("keep-push"), TIMES),
      keepBytes: scaled("keep-bytes", one("keep-bytes"), SIZES),
    },
    maxMemory: one("max-memory") === ""
      ? undefined
      : scaled("max-memory", one("max-memory"), SIZES),
    logLevel: level,
    // The runtime's own variable.
    tracing: /^(?:true|1)$/.test(env("OTEL_DENO") ?? ""),
  };
}

// A word that means neither might be meant as "off", and would let anyone push.
function isOn(name: string, text: string): boolean {
  if (/^(?:1|true|yes|on)$/i.test(text)) return true;
  if (/^(?:0|false|no|off)$/i.test(text)) return false;
  throw wrong(name, text, "1 or 0");
}

function readArguments(args: string[]): { flags: Map<string, string[]>; words: string[] } {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map((
      [name, { value }],
    ) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      multiple: true as const,
      ...(name === "help" ? { short: "h" } : {}),
    }]),
  );
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const flag = FLAGS[token.name];
    if (flag === undefined || !Object.hasOwn(FLAGS, token.name)) {
      throw new ConfigError(`Unknown flag "${token.rawName}"; see --help`);
    }
    if (flag.value === undefined && token.value !== undefined) {
      throw new ConfigError(`The flag --${token.name} takes no value`);
    }
    if (flag.value !== undefined && (token.value === undefined || token.value === "")) {
      throw new ConfigError(
        `The flag --${token.name} needs a value: --${token.name} ${flag.value}`,
      );
    }
    const known = flags.get(token.name);
    if (known !== undefined && flag.many) known.push(token.value ?? "");
    else flags.set(token.name, [token.value ?? ""]);
  }
  return { flags, words };
}

// Isolates can share a port, but no socket in the file system.
function workers(one: (name: string) => string, given: boolean): number {
  const count = whole("workers", one("workers"), 0, MAX_WORKERS);
  if (one("unix") === "") return count;
  if (!given || count === 0) return 0;
  throw new ConfigError("The flag --unix needs --workers 0: isolates can't share a socket file");
}

function certificate(cert?: string, key?: string, unix?: string): Config["tls"] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new ConfigError("The flags --cert and --key need each other");
  }
  if (unix !== undefined) throw new ConfigError("The flag --unix goes without --cert and --key");
  return { cert, key };
}

function limits(one: (name: string) => string): Limits {
  const number = (name: string, text = one(name), from = 0, to = 1_000_000) =>
    whole(name, text, from, to);
  const rate = number("rate");
  const perAddress = number("max-per-address");
  const read = scaled("max-read", one("max-read"), SIZES);
  return {
    ...DEFAULT_LIMITS,
    message: number("max-message", one("max-message"), 1, 262_144),
    recovery: number("recovery") || Number.MAX_SAFE_INTEGER,
    channels: number("max-channels", one("max-channels"), 1, 10_000),
    name: number("max-name", one("max-name"), 1, NAME_LENGTH),
    rate,
    burst: BURST_FACTOR * rate,
    commands: number("max-commands", one("max-commands") || String(COMMANDS_FACTOR * rate)),
    signals: number("max-signals"),
    repeats: number("max-repeats"),
    refusals: number("max-refusals"),
    connections: number("max-connections"),
    perAddress,
    perAccount: number("max-per-account", one("max-per-account") || String(perAddress)),
    handshakes: number("max-handshakes"),
    newAccounts: number("max-new-accounts"),
    read,
    readBurst: READ_BURST_FACTOR * read,
  };
}

function command([name = "serve", file, ...rest]: string[]): Command {
  const surplus = name === "backup" ? rest[0] : file;
  if (!["serve", "backup", "check"].includes(name) || surplus !== undefined) {
    throw new ConfigError(`Unknown argument "${surplus ?? name}"; see --help`);
  }
  if (name !== "backup") return { name: name === "check" ? "check" : "serve" };
  if (file === undefined) throw new ConfigError("The command backup needs a file: backup FILE");
  return { name, file };
}

// Publications aside, a client that publishes so much has no more to say.
const COMMANDS_FACTOR = 10;

const TIMES = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES = { "": 1, K: 1024, M: 1_048_576, G: 1_073_741_824, T: 1_099_511_627_776 };

function scaled(name: string, text: string, units: Readonly<Record<string, number>>): number {
  const [, digits, unit = ""] = /^(\d{1,12})([A-Za-z]?)$/.exec(text) ?? [];
  const scale = units[unit] ?? units[unit.toUpperCase()];
  const value = digits === "0" ? 0 : Number(digits) * (scale ?? NaN);
  if (Number.isSafeInteger(value)) return value;
  const like = Object.keys(units).filter((unit) => unit !== "").join(", ");
  throw wrong(name, text, `0, or a whole number with one of ${like} behind it`);
}

function whole(name: string, text: string, from: number, to: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= from && number <= to) return number;
  throw wrong(name, text, from === to ? `${from}` : `a whole number from ${from} to ${to}`);
}

function origin(text: string): string {
  const read = readOrigin(text);
  if ("origin" in read) return read.origin;
  throw wrong("origin", text, read.expected);
}

function wrong(name: string, text: string, expected: string): ConfigError {
  return new ConfigError(
    `The flag --${name} (or ${variable(name)}) is "${text}", but must be ${expected}`,
  );
}

function variable(name: string): string {
  return `FANFARE_${name.toUpperCase().replaceAll("-", "_")}`;
}
