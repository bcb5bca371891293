// @ts-check
/**
 * Time, passed in so that tests need not wait: the clock, the pace of sending, the wait before coming back, and how long an
 * answer may take.
 *
 * @module
 */

/** A connection that ended sooner than this is none to come back to at once, whatever it said; in milliseconds. */
export const STEADY = 5000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const SHORTEST_PROBE = 2000;
const LONGEST_PROBE = 10_000;
const LONGEST_OPENING = 20_000;
// Bytes a millisecond of an uplink that is slow, and not yet dead.
const SLOW_UPLINK = 16;

/**
 * What tells the time and wakes up.
 *
 * @typedef {object} Clock
 * @property {() => number} now Milliseconds since 1970; somebody may set it back or forward.
 * @property {() => number} monotonic Milliseconds since some moment of this page; nobody sets it.
 * @property {(ms: number, run: () => void) => () => void} after Calls later; what it returns calls that off.
 */

/** The machine's clock. @type {Clock} */
export const machineClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * How long to wait before coming back: exponential with full jitter.
 *
 * @param {number} attempt How many connections failed one after the other before this one.
 * @param {number} random From 0 to 1.
 * @param {number} [told] The most to wait, as the server told it when it went away; one that goes away again and again is believed less.
 * @returns {number} Milliseconds.
 */
export function backoff(attempt, random, told) {
  const own = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt);
  return random * (attempt === 0 ? told ?? own : Math.max(told ?? 0, own));
}

/** How long an answer may take before there is no connection: by the round trips that were seen, over all connections of a client. */
export class Patience {
  #probe = SHORTEST_PROBE;

  /** For the handshake, and for the greeting, in milliseconds. */
  get opening() {
    return Math.min(LONGEST_OPENING, 5 * this.#probe);
  }

  /**
   * For a question whether the server is still there.
   *
   * @param {number} waiting How many bytes may have to get through before it.
   * @returns {number} Milliseconds.
   */
  probe(waiting) {
    return Math.min(LONGEST_PROBE, this.#probe + waiting / SLOW_UPLINK);
  }

  /** @param {number} ms How long an answer took. Quick ones are believed slowly. */
  answered(ms) {
    const wanted = Math.max(4 * ms, this.#probe / 2, SHORTEST_PROBE);
    this.#probe = Math.min(LONGEST_PROBE, wanted);
  }

  /** There was no answer in time: the next one has longer, in case it would have come. */
  silent() {
    this.#probe = Math.min(LONGEST_PROBE, 2 * this.#probe);
  }
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
    this.#at = this.#clock.monotonic();
  }

  /**
   * Takes a token.
   *
   * @returns {number} 0 if there was one, else the milliseconds until there is.
   */
  take() {
    if (this.#rate <= 0) return 0;
    const now = this.#clock.monotonic();
    const earned = (now - this.#at) * this.#rate / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned);
    this.#at = now;
    // A hair less than one is one: waking a fraction of a millisecond early would wait for nothing.
    if (this.#tokens < 1 - 1e-6) return Math.ceil((1 - this.#tokens) * 1000 / this.#rate);
    this.#tokens -= 1;
    return 0;
  }
}
