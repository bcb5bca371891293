/** The native commands: one schema for each verb, and the reading of a line. */
import * as v from "valibot";
import { ALL_DIRECT, parseChannel } from "./channel.ts";
import { type Refusal, refuse } from "./refusals.ts";
import { hasInvisible } from "./invisible.ts";
import { faultIn, faultInText, MAX_DEPTH } from "./json.ts";

/** The most messages that one page holds (protocol.md, "Recovery"). */
export const PAGE_MESSAGES = 200;

/** How many messages a page of history has where it isn't said. */
export const PAGE_DEFAULT = 50;

/** How long a client's key may be, in characters. */
export const KEY_LENGTH = 128;

/** How long a display name may be, in characters. */
export const NAME_LENGTH = 40;

/**
 * Tells what is wrong with a display name: 1 to 40 characters, not blank, nothing invisible in it.
 *
 * @param name The name.
 * @returns The end of a sentence, or undefined where it is right.
 */
export function faultInName(name: string): string | undefined {
  // Twice as many units as characters at most: a long text is counted by nothing else.
  if (name.length > 2 * NAME_LENGTH || [...name].length > NAME_LENGTH) {
    return `is longer than ${NAME_LENGTH} characters`;
  }
  if (name.trim() === "") return "is blank";
  if (name.trim() !== name) return "begins or ends with white space";
  if (hasInvisible(name)) return "has control, direction or other invisible characters";
  return faultInText(name);
}

/**
 * An object with these fields and no other. An `in` on a plain object finds "constructor"; these have no prototype to find it
 * in (threats.md M2).
 *
 * @param entries The fields.
 * @returns The schema.
 */
export function fields<Entries extends v.ObjectEntries>(entries: Entries) {
  const bare: Entries = Object.assign(Object.create(null), entries);
  return v.strictObject(bare);
}

/** A whole number within bounds. */
export const whole = (what: string, from: number, to: number) =>
  v.pipe(
    v.number(`a whole number from ${from} to ${to} (${what})`),
    v.check(
      (n) => Number.isSafeInteger(n) && n >= from && n <= to,
      `a whole number from ${from} to ${to} (${what})`,
    ),
  );
/** A seq. */
export const seq = whole("a seq", 0, Number.MAX_SAFE_INTEGER);
/** A text. */
export const text = (what: string) => v.string(`text (${what})`);
const nameForm = "a channel: push:NAME, room:NAME or dm:A.B";
/** A channel. */
export const channel = v.pipe(
  text(nameForm),
  v.check((id) => parseChannel(id) !== undefined, nameForm),
);
const readable = v.pipe(
  text(nameForm),
  v.check(
    (id) => id === ALL_DIRECT || parseChannel(id) !== undefined,
    `${nameForm}, or ${ALL_DIRECT}`,
  ),
);
const displayName = v.pipe(
  text("a name"),
  v.check(
    (name) => faultInName(name) === undefined,
    `a name of 1 to ${NAME_LENGTH} characters that all show`,
  ),
);
/**
 * Tells what is wrong with a key.
 *
 * @param key The key.
 * @returns What was expected, or undefined where it is right.
 */
export function faultInKey(key: string): string | undefined {
  // Twice as many units as characters at most: counted only where it can be right.
  const fits = key !== "" && key.length <= 2 * KEY_LENGTH && [...key].length <= KEY_LENGTH;
  return fits && faultInText(key) === undefined ? undefined : keyForm;
}

const keyForm = `1 to ${KEY_LENGTH} characters`;
/** A client's key. */
export const key = v.pipe(
  text(keyForm),
  v.check((key) => faultInKey(key) === undefined, keyForm),
);
// Commands wait for clients that don't read: a megabyte in each of five hundred would be kept with them.
const EPOCH_LENGTH = 128;
const epoch = v.pipe(
  text("an epoch"),
  v.check((epoch) => epoch.length <= EPOCH_LENGTH, `at most ${EPOCH_LENGTH} characters`),
);
const flag = v.boolean("true or false");
/** A message's data. JSON has no undefined: a field that is there has a value, whatever it is. */
export const data = v.unknown();

