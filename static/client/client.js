// @ts-check
/**
 * The client library: one connection that comes back by itself, subscriptions that go on where they were, and an outbox
 * that sends each message once. Works wherever WebSocket is: browsers, Deno, Node 22. Protocol: `fanfare.v1`.
 *
 * @module
 */
import { Code, FanfareError, isFinal, PASSING, Reason, safely, State } from "./codes.js";
import { Connection } from "./connection.js";
import { Outbox } from "./outbox/outbox.js";
import { browserStore, memoryStore } from "./outbox/store.js";
import { Subscription } from "./subscription.js";
import { backoff, machineClock, Patience, STEADY } from "./time.js";

export { Code, FanfareError, newKey, Reason, State } from "./codes.js";
export { follow } from "./event_stream.js";
export { memoryStore } from "./outbox/store.js";
export { Subscription } from "./subscription.js";

/** @typedef {import("./subscription.js").Message} Message */
/** @typedef {import("./subscription.js").Member} Member */
/** @typedef {import("./subscription.js").Roster} Roster */
/** @typedef {import("./subscription.js").Signal} Signal */
/** @typedef {import("./subscription.js").SubscribeOptions} SubscribeOptions */
/** @typedef {import("./outbox/store.js").Item} Item */
/** @typedef {import("./outbox/store.js").Store} Store */
/** @typedef {import("./outbox/outbox.js").Place} Place */
/**
 * How to connect.
 *
 * @typedef {object} ConnectOptions
 * @property {string} [url] The server's address, http(s) or ws(s); by default the page's own.
 * @property {string | (() => string | Promise<string>)} [token] A bearer token, or what gets one for each connection; browsers have their cookie.
 * @property {string} [name] A display name to take.
 * @property {Store} [store] Where the outbox is kept; by default IndexedDB where there is one, else memory.
 * @property {import("./outbox/tabs.js").Locks | null} [locks] What tells which tabs live; by default `navigator.locks`, null for none.
 * @property {(channel: string) => boolean} [adopts] Of which channels what a closed tab left behind is sent and shown here; by default of all. Give it where tabs of one browser show different channels.
 * @property {() => number} [random] From 0 to 1; for tests.
 * @property {import("./time.js").Clock} [clock] The time; for tests.
 * @property {new (url: string, protocols: string[]) => WebSocket} [WebSocket] Another socket; for tests.
 */
/**
 * What is told to who listens.
 *
 * @typedef {object} Events
 * @property {(client: Client) => void} state State or reason changed.
 * @property {(client: Client) => void} account Account or name are known or changed.
 * @property {(client: Client) => void} outbox The items of the outbox changed.
 * @property {(client: Client, sent: {item: Item, place: Place}) => void} sent An item of the outbox has its place; told before `outbox`.
 */

/**
 * Connects, and stays connected until `close()`.
 *
 * @param {ConnectOptions} [options] How.
 * @returns {Client} The client.
 * @throws {TypeError} Without a `url` where there is no page to take it from.
 */
export function connect(options = {}) {
  return new Client(options);
}

/** A connection to the server that heals by itself. Made by {@linkcode connect}. */
export class Client {
  /** One's own account, as the server told it now or the last time; null for the admin. @type {string | null | undefined} */
  account = undefined;
  /** One's own display name. @type {string | undefined} */
  name = undefined;
  /** Names the server's log, once it was greeted: seqs of two can't be compared. @type {string | undefined} */
  epoch = undefined;
  /** @type {(typeof State)[keyof typeof State]} */
  state = State.connecting;
  /** @type {(typeof Reason)[keyof typeof Reason]} */
  reason = Reason.start;
  /** When the next try is made, in milliseconds since 1970; while waiting. */
  nextTry = 0;

  #options;
  #url;
  #clock;
  #store;
  #outbox;
  /** The name that is asked for with each greeting. @type {string | undefined} */
  #wanted;
  /** @type {Connection | undefined} */
  #connection;
  #attempt = 0;
  /** When the connection was greeted. @type {number | undefined} */
  #greetedAt;
  #patience = new Patience();
  #stopTimer = () => {};
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {{[E in keyof Events]: Set<Events[E]>}} */
  #listeners = { state: new Set(), account: new Set(), outbox: new Set(), sent: new Set() };
  #ears = new AbortController();

