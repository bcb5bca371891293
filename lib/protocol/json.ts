/** What JSON from outside may hold at all, before anything else looks at it. */

/** How deep `data` may be nested; protocol.md, "Messages". A command puts two levels around it. */
export const MAX_DEPTH = 32;

/**
 * Looks for what no JSON of ours may hold: nesting beyond the limit, lone surrogates, NUL, and a member called `__proto__`
 * (threats.md M2, M3, M5).
 *
 * @param value A value out of JSON.parse.
 * @param depth How many levels of arrays and objects it may have.
 * @returns What is wrong, as the end of a sentence, or undefined.
 */
export function faultIn(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return faultInText(value);
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === 0) return `is nested deeper than ${MAX_DEPTH} levels`;
  if (Array.isArray(value)) {
    for (const item of value) {
      const fault = faultIn(item, depth - 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") return 'has a member "__proto__"';
    const fault = faultInText(key) ?? faultIn(item, depth - 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/**
 * Looks for what no text of ours may hold: a lone surrogate, which no UTF-8 has, and NUL.
 *
 * @param text The text.
 * @returns What is wrong, as the end of a sentence, or undefined.
 */
export function faultInText(text: string): string | undefined {
  if (!text.isWellFormed()) return "has half of a surrogate pair, which UTF-8 can't carry";
  return text.includes("\0") ? "has a NUL character" : undefined;
}

/**
 * Escapes the characters at which some readers of lines break a line and `JSON.stringify` doesn't escape: U+2028, U+2029 and
 * U+0085 (Python's `splitlines`, httpx). Costs less than 0.1 µs where there are none, 2 µs in 64 KiB.
 *
 * @param json JSON text, in which they stand in strings alone.
 * @returns The same JSON on one line, however a reader counts lines.
 */
export function onOneLine(json: string): string {
  // `includes` is many times as fast as a regular expression.
  if (!json.includes("\u2028") && !json.includes("\u2029") && !json.includes("\x85")) return json;
  return json.replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")
    .replaceAll("\x85", "\\u0085");
}

/**
 * Writes a value as JSON on one line, however a reader counts lines.
 *
 * @param value What JSON can hold.
 * @returns JSON text.
 */
export function toJson(value: unknown): string {
  return onOneLine(JSON.stringify(value));
}
