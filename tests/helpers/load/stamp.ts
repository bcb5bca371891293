/** What a publisher puts into a text, so that readers can tell which it is and how late. */

/** Who sent it, its how manieth, and when it was due. */
export interface Stamp {
  readonly publisher: number;
  readonly nth: number;
  /** Microseconds since 1970, by a clock that all processes of a machine share. */
  readonly at: number;
}

/**
 * Makes a text.
 *
 * @param stamp What it says.
 * @param size Its length.
 * @returns The text.
 */
export function stamped({ publisher, nth, at }: Stamp, size: number): string {
  return `${publisher}.${nth}.${Math.round(at)}.`.padEnd(size, "x");
}

/**
 * Reads a text.
 *
 * @param text Made by {@linkcode stamped}.
 * @returns What it says.
 */
export function stampOf(text: string): Stamp {
  const [publisher, nth, at] = text.split(".", 3);
  return { publisher: Number(publisher), nth: Number(nth), at: Number(at) };
}

/** @returns Microseconds since 1970. */
export function micros(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
