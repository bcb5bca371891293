/** Admits a few handshakes a turn: when thousands come at once, open connections are served between them. */
import { setImmediate } from "node:timers";

// A handshake costs about 0.4 ms, mostly spread over several turns: so a turn stays under 10 ms.
const EACH_TURN = 8;

/** A bounded queue of handshakes. */
export class HandshakeQueue {
  readonly #most: number;
  #waiting: (() => void)[] = [];
  #letIn = 0;

  /** @param most The most that may wait; 0 for no limit. */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Waits for the turn of a handshake.
   *
   * @returns Whether it is admitted; false when too many wait already.
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
