/** What is counted for whoever watches the server: names and numbers, no more. */

/** Counters of one isolate. Their names are written in the code, never made of what clients send. */
export class Counters {
  readonly #counts = new Map<string, number>();

  /**
   * Counts one more.
   *
   * @param name What.
   */
  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /**
   * Tells how many there were.
   *
   * @param name What.
   * @returns How many.
   */
  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }
}
