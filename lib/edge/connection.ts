/** One client: its place in its feeds, what is due to it, backpressure, catching up. */
import type { Origin } from "../bus.ts";
import { log } from "../logger.ts";
import { CLOSE } from "../protocol/codes.ts";
import type { Codec } from "../protocol/codec.ts";
import { PAGE_MESSAGES } from "../protocol/command.ts";
import type { Message } from "../protocol/message.ts";
import type { PresenceDelta } from "../protocol/presence.ts";
import type { Page } from "../log/reader.ts";
import type { Feed, Hub, Subscriber } from "./hub.ts";
import { Entry } from "./ring.ts";
import { FRAME_CUT, type Portion, UNSENT } from "./portions.ts";

/** How long a client may take nothing of what is unsent before it is closed, in milliseconds. */
export const NO_PROGRESS = 40_000;

// How long the runtime may try to close a socket whose client doesn't take the close frame either, in milliseconds.
const CLOSING_TIME = 10_000;

// How often a byte ends a frame, in 65,536ths.
const MARKS = 2 * 65_536 / FRAME_CUT;

// How long the answers of one connection may take before the others have their turn, in milliseconds.
const ANSWER_TURN = 5;

/** The part of a WebSocket that a connection uses. */
export type Socket = Pick<WebSocket, "send" | "close" | "bufferedAmount" | "readyState"> & {
  /** Whether the room that a frame took is free once it is sent; not so for a WebSocket. */
  readonly frees?: true;
};

/** An answer: its line, or what makes it at the moment when it can be sent. */
export type Due = string | (() => string | undefined);

interface Subscription {
  readonly feed: Feed;
  /** Only messages with a greater seq are due. */
  place: number;
  /** While it catches up: it is given its messages up to here before anything live is sent. */
  until?: number;
}

interface Watch {
  /** Of the list or delta that the client was given last. */
  readonly version: number;
  /** The newest delta that was dropped: told when there is room, its version shows the hole. */
  readonly missed?: string;
}

interface Tracked {
  readonly feed: string;
  readonly belongs: (message: Message) => boolean;
  taken: number;
  /** The last one that was sent and may not be taken yet; 0 where there is none. */
  sent: number;
  readonly onTaken: ((seq: number) => void) | undefined;
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
  #wordsSize = 0;
  #cursor: number;
  #signature = "";
  #catching = 0;
  #unsent = 0;
  #largest = 0;
  #progress: number;
  #open = true;
  #lost = false;
  #farewell: (() => void) | undefined;
  #tracked: Tracked | undefined;
  // Made for those who watch: an empty map for each idle connection is memory too.
  #watched: Map<string, Watch> | undefined;
  #missed = false;
  /** Takes deltas of presence where the codec has no line for them. */
  onPresence?: (delta: PresenceDelta) => void;

  /**
   * @param id Its name, everywhere.
   * @param socket Open.
   * @param codec How it is spoken to.
   * @param hub The edge's.
   * @param address Where its client is.
   */
  constructor(
    readonly id: string,
    socket: Socket,
    readonly codec: Codec,
    hub: Hub,
    readonly address: string,
  ) {
    this.#socket = socket;
    this.#hub = hub;
    this.#cursor = hub.seq;
    this.#progress = hub.now();
  }

  /** Where what it sends comes from. */
  get origin(): Required<Origin> {
    return { connection: this.id, address: this.address };
  }

  /** Whether something can still be sent. */
  get open(): boolean {
    return this.#open;
  }

  /** How many bytes its socket holds that the network hasn't taken; of one that was closed too. */
  get unsent(): number {
    // Of one that was closed the runtime doesn't tell it, and keeps it all the same.
    return this.#open ? this.#socket.bufferedAmount : this.#unsent;
  }

  /** The largest frame that it was sent, where its socket keeps room for that. */
  get largest(): number {
    return this.#largest;
  }

  /** What its socket takes of the memory, besides what every socket does. */
  get held(): number {
    return this.unsent + this.#largest;
  }

  /** How much it may be sent at once now. */
  get portion(): Portion {
    return this.#hub.portions.of(this.#hub.now(), this);
  }

