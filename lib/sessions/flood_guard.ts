/** Detects clients that go on at many times the rate although they are refused (threats.md M9). */

// So many times the rate refused in each of so many seconds.
const FACTOR = 10;
const SECONDS = 10;

/** Counts the refusals of one connection. Time is a parameter, in milliseconds, never going down. */
export class FloodGuard {
  readonly #most: number;
  #second = 0;
  #refused = 0;
  #row = 0;

  /**
   * @param rate Publications a second; 0 for no limit, then nothing is a flood.
   * @param factor How many times that has to be refused in a second.
   */
  constructor(rate: number, factor = FACTOR) {
    this.#most = rate === 0 ? Infinity : factor * rate;
  }

  /**
   * Counts a refusal.
   *
   * @param now The time.
   * @returns Whether the connection has to be closed.
   */
  add(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      const goesOn = second === this.#second + 1 && this.#refused > this.#most;
      this.#row = goesOn ? this.#row + 1 : 0;
      [this.#second, this.#refused] = [second, 0];
    }
    this.#refused += 1;
    return this.#row + (this.#refused > this.#most ? 1 : 0) >= SECONDS;
  }
}
