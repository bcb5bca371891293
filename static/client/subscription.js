// @ts-check
/**
 * A subscription: its place in a channel, over all connections; and who is there.
 *
 * @module
 */
import { Code, PASSING, RETRY, safely } from "./codes.js";

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
 * @property {{epoch: string, seq: number}} [since] The place to begin with, such as that of an earlier run: what follows it is told.
 * @property {number} [history] How many of the newest messages to begin with, 0 to 200.
 * @property {(messages: Message[], gap: boolean, reset: boolean) => void} [onMessages] New messages, each once and in order; with `gap`, some before them are missing; with `reset`, the server has another log and what was shown before has no place in it.
 * @property {() => void} [onReady] The subscription stands, after each connection: what was there by now was told, what follows is new.
 * @property {(roster: Roster) => void} [onPresence] Who is here, whenever it changes.
 * @property {(signal: Signal) => void} [onSignal] Words that aren't kept.
 * @property {(error: FanfareError) => void} [onError] The subscription was refused.
 */
/** @typedef {import("./codes.js").FanfareError} FanfareError */
/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./time.js").Clock} Clock */
/** @typedef {{epoch: string, seq: number, recovered?: boolean, more?: boolean, messages: Message[], presence?: Roster}} Answer */

/** A subscription. Made by `Client.subscribe()`. */
export class Subscription {
  /** Who is here, as far as it is known. @type {Roster | undefined} */
  roster = undefined;
  /** @type {{epoch: string, seq: number} | undefined} */
  #place;
  /** @type {Clock} */
  #clock;
  /** @type {(subscription: Subscription) => void} */
  #end;
  /** @type {Connection | undefined} */
  #connection;
  // Whether this connection answered: only then does what it says have a place.
  #stands = false;
  #closed = false;
  // The newest version of the roster that was heard of, and whether the list is being asked for.
  #version = 0;
  #refreshing = false;
  #stale = false;

  /**
   * @param {string} channel Which.
   * @param {SubscribeOptions} options What it asks for.
   * @param {Clock} clock What tells the time.
   * @param {(subscription: Subscription) => void} end Ends it.
   */
  constructor(channel, options, clock, end) {
    /** Which channel. */
    this.channel = channel;
    /** What it asks for. */
    this.options = options;
    this.#place = options.since;
    this.#clock = clock;
    this.#end = end;
  }

  /** Ends it: nothing is told any more. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#stands = false;
    this.#end(this);
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
   * @param {Connection} connection The one that was greeted.
   */
  begin(connection) {
    this.#connection = connection;
    this.#stands = false;
    this.#refreshing = false;
    const { history, onPresence } = this.options;
    connection.ask(
      "subscribe",
      {
        channel: this.channel,
        ...(this.#place === undefined ? {} : { since: this.#place }),
        ...(history === undefined ? {} : { history }),
        ...(onPresence === undefined ? {} : { presence: true }),
      },
      (answer) => this.#on(connection) && this.#answered(answer),
      (error) => this.#on(connection) && this.#refused(connection, error),
    );
  }

  /** The connection is gone. */
  lost() {
    this.#connection = undefined;
    this.#stands = false;
  }

  /** @param {Message[]} messages A run of messages, of any channel. */
  receive(messages) {
    const place = this.#place;
    if (!this.#stands || place === undefined) return;
    const fresh = this.#fresh(messages, place.seq);
    const last = fresh.at(-1);
    if (last === undefined) return;
    this.#place = { epoch: place.epoch, seq: last.seq };
    this.#tell(fresh, false, false);
  }

  /** @param {Signal} signal What was said. */
  hear(signal) {
    if (!this.#stands || !this.reads(signal.channel)) return;
    safely(() => this.options.onSignal?.(signal));
  }

  /** @param {{version: number, count: number, joined?: Member[], left?: string[]}} delta Who came and went. */
  change({ version, count, joined, left }) {
    if (!this.#stands || this.roster === undefined || version <= this.roster.version) return;
    this.#version = Math.max(this.#version, version);
    const next = version === this.roster.version + 1;
    // Too many to be listed: the count alone goes on.
    if (next && joined === undefined) {
      this.#stale = true;
      return this.#setRoster({ ...this.roster, version, count });
    }
    if (!next || this.#stale) return this.#refresh();
    const members = new Map(this.roster.members.map((member) => [member.account, member]));
    for (const account of left ?? []) members.delete(account);
    for (const member of joined ?? []) members.set(member.account, member);
    this.#setRoster({ version, count, members: [...members.values()] });
  }

  /** @param {Answer} answer The server's. */
  #answered({ epoch, seq, recovered, more, messages, presence }) {
    const before = this.#place;
    // Another log, or one that was put back to an earlier state: what was seen has no place in it.
    const reset = before !== undefined &&
      (before.epoch !== epoch || (recovered === false && seq < before.seq));
    const fresh = before === undefined || reset ? messages : this.#fresh(messages, before.seq);
    const last = more ? messages.at(-1)?.seq : undefined;
    this.#place = { epoch, seq: last ?? seq };
    this.#stands = true;
    const gap = recovered === false;
    if (fresh.length > 0 || gap) this.#tell(fresh, gap, reset);
    if (this.#stands) safely(() => this.options.onReady?.());
    if (presence === undefined || !this.#stands) return;
    this.#version = presence.version;
    this.#whole(presence);
  }

  /** @param {Connection} connection Whose. @param {FanfareError} error Why not. */
  #refused(connection, error) {
    // A lost connection begins it again.
    if (error.code === Code.closed) return;
    if (PASSING.includes(error.code)) {
      this.#clock.after(
        error.retry ?? RETRY,
        () => this.#on(connection) && this.begin(connection),
      );
    } else safely(() => this.options.onError?.(error));
  }

  #refresh() {
    const connection = this.#connection;
    if (this.#refreshing || connection === undefined) return;
    this.#refreshing = true;
    connection.ask("presence", { channel: this.channel }, (roster) => {
      if (!this.#on(connection)) return;
      this.#refreshing = false;
      if (roster.version <= (this.roster?.version ?? -1)) return;
      this.#whole(roster);
      // What was told while it was asked isn't in it.
      if (this.#version > roster.version) this.#refresh();
    }, () => {
      if (this.#on(connection)) this.#refreshing = false;
    });
  }

  /** @param {Roster} roster A list from the server. */
  #whole({ version, count, members }) {
    this.#stale = false;
    this.#setRoster({ version, count, members });
  }

  /** @param {Roster} roster The newest. */
  #setRoster(roster) {
    this.roster = roster;
    safely(() => this.options.onPresence?.(roster));
  }

  /** @param {Message[]} messages New ones. @param {boolean} gap Missing before. @param {boolean} reset Another log. */
  #tell(messages, gap, reset) {
    safely(() => this.options.onMessages?.(messages, gap, reset));
  }

  /** @param {Message[]} messages Any. @param {number} after A seq. @returns {Message[]} Ours that were not seen. */
  #fresh(messages, after) {
    let last = after;
    return messages.filter(({ channel, seq }) => {
      if (!this.reads(channel) || seq <= last) return false;
      last = seq;
      return true;
    });
  }

  /** @param {Connection} connection One. @returns {boolean} Whether it is the one of now. */
  #on(connection) {
    return !this.#closed && this.#connection === connection;
  }
}