  /** How many answers wait for room in the socket. */
  get waiting(): number {
    return this.#answers.length;
  }

  /**
   * Tells its place in a feed: what it was given or was said to begin with, and for another feed where it would begin. All
   * live messages come from one cursor, so what a feed has below it is for the answer of its subscription.
   *
   * @param feed The feed's name.
   * @returns The seq.
   */
  place(feed: string): number {
    const subscription = this.#subscriptions.get(feed);
    if (subscription === undefined) {
      this.#cursor = Math.max(this.#cursor, this.#firstOwed() - 1);
      return this.#cursor;
    }
    return subscription.until === undefined
      ? Math.max(this.#cursor, subscription.place)
      : subscription.place;
  }

  /**
   * Keeps account of what was not only sent but taken by the network, for one feed.
   *
   * @param feed The feed's name, subscribed.
   * @param belongs Which messages are of that feed.
   * @param onTaken Called with the seq of the last of them, each time that all that was sent is taken.
   */
  track(
    feed: string,
    belongs: (message: Message) => boolean,
    onTaken?: (seq: number) => void,
  ): void {
    this.#tracked = { feed, belongs, taken: this.place(feed), sent: 0, onTaken };
  }

  /** Up to which seq the network took everything of the feed that is tracked; undefined where none is. */
  get taken(): number | undefined {
    if (this.#tracked === undefined) return undefined;
    // A socket that was lost says that nothing is unsent.
    const all = !this.#lost && this.#socket.bufferedAmount === 0;
    return all ? this.place(this.#tracked.feed) : this.#tracked.taken;
  }

  /**
   * Goes back to an older place, before it reads anything: what its feeds have from there on comes in the order of seq over
   * all of them.
   *
   * @param seq The place.
   */
  rewind(seq: number): void {
    this.#cursor = seq;
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
    // Whoever subscribes again while it catches up is still owed the rest.
    const end = Math.max(until, known?.until ?? 0);
    if (end > after) {
      subscription.until = end;
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
    if (this.#tracked?.feed === name) this.#tracked = undefined;
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
   * Tells something that isn't kept; dropped where it would have to wait.
   *
   * @param word The line.
   * @returns Whether it will be sent.
   */
  tell(word: string): boolean {
    if (!this.#open || this.#wordsSize > Math.min(this.portion.frame, UNSENT) || !this.hasRoom()) {
      return false;
    }
    this.#words.push(word);
    this.#wordsSize += word.length;
    this.#hub.wake(this);
    return true;
  }

  /**
   * Begins to be told who comes and goes in a channel, or goes on with a newer list.
   *
   * @param channel The channel.
   * @param version The version of the list that the client is given.
   */
  watch(channel: string, version: number): void {
    if (!this.#open) return;
    const known = this.#watched?.get(channel);
    (this.#watched ??= new Map()).set(channel, { ...known, version });
    this.#hub.watch(channel, this);
  }

  /**
   * Ends that.
   *
   * @param channel The channel.
   */
  unwatch(channel: string): void {
    if (this.#watched?.delete(channel)) this.#hub.unwatch(channel, this);
  }

  /**
   * Tells whether the client is told who comes and goes.
   *
   * @param channel The channel.
   * @returns Whether it is.
   */
  watches(channel: string): boolean {
    return this.#watched?.has(channel) === true;
  }

  /**
   * Tells who came and went, to a client that asked for it.
   *
   * @param delta What changed.
   * @param line Encodes it, once for all.
   */
  presence(delta: PresenceDelta, line: (codec: Codec) => string | undefined): void {
    const { channel } = delta;
    const watch = this.#watched?.get(channel);
    // One that comes late, after a loss on the bus, is no news any more: the client saw the hole and asks for the whole.
    if (watch === undefined || delta.version <= watch.version) return;
    this.#watched?.set(channel, { ...watch, version: delta.version });
    this.onPresence?.(delta);
    const text = line(this.codec);
    if (text === undefined) return;
    if (this.tell(text)) this.#watched?.set(channel, { version: delta.version });
    else if (this.#open) {
      this.#watched?.set(channel, { version: delta.version, missed: text });
      this.#missed = true;
      this.#hub.waitForRoom(this);
    }
  }

  /** Whether its socket takes more; closes a client that took nothing for too long, however little is due to it. */
  hasRoom(): boolean {
    const closing = this.#socket.readyState !== WebSocket.OPEN;
    // Of a socket that is being closed the runtime doesn't tell what is unsent.
    const unsent = closing ? this.#unsent : this.#socket.bufferedAmount;
    const now = this.#hub.now();
    if (!closing && (unsent < this.#unsent || unsent === 0)) this.#progress = now;
    this.#unsent = unsent;
    if (now - this.#progress > (closing ? CLOSING_TIME : NO_PROGRESS)) {
      this.#hub.counters.add("slow_closed_total");
      log.info("connection.slow", { connection: this.id, address: this.address, unsent });
      this.close(CLOSE.tooSlow, "Too slow; nothing is lost, come back");
    }
    return this.#open && unsent < this.#hub.portions.of(now, this).room;
  }

  /** Sends what is due: answers first, then what isn't kept, then messages. */
  serve(): void {
    try {
      this.#serve();
    } catch (error) {
      if (error instanceof Outrun) {
        log.info("connection.outrun", { connection: this.id, address: this.address });
        return this.close(CLOSE.tooSlow, "What was due is no longer kept; come back");
      }
      // One client's trouble never reaches another.
      log.error("connection.failed", { connection: this.id, error: String(error) });
      this.close(CLOSE.later, "The server couldn't go on");
    }
  }

  #serve(): void {
    if (!this.#open || this.#socket.readyState !== WebSocket.OPEN) return;
    if (!this.hasRoom()) return this.#open ? this.#hub.waitForRoom(this) : undefined;
    if (this.#unsent === 0) this.#settle();
    const parts = this.#answers.length === 0 ? [] : this.#takeAnswers();
    if (this.#answers.length > 0) {
      // What isn't kept never overtakes the answer that it belongs to.
      this.#hub.wake(this);
    } else {
      this.#takeWords(parts);
      if (this.#catching > 0) this.#catchUp(parts);
      else if (this.#subscriptions.size > 0) this.#takeLive(parts);
    }
    this.#send(parts);
    this.#part();
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
    const stands = this.#socket.readyState === WebSocket.OPEN;
    if (last !== undefined && stands) this.#socket.send(last);
    if (stands) this.#unsent = this.#socket.bufferedAmount;
    this.end(!stands);
    try {
      this.#socket.close(code, reason);
    } catch (error) {
      log.debug("connection.close", { connection: this.id, error: String(error) });
    }
  }

  /**
   * Closes the socket as soon as the client has all its answers.
   *
   * @param code A close code.
   * @param reason For people; at most 123 bytes.
   * @param last A line to send before.
   */
  leave(code: number, reason: string, last?: string): void {
    this.#farewell ??= () => this.close(code, reason, last);
    this.#part();
  }

  /** Whether it was told to leave: nothing that comes from now on is accepted. */
  get leaving(): boolean {
    return this.#farewell !== undefined;
  }

  /**
   * The socket is gone: forgets everything.
   *
   * @param lost Whether it went without a close frame, with whatever was unsent.
   */
  end(lost = false): void {
    if (!this.#open) return;
    this.#lost = lost;
    this.#open = false;
    try {
      this.onEnd?.();
    } finally {
      for (const name of [...this.#subscriptions.keys()]) this.unsubscribe(name);
      for (const channel of [...this.#watched?.keys() ?? []]) this.unwatch(channel);
      this.#answers = [];
      this.#words = [];
      this.#hub.remove(this);
    }
  }

  /** Called once, when the connection ends, while its subscriptions still stand. */
  onEnd?: () => void;

  /** Tells whether something that was accepted still has to be answered; a farewell waits for it. */
  owes: () => boolean = () => false;

  #part(): void {
    if (this.#answers.length === 0 && !this.owes()) this.#farewell?.();
  }

  // The cursor of a quiet connection stays behind: nothing below the first message that it is owed is due to it.
  #firstOwed(): number {
    const { seq, reader } = this.#hub;
    let first = seq + 1;
    for (const { feed, place, until } of this.#subscriptions.values()) {
      const after = Math.max(this.#cursor, until ?? place);
      let next = after >= feed.ring.floor
        ? feed.ring.after(after, 0).entries[0]?.message.seq
        : reader.after(feed.name, after, seq, 1).messages[0]?.seq;
      // What retention took from it is owed too: it has to be told of the gap.
      if (after < feed.ring.floor && reader.trimmed(feed.name) > after) next = after + 1;
      if (next !== undefined) first = Math.min(first, next);
    }
    return first;
  }

  // All that was sent is on its way.
  #settle(): void {
    const tracked = this.#tracked;
    if (tracked === undefined) return;
    tracked.taken = this.place(tracked.feed);
    if (tracked.sent === 0) return;
    const { sent } = tracked;
    tracked.sent = 0;
    tracked.onTaken?.(sent);
  }

  #takeWords(parts: string[]): void {
    if (this.#missed) this.#takeMissed(parts);
    if (this.#words.length === 0) return;
    for (const word of this.#words) parts.push(word);
    this.#words = [];
    this.#wordsSize = 0;
  }

  #takeMissed(parts: string[]): void {
    for (const [channel, { version, missed }] of this.#watched ?? []) {
      if (missed === undefined) continue;
      parts.push(missed);
      this.#watched?.set(channel, { version });
    }
    this.#missed = false;
  }

  #takeAnswers(): string[] {
    const parts: string[] = [];
    const end = this.#hub.now() + ANSWER_TURN;
    const { frame } = this.portion;
    let size = 0;
    let taken = 0;
    for (const due of this.#answers) {
      if (size > frame || this.#hub.now() > end) break;
      taken += 1;
      const line = typeof due === "string" ? due : due();
      if (!this.#open) return [];
      if (line === undefined) continue;
      parts.push(line);
      size += line.length;
    }
    // A new one where all are taken: an array that was emptied keeps its room.
    this.#answers = taken === this.#answers.length ? [] : this.#answers.slice(taken);
    return parts;
  }

  // Strictly before anything live: what the connection is owed stays in one order.
  #catchUp(parts: string[]): void {
    let room = this.portion.frame;
    for (const subscription of this.#subscriptions.values()) {
      const { until, feed } = subscription;
      if (until === undefined || room <= 0) continue;
      const page = this.#read(feed, subscription.place, until);
      for (const message of page.messages) {
        const line = this.codec.message(message);
        parts.push(line);
        room -= line.length;
        subscription.place = message.seq;
        this.#note(message);
      }
      this.#hub.counters.delivered(page.messages.length);
      if (page.more) continue;
      subscription.place = until;
      delete subscription.until;
      this.#catching -= 1;
    }
    this.#hub.wake(this);
  }

  #takeLive(parts: string[]): void {
    if (this.#cursor === this.#hub.seq) return;
    const { frame: size } = this.portion;
    if (!this.codec.joins || this.#isFresh()) {
      const { entries, cursor } = this.#collect(size);
      for (const entry of entries) {
        parts.push(entry.line(this.codec));
        this.#note(entry.message);
      }
      this.#hub.counters.delivered(entries.length, entries[0]?.message.time);
      this.#advance(cursor);
      return;
    }
    // What was joined for others may be more than there is room for now.
    const made = this.#hub.shared(`${this.#signature}@${this.#cursor}/${size}`, () => {
      const { entries, cursor, whole } = this.#collect(size);
      const frame = entries.map((entry) => entry.line(this.codec)).join("\n");
      return { frame, cursor, whole, count: entries.length, time: entries[0]?.message.time };
    });
    if (made.frame !== "") parts.push(made.frame);
    this.#hub.counters.delivered(made.count, made.time);
    this.#advance(made.cursor);
  }

  // Whether a subscription began after the cursor: then its place differs from that of all others with the same feeds.
  #isFresh(): boolean {
    for (const { place } of this.#subscriptions.values()) if (place > this.#cursor) return true;
    return false;
  }

  #note(message: Message): void {
    if (this.#tracked?.belongs(message)) this.#tracked.sent = message.seq;
  }

  #advance(cursor: number): void {
    this.#cursor = cursor;
    if (cursor < this.#hub.seq) this.#hub.wake(this);
  }

  // What its feeds have from the cursor on, merged by seq: from the rings, or for a feed that it fell out of from the log.
  #collect(size: number): { entries: Entry[]; cursor: number; whole: boolean } {
    let upTo = this.#hub.seq;
    const found = new Map<number, Entry>();
    for (const { feed, place } of this.#subscriptions.values()) {
      const { entries, more } = this.#next(
        feed,
        Math.max(this.#cursor, place),
        upTo,
        size,
      );
      for (const entry of entries) found.set(entry.message.seq, entry);
      const last = entries.at(-1);
      if (more && last !== undefined) upTo = Math.min(upTo, last.message.seq);
    }
    const due = [...found.values()].filter(({ message }) => message.seq <= upTo);
    if (this.#subscriptions.size > 1) due.sort((a, b) => a.message.seq - b.message.seq);
    const end = cutOf(due, this.codec, { size, more: upTo < this.#hub.seq });
    const last = due[end - 1];
    if (end === due.length || last === undefined) {
      return { entries: due, cursor: upTo, whole: upTo < this.#hub.seq };
    }
    return { entries: due.slice(0, end), cursor: last.message.seq, whole: true };
  }

  #next(
    feed: Feed,
    after: number,
    upTo: number,
    size: number,
  ): { entries: Entry[]; more: boolean } {
    if (after >= feed.ring.floor) return feed.ring.after(after, size);
    const { messages, more } = this.#read(feed, after, upTo);
    return { entries: messages.map((message) => new Entry(message)), more };
  }

  // Retention may have taken what was due: then the client has to come back, to be told of the gap.
  #read(feed: Feed, after: number, upTo: number): Page {
    const page = this.#hub.reader.after(
      feed.name,
      after,
      upTo,
      PAGE_MESSAGES,
      this.portion.page,
    );
    if (this.#hub.reader.trimmed(feed.name) <= after) return page;
    throw new Outrun();
  }

  #send(parts: readonly string[]): void {
    if (!this.#open || parts.length === 0) return;
    if (this.codec.joins) this.#socket.send(parts.join("\n"));
    else for (const part of parts) this.#socket.send(part);
    const before = this.#unsent;
    this.#unsent = this.#socket.bufferedAmount;
    const sent = this.#unsent - before;
    this.#hub.portions.add(sent);
    if (this.#socket.frees !== true) this.#largest = Math.max(this.#largest, sent);
    // Looked at although nothing more is due: whether it reads, and what it took.
    if (this.#unsent >= UNSENT || (this.#tracked?.sent ?? 0) > 0) this.#hub.waitForRoom(this);
  }

  #sign(): void {
    const ids = [...this.#subscriptions.values()].map(({ feed }) => feed.id).sort((a, b) => a - b);
    this.#signature = `${this.codec.index}:${ids.join(",")}`;
  }
}

/**
 * Finds where a frame ends. What is more than a frame is cut where the entries themselves say so, whatever it began with: so
 * those who fell behind at different places are at the same places again after one frame, and share what follows.
 */
function cutOf(
  due: readonly Entry[],
  codec: Codec,
  { size: most, more }: { readonly size: number; readonly more: boolean },
): number {
  let size = 0;
  let cut = 0;
  for (const [i, entry] of due.entries()) {
    const { length } = entry.line(codec);
    size += length + 1;
    // On average once in half a frame: the high bits of a multiple of the golden ratio are spread evenly.
    const mark = Math.imul(entry.message.seq, 0x9e3779b1) >>> 16;
    if (cut === 0 && mark < length * MARKS) cut = i + 1;
    if (size >= most) return cut === 0 ? i + 1 : cut;
  }
  return more && cut > 0 ? cut : due.length;
}
