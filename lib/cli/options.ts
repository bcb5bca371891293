/** The command lines of the commands that speak to a server. */
import { parseArgs } from "node:util";
import { ConfigError } from "../config/config.ts";
import { parseChannel } from "../protocol/channel.ts";

/** A command that speaks to a server, and what it was told. */
export type Request =
  | { readonly name: "publish"; readonly channel: string; readonly text: string } & Sending & Server
  | { readonly name: "subscribe"; readonly channels: readonly string[] } & Reading & Server
  | { readonly name: "history"; readonly channel: string } & Range & Server;

/** Which server, and as whom. */
export interface Server {
  /** Its address; `unix:PATH` for one on a socket file. */
  readonly url: string;
  /** A file with a bearer token. */
  readonly tokenFile: string | undefined;
  /** JSON even where people look at it. */
  readonly json: boolean;
}

/** How something is published. */
export interface Sending {
  readonly key: string | undefined;
  /** Each line of the input is a message. */
  readonly lines: boolean;
  /** The text is JSON: the message's data as it stands. */
  readonly data: boolean;
  /** How long to try, in milliseconds. */
  readonly timeout: number;
}

/** Where reading begins and ends. */
export interface Reading {
  readonly since: { readonly epoch?: string; readonly seq: number } | undefined;
  readonly history: number;
  /** After how many messages it ends; 0 for never. */
  readonly count: number;
}

/** Which part of a channel. */
export interface Range {
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** The most messages; 0 for all. */
  readonly limit: number;
  readonly timeout: number;
}

interface Option {
  readonly value?: string;
  readonly text: string;
}

interface Usage {
  readonly usage: string;
  readonly about: string;
  readonly options: Readonly<Record<string, Option>>;
}

const SERVER: Usage["options"] = {
  url: {
    value: "URL",
    text: "the server, or unix:PATH (FANFARE_URL, else http://127.0.0.1:8000)",
  },
  "token-file": {
    value: "FILE",
    text: "a bearer token, such as data/admin.token (FANFARE_TOKEN_FILE)",
  },
  json: { text: "JSON lines, on a terminal too" },
  help: { text: "show this" },
};

const TIMEOUT: Option = { value: "TIME", text: "how long to try, like 500ms, 30s, 5m (30s)" };

const USAGES: Readonly<Record<Request["name"], Usage>> = {
  publish: {
    usage: "publish CHANNEL [TEXT|-]",
    about:
      `Publishes a text, or standard input where there is none or "-" stands for it, and writes each message's
channel, seq and time as JSON once it is on the server's disk. A lost connection is made anew until
the timeout is over; nothing is published twice.`,
    options: {
      lines: { text: "each line of standard input is a message" },
      data: { text: "the text is JSON: the message's data as it stands" },
      key: { value: "KEY", text: "publishing again with this key within a day is one message" },
      timeout: TIMEOUT,
      ...SERVER,
    },
  },
  subscribe: {
    usage: "subscribe CHANNEL…",
    about:
      `Writes each message as a line of JSON, once and in order, until it is stopped. It comes back to a server
that was away and goes on where it was.`,
    options: {
      since: {
        value: "[EPOCH:]SEQ",
        text: "what follows this seq first; EPOCH says of which log it is",
      },
      history: { value: "N", text: "the newest N messages first, at most 200" },
      count: { value: "N", text: "end after N messages" },
      ...SERVER,
    },
  },
  history: {
    usage: "history CHANNEL",
    about: "Writes messages of the past as lines of JSON, oldest first.",
    options: {
      limit: { value: "N", text: "the most messages (50); 0: all" },
      before: { value: "SEQ", text: "the newest before this seq" },
      after: { value: "SEQ", text: "the oldest after this seq" },
      timeout: TIMEOUT,
      ...SERVER,
    },
  },
};

const EXITS =
  "Exit codes: 0 done; 1 refused or failed; 2 wrong command line; 69 no server answered in time.";

/**
 * Tells whether a word is a command that speaks to a server.
 *
 * @param word The first of the command line.
 * @returns Whether it is.
 */
export function isRequest(word: string | undefined): word is Request["name"] {
  return word !== undefined && Object.hasOwn(USAGES, word);
}

/**
 * Writes the help of a command.
 *
 * @param name The command.
 * @returns The text.
 */
export function helpOf(name: Request["name"]): string {
  const { usage, about, options } = USAGES[name];
  const lines = Object.entries(options).map(([option, { value, text }]) =>
    `  --${option}${value === undefined ? "" : ` ${value}`}`.padEnd(24) + text
  );
  return [`Usage: fanfare ${usage} [--flag value …]`, "", about, "", ...lines, "", EXITS].join(
    "\n",
  );
}

