/** The answers that one client is due, in order: made when they can be sent, the large ones in slices. */
import type { Hub, Subscriber } from "./hub.ts";

// How long the answers of one connection may take before the others have their turn, in milliseconds.
const TURN = 5;

/** What makes an answer in slices: it yields where others should have their turn. */
export type Making = Generator<void, string | undefined>;

/** An answer: its line, or what makes it at the moment when it can be sent. */
export type Due = string | (() => string | undefined | Making);

// Said of an answer that takes another slice.
const UNFINISHED = Symbol();

/** The answers of one connection. */
export class Answers {
  readonly #hub: Pick<Hub, "now" | "reader">;
  readonly #client: Pick<Subscriber, "open" | "meter">;
  #due: Due[] = [];
  // The first of them, where it is made in slices and not whole yet.
  #making: Making | undefined;

  /**
   * @param hub The edge's.
   * @param client Whose they are: nothing is made once it isn't open, and what is read for it is counted.
   */
  constructor(hub: Pick<Hub, "now" | "reader">, client: Pick<Subscriber, "open" | "meter">) {
    this.#hub = hub;
    this.#client = client;
  }

  /** How many wait. */
  get size(): number {
    return this.#due.length;
  }

  /** @param due The next. */
  push(due: Due): void {
    this.#due.push(due);
  }

  /** Forgets all. */
  clear(): void {
    this.#due = [];
    this.#making = undefined;
  }

  /**
   * Makes the lines that fit into one frame and one turn.
   *
   * @param most The size of a frame, in characters; one line at least.
   * @returns The lines.
   */
  take(most: number): string[] {
    const parts: string[] = [];
    const end = this.#hub.now() + TURN;
    let size = 0;
    let taken = 0;
    for (const due of this.#due) {
      if (size > most || this.#hub.now() > end) break;
      const line = this.#make(due);
      if (!this.#client.open) return [];
      if (line === UNFINISHED) break;
      taken += 1;
      if (line === undefined) continue;
      parts.push(line);
      size += line.length;
    }
    // A new one where all are taken: an array that was emptied keeps its room.
    this.#due = taken === this.#due.length ? [] : this.#due.slice(taken);
    return parts;
  }

  #make(due: Due): string | undefined | typeof UNFINISHED {
    if (this.#making === undefined) {
      const made = typeof due === "string" ? due : due();
      if (typeof made !== "object") return made;
      // It begins when those had their turn whose answers are made at once.
      this.#making = made;
      return UNFINISHED;
    }
    const { reader } = this.#hub;
    const before = reader.bytesRead;
    const { done, value } = this.#making.next();
    this.#client.meter?.spend(reader.bytesRead - before);
    if (!done) return UNFINISHED;
    this.#making = undefined;
    return value;
  }
}
