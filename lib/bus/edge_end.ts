/**
 * An edge's end of the bus between isolates: what a turn sends up is one post, and every post down has a number, so that a
 * hole is seen and repaired from the log and the core.
 */
import { setImmediate } from "node:timers";
import { Backlog } from "./write_backpressure.ts";
import type { Answer, Beat, Downward, EdgeEnd, NumberedPost, Receiver, Up, Upward } from "./bus.ts";
import { log } from "../observability/logger.ts";
import type { Proposal } from "../protocol/message.ts";

// An answer may be faster than the post of its commit, mostly by less than a millisecond; after so many the post is taken
// for lost, and the commit is read from the log.
const GRACE = 20;

interface Asked {
  readonly up: Up;
  readonly answered: ((answer: Answer) => void) | undefined;
}

interface Held {
  readonly seq: number;
  readonly asked: readonly Asked[];
  readonly answers: readonly Answer[];
}

/** The bus as one edge has it. */
export class EdgeBroadcast implements EdgeEnd {
  readonly #post: (message: Upward) => void;
  readonly #now: () => number;
  readonly #backlog = new Backlog();
  #number: number;
  #receiver: Receiver | undefined;
  #sending: Asked[] = [];
  readonly #sent: (readonly Asked[])[] = [];
  #held: Held[] = [];
  #grace: ReturnType<typeof setTimeout> | undefined;
  #holes = 0;

  /**
   * @param post Posts up to the core; nothing is lost.
   * @param number The last post before this edge took part.
   * @param now Milliseconds that never go back.
   */
  constructor(post: (message: Upward) => void, number: number, now = () => performance.now()) {
    this.#post = post;
    this.#number = number;
    this.#now = now;
  }

  /** How often posts were missing. */
  get holes(): number {
    return this.#holes;
  }

  /**
   * Sends something up, with all else of this turn.
   *
   * @param up What.
   * @param answered Called once with the answer, after its commit was taken in.
   */
  send(up: Up, answered?: (answer: Answer) => void): void {
    const proposals = proposalsIn(up);
    if (proposals.length > 0) {
      // The core may be waiting for its disk: what waits for the core must have an end too.
      const refusal = this.#backlog.refusal(this.#now());
      if (refusal !== undefined) return queueMicrotask(() => answered?.({ refusal }));
      for (const proposal of proposals) this.#backlog.add(proposal);
    }
    this.#sending.push({ up, answered });
    if (this.#sending.length === 1) setImmediate(() => this.#flush());
  }

  /**
   * Sets who takes the posts in.
   *
   * @param receiver Is given each, in order.
   */
  listen(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  /**
   * Takes what was broadcast.
   *
   * @param post A post, or a word of a quiet bus.
   */
  hear(post: NumberedPost | Beat): void {
    if ("beat" in post) this.#receiver?.hearWritable(post.writable);
    if (post.number <= this.#number) return;
    if ("beat" in post) this.#repair(post.number, post.seq);
    else {
      if (post.number > this.#number + 1) this.#repair(post.number - 1, post.after);
      this.#number = post.number;
      this.#receiver?.receive(post);
    }
    this.#release();
  }

  /**
   * Takes what the core posted down to this edge alone.
   *
   * @param message Answers, or deltas that were lost.
   */
  receive(message: Downward): void {
    if (message.kind === "lost") return this.#receiver?.repairPresence(message.deltas);
    for (const answers of message.answers) {
      this.#held.push({ seq: message.seq, answers, asked: this.#sent.shift() ?? [] });
    }
    this.#release();
  }

  /** Whether nothing that was sent up waits for its answer. */
  get idle(): boolean {
    return this.#sending.length + this.#sent.length + this.#held.length === 0;
  }

  /** Ends it: nothing is told any more. */
  close(): void {
    clearTimeout(this.#grace);
    this.#receiver = undefined;
    this.#held = [];
  }

  #flush(): void {
    const asked = this.#sending;
    this.#sending = [];
    this.#sent.push(asked);
    this.#post({ kind: "ups", ups: asked.map(({ up }) => up) });
  }

  #repair(to: number, seq: number): void {
    const from = this.#number + 1;
    this.#holes += 1;
    log.info("bus.hole", { from, to });
    this.#receiver?.repair(seq);
    this.#number = to;
    this.#post({ kind: "lost", from, to });
  }

  // What was acknowledged is on its way to everyone here: the commit comes first, from the bus or from the log.
  #release(): void {
    const seq = this.#receiver?.seq ?? 0;
    const late = this.#held.findIndex((held) => held.seq > seq);
    const ready = this.#held.splice(0, late < 0 ? this.#held.length : late);
    for (const { asked, answers } of ready) {
      for (const [i, { up, answered }] of asked.entries()) {
        for (const proposal of proposalsIn(up)) this.#backlog.remove(proposal);
        answered?.(answers[i] ?? null);
      }
    }
    if (this.#held.length === 0) {
      clearTimeout(this.#grace);
      this.#grace = undefined;
    } else this.#grace ??= setTimeout(() => this.#lookUp(), GRACE);
  }

  #lookUp(): void {
    this.#grace = undefined;
    if (this.#held.length === 0) return;
    this.#receiver?.repair(Math.max(...this.#held.map(({ seq }) => seq)));
    this.#release();
  }
}

function proposalsIn(up: Up): readonly Proposal[] {
  if (up.op === "propose") return [up.proposal];
  return up.op === "publish" ? up.proposals : [];
}
