/** What a push says besides its text, as ntfy's headers, query parameters and JSON bring it. */
import { faultInText } from "./json.ts";
import { plainText } from "./message.ts";
import { said, type Sayings } from "./params.ts";

/** What a push holds (protocol.md, "Messages"). */
export interface Push {
  /** The text. */
  readonly text: string;
  /** What stands above it. */
  readonly title?: string;
  /** 1 to 5; 3 is normal. */
  readonly priority?: number;
  /** Words to sort and find by. */
  readonly tags?: readonly string[];
  /** Where it leads: an http(s) address. */
  readonly click?: string;
}

/** A push, or the sentence that says what is wrong with it. */
export type PushRead = { readonly push: Push } | { readonly fault: string };

/** What a push or a filter for pushes may say, each by all the names that ntfy has for it. */
export const PUSH_NAMES = {
  message: ["x-message", "message", "m"],
  title: ["x-title", "title", "ti", "t"],
  priority: ["x-priority", "priority", "prio", "p"],
  tags: ["x-tags", "tags", "tag", "ta"],
  click: ["x-click", "click"],
} as const;

// What ntfy does and this server doesn't: a push that asks for it is refused, so that nothing is lost in silence. Icons, Markdown,
// Firebase and UnifiedPush change how a push looks or which way it takes, never what it says: they are passed over.
const UNDONE = {
  delay: ["x-delay", "delay", "x-at", "at", "x-in", "in"],
  email: ["x-email", "x-e-mail", "email", "e-mail", "mail", "e"],
  call: ["x-call", "call"],
  attach: ["x-attach", "attach", "a"],
  filename: ["x-filename", "filename", "file", "f"],
  template: ["x-template", "template", "tpl"],
  actions: ["x-actions", "actions", "action"],
  sequence_id: ["x-sequence-id", "sequence-id", "sid"],
  poll_id: ["x-poll-id", "poll-id"],
} as const;

const OFF = /^(?:0|no|false)?$/i;

const CACHE = ["x-cache", "cache"];

const PRIORITIES: Readonly<Record<string, number>> = {
  min: 1,
  low: 2,
  default: 3,
  high: 4,
  max: 5,
  urgent: 5,
};

// What a field of one line can't have.
const UNLINED = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const HAS_CONTROLS = "has line feeds or control characters";

const MOST_TAGS = 20;
const LONGEST = 1000;
// As ntfy says where nothing is said.
const SILENT = "triggered";

/**
 * Reads a push whose text is the body of a request.
 *
 * @param body The request's.
 * @param sayings The request's headers and query.
 * @returns The push, or what is wrong with it.
 */
export function readPush(body: string, sayings: Sayings): PushRead {
  return readPushJson(body === "" ? {} : { message: body }, sayings);
}

/** A push as one JSON object, besides its topic. Null is as absent. */
export interface PushJson {
  /** The text. */
  readonly message?: string | null | undefined;
  /** What stands above it. */
  readonly title?: string | null | undefined;
  /** 1 to 5; 0 is as none. */
  readonly priority?: number | null | undefined;
  /** Words to sort and find by. */
  readonly tags?: readonly string[] | null | undefined;
  /** Where it leads. */
  readonly click?: string | null | undefined;
  /** Whether it is kept, which every push is. */
  readonly cache?: string | null | undefined;
  /** When it is to be sent: that isn't done, nor is what follows. */
  readonly delay?: string | null | undefined;
  /** To whom it is to be sent. */
  readonly email?: string | null | undefined;
  /** Whom to call. */
  readonly call?: string | null | undefined;
  /** A file. */
  readonly attach?: string | null | undefined;
  /** Its name. */
  readonly filename?: string | null | undefined;
  /** Which push it takes the place of. */
  readonly sequence_id?: string | null | undefined;
  /** Its buttons. */
  readonly actions?: readonly unknown[] | null | undefined;
}

/**
 * Reads a push that came as JSON. What the JSON doesn't say, or says with an empty text, the request's headers and query may say,
 * as with ntfy.
 *
 * @param json What came.
 * @param sayings The request's headers and query.
 * @returns The push, or what is wrong with it.
 */
