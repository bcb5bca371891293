/** Every limit and its default, in one place, and the token bucket. Time is a parameter, in milliseconds, never going down. */
import { countedAs, isLoopback } from "./address.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import { KEY_LENGTH, NAME_LENGTH, PAGE_MESSAGES } from "../protocol/command.ts";

/** What bounds clients. Bytes or numbers, unless it says otherwise; where it says so, 0 is for no limit. */
export interface Limits {
  /** A message's data as JSON in UTF-8. */
  readonly message: number;
  /** A frame from a client. */
  readonly frame: number;
  /** Channels that one connection subscribes to. */
  readonly channels: number;
  /** Commands of one connection that wait for their answers; clients keep to it, at twice that they are closed. */
  readonly pending: number;
  /** Messages that a subscription recovers with `since`. */
  readonly recovery: number;
  /** Characters of a display name. */
  readonly name: number;
  /** Publications a second for each account, or address where there is none; 0 for no limit. */
  readonly rate: number;
  /** Publications at once. */
  readonly burst: number;
  /** Commands a second for each connection, publications aside, which have their own; 0 for no limit. */
  readonly commands: number;
  /** Signals a second of an account, or of a connection without one; 0 for no limit. */
  readonly signals: number;
  /** Publications a second under a key that is known already, as {@linkcode signals}. */
  readonly repeats: number;
  /** Commands and requests a second that are refused, as {@linkcode signals}. */
  readonly refusals: number;
  /** Connections in all; 0 for no limit. */
  readonly connections: number;
  /** Connections of one address, the loopback aside; 0 for no limit. */
  readonly perAddress: number;
  /** Connections of one account; 0 for no limit. */
  readonly perAccount: number;
  /** Handshakes that were answered and aren't open yet; 0 for no limit. */
  readonly handshakes: number;
  /** Sockets of one isolate that were closed and whose clients don't go, before it is replaced; 0 for no limit. */
  readonly stuck: number;
  /** Accounts a minute that one address brings into being, the loopback aside; 0 for no limit. */
  readonly newAccounts: number;
  /** Bytes a second that an edge reads from the log or unpacks for an account; 0 for no limit. */
  readonly read: number;
  /** Such bytes at once. */
  readonly readBurst: number;
}

/** How long messages are kept; 0 is for ever, or without a bound. */
export interface RetentionPolicy {
  /** Milliseconds, in every channel. */
  readonly keep: number;
  /** Milliseconds, in channels of pushes. */
  readonly keepPush: number;
  /** Bytes of the whole log. */
  readonly keepBytes: number;
}

/** The limits of clients where the command line says nothing; protocol.md, "WebSocket". */
export const DEFAULT_LIMITS: Limits = {
  message: 65_536,
  frame: 1_048_576,
  channels: 128,
  pending: 256,
  recovery: 10_000,
  name: NAME_LENGTH,
  rate: 20,
  burst: 60,
  commands: 200,
  signals: 20,
  repeats: 200,
  refusals: 50,
  connections: 20_000,
  perAddress: 100,
  perAccount: 100,
  handshakes: 5000,
  stuck: 1000,
  newAccounts: 60,
  read: 8 * 1_048_576,
  readBurst: 64 * 1_048_576,
};

/** How many seconds' worth of bytes may be read at once. */
export const READ_BURST_FACTOR = 8;

/** Every limit of an account holds this many times for its address, since accounts of cookies are free. */
export const ADDRESS_FACTOR = 10;

/** Wrong tokens a minute that an address may bring (threats.md I4). */
export const GUESSES = 20;

/** Accounts that are muted at once: every edge knows them all. */
export const MOST_MUTES = 10_000;

/** How much more than a second's worth may come at once. */
export const BURST_FACTOR = 3;

/** How many seconds' worth of refusals may come at once. */
export const REFUSALS_FACTOR = 10;

/**
 * The limits as `hello` tells them.
 *
 * @param limits The limits in force.
 * @returns What a client keeps to.
 */
export function toldLimits(limits: Limits): Record<string, number> {
  const { message, frame, rate, burst, pending, channels, recovery, name } = limits;
  return {
    message,
    frame,
    rate,
    burst,
    pending,
    channels,
    history: PAGE_MESSAGES,
    recovery,
    key: KEY_LENGTH,
    name,
  };
}

/**
 * The most that the body of a request may have (protocol.md, "HTTP"): the form and percent encoding of a message of the
 * greatest size, with room for the rest.
 *
 * @param limits The limits in force.
 * @returns Bytes.
 */
export function bodyLimit(limits: Limits): number {
  return 4 * limits.message + 4096;
}

/** How a bucket fills. */
export interface Fill {
  /** Tokens a second; 0 for no limit. */
  readonly rate: number;
  /** The most tokens that it holds. */
  readonly burst: number;
}

/** A token bucket: it is full to begin with. */
export class Bucket {
  readonly #fill: Fill;
  #tokens: number;
  #at: number;

  /**
   * @param fill How it fills.
   * @param now The time.
   */
  constructor(fill: Fill, now: number) {
    this.#fill = fill;
    this.#tokens = fill.burst;
    this.#at = now;
  }

