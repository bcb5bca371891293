/** What is counted for the whole process, whatever edge it comes from. Pure: time is a parameter, in milliseconds, never going down. */
import { countedAs, isLoopback } from "../config/address.ts";
import type { Origin } from "../bus/bus.ts";
import {
  ADDRESS_FACTOR,
  type Bucket,
  Buckets,
  BURST_FACTOR,
  GUESSES,
  type Limits,
  Rates,
} from "../config/limits.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";

/** How many buckets of each kind are kept: at 150 bytes each that is 15 MB. */
export const MOST_BUCKETS = 100_000;

// A client that was refused comes back when it can publish some more, not one by one.
const AFTER_REFUSAL = 5;

// How long a newcomer waits who found the server full, or too many of its own.
const FULL_RETRY = 5000;

// Who comes while memory is short finds room soon: what takes it is ended.
const SHORT_RETRY = 2000;

// No hash is empty.
const ENDED = "";

interface Held {
  readonly address: string;
  account: string | null;
  /** The session that it came with; undefined where a token took its place. */
  session: string | undefined;
  /** Until when all that it publishes is refused, so that its order holds. */
  refusedUntil: number;
}

/** Connections, publications, new accounts and guesses: how many of each, by account and by address. */
export class Quotas {
  #limits: Limits;
  // Each edge's own, so that all of them go with it.
  readonly #held = new Map<number, Map<string, Held>>();
  readonly #ofAddress = new Map<string, number>();
  readonly #ofAccount = new Map<string, number>();
  #connections = 0;
  #short = false;
  #published: Buckets;
  #publishedFrom: Buckets;
  #created: Buckets;
  #repeated: Rates;
  readonly #guessed: Buckets;

  /** @param limits The limits in force. */
  constructor(limits: Limits) {
    this.#limits = limits;
    const { rate, burst, newAccounts, repeats } = limits;
    const buckets = (rate: number, burst: number) => new Buckets({ rate, burst }, MOST_BUCKETS);
    this.#published = buckets(rate, burst);
    this.#publishedFrom = buckets(rate * ADDRESS_FACTOR, burst * ADDRESS_FACTOR);
    this.#created = buckets(newAccounts / 60, newAccounts);
    this.#repeated = new Rates("repeats", { rate: repeats, burst: BURST_FACTOR * repeats });
    this.#guessed = buckets(GUESSES / 60, GUESSES);
  }

