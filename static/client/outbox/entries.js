// @ts-check
/**
 * The list behind the outbox: its items in their order, within its bounds, and the same in the store.
 *
 * @module
 */

/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("../time.js").Clock} Clock */
/** @typedef {import("../codes.js").FanfareError} FanfareError */
/** @typedef {{channel: string, seq: number, time: number, duplicate?: true}} Place */
/** @typedef {{resolve: (place: Place) => void, reject: (error: FanfareError) => void}} Waiter */
/**
 * An item with what is only of now: whether it is at the server, how many writes of it are under way, who waits for it.
 *
 * @typedef {{item: Item, size: number, sent: boolean, writing: number, waiters: Waiter[]}} Entry
 */

/** The most items. */
export const MOST_ITEMS = 1000;
/** The most that all items have, as JSON in UTF-8. */
export const MOST_BYTES = 5 * 1024 * 1024;
// A store that hangs must not hold the messages up for ever.
const STORE_PATIENCE = 3000;

/** Items in the order in which they are sent. */
export class Entries {
  #store;
  #clock;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  #bytes = 0;
  #lastOrder = 0;
  /** @type {readonly Item[] | undefined} */
  #listed;

  /**
   * @param {Store} store Where items are kept.
   * @param {Clock} clock What tells the time.
   */
  constructor(store, clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The items; a new list whenever one changed. @type {readonly Item[]} */
  get items() {
    this.#listed ??= Object.freeze(this.all().map(({ item }) => item));
    return this.#listed;
  }

  /** @returns {Entry[]} All of now. */
  all() {
    return [...this.#entries.values()];
  }

  /** @param {string} id An item's. @returns {Entry | undefined} Its entry. */
  get(id) {
    return this.#entries.get(id);
  }

  /** @param {number} size Bytes. @returns {boolean} Whether there is room for an item of so many. */
  hasRoom(size) {
    return this.#entries.size < MOST_ITEMS && this.#bytes + size <= MOST_BYTES;
  }

  /** @param {Item} item An item. @param {number} size Its bytes. @returns {Entry} Its entry, the last. */
  enter(item, size) {
    /** @type {Entry} */
    const entry = { item: Object.freeze(item), size, sent: false, writing: 0, waiters: [] };
    this.#entries.set(item.id, entry);
    this.#bytes += size;
    this.#listed = undefined;
    return entry;
  }

  /** @param {Entry} entry What. @param {Item} item What it is from now on. */
  replace(entry, item) {
    entry.item = Object.freeze(item);
    this.#listed = undefined;
  }

  /** @param {Entry} entry What is the last one from now on. */
  moveToEnd(entry) {
    this.#entries.delete(entry.item.id);
    this.#entries.set(entry.item.id, entry);
    this.replace(entry, { ...entry.item, order: this.nextOrder() });
  }

  /** @param {Entry} entry What is over, here and in the store. */
  forget(entry) {
    if (!this.#entries.delete(entry.item.id)) return;
    this.#bytes -= entry.size;
    this.#listed = undefined;
    this.#store.remove([entry.item.id]).catch(() => {});
  }

  /**
   * Puts items among those that are there, by their order.
   *
   * @param {Item[]} items Of a tab that died.
   */
  inherit(items) {
    const own = this.all();
    for (const item of items.filter(({ id }) => !this.#entries.has(id))) {
      this.#lastOrder = Math.max(this.#lastOrder, item.order);
      this.enter(item, byteLength(JSON.stringify(item.data)));
    }
    const all = [...this.all().slice(own.length), ...own];
    const sorted = all.toSorted((a, b) => a.item.order - b.item.order);
    this.#entries = new Map(sorted.map((entry) => [entry.item.id, entry]));
  }

  /** @returns {number} The order of another item. Rises within a tab, and over reloads where the clock doesn't go back. */
  nextOrder() {
    this.#lastOrder = Math.max(this.#lastOrder + 1, this.#clock.now());
    return this.#lastOrder;
  }

  /**
   * Keeps entries as they are now.
   *
   * @param {Entry[]} entries Which.
   * @param {Promise<void>} [ready] When the store may be written, if not yet.
   * @returns {Promise<void>} Once they are kept.
   */
  async keep(entries, ready) {
    for (const entry of entries) entry.writing += 1;
    if (ready !== undefined) await ready;
    // What was given up or sent meanwhile must not come back.
    const items = entries.map(({ item }) => item).filter(({ id }) => this.#entries.has(id));
    if (items.length > 0) await patiently(this.#store.put(items), this.#clock);
    for (const entry of entries) entry.writing -= 1;
  }
}

/**
 * Waits for the store, but not for ever: its failures aren't worth losing messages over, they are sent from memory.
 *
 * @param {Promise<unknown>} work Of the store.
 * @param {Clock} clock What tells the time.
 * @returns {Promise<void>} Once it is done, has failed, or takes too long.
 */
export function patiently(work, clock) {
  return new Promise((resolve) => {
    const stop = clock.after(STORE_PATIENCE, resolve);
    work.catch(() => {}).finally(() => {
      stop();
      resolve();
    });
  });
}

/**
 * @param {Entry} entry What is waited for.
 * @returns {Promise<Place>} Its place, once it has one.
 */
export function waiting(entry) {
  return new Promise((resolve, reject) => entry.waiters.push({ resolve, reject }));
}

/**
 * @param {string} text A text.
 * @returns {number} Its bytes in UTF-8.
 */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
