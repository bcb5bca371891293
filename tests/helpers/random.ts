/** Choices that come out the same for the same seed. */

/** The seed of the suite: the same in each run, unless `TEST_SEED` names another. */
export const SEED = Number(Deno.env.get("TEST_SEED") ?? 1);

/** Draws from one stream of choices. */
export interface Random {
  /** A number from 0 up to, not including, 1. */
  next(): number;
  /** A whole number, both ends included. */
  whole(from: number, to: number): number;
  /** Whether something of this probability happens. */
  chance(probability: number): boolean;
  /** One of a list that isn't empty. */
  pick<T>(list: readonly [T, ...T[]]): T;
}

/**
 * Makes a stream. Each actor gets one of its own, by its label, so that what one draws doesn't change what another does.
 *
 * @param seed Of the whole run.
 * @param label Whose stream.
 * @returns The stream.
 */
export function randomOf(seed: number, label: string): Random {
  let [a, b, c, d] = [seed >>> 0, 0x9e3779b9, 0x243f6a88, 1];
  // sfc32: small, fast, passes PractRand.
  const step = () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (const letter of label) {
    b ^= letter.codePointAt(0) ?? 0;
    step();
  }
  for (let i = 0; i < 15; i++) step();
  const next = () => step() / 0x1_0000_0000;
  return {
    next,
    whole: (from, to) => from + Math.floor(next() * (to - from + 1)),
    chance: (probability) => next() < probability,
    pick: (list) => list[Math.floor(next() * list.length)] ?? list[0],
  };
}
