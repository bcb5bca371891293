/** What HTTP requests bring: one schema for each body and query, and the reading of them (protocol.md, "Event streams" and "HTTP"). */
import * as v from "valibot";
import { type Refusal, refuse } from "./refusals.ts";
import { channel, data, fields, key, PAGE_MESSAGES, pathOf, seq, text, whole } from "./command.ts";
import { faultIn, MAX_DEPTH } from "./json.ts";

/** The most messages that are published together. */
export const MOST_TOGETHER = 100;

/** The most channels that one answer lists. */
export const MOST_CHANNELS = 1000;

/** The most mutes that one answer lists. */
export const MOST_LISTED = 1000;

// The last one that a Date can have.
const LAST_TIME = 8.64e15;

const jti = v.pipe(
  text("an id"),
  v.check((id) => id !== "" && id.length <= 256, "1 to 256 characters"),
);
const account = v.pipe(
  text("an account"),
  v.regex(/^[A-Za-z0-9_-]{1,63}$/, 'an account: 1 to 63 letters, digits, "_" or "-"'),
);
const before = whole("seconds since 1970", 0, Number.MAX_SAFE_INTEGER);

/** The bodies of requests, by what they ask for. */
export const BODIES = {
  /** Of `POST /api/channels/{channel}/messages`. */
  publish: fields({ data, key: v.optional(key) }),
  /** Of `POST /api/messages`. */
  publishAll: v.pipe(
    // Counted first: looking at ten thousand takes long.
    v.array(v.unknown(), "a list of messages"),
    v.check(
      (list) => list.length >= 1 && list.length <= MOST_TOGETHER,
      `1 to ${MOST_TOGETHER} messages`,
    ),
    v.array(fields({ channel, data, key: v.optional(key) })),
  ),
  /** Of `POST /push`, as ntfy has it at its root: null is as absent, and fields that we don't know are passed over. */
  push: v.object({
    topic: text("a topic"),
    message: v.nullish(text("what is pushed")),
    title: v.nullish(text("a title")),
    priority: v.nullish(whole("a priority, 0 for none", 0, 5)),
    tags: v.nullish(v.array(text("a tag"), "a list of tags")),
    click: v.nullish(text("an address")),
    cache: v.nullish(text('"no" or "yes"')),
    delay: v.nullish(text("a time")),
    email: v.nullish(text("an address")),
    call: v.nullish(text("a number")),
    attach: v.nullish(text("an address")),
    filename: v.nullish(text("a name")),
    sequence_id: v.nullish(text("an id")),
    actions: v.nullish(v.array(v.unknown(), "a list of actions")),
  }),
  /** Of `POST /api/withdrawals`. */
  withdraw: v.union([
    fields({ jti }),
    fields({ account, before: v.optional(before) }),
  ], '{"jti": text} or {"account": text, "before"?: seconds}'),
  /** Of `PUT /api/accounts/{account}/mute`. */
  mute: fields({
    until: v.optional(whole("milliseconds since 1970", 0, LAST_TIME)),
  }),
};

/** The queries of requests, whose values are texts. */
export const QUERIES = {
  /** Of `GET /api/channels/{channel}/messages`. */
  messages: fields({
    before: v.optional(inDigits(seq)),
    after: v.optional(inDigits(seq)),
    limit: v.optional(inDigits(whole("messages", 1, PAGE_MESSAGES))),
  }),
  /** Of `GET /api/channels`. */
  channels: fields({
    after: v.optional(text("a channel")),
    limit: v.optional(inDigits(whole("channels", 1, MOST_CHANNELS))),
  }),
  /** Of `DELETE /api/me/sessions`; `all` has no value. */
  endSessions: fields({ all: v.optional(text("nothing")) }),
  /** Of `GET /api/mutes`. */
  mutes: fields({
    after: v.optional(text("an account")),
    limit: v.optional(inDigits(whole("mutes", 1, MOST_LISTED))),
  }),
};

/** What a request for a page asks for. */
export type MessagesQuery = v.InferOutput<(typeof QUERIES)["messages"]>;

/** What was read, or why it is refused. */
export type Read<T> = { readonly value: T } | { readonly refusal: Refusal };

// With unknown fields refused, and passed over.
const OBJECTS = ["strict_object", "object"];

function inDigits(number: v.GenericSchema<number, number>) {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,16}$/, "a whole number in digits"),
    v.transform(Number),
    number,
  );
}

/**
 * Reads the body of a request.
 *
 * @param schema One of {@linkcode BODIES}.
 * @param json JSON text.
 * @returns The body, or why it is refused.
 */
export function readBodyAs<T>(schema: v.GenericSchema<unknown, T>, json: string): Read<T> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return bad("The body isn't JSON");
  }
  // Around `data` there is an object, and where many come together an array.
  const fault = faultIn(value, MAX_DEPTH + (Array.isArray(value) ? 2 : 1));
  if (fault !== undefined) return bad(`The body ${fault}`);
  // To the schema a list without entries is an object without fields.
  const list = Array.isArray(value) && OBJECTS.includes(schema.type);
  return list ? bad("The body must be an object") : check(schema, value, "the body");
}

/**
 * Reads the query of a request.
 *
 * @param schema One of {@linkcode QUERIES}.
 * @param query Names and values; none may come twice.
 * @returns What it asks for, or why it is refused.
 */
export function readQueryAs<T>(
  schema: v.GenericSchema<unknown, T>,
  query: URLSearchParams,
): Read<T> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, value] of query) {
    if (name in values) return bad(`"${name.slice(0, 64)}" comes twice`);
    values[name] = value;
  }
  return check(schema, { ...values }, "the query");
}

function check<T>(schema: v.GenericSchema<unknown, T>, value: unknown, whole: string): Read<T> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { value: result.output };
  const [issue] = result.issues;
  const path = pathOf(issue);
  const name = path ? `"${path}"` : whole;
  if (!OBJECTS.includes(issue.type)) {
    return bad(`${name} is wrong: expected ${issue.message}`);
  }
  if (issue.expected === "never") return bad(`${name} is unknown`);
  return bad(`${name} ${issue.expected === "Object" ? "must be an object" : "is missing"}`);
}

function bad(message: string): { refusal: Refusal } {
  return { refusal: refuse("bad_request", message.replace(/^t/, "T")) };
}