  /**
   * Tells how long to wait until it holds so many tokens, were it only large enough.
   *
   * @param tokens How many.
   * @param now The time.
   * @returns Milliseconds; 0 where it holds them.
   */
  wait(tokens: number, now: number): number {
    if (this.#fill.rate === 0) return 0;
    this.#earn(now);
    return Math.max(0, (tokens - this.#tokens) / this.#fill.rate * 1000);
  }

  /**
   * Takes tokens, if it holds them.
   *
   * @param now The time.
   * @param tokens How many. More than it can ever hold are given by a full one, and missing until they were earned.
   * @returns Whether it did.
   */
  take(now: number, tokens = 1): boolean {
    if (this.wait(Math.min(tokens, this.#fill.burst), now) > 0) return false;
    this.#tokens -= tokens;
    return true;
  }

  /**
   * Takes tokens, whether it holds them or not: those that are missing have to be earned first.
   *
   * @param now The time.
   * @param tokens How many.
   */
  spend(now: number, tokens: number): void {
    this.#earn(now);
    this.#tokens -= tokens;
  }

  /**
   * Tells how many it holds.
   *
   * @param now The time.
   * @returns Whole tokens.
   */
  left(now: number): number {
    this.#earn(now);
    return Math.max(0, Math.floor(this.#tokens));
  }

  #earn(now: number): void {
    const earned = Math.max(0, now - this.#at) / 1000 * this.#fill.rate;
    this.#tokens = Math.min(this.#fill.burst, this.#tokens + earned);
    this.#at = Math.max(this.#at, now);
  }
}

/** Buckets by name. However many names come, so many are kept: those that weren't asked for longest go. */
export class Buckets {
  readonly #fill: Fill;
  readonly #most: number;
  // Two generations: what isn't asked for in the time that a bucket takes to fill goes with the older one, and was full.
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  #since = 0;

  /**
   * @param fill How each fills.
   * @param most How many are kept.
   */
  constructor(fill: Fill, most: number) {
    this.#fill = fill;
    this.#most = most;
  }

  /** How many are kept now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * Finds a bucket, or makes it.
   *
   * @param name Whose.
   * @param now The time.
   * @returns The bucket.
   */
  of(name: string, now: number): Bucket {
    const { rate, burst } = this.#fill;
    const filled = now - this.#since > 1000 * burst / rate;
    if (filled || this.#young.size >= this.#most / 2) {
      [this.#old, this.#young, this.#since] = [this.#young, new Map(), now];
    }
    let bucket = this.#young.get(name);
    if (bucket === undefined) {
      bucket = this.#old.get(name) ?? new Bucket(this.#fill, now);
      this.#old.delete(name);
      this.#young.set(name, bucket);
    }
    return bucket;
  }
}

// Of accounts and of addresses, each: at 150 bytes a bucket that is 6 MB.
const MOST_RATES = 20_000;

/** A rate of each account, and tenfold of each address; the loopback has none, since it is this machine, or a proxy. */
export class Rates {
  readonly #what: string;
  readonly #rate: number;
  readonly #burst: number;
  readonly #own: Buckets;
  readonly #from: Buckets;

  /**
   * @param what What is counted, as in "Too many signals".
   * @param fill What an account may do.
   */
  constructor(what: string, { rate, burst }: Fill) {
    this.#what = what;
    [this.#rate, this.#burst] = [rate, burst];
    this.#own = new Buckets({ rate, burst }, MOST_RATES);
    const tenfold = { rate: rate * ADDRESS_FACTOR, burst: burst * ADDRESS_FACTOR };
    this.#from = new Buckets(tenfold, MOST_RATES);
  }

  /** How many names are kept. */
  get size(): number {
    return this.#own.size + this.#from.size;
  }

  /**
   * Tells whether there is room for more, and takes nothing.
   *
   * @param name The account, or what stands for it; undefined where nothing does.
   * @param address From where.
   * @param now The time.
   * @param count How many.
   * @returns Why not; undefined where there is.
   */
  refusal(
    name: string | undefined,
    address: string,
    now: number,
    count = 1,
  ): Refusal | undefined {
    if (this.#rate === 0) return undefined;
    // More than a bucket can ever hold is given by a full one.
    const needed = Math.min(count, this.#burst);
    const own = name === undefined ? 0 : this.#own.of(name, now).wait(needed, now);
    const from = isLoopback(address) ? 0 : this.#from.of(countedAs(address), now).wait(needed, now);
    if (own === 0 && from === 0) return undefined;
    const retry = Math.ceil(Math.max(own, from));
    const refusal = { ...refuse("rate_limited", `Too many ${this.#what}`), retry };
    // Others at the same address may have used up the other one.
    return own > 0 ? { ...refusal, excess: true } : refusal;
  }

  /**
   * Counts some, if there is room for all.
   *
   * @param name The account, or what stands for it; undefined where nothing does.
   * @param address From where.
   * @param now The time.
   * @param count How many.
   * @returns Why not; undefined where they are counted.
   */
  take(name: string | undefined, address: string, now: number, count = 1): Refusal | undefined {
    const refusal = this.refusal(name, address, now, count);
    if (refusal !== undefined || this.#rate === 0) return refusal;
    if (name !== undefined) this.#own.of(name, now).take(now, count);
    if (!isLoopback(address)) this.#from.of(countedAs(address), now).take(now, count);
    return undefined;
  }
}

/** What an isolate counts by itself. */
export interface EdgeRates {
  readonly signals: Rates;
  readonly refusals: Rates;
}

/**
 * Makes them.
 *
 * @param limits The limits in force.
 * @returns Nothing counted yet.
 */
export function edgeRates({ signals, refusals }: Limits): EdgeRates {
  const fill = (rate: number, factor: number) => ({ rate, burst: factor * rate });
  return {
    signals: new Rates("signals", fill(signals, BURST_FACTOR)),
    refusals: new Rates("refused commands or requests", fill(refusals, REFUSALS_FACTOR)),
  };
}