  /**
   * Goes by other limits from now on; who is in stays in.
   *
   * @param limits The limits in force.
   */
  renew(limits: Limits): void {
    const { rate, newAccounts, repeats } = this.#limits;
    const fresh = new Quotas(limits);
    this.#limits = limits;
    // Nobody is given more by a reading that changed nothing.
    if (limits.rate !== rate) {
      [this.#published, this.#publishedFrom] = [fresh.#published, fresh.#publishedFrom];
    }
    if (limits.newAccounts !== newAccounts) this.#created = fresh.#created;
    if (limits.repeats !== repeats) this.#repeated = fresh.#repeated;
  }

  /**
   * Refuses all newcomers, or lets them in again.
   *
   * @param refusing Whether to refuse them: memory is short.
   */
  refuseNew(refusing: boolean): void {
    this.#short = refusing;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections;
  }

  /** The accounts of all connections. */
  get accounts(): Iterable<string> {
    return this.#ofAccount.keys();
  }

  /** How many names are kept for all that is counted; for tests and metrics. */
  get names(): number {
    const buckets = [this.#published, this.#publishedFrom, this.#created, this.#guessed];
    return buckets.reduce((sum, { size }) => sum + size, 0) + this.#ofAddress.size +
      this.#ofAccount.size + this.#repeated.size;
  }

  /**
   * Tells whether a connection is of an account.
   *
   * @param account The account.
   * @returns Whether one is.
   */
  knows(account: string): boolean {
    return this.#ofAccount.has(account);
  }

  /**
   * Lets a connection in, before its handshake is answered.
   *
   * @param edge Where.
   * @param origin Which, and from where.
   * @param account Whose: an account, or the name of a session without one.
   * @param session The session that it comes with, by its hash.
   * @returns Why not; undefined where it is in and counted.
   */
  admit(
    edge: number,
    { connection, address }: Required<Origin>,
    account: string | null,
    session?: string,
  ): Refusal | undefined {
    const { connections, perAddress, perAccount } = this.#limits;
    const from = isLoopback(address) ? undefined : countedAs(address);
    if (this.#short) {
      const sentence = "The server is short of memory, come back later";
      return { ...refuse("unavailable", sentence), retry: SHORT_RETRY };
    }
    if (reached(this.#connections, connections)) {
      return { ...refuse("unavailable", "The server is full, come back later"), retry: FULL_RETRY };
    }
    if (from !== undefined && reached(this.#ofAddress.get(from) ?? 0, perAddress)) {
      return tooMany(`An address has at most ${perAddress} connections`);
    }
    if (account !== null && reached(this.#ofAccount.get(account) ?? 0, perAccount)) {
      return tooMany(`An account has at most ${perAccount} connections`);
    }
    let held = this.#held.get(edge);
    if (held === undefined) this.#held.set(edge, held = new Map());
    held.set(connection, { address, account, session, refusedUntil: 0 });
    this.#count(address, account, 1);
    return undefined;
  }

  /**
   * A connection turns out to be another account's, by the token in its greeting or because its session was recorded.
   *
   * @param edge Where.
   * @param connection Which.
   * @param account Whose.
   * @returns Why it stays what it was: that account has enough of them.
   */
  identify(edge: number, connection: string, account: string): Refusal | undefined {
    const held = this.#held.get(edge)?.get(connection);
    if (held === undefined || held.account === account) return undefined;
    const { perAccount } = this.#limits;
    if (reached(this.#ofAccount.get(account) ?? 0, perAccount)) {
      return tooMany(`An account has at most ${perAccount} connections`);
    }
    this.#count(held.address, held.account, -1);
    held.account = account;
    this.#count(held.address, account, 1);
    return undefined;
  }

  /**
   * A connection came with a token: what it does isn't its session's any more.
   *
   * @param edge Where.
   * @param connection Which.
   */
  leaveSession(edge: number, connection: string): void {
    const held = this.#held.get(edge)?.get(connection);
    if (held !== undefined) held.session = undefined;
  }

  /**
   * Sessions ended: what their connections send from now on is refused, before their edges know of it.
   *
   * @param hashes Which.
   */
  endSessions(hashes: readonly string[]): void {
    const ended = new Set(hashes);
    for (const connections of this.#held.values()) {
      for (const held of connections.values()) {
        if (held.session !== undefined && ended.has(held.session)) held.session = ENDED;
      }
    }
  }

  /**
   * Tells whether a connection's session has ended.
   *
   * @param edge Where.
   * @param connection Which.
   * @returns Whether it has.
   */
  sessionEnded(edge: number, connection: string): boolean {
    return this.#held.get(edge)?.get(connection)?.session === ENDED;
  }

  /**
   * A connection that was let in is gone.
   *
   * @param edge Where.
   * @param connection Which.
   */
  dismiss(edge: number, connection: string): void {
    const held = this.#held.get(edge)?.get(connection);
    if (held === undefined) return;
    this.#held.get(edge)?.delete(connection);
    this.#count(held.address, held.account, -1);
  }

  /**
   * An edge is gone, and with it all that it held.
   *
   * @param edge Which.
   */
  drop(edge: number): void {
    for (const { address, account } of this.#held.get(edge)?.values() ?? []) {
      this.#count(address, account, -1);
    }
    this.#held.delete(edge);
  }

  /**
   * Counts publications, all or none. One that repeats a key isn't to be asked about.
   *
   * @param edge Where.
   * @param origin Who sent them, and from where.
   * @param account Whose they are.
   * @param now The time.
   * @param count How many.
   * @returns Why not, with the time until its connection may publish again.
   */
  publish(
    edge: number,
    origin: Origin,
    account: string | null,
    now: number,
    count = 1,
  ): Refusal | undefined {
    if (this.#limits.rate === 0) return undefined;
    const { connection, address } = origin;
    const held = connection === undefined ? undefined : this.#held.get(edge)?.get(connection);
    if (held !== undefined && now < held.refusedUntil) return tooFast(held.refusedUntil - now);
    const buckets = this.#bucketsOf(address, account, now);
    const needed = Math.min(count, this.#limits.burst);
    if (buckets.every((bucket) => bucket.wait(needed, now) === 0)) {
      for (const bucket of buckets) bucket.take(now, count);
      return undefined;
    }
    const enough = Math.max(AFTER_REFUSAL, needed);
    const wait = Math.max(...buckets.map((bucket) => bucket.wait(enough, now)));
    if (held !== undefined) held.refusedUntil = now + wait;
    return tooFast(wait);
  }

  /**
   * Counts publications under keys that are known already.
   *
   * @param origin Who sent them, and from where.
   * @param account Whose they are.
   * @param now The time.
   * @param count How many.
   * @returns Why not. Nothing of theirs is to be refused after it: they have their places.
   */
  repeat(
    { connection, address }: Origin,
    account: string | null,
    now: number,
    count: number,
  ): Refusal | undefined {
    if (count === 0) return undefined;
    return this.#repeated.take(account ?? connection, address, now, count);
  }

  /**
   * Tells how much may still be published at once.
   *
   * @param address From where.
   * @param account By whom.
   * @param now The time.
   * @returns How many messages; undefined where there is no limit.
   */
  left(address: string, account: string | null, now: number): number | undefined {
    if (this.#limits.rate === 0) return undefined;
    return Math.min(...this.#bucketsOf(address, account, now).map((bucket) => bucket.left(now)));
  }

  /**
   * Counts an account that comes into being.
   *
   * @param address From where.
   * @param now The time.
   * @returns Why not.
   */
  create(address: string, now: number): Refusal | undefined {
    if (this.#limits.newAccounts === 0 || isLoopback(address)) return undefined;
    const bucket = this.#created.of(countedAs(address), now);
    if (bucket.take(now)) return undefined;
    const sentence = `An address brings ${this.#limits.newAccounts} accounts a minute into being`;
    return { ...refuse("rate_limited", sentence), retry: Math.ceil(bucket.wait(1, now)) };
  }

  /**
   * Counts a token that was shown. After too many wrong ones a right one is refused as well: guesses learn nothing.
   *
   * @param address From where.
   * @param right Whether it was right.
   * @param now The time.
   * @returns Why it isn't looked at.
   */
  token(address: string, right: boolean, now: number): Refusal | undefined {
    const bucket = this.#guessed.of(countedAs(address), now);
    if (right ? bucket.wait(1, now) === 0 : bucket.take(now)) return undefined;
    const retry = Math.ceil(bucket.wait(1, now));
    return { ...refuse("rate_limited", "Too many wrong tokens came from this address"), retry };
  }

  #bucketsOf(address: string, account: string | null, now: number): Bucket[] {
    const from = countedAs(address);
    const own = this.#published.of(account ?? `@${from}`, now);
    return isLoopback(address) ? [own] : [own, this.#publishedFrom.of(from, now)];
  }

  #count(address: string, account: string | null, by: 1 | -1): void {
    this.#connections += by;
    add(this.#ofAddress, countedAs(address), by);
    if (account !== null) add(this.#ofAccount, account, by);
  }
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count > 0) counts.set(name, count);
  else counts.delete(name);
}

function reached(count: number, limit: number): boolean {
  return limit > 0 && count >= limit;
}

function tooMany(sentence: string): Refusal {
  return { ...refuse("rate_limited", sentence), retry: FULL_RETRY };
}

function tooFast(wait: number): Refusal {
  return { ...refuse("rate_limited", "Too many publications"), retry: Math.ceil(wait) };
}
