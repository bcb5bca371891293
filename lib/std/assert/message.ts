import { diff } from "node:util";

/**
 * Writes a value out in full, with its keys in order.
 *
 * @param value Anything.
 * @returns One or more lines.
 */
export function show(value: unknown): string {
  return Deno.inspect(value, {
    compact: false,
    depth: Infinity,
    getters: true,
    iterableLimit: Infinity,
    sorted: true,
    strAbbreviateSize: Infinity,
    trailingComma: true,
  });
}

/**
 * Ends a sentence, with what the caller had to say if there is anything.
 *
 * @param sentence The sentence without its period.
 * @param msg The caller's own message.
 * @returns The whole message.
 */
export function ended(sentence: string, msg?: string): string {
  return msg ? `${sentence}: ${msg}` : `${sentence}.`;
}

/**
 * Sets two values side by side, line by line.
 *
 * @param actual What was there; its own lines have a minus.
 * @param expected What should have been; its own lines have a plus.
 * @returns A block of lines, with colours unless `NO_COLOR` is set.
 */
export function difference(actual: unknown, expected: unknown): string {
  const lines = diff(linesOf(actual), linesOf(expected)).map(([side, line]) => {
    if (side === 0) return `    ${line}`;
    return side > 0 ? red(`-   ${line}`) : green(`+   ${line}`);
  });
  return ["", "", `    [Diff] ${red("Actual")} / ${green("Expected")}`, "", "", ...lines, ""]
    .join("\n");
}

function linesOf(value: unknown): string[] {
  return typeof value === "string" ? value.split("\n").map(show) : show(value).split("\n");
}

function red(text: string): string {
  return Deno.noColor ? text : `\x1b[31m${text}\x1b[39m`;
}

function green(text: string): string {
  return Deno.noColor ? text : `\x1b[32m${text}\x1b[39m`;
}
