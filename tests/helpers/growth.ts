/** How the time of something grows with its input: what takes four times as long for twice as much is no parser for strangers. */
import process from "node:process";

/** The least input, in characters. */
export const LEAST = 4096;

/** The most that the time may grow when the input doubles. */
export const MOST_GROWTH = 2.6;

// Below that a clock and a collector weigh more than what is measured, in milliseconds.
const NOT_COMPARED = 0.05;

// Four times the input takes a line four times as long, a square sixteen times.
const LINE = 5;

const RUNS = 5;

// A busy machine may spoil a measurement, but not all of them; what grows by the square does so in each.
const TRIES = 3;

/** What takes a text; what it throws is an answer too. */
export type Parser = (text: string) => unknown;

/**
 * Measures how the time grows from n over 2n to 4n characters.
 *
 * @param parse What is measured.
 * @param make Makes an input of so many characters.
 * @returns The greatest growth of a doubling that was found again and again; 1 where it is too fast to compare.
 */
export async function growthOf(parse: Parser, make: (length: number) => string): Promise<number> {
  const inputs = [LEAST, 2 * LEAST, 4 * LEAST].map((length) => flat(make(length)));
  // Most are fast or plainly a line, which two runs tell; the others are measured with care.
  const longest = await leastTime(parse, inputs[2] ?? "", 2);
  if (longest < NOT_COMPARED) return 1;
  const overall = longest / await leastTime(parse, inputs[0] ?? "", 2);
  if (overall < LINE) return Math.sqrt(overall);
  let least = Infinity;
  for (let i = 0; i < TRIES && least >= MOST_GROWTH; i++) {
    const times: number[] = [];
    for (const input of inputs) times.push(await leastTime(parse, input, RUNS));
    const [one = 0, two = 0, four = 0] = times;
    if (four < LINE * one) return Math.sqrt(four / one);
    const growths = [[one, two], [two, four]].map(([from = 0, to = 0]) =>
      to < NOT_COMPARED ? 1 : to / Math.max(from, NOT_COMPARED / 2)
    );
    least = Math.min(least, Math.max(...growths));
  }
  return least;
}

// Not the time of the clock: on a busy machine others have their turns in what takes long, and seldom in what is short.
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function leastTime(parse: Parser, input: string, runs: number): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < runs; i++) {
    const began = processorTime();
    try {
      const value = parse(input);
      if (value instanceof Promise) await value;
    } catch {
      // It is refused: how long that took is what counts.
    }
    least = Math.min(least, processorTime() - began);
  }
  return least;
}

// What is put together of parts is made one text by the first that reads it.
function flat(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text));
}
