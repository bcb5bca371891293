// @ts-check
/**
 * Time, passed in so that tests need not wait: the clock, the pace of sending, the wait before coming back.
 *
 * @module
 */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/**
 * What tells the time and wakes up.
 *
 * @typedef {object} Clock
 * @property {() => number} now Milliseconds since 1970.
 * @property {(ms: number, run: () => void) => () => void} after Calls later; what it returns calls that off.
 */

/** The machine's clock. @type {Clock} */
export const machineClock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * How long to wait before coming back: exponential with full jitter.
 *
 * @param {number} attempt How many tries failed since the last greeting.
 * @param {number} random From 0 to 1.
 * @param {number} [told] The most to wait, as the server told it when it went away.
 * @returns {number} Milliseconds.
 */
export function backoff(attempt, random, told) {
  return random * (told ?? Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt));
}

/** A token bucket: `burst` at once, `rate` a second. Without a rate it never holds anything up. */
export class Bucket {
  /** @type {Clock} */
  #clock;
  #rate = 0;
  #burst = 0;
  #tokens = 0;
  #at = 0;

  /** @param {Clock} clock What tells the time. */
  constructor(clock) {
    this.#clock = clock;
  }

  /**
   * Takes the server's limits. What was spent stays spent where they are the same: the server counts over connections.
   *
   * @param {number} rate Tokens a second, 0 for no limit.
   * @param {number} burst Tokens at once.
   */
  set(rate, burst) {
    if (rate === this.#rate && burst === this.#burst) return;
    this.#rate = rate;
    this.#burst = Math.max(1, burst);
    this.#tokens = this.#burst;
    this.#at = this.#clock.now();
  }

  /**
   * Takes a token.
   *
   * @returns {number} 0 if there was one, else the milliseconds until there is.
   */
  take() {
    if (this.#rate <= 0) return 0;
    const now = this.#clock.now();
    const earned = Math.max(0, now - this.#at) * this.#rate / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned);
    this.#at = now;
    // A hair less than one is one: waking a fraction of a millisecond early would wait for nothing.
    if (this.#tokens < 1 - 1e-6) return Math.ceil((1 - this.#tokens) * 1000 / this.#rate);
    this.#tokens -= 1;
    return 0;
  }
}
