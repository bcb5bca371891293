/** Gathers log lines of refusals: at most one a minute for each kind and address, with how many there were. */

/** How often one kind is logged for an address, in milliseconds. */
export const PAUSE = 60_000;

// How many lines one call of `flush` writes at most: it keeps no others waiting.
const LINES = 200;

// Beyond so many kinds and addresses in a minute the others are counted together.
const MOST = 10_000;

interface Gathered<Facts> {
  readonly since: number;
  /** How many came since the last line. */
  count: number;
  last: Facts;
}

/** Counts refusals. Time is a parameter, in milliseconds, never going down. */
export class RefusalLog<Facts extends object> {
  readonly #write: (event: string, facts: Facts & { readonly count: number }) => void;
  // By the time of their last lines.
  readonly #gathered = new Map<string, Gathered<Facts>>();

  /** @param write Logs an event. */
  constructor(write: (event: string, facts: Facts & { readonly count: number }) => void) {
    this.#write = write;
  }

  /** How many kinds and addresses are kept. */
  get size(): number {
    return this.#gathered.size;
  }

  /**
   * Logs a refusal, or counts it for a later line.
   *
   * @param event Its name.
   * @param kind What is told apart beside the name: the code, and the address as it is counted.
   * @param facts What is told with the event.
   * @param now The time.
   */
  add(event: string, kind: string, facts: Facts, now: number): void {
    const name = `${event} ${kind}`;
    const key = this.#gathered.has(name) || this.#gathered.size < MOST ? name : event;
    const gathered = this.#gathered.get(key);
    if (gathered === undefined || now - gathered.since >= PAUSE) {
      this.#write(event, { ...facts, count: (gathered?.count ?? 0) + 1 });
      this.#gathered.delete(key);
      this.#gathered.set(key, { since: now, count: 0, last: facts });
    } else {
      gathered.count += 1;
      gathered.last = facts;
    }
  }

  /**
   * Logs what came since the last lines, at most 200 lines, and forgets addresses that are quiet; to be called every second.
   *
   * @param now The time.
   */
  flush(now: number): void {
    let lines = 0;
    for (const [key, { since, count, last }] of this.#gathered) {
      if (now - since < PAUSE || lines >= LINES) return;
      this.#gathered.delete(key);
      if (count === 0) continue;
      lines += 1;
      this.#write(key.split(" ", 1)[0] ?? key, { ...last, count });
      this.#gathered.set(key, { since: now, count: 0, last });
    }
  }
}
