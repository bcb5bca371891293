/** What a push says besides its text, as ntfy's headers and query parameters bring it. */
import { faultInText } from "./json.ts";

/** What a push holds (protocol.md section 1). */
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

// Each by all the names that ntfy has for it.
const NAMES = {
  message: ["x-message", "message", "m"],
  title: ["x-title", "title", "ti", "t"],
  priority: ["x-priority", "priority", "prio", "p"],
  tags: ["x-tags", "tags", "tag", "ta"],
  click: ["x-click", "click"],
} as const;

const PRIORITIES: Readonly<Record<string, number>> = {
  min: 1,
  low: 2,
  default: 3,
  high: 4,
  max: 5,
  urgent: 5,
};

const MOST_TAGS = 20;
const LONGEST = 1000;
// As ntfy says where nothing is said.
const SILENT = "triggered";

/**
 * Reads a push.
 *
 * @param body The request's.
 * @param headers The request's; they count before the query.
 * @param query The request's.
 * @returns The push, or what is wrong with it.
 */
export function readPush(body: string, headers: Headers, query: URLSearchParams): PushRead {
  const said = (what: keyof typeof NAMES): string | undefined => {
    const [header] = NAMES[what].map((name) => headers.get(name)).filter((text) => text !== null);
    if (header !== undefined) return decodeWords(fromBytes(header)).trim();
    const [inQuery] = NAMES[what].map((name) => query.get(name)).filter((text) => text !== null);
    return inQuery?.trim();
  };
  const text = plainText(body === "" ? said("message") ?? "" : body);
  const [title, click] = [said("title"), said("click")];
  for (
    const [name, line] of [["Title", title], ["Click", click], ["Tags", said("tags")]] as const
  ) {
    const fault = line === undefined ? undefined : faultInLine(line);
    if (fault !== undefined) return { fault: `${name} ${fault}` };
  }
  const fault = faultInText(text);
  if (fault !== undefined) return { fault: `The text ${fault}` };
  const priority = priorityIn(said("priority"));
  if (priority === null) return { fault: "Priority is 1 to 5, or min, low, default, high, max" };
  if (click !== undefined && click !== "" && !isWeb(click)) {
    return { fault: "Click is an http or https address" };
  }
  const tags = (said("tags") ?? "").split(",").map((tag) => tag.trim()).filter(Boolean);
  if (tags.length > MOST_TAGS) return { fault: `Tags are at most ${MOST_TAGS}` };
  return {
    push: {
      text: text === "" ? SILENT : text,
      ...(title === undefined || title === "" ? {} : { title }),
      ...(priority === undefined ? {} : { priority }),
      ...(tags.length === 0 ? {} : { tags }),
      ...(click === undefined || click === "" ? {} : { click }),
    },
  };
}

// CRLF becomes LF, other control characters but tab and line feed are dropped; line feeds at the end are the shell's.
function plainText(text: string): string {
  const lines = text.replaceAll("\r\n", "\n").trimEnd();
  return lines.replace(/(?![\t\n\0])\p{Cc}/gu, "");
}

function faultInLine(line: string): string | undefined {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(line)) return "has line feeds or control characters";
  if (line.length > LONGEST) return `is longer than ${LONGEST} characters`;
  return faultInText(line);
}

function priorityIn(text: string | undefined): number | undefined | null {
  if (text === undefined || text === "") return undefined;
  const named = Object.hasOwn(PRIORITIES, text.toLowerCase()) && PRIORITIES[text.toLowerCase()];
  if (named) return named;
  return /^[1-5]$/.test(text) ? Number(text) : null;
}

function isWeb(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

// Header values come as one character for each byte; most clients send UTF-8.
function fromBytes(header: string): string {
  // deno-lint-ignore no-control-regex -- every byte of the value, that is what is asked for
  if (!/[^\x00-\x7f]/.test(header) || /[^\x00-\xff]/.test(header)) return header;
  const bytes = Uint8Array.from(header, (c) => c.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Latin-1, as it was once meant.
    return header;
  }
}

const WORD = /=\?([\w-]{1,40})\?([BbQq])\?([^?]*)\?=(?:\s+(?==\?))?/g;

// RFC 2047, as mail has it: base64 or quoted-printable in some charset.
function decodeWords(text: string): string {
  return text.replace(WORD, (word: string, charset: string, how: string, coded: string) => {
    try {
      const bytes = how.toUpperCase() === "B" ? Uint8Array.fromBase64(coded) : unquote(coded);
      return new TextDecoder(charset, { fatal: true }).decode(bytes);
    } catch {
      // It only looks like one: it is shown as it came.
      return word.trimEnd();
    }
  });
}

function unquote(coded: string): Uint8Array<ArrayBuffer> {
  const text = coded.replaceAll("_", " ").replace(
    /=([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
  );
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