  /** @param {ConnectOptions} options How. */
  constructor(options) {
    this.#options = options;
    this.#wanted = options.name;
    const base = options.url ?? globalThis.location?.href;
    if (base === undefined) {
      throw new TypeError("Cannot connect: give the server's address as `url`");
    }
    const url = new URL("/ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    this.#url = url.href;
    this.#clock = options.clock ?? machineClock;
    this.#store = options.store ?? defaultStore(url);
    const { locks = globalThis.navigator?.locks ?? null } = options;
    const adopts = options.adopts ?? (() => true);
    this.#outbox = new Outbox(this.#store, { clock: this.#clock, locks, adopts }, {
      changed: () => this.#tell("outbox"),
      sent: (item, place) => this.#tell("sent", { item, place }),
    });
    this.#remember();
    this.#listen();
    this.#open(Reason.start);
  }

  /** What was published and isn't acknowledged, and what failed; in order. A new list whenever something changed. @type {readonly Item[]} */
  get outbox() {
    return this.#outbox.items;
  }

  /** Whether what is in the outbox outlives this page: not where the browser has no IndexedDB, refuses it, or is full. */
  get keeps() {
    return this.#store.lasting;
  }

  /**
   * Listens.
   *
   * @template {keyof Events} E
   * @param {E} event What to hear of: `state`, `account`, `outbox` or `sent`.
   * @param {Events[E]} listener Called with the client.
   * @returns {() => void} Ends it.
   */
  on(event, listener) {
    this.#listeners[event].add(listener);
    return () => void this.#listeners[event].delete(listener);
  }

  /**
   * Subscribes to a channel, over all connections to come. One subscription for each channel: another takes its place.
   *
   * @param {string} channel `push:NAME`, `room:NAME`, `dm:A.B`, or `dm:*` for all one's direct messages.
   * @param {SubscribeOptions} [options] What it asks for.
   * @returns {Subscription} The subscription.
   */
  subscribe(channel, options = {}) {
    this.#subscriptions.get(channel)?.close();
    const subscription = new Subscription(channel, options, this.#clock, () => {
      this.#subscriptions.delete(channel);
      if (this.state === State.open) this.#ask("unsubscribe", { channel }).catch(() => {});
    });
    this.#subscriptions.set(channel, subscription);
    if (this.state === State.open && this.#connection) subscription.begin(this.#connection);
    return subscription;
  }

  /**
   * Publishes once, however often it has to be sent: kept until the server has it on disk, over reloads too where the
   * outbox is kept in a browser.
   *
   * @param {string} channel Where.
   * @param {unknown} data Any JSON value.
   * @param {{key?: string}} [options] The key that makes it one message; made here where it isn't given.
   * @returns {Promise<Place>} Its place. It is refused with `full` where the outbox has no room, with `closed` when the client is closed before (what is kept is sent by the next client), and with the server's code where that won't have it; then it stays in the outbox as failed.
   */
  publish(channel, data, { key } = {}) {
    if (this.state === State.closed) {
      return Promise.reject(new FanfareError(Code.closed, "The client is closed"));
    }
    const { account } = this;
    return this.#outbox.add({
      ...{ channel, data },
      ...(key === undefined ? {} : { key }),
      ...(account === undefined ? {} : { account }),
    });
  }

  /**
   * Sends a failed message of the outbox once more, as one's own of now.
   *
   * @param {string} id The item's `id`.
   */
  retry(id) {
    if (this.state !== State.closed) this.#outbox.retry(id, this.account);
  }

  /**
   * Takes a message out of the outbox. One that is on its way may still arrive.
   *
   * @param {string} id The item's `id`.
   */
  discard(id) {
    if (this.state !== State.closed) this.#outbox.discard(id);
  }

  /**
   * Reads a page of a channel.
   *
   * @param {string} channel Which.
   * @param {{before?: number, after?: number, limit?: number}} [range] Seqs, exclusive.
   * @returns {Promise<{messages: Message[], more: boolean}>} Oldest first.
   */
  history(channel, range = {}) {
    return this.#ask("history", { channel, ...range });
  }

  /**
   * Asks who is in a channel.
   *
   * @param {string} channel Which.
   * @returns {Promise<Roster>} The list.
   */
  presence(channel) {
    return this.#ask("presence", { channel });
  }

  /**
   * Says something to those who are subscribed now; not kept.
   *
   * @param {string} channel Where.
   * @param {unknown} data Any JSON value.
   * @returns {Promise<unknown>} Once it is on its way.
   */
  signal(channel, data) {
    return this.#ask("signal", { channel, data });
  }

  /**
   * Takes another display name.
   *
   * @param {string | null} name 1 to 40 characters, or null for none.
   * @returns {Promise<void>} Once it is recorded.
   */
  async rename(name) {
    await this.#ask("rename", { name });
    // The next greeting must not take the one of before.
    if (this.#wanted !== undefined) this.#wanted = name ?? undefined;
    this.#known(this.account, name ?? undefined);
  }

  /** Closes for good. Who waits for a message is told `closed`; a kept one is sent by the next client. */
  close() {
    this.#end(Reason.done);
  }

  /** @param {(typeof Reason)[keyof typeof Reason]} reason Why. */
  #open(reason) {
    this.#stopTimer();
    const parts = {
      clock: this.#clock,
      patience: this.#patience,
      WebSocket: this.#options.WebSocket ?? globalThis.WebSocket,
    };
    const connection = new Connection(this.#url, parts, {
      opened: () => this.#greet(connection),
      messages: (messages) => {
        for (const subscription of [...this.#subscriptions.values()]) {
          subscription.receive(messages);
        }
      },
      line: (line) => this.#line(line),
      answered: () => this.#outbox.pump(),
      ended: (why, code, retry) => {
        if (connection !== this.#connection) return;
        this.#lost();
        if (isFinal(code)) this.#end(Reason.refused);
        else this.#wait(/** @type {any} */ (why), retry);
      },
    });
    this.#connection = connection;
    this.#to(State.connecting, reason);
  }

  /** @param {Connection} connection The one that is open. */
  async #greet(connection) {
    const { token } = this.#options;
    /** @type {string | undefined} */
    let given;
    try {
      given = typeof token === "function" ? await token() : token;
    } catch {
      return connection.end(Reason.lost);
    }
    const body = {
      ...(given === undefined ? {} : { token: given }),
      ...(this.#wanted === undefined ? {} : { name: this.#wanted }),
    };
    connection.ask(
      "hello",
      body,
      (hello) => this.#greeted(connection, hello),
      (error) => {
        if (error.code === Code.closed || connection !== this.#connection) return;
        // What isn't there now may be there later; what is wrong stays wrong.
        const passes = [...PASSING, "internal"].includes(error.code);
        if (!passes) return this.#end(Reason.refused);
        connection.close();
        this.#lost();
        this.#wait(Reason.lost, error.retry);
      },
    );
  }

  /** @param {Connection} connection The one that is open. @param {any} hello What was answered. */
  #greeted(connection, hello) {
    if (connection !== this.#connection) return;
    const at = this.#clock.monotonic();
    this.#greetedAt = at;
    // The clock here may be set meanwhile, and is another than the server's.
    const told = Number.isFinite(hello.time) ? hello.time : this.#clock.now();
    connection.greeted(hello.ping, hello.limits.pending);
    this.epoch = hello.epoch;
    this.#known(hello.account, hello.name);
    this.#to(State.open, Reason.greeted);
    for (const subscription of [...this.#subscriptions.values()]) {
      if (connection === this.#connection) subscription.begin(connection);
    }
    if (connection !== this.#connection) return;
    this.#outbox.open({
      account: hello.account,
      limits: hello.limits,
      free: () => connection.free,
      time: () => told + this.#clock.monotonic() - at,
      send: (body, done, failed) => connection.ask("publish", body, done, failed),
    });
  }

  /** @param {Record<string, any>} line What wasn't asked for. */
  #line({ presence, signal }) {
    if (presence !== undefined) this.#subscriptions.get(presence.channel)?.change(presence);
    if (signal === undefined) return;
    for (const subscription of [...this.#subscriptions.values()]) subscription.hear(signal);
  }

  #lost() {
    this.#connection = undefined;
    // A server that greets and goes at once is as bad as one that doesn't greet.
    const at = this.#greetedAt;
    this.#greetedAt = undefined;
    if (at !== undefined && this.#clock.monotonic() - at >= STEADY) this.#attempt = 0;
    this.#outbox.lost();
    for (const subscription of this.#subscriptions.values()) subscription.lost();
  }

  /** @param {(typeof Reason)[keyof typeof Reason]} reason Why. @param {number} [told] The most to wait, if the server said so. */
  #wait(reason, told) {
    const wait = backoff(this.#attempt, (this.#options.random ?? Math.random)(), told);
    this.#attempt += 1;
    this.nextTry = this.#clock.now() + wait;
    this.#stopTimer();
    this.#stopTimer = this.#clock.after(wait, () => this.#open(Reason.retry));
    this.#to(State.waiting, reason);
  }

  // The network came back or is another, or somebody looks again: what was waited for may be there now.
  #again() {
    this.#outbox.look();
    if (this.state === State.waiting) this.#open(Reason.retry);
    else if (this.state === State.open) this.#connection?.probe();
  }

  #listen() {
    const { signal } = this.#ears;
    globalThis.addEventListener?.("online", () => this.#again(), { signal });
    // A browser's sockets may stay silently open without a network.
    globalThis.addEventListener?.("offline", () => this.#connection?.probe(), { signal });
    globalThis.addEventListener?.("pagehide", () => this.#outbox.away(true), { signal });
    globalThis.addEventListener?.("pageshow", () => this.#outbox.away(false), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => {
      if (globalThis.document.visibilityState === "visible") this.#again();
    }, { signal });
  }

  /** @param {(typeof Reason)[keyof typeof Reason]} reason Why. */
  #end(reason) {
    if (this.state === State.closed) return;
    this.#ears.abort();
    this.#stopTimer();
    this.#connection?.close();
    this.#lost();
    this.#to(State.closed, reason);
    this.#outbox.close(new FanfareError(Code.closed, "The client was closed"));
  }

  // So that a page that is opened without a network knows whose it is.
  async #remember() {
    const known = await this.#store.get(this.#fact).catch(() => undefined);
    if (this.account !== undefined || typeof known !== "object" || known === null) return;
    if (!("account" in known)) return;
    const { account } = known;
    if (typeof account !== "string" && account !== null) return;
    this.account = account;
    this.name = "name" in known && typeof known.name === "string" ? known.name : undefined;
    this.#tell("account");
  }

  /** @param {string | null | undefined} account One's own. @param {string | undefined} name One's own. */
  #known(account, name) {
    this.account = account;
    this.name = name;
    this.#store.set(this.#fact, { account, name }).catch(() => {});
    this.#tell("account");
  }

  // A page may have a client with a token beside one with the cookie: they are not the same.
  get #fact() {
    return this.#options.token === undefined ? "me" : "me by token";
  }

  /**
   * @param {string} verb The command's.
   * @param {object} body Its body.
   * @returns {Promise<any>} What it was answered with.
   */
  #ask(verb, body) {
    return new Promise((resolve, reject) => {
      const connection = this.state === State.open ? this.#connection : undefined;
      if (connection !== undefined) return connection.ask(verb, body, resolve, reject);
      reject(new FanfareError(Code.closed, "There is no connection now"));
    });
  }

  /**
   * @param {(typeof State)[keyof typeof State]} state The new one.
   * @param {(typeof Reason)[keyof typeof Reason]} reason Why.
   */
  #to(state, reason) {
    this.state = state;
    this.reason = reason;
    this.#tell("state");
  }

  /**
   * @template {keyof Events} E
   * @param {E} event Which.
   * @param {Parameters<Events[E]>[1]} [more] What goes with it.
   */
  #tell(event, more) {
    for (const listener of [...this.#listeners[event]]) {
      safely(() => /** @type {(client: Client, more?: unknown) => void} */ (listener)(this, more));
    }
  }
}

/** @param {URL} url The server's socket. @returns {Store} One for each server: a page may have clients of several. */
function defaultStore(url) {
  if (globalThis.location === undefined) return memoryStore();
  const own = url.host === globalThis.location.host;
  return browserStore(own ? "fanfare" : `fanfare ${url.origin}`);
}
