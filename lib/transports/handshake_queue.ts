/** Lets newcomers in a few at a time: when thousands come at once, those who are here go on between them. */
import { setImmediate } from "node:timers";

// A handshake costs about 0.4 ms, mostly spread over several turns: so a turn stays under 10 ms.
const EACH_TURN = 8;

/** A queue at the door; it has an end. */
export class Gate {
  readonly #most: number;
  #waiting: (() => void)[] = [];
  #letIn = 0;

  /** @param most How many may wait; 0 for any number. */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Waits for one's turn.
   *
   * @returns Whether one may come in: not where too many wait already.
   */
  async enter(): Promise<boolean> {
    if (this.#letIn < EACH_TURN && this.#waiting.length === 0) {
      this.#count();
      return true;
    }
    if (this.#most > 0 && this.#waiting.length >= this.#most) return false;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return true;
  }

  #count(): void {
    this.#letIn += 1;
    if (this.#letIn === 1) setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#letIn = 0;
    for (const enter of this.#waiting.splice(0, EACH_TURN)) {
      this.#count();
      enter();
    }
  }
}