export function readPushJson(json: PushJson, sayings: Sayings): PushRead {
  const { message, title, priority, tags, click, cache } = json;
  for (const [what, names] of Object.entries(UNDONE)) {
    const name = nameAsking(json, sayings, what, names);
    if (name !== undefined) return { fault: undone(what, name) };
  }
  if (OFF.test(cache || (said(sayings, CACHE) ?? "yes"))) {
    return { fault: KEPT };
  }
  return readParts({
    // In one line of a header a line feed is written out.
    text: message ||
      (said(sayings, PUSH_NAMES.message)?.replaceAll("\\n", "\n") ?? ""),
    title: title?.trim() || said(sayings, PUSH_NAMES.title),
    // Without one ntfy's clients say 0.
    priority: priority ? String(priority) : said(sayings, PUSH_NAMES.priority),
    tags: tags?.length ? tags.join(",") : said(sayings, PUSH_NAMES.tags),
    click: click?.trim() || said(sayings, PUSH_NAMES.click),
  });
}

// The name by which a push asks for something: of the JSON's field, or of the header or parameter.
function nameAsking(
  json: PushJson,
  sayings: Sayings,
  what: string,
  names: readonly string[],
): string | undefined {
  const field: unknown = Object.entries(json).find(([name]) => name === what)
    ?.[1];
  const asks = Array.isArray(field) ? field.length > 0 : !OFF.test(String(field ?? ""));
  return asks ? what : names.find((name) => !OFF.test(said(sayings, [name]) ?? ""));
}

/**
 * Reads a priority.
 *
 * @param text 1 to 5 or a name.
 * @returns 1 to 5; undefined for anything else.
 */
export function priorityIn(text: string): number | undefined {
  const named = text.toLowerCase();
  if (Object.hasOwn(PRIORITIES, named)) return PRIORITIES[named];
  return /^[1-5]$/.test(text) ? Number(text) : undefined;
}

interface Parts {
  readonly text: string;
  readonly title: string | undefined;
  readonly priority: string | undefined;
  readonly tags: string | undefined;
  readonly click: string | undefined;
}

function readParts({ title, click, priority: level, ...said }: Parts): PushRead {
  for (
    const [name, line] of [["Title", title], ["Click", click], ["Tags", said.tags]] as const
  ) {
    const fault = line === undefined ? undefined : faultInLine(line);
    if (fault !== undefined) return { fault: `${name} ${fault}` };
  }
  // Line feeds at the end are the shell's.
  const read = plainText(said.text.trimEnd());
  if ("fault" in read) return read;
  const { text } = read;
  const priority = level === undefined || level === "" ? undefined : priorityIn(level);
  if (level && priority === undefined) {
    return { fault: "Priority is 1 to 5, or min, low, default, high, max, urgent" };
  }
  if (click && !isWeb(click)) return { fault: "Click is an http or https address" };
  const tags = (said.tags ?? "").split(",").map((tag) => tag.trim()).filter(Boolean);
  if (tags.length > MOST_TAGS) return { fault: `Tags are at most ${MOST_TAGS}` };
  return {
    push: {
      text: text === "" ? SILENT : text,
      ...(title ? { title } : {}),
      ...(priority === undefined ? {} : { priority }),
      ...(tags.length === 0 ? {} : { tags }),
      ...(click ? { click } : {}),
    },
  };
}

/**
 * Looks for line feeds and control characters in the fields of a push's data that are shown in one line, whatever way it came.
 * A field of another form is data like any other.
 *
 * @param data A value out of JSON.parse.
 * @returns What is wrong, such as `title has control characters`; undefined where nothing is.
 */
export function faultInPush(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  for (const [name, value] of Object.entries(data)) {
    if (name !== "title" && name !== "tags" && name !== "click") continue;
    const lines: unknown[] = Array.isArray(value) && name === "tags" ? value : [value];
    if (lines.some((line) => typeof line === "string" && UNLINED.test(line))) {
      return `${name} ${HAS_CONTROLS}`;
    }
  }
  return undefined;
}

function faultInLine(line: string): string | undefined {
  if (UNLINED.test(line)) return HAS_CONTROLS;
  if (line.length > LONGEST) return `is longer than ${LONGEST} characters`;
  return faultInText(line);
}

function isWeb(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

// `sequence_id` is told as "Sequence-id".
function undone(what: string, name: string): string {
  const feature = what[0]?.toUpperCase() + what.slice(1).replace("_", "-");
  return `${feature} isn't done here: leave "${name}" out, see /docs`;
}

const KEPT = "Cache: no isn't done here: every push is kept until retention takes it";
