/** What JSON from outside may hold at all, before anything else looks at it. */

/** How deep `data` may be nested; protocol.md section 1. A command puts two levels around it. */
export const MAX_DEPTH = 32;

/**
 * Looks for what no JSON of ours may hold: nesting beyond the limit, lone surrogates, NUL, and a member called `__proto__`
 * (hostile.md M2, M3, M5).
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
