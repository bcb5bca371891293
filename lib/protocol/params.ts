/** What a request says in a header or a query parameter, under any of the names that ntfy has for it. */

/** Where a request may say something. */
export interface Sayings {
  /** Of the request. */
  readonly headers: Headers;
  /** Of its address. */
  readonly query: URLSearchParams;
}

/**
 * Finds what is said under one of some names; headers count before the query, and what is empty doesn't count.
 *
 * @param sayings Where to look.
 * @param names The names, in lower case.
 * @returns What it says, decoded; undefined where it says nothing.
 */
export function said({ headers, query }: Sayings, names: readonly string[]): string | undefined {
  for (const name of names) {
    const header = headers.get(name);
    if (header === null) continue;
    const text = decodeWords(fromBytes(header)).trim();
    if (text !== "" && !(name === "priority" && SCHEDULING.test(text))) return text;
  }
  for (const name of names) {
    const text = query.get(name)?.trim();
    if (text !== undefined && text !== "") return text;
  }
  return undefined;
}

// Browsers and proxies send a `Priority` of their own with each request (RFC 9218): it is about the answer, not the message.
const SCHEDULING = /^(?:u=[0-7](?:\s*,\s*i(?:=\?[01])?)?|i(?:=\?[01])?(?:\s*,\s*u=[0-7])?)$/;

/**
 * Reads a header's value: it comes as one character for each byte, and most clients send UTF-8.
 *
 * @param header The value.
 * @returns Its text.
 */
export function fromBytes(header: string): string {
  // deno-lint-ignore no-control-regex -- the ranges are ASCII and Latin-1, control characters included
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
