/** What one edge reads from the log and unpacks for each account and address: buckets of bytes. */
import { countedAs, isLoopback } from "../config/address.ts";
import { ADDRESS_FACTOR, Buckets, type Fill } from "../config/limits.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";

/** How many buckets of each kind an edge keeps: at 150 bytes each that is 6 MB. */
export const MOST_BUCKETS = 20_000;

/** What one client may still cost. */
export interface Meter {
  /** How many milliseconds to wait before more is read for it; 0 for none. */
  wait(): number;
  /**
   * Counts what was read or unpacked for it. It may be more than was left: then the wait is longer.
   *
   * @param bytes How much.
   */
  spend(bytes: number): void;
}

/** How bytes are counted. */
export interface ByteRateSettings {
  /** For one account, in bytes; an address has ten times as much. A rate of 0: no limit. */
  readonly fill: Fill;
  /** Whether loopback addresses are counted: behind a proxy none of them is a client's. */
  readonly loopback: boolean;
}

/** Counts bytes by account and address. */
export class ByteRates {
  readonly #settings: ByteRateSettings;
  readonly #now: () => number;
  readonly #accounts: Buckets;
  readonly #addresses: Buckets;

  /**
   * @param settings How.
   * @param now Milliseconds that never go back.
   */
  constructor(settings: ByteRateSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
    const { rate, burst } = settings.fill;
    this.#accounts = new Buckets(settings.fill, MOST_BUCKETS);
    this.#addresses = new Buckets(
      { rate: rate * ADDRESS_FACTOR, burst: burst * ADDRESS_FACTOR },
      MOST_BUCKETS,
    );
  }

  /** How many names it keeps. */
  get names(): number {
    return this.#accounts.size + this.#addresses.size;
  }

  /**
   * Makes the meter of a client.
   *
   * @param address Its address.
   * @param account Its account; null where it has none.
   * @returns The meter; undefined where nothing is counted for it.
   */
  of(address: string, account: string | null): Meter | undefined {
    const { fill, loopback } = this.#settings;
    if (fill.rate === 0 || (isLoopback(address) && !loopback)) return undefined;
    const from = countedAs(address);
    const buckets = (now: number) => [
      this.#accounts.of(account ?? `@${from}`, now),
      this.#addresses.of(from, now),
    ];
    return {
      wait: () => {
        const now = this.#now();
        return Math.ceil(Math.max(...buckets(now).map((bucket) => bucket.wait(1, now))));
      },
      spend: (bytes) => {
        const now = this.#now();
        for (const bucket of buckets(now)) bucket.spend(now, bytes);
      },
    };
  }
}

/**
 * Refuses to read more for a client.
 *
 * @param wait Milliseconds until more is read for it.
 * @returns The refusal.
 */
export function tooMuchRead(wait: number): Refusal {
  return { ...refuse("rate_limited", "Too much was read from the log"), retry: wait };
}
