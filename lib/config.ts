/** The command line and the environment; nothing else reads them. */
import { parseArgs } from "node:util";
import { type Level, LEVELS } from "./logger.ts";

/** What the server was told. */
export interface Config {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly workers: number;
  readonly origins: readonly string[];
  readonly open: boolean;
  readonly pages: string | undefined;
  readonly adminTokenFile: string | undefined;
  readonly maxMessage: number;
  readonly logLevel: Level;
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

const FLAGS: Readonly<Record<string, Flag>> = {
  port: { value: "N", fallback: "8000", text: "port to listen on; 0 takes a free one" },
  host: { value: "NAME", fallback: "127.0.0.1", text: "address to listen on" },
  data: { value: "DIR", fallback: "./data", text: "folder of the log and the keys" },
  workers: { value: "N", fallback: "0", text: "isolates that serve; only 0, all in one, for now" },
  origin: {
    value: "URL",
    fallback: "",
    text: "another origin whose pages may connect; repeatable",
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
  "max-message": {
    value: "BYTES",
    fallback: "65536",
    text: "most bytes of a message's data as JSON",
  },
  "log-level": { value: "LEVEL", fallback: "info", text: LEVELS.join(", ") },
  help: { fallback: "", text: "show this" },
  version: { fallback: "", text: "show the version" },
};

/** The text of `--help`. */
export const HELP = [
  "Fanfare: push messages and chat rooms for browsers.",
  "",
  "Usage: deno task start [--flag value …]",
  "",
  ...Object.entries(FLAGS).map(([name, { value, fallback, text }]) => {
    const left = `  --${name}${value === undefined ? "" : ` ${value}`}`.padEnd(28);
    return `${left}${text}${fallback === "" ? "" : ` (${fallback})`}`;
  }),
  "",
  "Each flag has an environment variable: --log-level is FANFARE_LOG_LEVEL; lists are separated by spaces.",
].join("\n");

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
    if (value === undefined && /^(?:0|false|no)$/i.test(text)) continue;
    given.set(name, many ? text.split(/\s+/) : [text]);
  }
  for (const [name, values] of readFlags(args)) given.set(name, values);
  if (given.has("help")) return "help";
  if (given.has("version")) return "version";
  const one = (name: string) => given.get(name)?.at(-1) ?? FLAGS[name]?.fallback ?? "";
  const optional = (name: string) => one(name) === "" ? undefined : one(name);
  const level = LEVELS.find((name) => name === one("log-level"));
  if (level === undefined) {
    throw wrong("log-level", one("log-level"), `one of ${LEVELS.join(", ")}`);
  }
  return {
    port: whole("port", one("port"), 0, 65_535),
    host: one("host"),
    data: one("data"),
    workers: whole("workers", one("workers"), 0, 0),
    origins: (given.get("origin") ?? []).map(origin),
    open: given.has("open"),
    pages: optional("pages"),
    adminTokenFile: optional("admin-token-file"),
    maxMessage: whole("max-message", one("max-message"), 1, 262_144),
    logLevel: level,
  };
}

function readFlags(args: string[]): Map<string, string[]> {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map((
      [name, { value }],
    ) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      multiple: true as const,
    }]),
  );
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === "positional") {
      throw new ConfigError(`Unknown argument "${token.value}"; see --help`);
    }
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
    const known = given.get(token.name);
    if (known !== undefined && flag.many) known.push(token.value ?? "");
    else given.set(token.name, [token.value ?? ""]);
  }
  return given;
}

function whole(name: string, text: string, from: number, to: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= from && number <= to) return number;
  throw wrong(name, text, from === to ? `${from}` : `a whole number from ${from} to ${to}`);
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url !== undefined && /^https?:$/.test(url.protocol) &&
    [url.origin, `${url.origin}/`].includes(text)
  ) {
    return url.origin;
  }
  throw wrong("origin", text, "like https://example.com");
}

function wrong(name: string, text: string, expected: string): ConfigError {
  return new ConfigError(
    `The flag --${name} (or ${variable(name)}) is "${text}", but must be ${expected}`,
  );
}

function variable(name: string): string {
  return `FANFARE_${name.toUpperCase().replaceAll("-", "_")}`;
}
