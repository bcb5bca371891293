// @ts-check
/**
 * The outbox: what was published and isn't acknowledged yet. Each item is kept before it is sent, sent in order and at the
 * server's pace, again after each break under the same key, and forgotten once it has its place.
 *
 * @module
 */
import { Code, FanfareError, newKey, PASSING, RETRY } from "../codes.js";
import { byteLength, Entries, MOST_ITEMS, patiently, waiting } from "./entries.js";
import { Tabs } from "./tabs.js";
import { Bucket } from "../time.js";

/** @typedef {import("./store.js").Item} Item */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("../time.js").Clock} Clock */
/** @typedef {import("./entries.js").Entry} Entry */
/** @typedef {import("./entries.js").Place} Place */
/**
 * Where to send: a connection that was greeted.
 *
 * @typedef {object} Link
 * @property {string | null} account Who one is there.
 * @property {{message: number, rate: number, burst: number}} limits What the server allows.
 * @property {() => number} free How many commands it takes now.
 * @property {() => number} time The time there, in milliseconds since 1970.
 * @property {(body: {channel: string, data: unknown, key: string}, done: (place: Place) => void, failed: (error: FanfareError) => void) => void} send Publishes.
 */
/**
 * Who is told.
 *
 * @typedef {object} Told
 * @property {() => void} changed The items are others.
 * @property {(item: Item, place: Place) => void} sent An item has its place; told before `changed`.
 */
/** The server knows a key for 24 hours; an hour less, since its clock is another. */
export const KEY_LIFE = 23 * 3_600_000;
const NEW_KEY = new Set([Code.otherAccount, Code.uncertain, Code.expired].map(String));

/** What is on its way. */
export class Outbox {
  /** This tab's name among those that share the store. */
  #owner = newKey();
  #store;
  #clock;
  #told;
  #bucket;
  #tabs;
  #entries;
  #ready = false;
  /** While it begins: the items that were found. @type {Set<string> | undefined} */
  #left;
  /** @type {Promise<void>} */
  #begun;
  /** @type {Link | undefined} */
  #link;
  #inFlight = 0;
  #pausedUntil = 0;
  #stopTimer = () => {};

  /**
   * @param {Store} store Where items are kept.
   * @param {{clock: Clock, locks: import("./tabs.js").Locks | null, adopts: (channel: string) => boolean}} parts What tells the time, the browser's locks, and of which channels items of other tabs are taken.
   * @param {Told} told Who is told.
   */
  constructor(store, parts, told) {
    this.#store = store;
    this.#clock = parts.clock;
    this.#told = told;
    this.#entries = new Entries(store, parts.clock);
    this.#bucket = new Bucket(parts.clock);
    this.#tabs = store.shared
      ? new Tabs(this.#owner, store, parts, (items) => this.#adopt(items))
      : undefined;
    this.#begun = this.#begin();
  }

  /** What is on its way or failed, in order. A new list whenever something changed. @type {readonly Item[]} */
  get items() {
    return this.#entries.items;
  }

  /**
   * Takes a message; it is being kept when this returns.
   *
   * @param {{channel: string, data: unknown, key?: string, account?: string | null}} message What, where, by whom.
   * @returns {Promise<Place>} Its place, once the server has it.
   */
  add({ channel, data, key = newKey(), account }) {
    const json = toJson(data);
    if (json === undefined) {
      return Promise.reject(new FanfareError("bad_request", `"data" must be a JSON value`));
    }
    const known = this.#entries.all().find(({ item }) =>
      item.key === key && item.channel === channel
    );
    if (known?.item.status === "pending") return waiting(known);
    if (known !== undefined) this.#entries.forget(known);
    const size = byteLength(json);
    if (!this.#entries.hasRoom(size)) {
      const message = `The outbox is full: it has at most ${MOST_ITEMS} messages and 5 MiB`;
      return Promise.reject(new FanfareError(Code.full, message));
    }
    const link = this.#ready && this.#pausedUntil === 0 ? this.#link : undefined;
    /** @type {Item} */
    const item = {
      ...{ id: newKey(), key, channel, data: JSON.parse(json), time: this.#clock.now() },
      ...(account === undefined ? {} : { account }),
      ...{ order: this.#entries.nextOrder(), owner: this.#owner, status: "pending" },
      // Sent as soon as it is kept: one write instead of two.
      ...(link !== undefined && link.free() > 0 ? { tried: link.time() } : {}),
    };
    const entry = this.#entries.enter(item, size);
    const place = waiting(entry);
    this.#write([entry]);
    this.#told.changed();
    return place;
  }

  /**
   * Tries a failed item once more, after what is pending. Under the same key where the server refused it; under a new one
   * where the old is another account's or forgotten.
   *
   * @param {string} id The item's.
   * @param {string | null} [account] Who one is now.
   */
  retry(id, account) {
    const entry = this.#entries.get(id);
    if (entry?.item.status !== "failed") return;
    const { error, tried, ...rest } = entry.item;
    const fresh = NEW_KEY.has(error?.code ?? "") ||
      (account !== undefined && rest.account !== account);
    this.#entries.replace(entry, {
      ...rest,
      ...(fresh ? { key: newKey() } : { tried }),
      ...(account === undefined ? {} : { account }),
      status: "pending",
    });
    this.#entries.moveToEnd(entry);
    this.#write([entry]);
    this.#told.changed();
  }