/** The body of each native command, by its verb; protocol.md, "WebSocket". */
export const SCHEMAS = {
  hello: fields({ token: v.optional(text("a token")), name: v.optional(v.nullable(displayName)) }),
  subscribe: fields({
    channel: readable,
    since: v.optional(fields({ epoch, seq })),
    history: v.optional(whole("messages", 0, PAGE_MESSAGES)),
    presence: v.optional(flag),
  }),
  unsubscribe: fields({ channel: readable }),
  publish: fields({ channel, data, key: v.optional(key) }),
  history: fields({
    channel: readable,
    before: v.optional(seq),
    after: v.optional(seq),
    limit: v.optional(whole("messages", 1, PAGE_MESSAGES)),
  }),
  presence: fields({ channel }),
  signal: fields({ channel, data }),
  rename: fields({ name: v.nullable(displayName) }),
  refresh: fields({ token: text("a token") }),
  ping: fields({}),
};

/** A verb of the native protocol. */
export type Verb = keyof typeof SCHEMAS;

/** What a verb is sent with. */
export type Body<V extends Verb> = v.InferOutput<(typeof SCHEMAS)[V]>;

/** A command that was read and found right. */
export type Command = {
  [V in Verb]: { readonly id: number; readonly verb: V; readonly body: Body<V> };
}[Verb];

/** A line that is no command: what its sender is told, with the id where it had a usable one. */
export interface BadCommand {
  readonly id: number | undefined;
  readonly refusal: Refusal;
}

const VERBS = new Set<string>(Object.keys(SCHEMAS));

/**
 * Reads one line of a client's frame.
 *
 * @param line JSON text.
 * @returns The command, or what is wrong with it.
 */
export function parseCommand(line: string): Command | BadCommand {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return bad(undefined, "The line isn't JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return bad(undefined, 'A command is an object: {"id": 1, "ping": {}}');
  }
  const members: [string, unknown][] = Object.entries(value);
  const id = members.find(([name]) => name === "id")?.[1];
  if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 1) {
    return bad(undefined, '"id" must be a positive whole number');
  }
  const [verb, ...more] = members.filter(([name]) => name !== "id");
  if (verb === undefined) {
    return bad(id, `The command has no verb: one of ${[...VERBS].join(", ")}`);
  }
  if (more.length > 0) return bad(id, "A command has one verb, this one has more");
  if (!VERBS.has(verb[0])) {
    return bad(id, `The verb is unknown: use one of ${[...VERBS].join(", ")}`);
  }
  const fault = faultIn(verb[1], MAX_DEPTH + 1);
  if (fault !== undefined) return bad(id, `"${verb[0]}" ${fault}`);
  return checkBody(id, verb[0], verb[1]);
}

function checkBody(id: number, verb: string, body: unknown): Command | BadCommand {
  // To valibot an array is an object too: one where every field may be absent.
  if (Array.isArray(body)) return bad(id, `"${verb}" must be an object`);
  const result = v.safeParse(SCHEMAS[verb as Verb], body, { abortEarly: true });
  if (!result.success) return bad(id, sentence(verb, result.issues[0]));
  // The verb picked the schema, which TypeScript can't follow.
  return { id, verb, body: result.output } as Command;
}

function sentence(verb: string, issue: v.BaseIssue<unknown>): string {
  const inner = pathOf(issue);
  const path = inner === undefined ? verb : `${verb}.${inner}`;
  if (issue.type !== "strict_object") return `"${path}" is wrong: expected ${issue.message}`;
  if (issue.expected === "never") return `"${path}" is unknown`;
  return inner === undefined ? `"${path}" must be an object` : `"${path}" is missing`;
}

// An unknown key is the client's, and as long as it likes.
const PATH_LENGTH = 64;

/**
 * Writes where a schema found a fault.
 *
 * @param issue The fault.
 * @returns Keys and indexes joined by dots, at most 64 characters; undefined where the whole value is wrong.
 */
export function pathOf(issue: v.BaseIssue<unknown>): string | undefined {
  return v.getDotPath(issue)?.slice(0, PATH_LENGTH);
}

function bad(id: number | undefined, message: string): BadCommand {
  return { id, refusal: refuse("bad_request", message) };
}
