/** What waits to be written: it must have an end, and nobody gets ahead of who was refused. */
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Proposal } from "../protocol/message.ts";

// Enough for a second of the fastest disk; what comes on top is refused.
const MAX_WAITING = 50_000;
const MAX_WAITING_CHARS = 64 * 1_048_576;

const FULL_PAUSE = 1000;
const FULL = refuse("unavailable", "Too much is waiting to be written, try again");

/** Counts proposals that wait. */
export class Backlog {
  #count = 0;
  #chars = 0;
  #refusedUntil = -Infinity;
  #why: Refusal = FULL;

  /**
   * Tells whether one more may wait.
   *
   * @param now Milliseconds that never go back.
   * @returns Why not, for a while: whoever was refused comes back with the same before anyone else gets ahead.
   */
  refusal(now: number): Refusal | undefined {
    if (this.#count >= MAX_WAITING || this.#chars >= MAX_WAITING_CHARS) {
      this.refuseFor(now, FULL_PAUSE, FULL);
    }
    if (now >= this.#refusedUntil) return undefined;
    return { ...this.#why, retry: Math.ceil(this.#refusedUntil - now) };
  }

  /**
   * Refuses all for a while.
   *
   * @param now Milliseconds that never go back.
   * @param ms For how long.
   * @param why What they are told until then.
   */
  refuseFor(now: number, ms: number, why: Refusal): void {
    this.#refusedUntil = now + ms;
    this.#why = why;
  }

  /**
   * One more waits.
   *
   * @param proposal It.
   */
  add(proposal: Proposal): void {
    this.#count += 1;
    this.#chars += charsOf(proposal);
  }

  /**
   * One waits no longer.
   *
   * @param proposal It.
   */
  remove(proposal: Proposal): void {
    this.#count -= 1;
    this.#chars -= charsOf(proposal);
  }
}

/**
 * Tells what a proposal weighs.
 *
 * @param proposal The proposal.
 * @returns The characters of its data.
 */
export function charsOf(proposal: Proposal): number {
  return proposal.kind === "message" ? proposal.data.length : 0;
}
