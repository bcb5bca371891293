/** One client: its place in its feeds, what is due to it, backpressure, catching up. */
import { log } from "../logger.ts";
import { CLOSE } from "../protocol/codes.ts";
import type { Codec } from "../protocol/codec.ts";
import { PAGE_MESSAGES } from "../protocol/command.ts";
import type { PresenceDelta } from "../protocol/presence.ts";
import type { Page } from "../log/reader.ts";
import type { Feed, Hub, Subscriber } from "./hub.ts";
import { Entry } from "./ring.ts";

/** What may be unsent in a socket before its connection waits; more is latency and memory (design.md section 3). */
export const UNSENT = 65_536;

/** Where a frame is cut, in characters. */
export const FRAME_CUT = 262_144;

/** How long a client may take nothing before it is closed, in milliseconds. */
export const NO_PROGRESS = 40_000;

/** The part of a WebSocket that a connection uses. */
export type Socket = Pick<WebSocket, "send" | "close" | "bufferedAmount" | "readyState">;

/** An answer: its line, or what makes it at the moment when it can be sent. */
export type Due = string | (() => string | undefined);

interface Subscription {
  readonly feed: Feed;
  /** Only messages with a greater seq are due. */
  place: number;
  /** While it catches up: it is given its messages up to here before anything live is sent. */
  until?: number;
}

// Retention was faster than a client's reading.
class Outrun extends Error {}

/** A connection is a cursor, not a queue: nothing but answers is kept for it. */
export class Connection implements Subscriber {
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #socket: Socket;
  readonly #hub: Hub;
  #answers: Due[] = [];
  #words: string[] = [];
  #cursor: number;
  // The place at which nothing was left unsent: what came later may be lost with the socket.
  #settled: number;
  #signature = "";
  #catching = 0;
  #unsent = 0;
  #progress = performance.now();
  #open = true;
  /** Takes deltas of presence where the codec has no line for them. */
  onPresence?: (delta: PresenceDelta) => void;
  /** Channels whose deltas the client asked for, with the version of the list that it was given. */
  readonly watched = new Map<string, number>();

  /**
   * @param id Its name, everywhere.
   * @param socket Open.
   * @param codec How it is spoken to.
   * @param hub The edge's.
   */
  constructor(readonly id: string, socket: Socket, readonly codec: Codec, hub: Hub) {
    this.#socket = socket;
    this.#hub = hub;
    this.#cursor = this.#settled = hub.seq;
  }

  /** Up to which seq its client was given everything, as far as the socket tells. */
  get given(): number {
    return this.#socket.bufferedAmount === 0 ? this.#cursor : this.#settled;
  }

  /** Whether something can still be sent. */
  get open(): boolean {
    return this.#open;
  }