  /**
   * Gives an item up.
   *
   * @param {string} id The item's.
   */
  discard(id) {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.forget(entry);
    for (const { reject } of entry.waiters) {
      reject(new FanfareError(Code.discarded, "The message was discarded"));
    }
    this.#told.changed();
  }

  /**
   * There is a connection: sends what is pending, the oldest first.
   *
   * @param {Link} link The connection.
   */
  open(link) {
    this.#link = link;
    this.#inFlight = 0;
    this.#pausedUntil = 0;
    this.#bucket.set(link.limits.rate, link.limits.burst);
    for (const entry of this.#entries.all()) {
      entry.sent = false;
      const { item } = entry;
      // A program without a token or cookies is somebody else on each connection; what it never sent has no owner yet.
      if (this.#store.shared || item.tried !== undefined || item.status === "failed") continue;
      this.#entries.replace(entry, { ...item, account: link.account });
    }
    this.pump();
  }

  /** The connection is gone; what it didn't acknowledge will be sent again. */
  lost() {
    this.#link = undefined;
    this.#stopTimer();
  }

  /** Looks for what other tabs left behind; for moments at which it is likely. */
  look() {
    this.#tabs?.look();
  }

  /**
   * The page goes, and may come back.
   *
   * @param {boolean} gone Whether it goes.
   */
  away(gone) {
    this.#tabs?.away(gone);
  }

  /**
   * Ends. What is pending stays listed, and kept where the store outlives this; those who wait are told.
   *
   * @param {FanfareError} error What they are told.
   */
  close(error) {
    this.lost();
    for (const entry of this.#entries.all()) {
      const { waiters } = entry;
      entry.waiters = [];
      for (const { reject } of waiters) reject(error);
    }
    this.#tabs?.close();
    // Writes that were asked for are still made.
    this.#begun.finally(() => this.#store.close());
  }

  /** Sends what may be sent now. */
  pump() {
    const link = this.#link;
    if (link === undefined || !this.#ready) return;
    this.#stopTimer();
    const pause = this.#pausedUntil - this.#clock.monotonic();
    // After a refusal everything waits, and for the answers to what is at the server: order is kept.
    if (pause > 0) return this.#wake(pause);
    if (this.#pausedUntil > 0 && this.#inFlight > 0) return;
    this.#pausedUntil = 0;
    for (const entry of this.#entries.all()) {
      if (entry.sent || entry.item.status === "failed") continue;
      // Its write ends in another call.
      if (entry.writing > 0) return;
      const wrong = this.#wrong(entry, link);
      if (wrong !== undefined) {
        this.#fail(entry, wrong);
        continue;
      }
      if (link.free() <= 0) return;
      if (entry.item.tried === undefined) return this.#mark(link);
      const wait = this.#bucket.take();
      if (wait > 0) return this.#wake(wait);
      this.#send(entry, link);
      if (this.#link !== link) return;
    }
  }

  /** @param {Entry} entry What. @param {Link} link Where. */
  #send(entry, link) {
    const { channel, data, key } = entry.item;
    entry.sent = true;
    this.#inFlight += 1;
    const current = () => {
      if (this.#link !== link) return false;
      this.#inFlight -= 1;
      return this.#entries.get(entry.item.id) === entry && entry.item.key === key;
    };
    link.send({ channel, data, key }, (place) => {
      if (current()) this.#sent(entry, place);
    }, (error) => {
      if (!current() || error.code === Code.closed) return;
      // A token that ended is the connection's matter: the next one brings another.
      if (!PASSING.includes(error.code) && error.code !== "unauthorized") {
        return this.#fail(entry, error);
      }
      entry.sent = false;
      const { code, message } = error;
      this.#entries.replace(entry, { ...entry.item, error: { code, message } });
      this.#told.changed();
      const until = this.#clock.monotonic() + (error.retry ?? RETRY);
      this.#pausedUntil = Math.max(this.#pausedUntil, until);
    });
  }

  /** @param {Entry} entry What. @param {Place} place Where it stands now. */
  #sent(entry, place) {
    this.#entries.forget(entry);
    for (const { resolve } of entry.waiters) resolve(place);
    this.#told.sent(entry.item, place);
    this.#told.changed();
  }

  /** @param {Entry} entry What. @param {FanfareError} error Why it won't be sent by itself. */
  #fail(entry, error) {
    const { code, message } = error;
    entry.sent = false;
    this.#entries.replace(entry, { ...entry.item, status: "failed", error: { code, message } });
    this.#write([entry]);
    const { waiters } = entry;
    entry.waiters = [];
    for (const { reject } of waiters) reject(error);
    this.#told.changed();
  }

  /** @param {Entry} entry What. @param {Link} link Where to. @returns {FanfareError | undefined} Why it can't be sent there. */
  #wrong({ item, size }, link) {
    const { account, tried = Infinity } = item;
    if (account !== undefined && account !== link.account) {
      const who = account ?? "the admin";
      return tried === Infinity
        ? new FanfareError(Code.otherAccount, `Written as ${who}`)
        : new FanfareError(Code.uncertain, `Sent as ${who}: it may have arrived`);
    }
    if (link.time() - tried > KEY_LIFE) {
      return new FanfareError(Code.expired, "Tried more than a day ago: it may have been sent");
    }
    // The server would close the connection over a frame that is too large, again and again.
    const most = link.limits.message;
    if (size > most) {
      return new FanfareError("too_large", `"data" has at most ${most} bytes as JSON`);
    }
    return undefined;
  }

  // What is to be sent next is marked so before: who finds it later must know that it may have been.
  /** @param {Link} link Where to. */
  #mark(link) {
    const { account } = link;
    const next = this.#entries.all().filter(({ item }) =>
      item.status === "pending" && item.tried === undefined &&
      (item.account === undefined || item.account === account)
    ).slice(0, link.free());
    const tried = link.time();
    for (const entry of next) this.#entries.replace(entry, { ...entry.item, tried, account });
    this.#write(next);
  }

  async #begin() {
    const begun = this.#tabs?.begin();
    if (begun !== undefined) {
      // What is being typed while the page finds what it left is later than that, whatever the clock says.
      const left = new Set();
      this.#left = left;
      await patiently(begun, this.#clock);
      this.#left = undefined;
      const typed = this.#entries.all().filter(({ item }) => !left.has(item.id));
      if (left.size > 0) { for (const entry of typed) this.#entries.moveToEnd(entry); }
    }
    this.#ready = true;
    this.pump();
  }

  /** @param {Item[]} items Of a tab that died. */
  #adopt(items) {
    this.#entries.inherit(items);
    for (const { id } of items) this.#left?.add(id);
    this.#told.changed();
    this.pump();
  }

  /** @param {Entry[]} entries What to keep as it is now; nothing of it is sent before. */
  async #write(entries) {
    // Before this tab is known to live, another would take its items for a dead one's.
    const { lasting } = this.#store;
    await this.#entries.keep(entries, this.#ready ? undefined : this.#begun);
    // What is shown of the outbox may say whether it is kept.
    if (this.#store.lasting !== lasting) this.#told.changed();
    this.pump();
  }

  /** @param {number} ms When to go on. */
  #wake(ms) {
    this.#stopTimer = this.#clock.after(ms, () => this.pump());
  }
}

/** @param {unknown} data Anything. @returns {string | undefined} As JSON, where it is any. */
function toJson(data) {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}
