/** Mutations: what is nearly right finds more than noise does. Each draws its choices from a seeded stream. */
import type { Random } from "../../helpers/random.ts";

// Words on which parsers have broken before.
const NASTY = [
  "",
  "\0",
  "\r\n",
  "\r\nX-Injected: 1\r\n\r\n",
  "\u2028",
  "\ud800",
  "\u202e",
  "\ufeff",
  "%00",
  "%2e%2e%2f",
  "..\\",
  "/../../",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "NaN",
  "-0",
  "1e309",
  "9007199254740993",
  "-1",
  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
  '{"a":',
  '"',
  "\\",
  "'",
  ";",
  "=",
  "<script>",
  "${7*7}",
  "' OR 1=1 --",
  "🎺".repeat(50),
  "x".repeat(5000),
] as const;

/**
 * Changes a text in one to four places.
 *
 * @param random Draws.
 * @param text What is right.
 * @param others Other right texts, to splice with.
 * @returns What may not be.
 */
export function mutateText(random: Random, text: string, others: readonly string[]): string {
  let mutant = text;
  for (let times = random.whole(1, 4); times > 0; times--) {
    const at = random.whole(0, mutant.length);
    const end = Math.min(mutant.length, at + random.whole(0, 12));
    const [before, part, after] = [mutant.slice(0, at), mutant.slice(at, end), mutant.slice(end)];
    const other = others[random.whole(0, others.length - 1)] ?? "";
    mutant = random.pick([
      () => before + after,
      () => before + part + part + after,
      () => before + random.pick(NASTY) + after,
      () => before + random.pick(NASTY) + part + after,
      () => before + String.fromCharCode(random.whole(0, 0xffff)) + after,
      () => before + other.slice(random.whole(0, other.length)),
      () => before,
      () => after,
      () =>
        mutant.replace(
          /\d+/,
          () => random.pick(["-1", "0", "1.5", "1e309", "99999999999999999999"]),
        ),
      () => mutant.replace(/"[^"]*"/, () => random.pick(["null", "[]", "{}", "1", '""', "true"])),
      () => before + part.repeat(random.whole(2, 300)) + after,
    ])();
    if (mutant.length > 200_000) mutant = mutant.slice(0, 200_000);
  }
  return mutant;
}

/**
 * Changes some bytes.
 *
 * @param random Draws.
 * @param bytes What is right.
 * @returns What may not be.
 */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const mutant = new Uint8Array(bytes);
  for (let times = random.whole(1, 3); times > 0 && mutant.length > 0; times--) {
    // The head is where the meaning is.
    const at = random.chance(0.6)
      ? random.whole(0, Math.min(9, mutant.length - 1))
      : random.whole(0, mutant.length - 1);
    mutant[at] = random.chance(0.5)
      ? random.whole(0, 255)
      : (mutant[at] ?? 0) ^ (1 << random.whole(0, 7));
  }
  return random.chance(0.15) ? mutant.slice(0, random.whole(0, mutant.length)) : mutant;
}