  /** The feeds that it reads. */
  get feeds(): readonly string[] {
    return [...this.#subscriptions.keys()];
  }

  /** How many answers wait for room in the socket. */
  get waiting(): number {
    return this.#answers.length;
  }

  /**
   * Tells its place in a feed: what it was given, or was said to begin with.
   *
   * @param feed The feed's name.
   * @returns The seq, or undefined if it doesn't read it.
   */
  place(feed: string): number | undefined {
    const subscription = this.#subscriptions.get(feed);
    if (subscription === undefined) return undefined;
    return subscription.until === undefined
      ? Math.max(this.#cursor, subscription.place)
      : subscription.place;
  }

  /**
   * Begins to read a feed.
   *
   * @param name The feed.
   * @param after The place to begin with; what follows is sent.
   * @param until Where above `after`, the seq to which it catches up before anything live.
   */
  subscribe(name: string, after: number, until = after): void {
    const known = this.#subscriptions.get(name);
    if (known?.until !== undefined) this.#catching -= 1;
    const feed = known?.feed ?? this.#hub.attach(name, this);
    const subscription: Subscription = { feed, place: after };
    if (until > after) {
      subscription.until = until;
      this.#catching += 1;
    }
    this.#subscriptions.set(name, subscription);
    this.#sign();
    this.#hub.wake(this);
  }

  /**
   * Ends the reading of a feed.
   *
   * @param name The feed.
   * @returns Whether it was read.
   */
  unsubscribe(name: string): boolean {
    const subscription = this.#subscriptions.get(name);
    if (subscription === undefined) return false;
    this.#subscriptions.delete(name);
    if (subscription.until !== undefined) this.#catching -= 1;
    this.#hub.detach(subscription.feed, this);
    this.#sign();
    return true;
  }

  /**
   * Answers the client, in order, when its socket has room.
   *
   * @param due The line, or what makes it then.
   */
  answer(due: Due): void {
    if (!this.#open) return;
    this.#answers.push(due);
    this.#hub.wake(this);
  }

  /**
   * Tells something that isn't kept; dropped where the socket is full.
   *
   * @param word The line.
   * @returns Whether it will be sent.
   */
  tell(word: string): boolean {
    if (!this.#open || !this.hasRoom()) return false;
    this.#words.push(word);
    this.#hub.wake(this);
    return true;
  }

  /**
   * Tells who came and went, to a client that asked for it.
   *
   * @param delta What changed.
   * @param line Encodes it, once for all.
   */
  presence(delta: PresenceDelta, line: (codec: Codec) => string | undefined): void {
    const version = this.watched.get(delta.channel);
    if (version === undefined || delta.version <= version) return;
    this.onPresence?.(delta);
    const text = line(this.codec);
    if (text !== undefined) this.tell(text);
  }

  /** Whether its socket takes more; closes a client that took nothing for too long. */
  hasRoom(): boolean {
    const unsent = this.#socket.bufferedAmount;
    const now = performance.now();
    if (unsent < this.#unsent || unsent === 0) this.#progress = now;
    this.#unsent = unsent;
    if (unsent < UNSENT) return true;
    if (now - this.#progress > NO_PROGRESS) {
      this.close(CLOSE.tooSlow, "Too slow; nothing is lost, come back");
    }
    return false;
  }

  /** Sends what is due: answers first, then what isn't kept, then messages. */
  serve(): void {
    try {
      this.#serve();
    } catch (error) {
      if (error instanceof Outrun) {
        return this.close(CLOSE.tooSlow, "What was due is no longer kept; come back");
      }
      // One client's trouble never reaches another.
      log.error("connection.failed", { connection: this.id, error: String(error) });
      this.close(CLOSE.later, "The server couldn't go on");
    }
  }

  #serve(): void {
    if (!this.#open || this.#socket.readyState !== WebSocket.OPEN) return;
    if (!this.hasRoom()) return this.#hub.waitForRoom(this);
    if (this.#unsent === 0) this.#settled = this.#cursor;
    const parts = this.#takeAnswers();
    parts.push(...this.#words);
    this.#words = [];
    if (this.#answers.length > 0) this.#hub.wake(this);
    else if (this.#catching > 0) this.#catchUp(parts);
    else if (this.#subscriptions.size > 0) this.#takeLive(parts);
    this.#send(parts);
  }

  /**
   * Closes the socket. Nothing is sent or handled afterwards.
   *
   * @param code A close code.
   * @param reason For people; at most 123 bytes.
   * @param last A line to send before.
   */
  close(code: number, reason: string, last?: string): void {
    if (!this.#open) return;
    if (last !== undefined && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(last);
    this.end();
    try {
      this.#socket.close(code, reason);
    } catch (error) {
      log.debug("connection.close", { connection: this.id, error: String(error) });
    }
  }

  /** The socket is gone: forgets everything. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    const given = this.given;
    this.onEnd?.(given);
    for (const name of this.feeds) this.unsubscribe(name);
    this.#answers = [];
    this.#words = [];
    this.#hub.remove(this);
  }

  /** Called once, when the connection ends, while its subscriptions still stand; with the place that its client has. */
  onEnd?: (given: number) => void;

  #takeAnswers(): string[] {
    const parts: string[] = [];
    let size = 0;
    let taken = 0;
    for (const due of this.#answers) {
      if (size > FRAME_CUT) break;
      taken += 1;
      const line = typeof due === "string" ? due : due();
      if (!this.#open) return [];
      if (line === undefined) continue;
      parts.push(line);
      size += line.length;
    }
    this.#answers.splice(0, taken);
    return parts;
  }

  // Strictly before anything live: what the connection is owed stays in one order.
  #catchUp(parts: string[]): void {
    let room = FRAME_CUT;
    for (const subscription of this.#subscriptions.values()) {
      const { until, feed } = subscription;
      if (until === undefined || room <= 0) continue;
      const page = this.#read(feed, subscription.place, until);
      for (const message of page.messages) {
        const line = this.codec.message(message);
        parts.push(line);
        room -= line.length;
        subscription.place = message.seq;
      }
      if (page.more) continue;
      subscription.place = until;
      delete subscription.until;
      this.#catching -= 1;
    }
    this.#hub.wake(this);
  }

  #takeLive(parts: string[]): void {
    if (this.#cursor === this.#hub.seq) return;
    const fresh = [...this.#subscriptions.values()].some(({ place }) => place > this.#cursor);
    if (fresh || !this.codec.joins) {
      const { entries, cursor } = this.#collect();
      for (const entry of entries) parts.push(entry.line(this.codec));
      this.#advance(cursor);
      return;
    }
    const made = this.#hub.shared(`${this.#signature}@${this.#cursor}`, () => {
      const { entries, cursor } = this.#collect();
      return { frame: entries.map((entry) => entry.line(this.codec)).join("\n"), cursor };
    });
    if (made.frame !== "") parts.push(made.frame);
    this.#advance(made.cursor);
  }

  #advance(cursor: number): void {
    this.#cursor = cursor;
    if (cursor < this.#hub.seq) this.#hub.wake(this);
  }

  // What its feeds have from the cursor on, merged by seq: from the rings, or for a feed that it fell out of from the log.
  #collect(): { entries: Entry[]; cursor: number } {
    let upTo = this.#hub.seq;
    const found = new Map<number, Entry>();
    for (const { feed, place } of this.#subscriptions.values()) {
      const after = Math.max(this.#cursor, place);
      if (after >= feed.ring.floor) {
        for (const entry of feed.ring.after(after)) found.set(entry.message.seq, entry);
        continue;
      }
      const page = this.#read(feed, after, upTo);
      for (const message of page.messages) found.set(message.seq, new Entry(message));
      const last = page.messages.at(-1);
      if (page.more && last !== undefined) upTo = last.seq;
    }
    const entries: Entry[] = [];
    let size = 0;
    for (const entry of [...found.values()].sort((a, b) => a.message.seq - b.message.seq)) {
      if (entry.message.seq > upTo) break;
      entries.push(entry);
      size += entry.line(this.codec).length;
      if (size >= FRAME_CUT) return { entries, cursor: entry.message.seq };
    }
    return { entries, cursor: upTo };
  }

  // Retention may have taken what was due: then the client has to come back, to be told of the gap.
  #read(feed: Feed, after: number, upTo: number): Page {
    const page = this.#hub.reader.after(feed.name, after, upTo, PAGE_MESSAGES);
    if (this.#hub.reader.trimmed(feed.name) <= after) return page;
    throw new Outrun();
  }

  #send(parts: readonly string[]): void {
    if (!this.#open || parts.length === 0) return;
    if (this.codec.joins) this.#socket.send(parts.join("\n"));
    else for (const part of parts) this.#socket.send(part);
  }

  #sign(): void {
    const ids = [...this.#subscriptions.values()].map(({ feed }) => feed.id).sort((a, b) => a - b);
    this.#signature = `${this.codec.index}:${ids.join(",")}`;
  }
}
