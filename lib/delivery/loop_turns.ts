/** Turns of the event loop that let the network have its part. */
import { setImmediate } from "node:timers";

// How long turns may follow each other before the loop sleeps, in milliseconds: a sleep takes about one, in which little is sent to
// those who are behind.
const AWAKE = 10;

// From when on a timer of 0 is late, and the pause that follows, in milliseconds. Beside 450 unread polls the median ping took 20 ms
// in place of 112 (bench bystander).
const LATE = 2.5;
const ASLEEP = 5;

/**
 * Runs work in later turns of the loop. Deno's runtime (2.9.6) looks for what came from the network when the loop sleeps, and else
 * only once in 61 turns: as long as an immediate is due it doesn't sleep, and with 2 ms of work in each turn a ping waited 140 ms. So
 * after some turns the next one is begun by a timer.
 */
export class LoopTurns {
  readonly #now: () => number;
  #slept: number;

  /** @param now Milliseconds that never go back. */
  constructor(now: () => number) {
    this.#now = now;
    this.#slept = now();
  }

  /**
   * Runs something in a later turn.
   *
   * @param run What.
   */
  next(run: () => void): void {
    if (this.#now() - this.#slept < AWAKE) return void setImmediate(run);
    const begun = this.#now();
    const wake = () => {
      this.#slept = this.#now();
      run();
    };
    // A late timer shows that the loop was busy and didn't poll the network: a longer pause lets it.
    setTimeout(() => this.#now() - begun < LATE ? wake() : setTimeout(wake, ASLEEP), 0);
  }
}
