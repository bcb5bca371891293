/** Who goes on at many times the rate, whatever it is told (threats.md M9). */

// So many times the rate refused in each of so many seconds.
const FACTOR = 10;
const SECONDS = 10;

/** Counts what one connection was refused. Time is a parameter, in milliseconds, never going down. */
export class Flood {
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
   * One more was refused.
   *
   * @param now The time.
   * @returns Whether that is the end of it.
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
