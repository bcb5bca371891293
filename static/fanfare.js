// @ts-check
/**
 * The client library: one connection that comes back by itself, subscriptions that go on where they were, and an outbox
 * that sends each message once. Works wherever WebSocket is: browsers, Deno, Node 22. Protocol: `fanfare.v1`.
 *
 * @module
 */

/** The states of a client; told by the `state` event with a {@linkcode Reason}. */
export const State = Object.freeze({
  /** A socket is being opened. */
  connecting: "connecting",
  /** Commands are answered. */
  open: "open",
  /** The connection is gone; the client comes back by itself. */
  waiting: "waiting",
  /** Closed for good: by `close()`, or because the server won't have it. */
  closed: "closed",
});

/** Why a client is in its state. */
export const Reason = Object.freeze({
  /** `connect()` was called. */
  start: "start",
  /** The server answered the greeting. */
  greeted: "greeted",
  /** The connection broke, or couldn't be made. */
  lost: "lost",
  /** The server said that it goes away, and when to come back. */
  leaving: "leaving",
  /** The server didn't answer a ping, or the handshake. */
  silent: "silent",
  /** The time to wait is over, or the network is back. */
  retry: "retry",
  /** `close()` was called. */
  done: "done",
  /** The server refused the token or the client for good. */
  refused: "refused",
});

/** Close codes after which coming back is of no use (protocol.md section 2). */
const FINAL = [1003, 1007, 1008, 1009];
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const OPEN_TIMEOUT = 10_000;

/**
 * A message.
 *
 * @typedef {{channel: string, seq: number, time: number, from: string | null, name?: string, key?: string, data: unknown}} Message
 */
/**
 * An account that is in a channel.
 *
 * @typedef {{account: string, name?: string}} Member
 */
/**
 * Who is in a channel; `count` is right even where `members` is cut.
 *
 * @typedef {{version: number, count: number, members: Member[]}} Roster
 */
/**
 * A word that isn't kept.
 *
 * @typedef {{channel: string, from: string | null, data: unknown}} Signal
 */
/**
 * What a subscription asks for, and who is told.
 *
 * @typedef {object} SubscribeOptions
 * @property {number} [history] How many of the newest messages to begin with, 0 to 200.
 * @property {(messages: Message[], gap: boolean, reset: boolean) => void} [onMessages] New messages, each once and in order; with `gap`, some before them are missing; with `reset`, the server has another log and what was shown before has no place in it.
 * @property {(roster: Roster) => void} [onPresence] Who is here, whenever it changes.
 * @property {(signal: Signal) => void} [onSignal] Words that aren't kept.
 * @property {(error: FanfareError) => void} [onError] The subscription was refused.
 */
/**
 * How to connect.
 *
 * @typedef {object} ConnectOptions
 * @property {string} [url] The server's address, http(s) or ws(s); by default the page's own.
 * @property {string} [token] A bearer token; browsers have their cookie.
 * @property {string} [name] A display name to take.
 * @property {() => number} [random] From 0 to 1; for tests.
 */
/**
 * A message on its way.
 *
 * @typedef {{channel: string, data: unknown, key: string, sent: boolean, resolve: (body: any) => void, reject: (error: FanfareError) => void}} Item
 */

