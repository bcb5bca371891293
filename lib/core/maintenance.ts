/** Looks after the log while the core commits: retention, accounts that are gone, keys that are over, free pages. */
import type { RetentionPolicy } from "../config/limits.ts";
import type { Log } from "../store/writer.ts";
import { log as logger } from "../observability/logger.ts";
import type { Proposal } from "../protocol/message.ts";
import { nextFeedTrim, nextSessionTrim, nextTrim, Roll } from "./retention.ts";

// It looks at the log this often; while there is work, a step each time that the loop has had some air. In milliseconds.
const PAUSE = 5000;
const STEP = 10;

// So much written brings it to look at once: a small bound by size shall hold under load.
const HURRY_CHARS = 1_048_576;

/** What it works with. */
export interface TendingParts {
  readonly log: Log;
  /** What the log keeps. */
  readonly retention: RetentionPolicy;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** The accounts that are connected. */
  readonly accounts: () => Iterable<string>;
  /** Whether the log takes records. */
  readonly writable: () => boolean;
  /** Has records committed, and tells whether they were once the last of them is answered. */
  readonly commit: (proposals: readonly Proposal[], done: (written: boolean) => void) => void;
  /** Hears that the disk refused. */
  readonly refused: (error: unknown) => void;
}

/** What looks after a log; it begins at once. */
export class Tending {
  #parts: TendingParts;
  readonly #roll = new Roll();
  #chars = 0;
  // None while its records are being committed: it goes on once they are.
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param parts What it works with. */
  constructor(parts: TendingParts) {
    this.#parts = parts;
    const { epoch, renewed } = parts.log;
    if (renewed) logger.warning("log.renewed", { epoch });
    this.#in(0);
  }

  /**
   * Keeps something else from now on.
   *
   * @param retention What the log keeps.
   */
  renew(retention: RetentionPolicy): void {
    this.#parts = { ...this.#parts, retention };
  }

  /**
   * Hears that something was written.
   *
   * @param chars How much.
   */
  wrote(chars: number): void {
    this.#chars += chars;
    if (this.#chars > HURRY_CHARS && this.#timer !== undefined) this.#in(0);
  }

  /** Ends it. */
  close(): void {
    clearTimeout(this.#timer);
  }

  // Retention is a record like any other; keys and free pages are no one's business but this log's. A full disk stops
  // neither: it is what they may make room on.
  #tend(): void {
    const { log, retention, clock, accounts, writable, commit, refused } = this.#parts;
    let busy = false;
    try {
      const proposals = writable() ? this.#roll.next(log, accounts(), clock()) : [];
      const now = clock();
      const trims = [nextTrim(log, retention, now), nextSessionTrim(log, now), nextFeedTrim(log)];
      for (const trim of trims) {
        if (trim !== undefined) proposals.push(trim);
      }
      if (proposals.length > 0) {
        this.#timer = undefined;
        return commit(proposals, (written) => this.#committed(written));
      }
      busy = log.tidy() || this.#roll.calling;
    } catch (error) {
      refused(error);
    }
    this.#in(busy ? STEP : PAUSE);
  }

  #committed(written: boolean): void {
    this.#in(written ? STEP : PAUSE);
    try {
      if (written) this.#parts.log.tidy();
    } catch (error) {
      this.#parts.refused(error);
    }
  }

  #in(ms: number): void {
    this.#chars = 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tend(), ms);
  }
}
