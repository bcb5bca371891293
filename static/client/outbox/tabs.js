// @ts-check
/**
 * Tabs that share a store: each sends its own items, and what a tab left behind when it died is taken over by another. A
 * living tab is told by a Web Lock that it holds, or where there are none (http on a network) by a time that it keeps fresh.
 *
 * @module
 */
import { aliveFact } from "./store.js";

/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("../time.js").Clock} Clock */
/**
 * What a tab needs of `navigator.locks`.
 *
 * @typedef {{request: (name: string, options: {ifAvailable?: boolean, signal?: AbortSignal}, held: (lock: unknown) => unknown) => Promise<unknown>}} Locks
 */

/** How often to look for items of tabs that weren't known, in milliseconds. */
export const LOOK_EVERY = 30_000;
/** How long a tab that died has to come back, in milliseconds. */
export const RELOAD_GRACE = 5000;
/** Without locks: how often a tab says that it lives, and when it counts as dead. */
export const ALIVE_EVERY = 10_000;
/** Without locks: when a tab counts as dead. */
export const DEAD_AFTER = 30_000;

/** A tab among others. */
export class Tabs {
  #id;
  #store;
  #clock;
  /** @type {Locks | null} */
  #locks;
  #adopt;
  #wanted;
  #end = new AbortController();
  /** Owners whose lock is being waited for. @type {Set<string>} */
  #awaited = new Set();
  /** Owners that were found dead, and when. @type {Map<string, number>} */
  #dead = new Map();
  /** Without locks: what owners said last, and since when they say it. @type {Map<string, {alive: number, at: number}>} */
  #said = new Map();
  #stopLooking = () => {};
  #stopLiving = () => {};

  /**
   * @param {string} id This tab's name.
   * @param {Store} store What is shared.
   * @param {{clock: Clock, locks: Locks | null, adopts: (channel: string) => boolean}} parts What tells the time, `navigator.locks` where there is one, and the channels whose items are wanted.
   * @param {(items: Item[]) => void} adopt Called with the items that are now this tab's.
   */
  constructor(id, store, { clock, locks, adopts }, adopt) {
    this.#id = id;
    this.#store = store;
    this.#clock = clock;
    this.#locks = locks;
    this.#wanted = adopts;
    this.#adopt = adopt;
  }