/**
 * Reads the command line of such a command.
 *
 * @param name The command.
 * @param args What follows it.
 * @param env Tells an environment variable.
 * @returns What it was told, or that help was asked for.
 * @throws {ConfigError} If something is wrong; the message names it.
 */
export function readRequest(
  name: Request["name"],
  args: readonly string[],
  env: (name: string) => string | undefined,
): Request | "help" {
  const { options, usage } = USAGES[name];
  const { flags, words } = parse(args, options);
  if (flags.has("help")) return "help";
  const server = {
    url: address(flags.get("url") ?? (env("FANFARE_URL") || "http://127.0.0.1:8000")),
    tokenFile: flags.get("token-file") ?? (env("FANFARE_TOKEN_FILE") || undefined),
    json: flags.has("json"),
  };
  const [first, second, ...rest] = words;
  if (first === undefined) throw new ConfigError(`Name a channel: fanfare ${usage}`);
  const number = (option: string, most = Number.MAX_SAFE_INTEGER) =>
    whole(option, flags.get(option), most);
  const timeout = span(flags.get("timeout") ?? "30s");
  switch (name) {
    case "publish": {
      only(rest, usage);
      const sending = { key: flags.get("key"), lines: flags.has("lines"), data: flags.has("data") };
      const text = second ?? "-";
      if (sending.lines && text !== "-") {
        throw new ConfigError("With --lines the texts come by standard input");
      }
      if (sending.lines && sending.key !== undefined) {
        throw new ConfigError("With --lines each message has its own key");
      }
      return { name, channel: channel(first), text, ...sending, timeout, ...server };
    }
    case "subscribe":
      return {
        ...{ name, channels: words.map(channel), since: place(flags.get("since")) },
        ...{ history: number("history", 200) ?? 0, count: number("count") ?? 0, ...server },
      };
    case "history": {
      only(words.slice(1), usage);
      const range = {
        before: number("before"),
        after: number("after"),
        limit: number("limit") ?? 50,
      };
      if (range.before !== undefined && range.after !== undefined) {
        throw new ConfigError("Give --before or --after, not both");
      }
      return { name, channel: channel(first), ...range, timeout, ...server };
    }
  }
}

function parse(
  args: readonly string[],
  known: Usage["options"],
): { flags: Map<string, string>; words: string[] } {
  const options = Object.fromEntries(
    Object.entries(known).map((
      [name, { value }],
    ) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      ...(name === "help" ? { short: "h" } : {}),
    }]),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const flags = new Map<string, string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (option === undefined) throw new ConfigError(`Unknown flag "${token.rawName}"; see --help`);
    if ((option.value === undefined) !== (token.value === undefined)) {
      throw new ConfigError(
        option.value === undefined
          ? `The flag --${token.name} takes no value`
          : `The flag --${token.name} needs a value: --${token.name} ${option.value}`,
      );
    }
    flags.set(token.name, token.value ?? "");
  }
  return { flags, words };
}

function only(rest: readonly string[], usage: string): void {
  const [surplus] = rest;
  if (surplus !== undefined) {
    throw new ConfigError(`Unknown argument "${surplus}"; it is: fanfare ${usage}`);
  }
}

function channel(text: string): string {
  if (text === "dm:*" || parseChannel(text) !== undefined) return text;
  throw new ConfigError(`"${text}" is no channel: push:NAME, room:NAME or dm:A.B`);
}

function address(text: string): string {
  if (/^unix:./.test(text)) return text;
  if (URL.canParse(text) && /^(?:https?|wss?):$/.test(new URL(text).protocol)) return text;
  throw new ConfigError(
    `The server's address is "${text}", but must be like http://127.0.0.1:8000 or unix:PATH`,
  );
}

function place(text: string | undefined): Reading["since"] {
  if (text === undefined) return undefined;
  const [, epoch, seq] = /^(?:([^:]+):)?(\d{1,15})$/.exec(text) ?? [];
  if (seq === undefined) {
    throw new ConfigError(`The flag --since is "${text}", but must be SEQ or EPOCH:SEQ`);
  }
  return { ...(epoch === undefined ? {} : { epoch }), seq: Number(seq) };
}

function whole(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text) && Number(text) <= most) return Number(text);
  const bound = most === Number.MAX_SAFE_INTEGER ? "" : ` up to ${most}`;
  throw new ConfigError(`The flag --${option} is "${text}", but must be a whole number${bound}`);
}

const UNITS = new Map([["ms", 1], ["s", 1000], ["m", 60_000], ["h", 3_600_000]]);

// What a timer takes: 24 days.
const LONGEST = 2 ** 31 - 1;

function span(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const scale = UNITS.get(unit);
  if (scale !== undefined) return Math.min(Number(digits) * scale, LONGEST);
  throw new ConfigError(`The flag --timeout is "${text}", but must be like 500ms, 30s or 5m`);
}
