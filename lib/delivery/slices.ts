/** Fair turns: what is read, parsed or written for one client happens in slices, and between them the loop runs. */
import { Bucket } from "../config/limits.ts";
import { SLICE_BYTES } from "../store/pages.ts";
import { LoopTurns } from "./loop_turns.ts";

// How long the slices of one turn of the loop may take together, in milliseconds; the last one may end later.
const TURN = 2;

// Milliseconds of inline work: for each second, and at once.
const INLINE = { rate: 500, burst: 4 };

/** Time for work that could wait for a slice, and costs less where it is done at once. */
class InlineTime {
  readonly #now: () => number;
  readonly #left: Bucket;

  constructor(now: () => number) {
    this.#now = now;
    this.#left = new Bucket(INLINE, now());
  }

  /** Whether there is time left. */
  has(): boolean {
    return this.#left.wait(1, this.#now()) === 0;
  }

  /** @param ms How long the work took, in milliseconds. */
  spend(ms: number): void {
    this.#left.spend(this.#now(), ms);
  }
}

/** Work that is done slice by slice. */
export interface Task {
  /** Does one slice: at most 5 ms or 256 KiB. */
  serve(): void;
}

/**
 * Runs slices first come, first served. A turn of the loop runs as many as fit into 2 ms and 256 KiB, one at least: so whatever
 * else an isolate does waits for one slice, however many clients have work for it.
 */
export class Slices {
  readonly #now: () => number;
  readonly #loop: LoopTurns;
  readonly #read: () => number;
  readonly #waiting = new Set<Task>();
  /** Time for work that is done without waiting for a slice. */
  readonly inline: InlineTime;
  #running = false;
  #full = false;
  /** Characters of clients' frames that wait for their turns. */
  held = 0;

  /**
   * @param now Milliseconds that never go back.
   * @param read How many bytes were read from the log so far.
   * @param loop Where turns come from.
   */
  constructor(now: () => number, read: () => number, loop = new LoopTurns(now)) {
    this.#now = now;
    this.inline = new InlineTime(now);
    this.#loop = loop;
    this.#read = read;
  }

  /** How many tasks wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Has a task served once, in one of the next turns.
   *
   * @param task The task; one that waits already keeps its place.
   */
  add(task: Task): void {
    this.#waiting.add(task);
    if (this.#running) return;
    this.#running = true;
    this.#loop.next(() => this.#run());
  }

  /**
   * Forgets a task.
   *
   * @param task The task.
   */
  delete(task: Task): void {
    this.#waiting.delete(task);
  }

  /**
   * Waits for a turn. What follows until the next `await` is one slice, and the only one of its turn.
   *
   * @returns Resolves in a later turn of the loop.
   */
  turn(): Promise<void> {
    return new Promise((resolve) =>
      this.add({
        serve: () => {
          this.#full = true;
          resolve();
        },
      })
    );
  }

  /**
   * Runs what yields between slices.
   *
   * @param slices The work.
   * @returns What it returns.
   */
  all<T>(slices: Generator<void, T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const task = {
        serve: () => {
          try {
            const { done, value } = slices.next();
            if (done) resolve(value);
            else this.add(task);
          } catch (error) {
            reject(error);
          }
        },
      };
      this.add(task);
    });
  }

  /**
   * Has each piece of a stream wait for its turn, so that what changes it next works in slices.
   *
   * @returns The stream's other form, of the same pieces.
   */
  pieces<T>(): TransformStream<T, T> {
    return new TransformStream({
      transform: async (piece, controller) => {
        await this.turn();
        controller.enqueue(piece);
      },
    });
  }

  #run(): void {
    const end = this.#now() + TURN;
    const most = this.#read() + SLICE_BYTES;
    this.#full = false;
    try {
      for (const task of this.#waiting) {
        this.#waiting.delete(task);
        task.serve();
        if (this.#full || this.#now() > end || this.#read() >= most) break;
      }
    } finally {
      this.#running = this.#waiting.size > 0;
      if (this.#running) this.#loop.next(() => this.#run());
    }
  }
}