  /**
   * Begins to live, and takes over what was left behind so far.
   *
   * @returns {Promise<void>} Once that is done: from now on its own items are safe from others.
   */
  async begin() {
    await (this.#locks === null ? this.#live() : this.#hold(this.#locks));
    // What is there now may be what this very page left when it was reloaded.
    await this.look(0);
  }

  /**
   * Takes over the items of tabs that died.
   *
   * @param {number} [grace] For how long a tab must have been dead; one that is reloaded finds its items where it left them.
   * @returns {Promise<void>} Once those that are known to be dead now are done.
   */
  async look(grace = RELOAD_GRACE) {
    if (this.#end.signal.aborted) return;
    this.#later(LOOK_EVERY);
    try {
      const others = (await this.#store.owners()).filter((owner) => owner !== this.#id);
      for (const known of [this.#dead, this.#said]) {
        for (const owner of known.keys()) if (!others.includes(owner)) known.delete(owner);
      }
      let next = LOOK_EVERY;
      for (const owner of others) next = Math.min(next, await this.#inherit(owner, grace));
      if (next < LOOK_EVERY) this.#later(next);
    } catch {
      // A store that fails now is looked at again later.
    }
  }

  /**
   * Without locks: says at once that the page goes, so that it finds its items when it was a reload.
   *
   * @param {boolean} gone Whether it goes, or is back.
   */
  away(gone) {
    if (this.#locks !== null || this.#end.signal.aborted) return;
    this.#stopLiving();
    if (gone) this.#store.set(aliveFact(this.#id), undefined).catch(() => {});
    else this.#live();
  }

  /** Ends: what is left is another's to take. */
  close() {
    this.away(true);
    this.#end.abort();
    this.#stopLooking();
    this.#stopLiving();
  }

  /** @param {Locks} locks The browser's. @returns {Promise<void>} Once our lock is held; it is for life. */
  #hold(locks) {
    return new Promise((resolve) => {
      const { signal } = this.#end;
      const life = () => {
        resolve();
        return new Promise((end) => signal.addEventListener("abort", end, { once: true }));
      };
      // Where locks are refused we go on without: keys keep what is sent twice from being there twice.
      locks.request(lockName(this.#id), {}, life).catch(() => resolve());
    });
  }

  async #live() {
    this.#stopLiving();
    this.#stopLiving = this.#clock.after(ALIVE_EVERY, () => void this.#live());
    await this.#store.set(aliveFact(this.#id), this.#clock.now()).catch(() => {});
  }

  /**
   * @param {string} owner Another tab.
   * @param {number} grace For how long it must have been dead.
   * @returns {Promise<number>} In how many milliseconds there may be something to take.
   */
  async #inherit(owner, grace) {
    const locks = this.#locks;
    if (locks === null) {
      const alive = await this.#store.get(aliveFact(owner));
      const lives = typeof alive === "number" && this.#lives(owner, alive);
      if (lives) this.#dead.delete(owner);
      // Unless it says so again before they are taken.
      const since = typeof alive === "number" ? alive + 1 : 0;
      return lives ? LOOK_EVERY : this.#take(owner, grace, since);
    }
    if (this.#awaited.has(owner)) return LOOK_EVERY;
    let next = LOOK_EVERY;
    const free = await locks.request(
      lockName(owner),
      { ifAvailable: true },
      async (lock) => lock !== null && (next = await this.#take(owner, grace), true),
    );
    if (free) return next;
    // It lives. Waiting for its lock is the quickest way to hear of its end.
    this.#awaited.add(owner);
    const { signal } = this.#end;
    locks.request(lockName(owner), { signal }, () => {}).catch(() => {}).finally(() => {
      this.#awaited.delete(owner);
      this.#dead.set(owner, this.#clock.monotonic());
      // If that was a reload, the page that comes back is where its items belong.
      if (!signal.aborted) this.#later(RELOAD_GRACE);
    });
    return next;
  }

  // Clocks are set: one that says what is long ago is dead, and so is one that says the same for too long.
  /** @param {string} owner Another tab. @param {number} alive When it said last that it lives. @returns {boolean} Whether it does. */
  #lives(owner, alive) {
    const now = this.#clock.monotonic();
    const known = this.#said.get(owner);
    const said = known?.alive === alive ? known : { alive, at: now };
    this.#said.set(owner, said);
    return alive >= this.#clock.now() - DEAD_AFTER && now - said.at <= DEAD_AFTER;
  }

  /** @param {number} ms When to look next. */
  #later(ms) {
    this.#stopLooking();
    this.#stopLooking = this.#clock.after(ms, () => void this.look());
  }

  /**
   * @param {string} owner A tab that is dead.
   * @param {number} grace For how long it must have been.
   * @param {number} [unlessAlive] Since when it may have said that it isn't.
   * @returns {Promise<number>} In how many milliseconds there may be something to take.
   */
  async #take(owner, grace, unlessAlive) {
    if (this.#end.signal.aborted) return LOOK_EVERY;
    const now = this.#clock.monotonic();
    const since = this.#dead.get(owner) ?? now;
    this.#dead.set(owner, since);
    if (now - since < grace) return grace - (now - since);
    const items = await this.#store.take(owner, this.#id, unlessAlive, this.#wanted);
    if (items.length > 0) this.#adopt(items);
    return LOOK_EVERY;
  }
}

/** @param {string} id A tab. @returns {string} Its lock. */
function lockName(id) {
  return `fanfare-tab:${id}`;
}