/** A refusal by the server, or `closed` where there is no connection. */
export class FanfareError extends Error {
  /**
   * @param {string} code One of the protocol's codes, or `closed`.
   * @param {string} message A sentence.
   * @param {number} [retry] Milliseconds after which to try again.
   */
  constructor(code, message, retry) {
    super(message);
    this.name = "FanfareError";
    /** The protocol's code. */
    this.code = code;
    /** Milliseconds after which to try again. */
    this.retry = retry;
  }
}

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
  /** One's own account, once the server told it; null for the admin. @type {string | null | undefined} */
  account = undefined;
  /** One's own display name. @type {string | undefined} */
  name = undefined;
  /** @type {(typeof State)[keyof typeof State]} */
  state = State.connecting;
  /** @type {(typeof Reason)[keyof typeof Reason]} */
  reason = Reason.start;
  /** When the next try is made, in milliseconds since 1970; while waiting. */
  nextTry = 0;

  /** @type {ConnectOptions} */
  #options;
  /** @type {string} */
  #url;
  /** @type {WebSocket | undefined} */
  #socket;
  #id = 0;
  #attempt = 0;
  #ping = 15_000;
  #maxPending = 256;
  #heard = 0;
  #pinged = false;
  /** @type {number | undefined} */
  #retryTold;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heart;
  /** @type {Map<number, {verb: string, resolve: (body: any) => void, reject: (error: FanfareError) => void}>} */
  #asked = new Map();
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Set<Item>} */
  #outbox = new Set();
  /** @type {Map<string, Set<(client: Client) => void>>} */
  #listeners = new Map();
  #online = () => this.#again();

  /** @param {ConnectOptions} options How. */
  constructor(options) {
    this.#options = options;
    const base = options.url ?? globalThis.location?.href;
    if (base === undefined) {
      throw new TypeError("Cannot connect: give the server's address as `url`");
    }
    const url = new URL("/ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    this.#url = url.href;
    globalThis.addEventListener?.("online", this.#online);
    this.#open();
  }

  /**
   * Listens to `state` (state or reason changed) or `account` (account or name are known or changed).
   *
   * @param {"state" | "account"} event What to hear of.
   * @param {(client: Client) => void} listener Called with the client.
   * @returns {() => void} Ends it.
   */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Subscribes to a channel, over all connections to come. One subscription for each channel.
   *
   * @param {string} channel `push:NAME`, `room:NAME`, `dm:A.B`, or `dm:*` for all one's direct messages.
   * @param {SubscribeOptions} [options] What it asks for.
   * @returns {Subscription} The subscription.
   */
  subscribe(channel, options = {}) {
    const end = () => {
      this.#subscriptions.delete(channel);
      if (this.state === State.open) this.#ask("unsubscribe", { channel }).catch(() => {});
    };
    const subscription = new Subscription(
      channel,
      options,
      (verb, body) => this.#ask(verb, body),
      end,
    );
    this.#subscriptions.set(channel, subscription);
    if (this.state === State.open) subscription.begin();
    return subscription;
  }

  /**
   * Publishes once, however often it has to be sent: kept until the server has it on disk.
   *
   * @param {string} channel Where.
   * @param {unknown} data Any JSON value.
   * @param {{key?: string}} [options] The key that makes it one message; made here where it isn't given.
   * @returns {Promise<{channel: string, seq: number, time: number, duplicate?: true}>} Its place.
   */
  publish(channel, data, { key = newKey() } = {}) {
    return new Promise((resolve, reject) => {
      if (this.state === State.closed) {
        return reject(new FanfareError("closed", "The client is closed"));
      }
      this.#outbox.add({ channel, data, key, sent: false, resolve, reject });
      this.#flush();
    });
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
    this.name = name ?? undefined;
    this.#tell("account");
  }

  /** Closes for good. What is still in the outbox is refused. */
  close() {
    const socket = this.#socket;
    this.#end(Reason.done);
    socket?.close(1000);
  }

  #open() {
    this.#to(State.connecting, this.#attempt === 0 ? Reason.start : Reason.retry);
    const socket = new WebSocket(this.#url, ["fanfare.v1"]);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost(socket, Reason.silent), OPEN_TIMEOUT);
    socket.onopen = () => this.#greet(socket);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(String(data));
    socket.onclose = ({ code }) => {
      if (socket !== this.#socket) return;
      if (FINAL.includes(code) || (code >= 4500 && code <= 4999)) this.#end(Reason.refused);
      else this.#lost(socket, this.#retryTold === undefined ? Reason.lost : Reason.leaving);
    };
  }

  /** @param {WebSocket} socket The one that is open. */
  async #greet(socket) {
    const { token, name } = this.#options;
    try {
      const hello = await this.#ask("hello", {
        ...(token === undefined ? {} : { token }),
        ...(name === undefined ? {} : { name }),
      });
      if (socket !== this.#socket) return;
      clearTimeout(this.#timer);
      this.account = hello.account;
      this.name = hello.name;
      this.#ping = hello.ping;
      this.#maxPending = hello.limits.pending;
      this.#attempt = 0;
      this.#heart = setInterval(() => this.#beat(socket), this.#ping / 3);
      this.#to(State.open, Reason.greeted);
      this.#tell("account");
      for (const subscription of this.#subscriptions.values()) subscription.begin();
      this.#flush();
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      if (error.code !== "unauthorized") return this.#lost(socket, Reason.lost);
      this.#end(Reason.refused);
      socket.close();
    }
  }

  // Browsers can't see the server's pings: silence is asked about, and no answer to that is a loss.
  /** @param {WebSocket} socket The one that is open. */
  #beat(socket) {
    const silence = Date.now() - this.#heard;
    if (silence < this.#ping) return;
    if (silence >= 2 * this.#ping) return this.#lost(socket, Reason.silent);
    if (this.#pinged) return;
    this.#pinged = true;
    this.#ask("ping", {}).catch(() => {});
  }

  /** @param {string} frame One or more lines. */
  #receive(frame) {
    this.#heard = Date.now();
    this.#pinged = false;
    /** @type {Message[]} */
    const messages = [];
    for (const line of frame.split("\n")) {
      const said = JSON.parse(line);
      if (said.message !== undefined) messages.push(said.message);
      else if (said.id !== undefined) this.#answered(said);
      else if (said.presence !== undefined) {
        this.#subscriptions.get(said.presence.channel)?.change(said.presence);
      } else if (said.signal !== undefined) this.#signalled(said.signal);
      else if (said.closing !== undefined) this.#retryTold = said.closing.retry;
    }
    if (messages.length === 0) return;
    for (const subscription of this.#subscriptions.values()) subscription.receive(messages);
  }

  /** @param {Record<string, any>} said An answer. */
  #answered(said) {
    const asked = this.#asked.get(said.id);
    this.#asked.delete(said.id);
    if (said.error === undefined) asked?.resolve(said[asked.verb]);
    else asked?.reject(new FanfareError(said.error.code, said.error.message, said.error.retry));
    this.#flush();
  }

  /** @param {Signal} signal What was said. */
  #signalled(signal) {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.reads(signal.channel)) subscription.options.onSignal?.(signal);
    }
  }

  /**
   * @param {string} verb The command's.
   * @param {object} body Its body.
   * @returns {Promise<any>} What it was answered with.
   */
  #ask(verb, body) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== 1) {
        return reject(new FanfareError("closed", "There is no connection now"));
      }
      const id = ++this.#id;
      this.#asked.set(id, { verb, resolve, reject });
      this.#socket.send(JSON.stringify({ id, [verb]: body }));
    });
  }

  // In order, and never more at once than the server allows.
  #flush() {
    if (this.state !== State.open) return;
    for (const item of this.#outbox) {
      if (this.#asked.size >= this.#maxPending) return;
      if (!item.sent) this.#sendItem(item);
    }
  }

  /** @param {Item} item From the outbox. */
  async #sendItem(item) {
    item.sent = true;
    const { channel, data, key } = item;
    try {
      const placed = await this.#ask("publish", { channel, data, key });
      this.#outbox.delete(item);
      item.resolve(placed);
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      const again = () => {
        item.sent = false;
        this.#flush();
      };
      // A lost connection sends it again with the same key; so does a server that can't now.
      if (error.code === "closed") item.sent = false;
      else if (error.code === "rate_limited" || error.code === "unavailable") {
        setTimeout(again, error.retry ?? 1000);
      } else {
        this.#outbox.delete(item);
        item.reject(error);
      }
    }
  }

  /**
   * @param {WebSocket} socket The one that is lost.
   * @param {(typeof Reason)[keyof typeof Reason]} reason Why.
   */
  #lost(socket, reason) {
    if (socket !== this.#socket || this.state === State.closed) return;
    this.#drop();
    socket.close();
    // Exponential with full jitter; after a planned end as soon as it was told, at a random moment of that time.
    const random = (this.#options.random ?? Math.random)();
    const most = this.#retryTold ?? Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#attempt);
    this.#retryTold = undefined;
    this.#attempt += 1;
    this.nextTry = Date.now() + random * most;
    this.#timer = setTimeout(() => this.#open(), random * most);
    this.#to(State.waiting, reason);
  }

  #again() {
    if (this.state !== State.waiting) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  /** @param {(typeof Reason)[keyof typeof Reason]} reason Why. */
  #end(reason) {
    if (this.state === State.closed) return;
    this.#drop();
    globalThis.removeEventListener?.("online", this.#online);
    this.#to(State.closed, reason);
    for (const { reject } of this.#outbox) {
      reject(new FanfareError("closed", "The client was closed"));
    }
    this.#outbox.clear();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearInterval(this.#heart);
    this.#socket = undefined;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(new FanfareError("closed", "The connection was lost"));
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

  /** @param {string} event Which. */
  #tell(event) {
    for (const listener of this.#listeners.get(event) ?? []) listener(this);
  }
}

/** A subscription: its place in the channel goes on over connections. Made by `subscribe`. */
export class Subscription {
  /** Who is here, as far as it is known. @type {Roster | undefined} */
  roster = undefined;
  /** @type {{epoch: string, seq: number} | undefined} */
  #place;
  /** @type {(verb: string, body: object) => Promise<any>} */
  #ask;
  /** @type {() => void} */
  #end;

  /**
   * @param {string} channel Which.
   * @param {SubscribeOptions} options What it asks for.
   * @param {(verb: string, body: object) => Promise<any>} ask Asks the server.
   * @param {() => void} end Ends it.
   */
  constructor(channel, options, ask, end) {
    /** Which channel. */
    this.channel = channel;
    /** What it asks for. */
    this.options = options;
    this.#ask = ask;
    this.#end = end;
  }

  /** Ends it. */
  close() {
    this.#end();
  }

  /**
   * Whether a channel's messages come by this subscription.
   *
   * @param {string} channel Which.
   * @returns {boolean} Whether they do.
   */
  reads(channel) {
    return channel === this.channel || (this.channel === "dm:*" && channel.startsWith("dm:"));
  }

  /**
   * Subscribes on a new connection: from its place on, or from the newest.
   *
   * @returns {Promise<void>} Once it stands, or was refused.
   */
  async begin() {
    const { history = 0, onPresence, onError } = this.options;
    const since = this.#place;
    try {
      const answer = await this.#ask("subscribe", {
        channel: this.channel,
        ...(since === undefined ? {} : { since }),
        history,
        ...(onPresence === undefined ? {} : { presence: true }),
      });
      this.#stands(answer);
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      // A lost connection begins it again; only a refusal is told.
      if (error.code !== "closed") onError?.(error);
    }
  }

  /** @param {Message[]} messages What came in a frame, of any channel. */
  receive(messages) {
    const place = this.#place;
    if (place === undefined) return;
    const fresh = messages.filter(({ channel, seq }) => this.reads(channel) && seq > place.seq);
    const last = fresh.at(-1);
    if (last === undefined) return;
    this.#place = { epoch: place.epoch, seq: last.seq };
    this.options.onMessages?.(fresh, false, false);
  }

  /** @param {{version: number, count: number, joined?: Member[], left?: string[]}} delta Who came and went. */
  change({ version, count, joined, left }) {
    if (this.roster === undefined || version <= this.roster.version) return;
    if (version > this.roster.version + 1 || joined === undefined) return void this.#refresh();
    const members = new Map(this.roster.members.map((member) => [member.account, member]));
    for (const account of left ?? []) members.delete(account);
    for (const member of joined) members.set(member.account, member);
    this.#setRoster({ version, count, members: [...members.values()] });
  }

  /** @param {{epoch: string, seq: number, recovered?: boolean, more?: boolean, messages: Message[], presence?: Roster}} answer The server's. */
  #stands({ epoch, seq, recovered, more, messages, presence }) {
    const last = more ? messages.at(-1)?.seq : seq;
    const reset = this.#place !== undefined && this.#place.epoch !== epoch;
    this.#place = { epoch, seq: last ?? seq };
    const gap = recovered === false;
    if (messages.length > 0 || gap) this.options.onMessages?.(messages, gap, reset);
    if (presence !== undefined) this.#setRoster(presence);
  }

  async #refresh() {
    try {
      this.#setRoster(await this.#ask("presence", { channel: this.channel }));
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
    }
  }

  /** @param {Roster} roster The newest. */
  #setRoster({ version, count, members }) {
    this.roster = { version, count, members };
    this.options.onPresence?.(this.roster);
  }
}

/**
 * Makes a key for a message. `crypto.randomUUID` is only there on https and localhost; chance is all that a key needs.
 *
 * @returns {string} 32 hex digits.
 */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
