/** Routes between feeds and this isolate's connections: takes posts in, keeps the rings, and has due connections served. */
import { setImmediate } from "node:timers";
import type { EdgeEnd, Post, Readers, Receiver } from "../bus/bus.ts";
import { Counters } from "../observability/counters.ts";
import { log } from "../observability/logger.ts";
import { Bucket } from "../config/limits.ts";
import { pageAfter, SLICE_BYTES } from "../store/pages.ts";
import type { Page, Reader } from "../store/reader.ts";
import { feedsOf, parseChannel } from "../protocol/channel.ts";
import type { Codec } from "../codecs/codec.ts";
import { PAGE_MESSAGES } from "../protocol/command.ts";
import { type Message, messageJson } from "../protocol/message.ts";
import type { PresenceDelta, Signal } from "../protocol/presence.ts";
import { ByteRates, type Meter } from "./byte_rates.ts";
import { LoopTurns } from "./loop_turns.ts";
import { Entry, Ring } from "./feed_ring.ts";
import { SendBudget } from "./send_budget.ts";
import { Slices } from "./slices.ts";

/** What all rings hold together, in bytes. */
export const RINGS_BYTES = 64 * 1_048_576;

/**
 * How long one turn sends before the loop runs, in milliseconds: what a turn sends is written once the loop runs, so the first of
 * a thousand needn't wait for the last.
 */
const TURN = 2;

/** How soon a connection whose socket was full is looked at again, in milliseconds. */
const LOOK_AGAIN = 5;

// What signals come to with all who are told, in characters: more is dropped, as they aren't kept.
const SIGNALS = { rate: 64 * 1_048_576, burst: 16 * 1_048_576 };

// What was lost on the bus is read in one slice; a hole beyond that is left to those who have messages in it.
const REPAIR_MESSAGES = 1000;

const UNCOUNTED = { fill: { rate: 0, burst: 0 }, loopback: false };

// With pages of 1 MiB at most this is 16 MiB.
const MISSED_PAGES = 16;

// Of each kind; with frames of 64 KiB that is 16 MiB.
const SHARED_FRAMES = 256;

/** What the hub needs of a connection. */
export interface Subscriber {
  /** The connection's name. */
  readonly id: string;
  readonly codec: Codec;
  /** Whether something can still be sent. */
  readonly open: boolean;
  /** Counts what is read for it; undefined where that isn't counted. */
  readonly meter: Meter | undefined;
  /** Sends what is due, or has the hub look again later. */
  serve(): void;
  /** Whether its socket takes more. */
  hasRoom(): boolean;
  /** Tells something that isn't kept. */
  tell(word: string): boolean;
  /** Tells who came and went, if it was asked for. */
  presence(delta: PresenceDelta, line: (codec: Codec) => string | undefined): void;
}

/** Hears whose sessions ended, before anything is delivered that was committed later. */
export interface Rights {
  /**
   * Sessions ended.
   *
   * @param hashes Which.
   * @param seq The last record of their commit.
   */
  ended(hashes: readonly string[], seq: number): void;
  /** Records come from the log, without what the bus says of sessions. */
  missed(): void;
  /**
   * Asked before anything is sent to a connection.
   *
   * @param connection The connection.
   * @returns Whether it may go on; else it has been closed.
   */
  clears(connection: Subscriber): boolean;
}

/** A page of what someone missed. */
export interface Missed extends Page {
  /** The last seq that was looked at. */
  readonly upTo: number;
  /** The messages as JSON, joined by commas. */
  readonly list: string;
}

/** Joined lines. */
export interface Frame {
  readonly frame: string;
  /** The place after it. */
  readonly position: number;
  /** Whether it stays what it is when more is published. */
  readonly whole: boolean;
  /** How many messages are in it. */
  readonly count: number;
  /** When the oldest of them was committed, in milliseconds since 1970. */
  readonly time: number | undefined;
}

/** A feed that someone here reads. */
export interface Feed {
  readonly name: string;
  /** Short, for the signatures of connections. */
  readonly id: number;
  readonly ring: Ring;
  readonly readers: Set<Subscriber>;
}

/** One for each edge. */
export class Hub implements Receiver {
  readonly #feeds = new Map<string, Feed>();
  // Feeds whose rings hold something, the one that was quiet for longest first: it is the first to give room.
  readonly #filled = new Set<Feed>();
  readonly #watchers = new Map<string, Set<Subscriber>>();
  // Those with an answer are served in this turn, those with messages in the next round.
  readonly #urgent = new Set<Subscriber>();
  #due = new Set<Subscriber>();
  #round = new Set<Subscriber>();
  readonly #full = new Set<Subscriber>();
  // Those for which nothing more is read until their time.
  readonly #slowed = new Map<Subscriber, ReturnType<typeof setTimeout>>();
  readonly #loop: LoopTurns;
  readonly #signalsLeft: Bucket;
  /** Runs whatever is done for clients in slices. */
  readonly slices: Slices;
  // Frames up to the last record are good until the next one comes, those that were cut for as long as they are kept.
  readonly #newest = new Map<string, Frame>();
  readonly #whole = new Map<string, Frame>();
  readonly #missed = new Map<string, Missed>();
  #seq: number;
  #lastFeed = 0;
  #ringBytes = 0;
  #answering = false;
  #sending = false;
  #looking = false;
  #writable = true;
  /** Hears whose sessions ended; set once, where there are any. */
  rights: Rights | undefined;

  /**
   * @param bus Where posts come from.
   * @param reader The log, for those who fell behind.
   * @param seq The log's last record.
   * @param now Milliseconds that never go back.
   * @param counters Of this isolate.
   * @param budget How much is sent to one at once.
   * @param rates Counts what is read for clients; nothing is counted where it isn't given.
   */
  constructor(
    readonly bus: EdgeEnd,
    readonly reader: Reader,
    seq: number,
    readonly now: () => number = () => performance.now(),
    readonly counters: Counters = new Counters(),
    readonly budget: SendBudget = new SendBudget(),
    readonly rates: ByteRates = new ByteRates(UNCOUNTED, now),
  ) {
    this.#seq = seq;
    this.#loop = new LoopTurns(now);
    this.#signalsLeft = new Bucket(SIGNALS, now());
    this.slices = new Slices(now, () => reader.bytesRead, this.#loop);
    bus.listen(this);
  }

  /** The last record that this edge has taken in. */
  get seq(): number {
    return this.#seq;
  }

  /** How many connections wait for room in their sockets. */
  get waiting(): number {
    return this.#full.size;
  }

  /** Whether publications are taken now. */
  get writable(): boolean {
    return this.#writable;
  }

  /** The channels that are read here, each with how many connections read it. */
  get readers(): Readers {
    return [...this.#feeds.values()].filter(({ name }) => parseChannel(name) !== undefined)
      .map(({ name, readers }) => [name, readers.size]);
  }

  /**
   * Forgets a connection that ended; its subscriptions must be gone.
   *
   * @param connection The connection.
   */
  remove(connection: Subscriber): void {
    this.slices.delete(connection);
    clearTimeout(this.#slowed.get(connection));
    this.#slowed.delete(connection);
    this.#urgent.delete(connection);
    this.#due.delete(connection);
    this.#round.delete(connection);
    this.#full.delete(connection);
  }

  /**
   * Subscribes a connection to a feed.
   *
   * @param name The feed.
   * @param connection Who reads it.
   * @returns The feed.
   */
  attach(name: string, connection: Subscriber): Feed {
    let feed = this.#feeds.get(name);
    if (feed === undefined) {
      feed = { name, id: ++this.#lastFeed, ring: new Ring(this.#seq), readers: new Set() };
      this.#feeds.set(name, feed);
    }
    feed.readers.add(connection);
    return feed;
  }

  /**
   * Ends a subscription.
   *
   * @param feed The feed.
   * @param connection Who read it.
   */
  detach(feed: Feed, connection: Subscriber): void {
    feed.readers.delete(connection);
    if (feed.readers.size > 0 || this.#feeds.get(feed.name) !== feed) return;
    this.#feeds.delete(feed.name);
    this.#filled.delete(feed);
    this.#ringBytes -= feed.ring.bytes;
  }

  /**
   * Has a connection told who comes and goes in a channel.
   *
   * @param channel The channel.
   * @param connection Who is told.
   */
  watch(channel: string, connection: Subscriber): void {
    const watchers = this.#watchers.get(channel);
    if (watchers === undefined) this.#watchers.set(channel, new Set([connection]));
    else watchers.add(connection);
  }

  /**
   * Ends that.
   *
   * @param channel The channel.
   * @param connection Who was told.
   */
  unwatch(channel: string, connection: Subscriber): void {
    const watchers = this.#watchers.get(channel);
    if (watchers?.delete(connection) && watchers.size === 0) this.#watchers.delete(channel);
  }

  /**
   * Has a connection served at the end of this turn.
   *
   * @param connection Who is answered.
   */
  wake(connection: Subscriber): void {
    this.#urgent.add(connection);
    if (this.#answering) return;
    this.#answering = true;
    queueMicrotask(() => this.#answer());
  }

  /**
   * Has a connection served once more: it is due more than it was given, and others have their turn first.
   *
   * @param connection Who goes on.
   */
  proceed(connection: Subscriber): void {
    this.slices.add(connection);
  }

  /**
   * Has a connection served once more after a while: more was read for it than its rate allows.
   *
   * @param connection Who goes on.
   * @param wait In how many milliseconds.
   */
  proceedIn(connection: Subscriber, wait: number): void {
    if (this.#slowed.has(connection)) return;
    this.counters.add("slowed_total");
    const timer = setTimeout(() => {
      this.#slowed.delete(connection);
      this.proceed(connection);
    }, wait);
    this.#slowed.set(connection, timer);
  }

  /**
   * Has a connection looked at again when its socket may have room.
   *
   * @param connection Whose socket is full.
   */
  waitForRoom(connection: Subscriber): void {
    this.#full.add(connection);
    if (this.#looking) return;
    this.#looking = true;
    setTimeout(() => this.#look(), LOOK_AGAIN);
  }

  /**
   * Joins lines once for all connections with the same feeds, codec and place.
   *
   * @param signature Feeds, codec and place.
   * @param make Makes the frame.
   * @returns The frame.
   */
  shared(signature: string, make: () => Frame): Frame {
    const known = this.#newest.get(signature) ?? this.#whole.get(signature);
    if (known !== undefined) return known;
    const frame = make();
    const frames = frame.whole ? this.#whole : this.#newest;
    frames.set(signature, frame);
    // Laggards at many different places share little; what is kept for them must have an end.
    for (const oldest of frames.keys()) {
      if (frames.size <= SHARED_FRAMES) break;
      frames.delete(oldest);
    }
    return frame;
  }

  /**
   * Reads what a feed has after a place, once for all who come back to the same place.
   *
   * @param name The feed.
   * @param after The place.
   * @param upTo The last seq to read.
   * @param most The most bytes; one message at least.
   * @returns Yields between slices; returns the page.
   * @throws {Error} If the log can't be read.
   */
  *missed(name: string, after: number, upTo: number, most: number): Generator<void, Missed> {
    const key = `${name}@${after}/${most}`;
    const known = this.#missed.get(key);
    if (known !== undefined && this.#isStill(name, known, upTo)) return known;
    const size = { limit: PAGE_MESSAGES, bytes: most };
    const read = yield* pageAfter(this.reader, name, { after, upTo }, size);
    const page = { ...read, upTo, list: read.messages.map(messageJson).join(",") };
    this.#missed.delete(key);
    this.#missed.set(key, page);
    for (const oldest of this.#missed.keys()) {
      if (this.#missed.size <= MISSED_PAGES) break;
      this.#missed.delete(oldest);
    }
    return page;
  }

  // Whether a page has all that it would have if it were read anew.
  #isStill(name: string, { more, upTo: read }: Missed, upTo: number): boolean {
    const ring = this.#feeds.get(name)?.ring;
    if (read === upTo || (more && read < upTo)) return true;
    if (ring === undefined || read < ring.floor || read > upTo) return false;
    return (ring.next(read) ?? Infinity) > upTo;
  }

  /**
   * Takes a post in; messages that are known already are passed over.
   *
   * @param post The next.
   */
  receive(post: Post): void {
    if (post.ended !== undefined) this.rights?.ended(post.ended, post.seq);
    this.#takeAll(post.messages);
    this.#seq = Math.max(this.#seq, post.seq);
    this.#writable = post.writable;
    for (const delta of post.presence) this.#tellPresence(delta);
    for (const { signal, connection } of post.signals) this.#tellSignal(signal, connection);
  }

  /**
   * Takes in from the log what was lost on the bus.
   *
   * @param seq Up to which record.
   */
  repair(seq: number): void {
    try {
      if (this.#seq >= seq) return;
      this.rights?.missed();
      const page = this.reader.between(this.#seq, seq, REPAIR_MESSAGES, SLICE_BYTES);
      if (page.more) return this.#skip(seq);
      this.#takeAll(page.messages);
      this.#seq = seq;
    } catch (error) {
      // A damaged record is the trouble of those to whom it is due, each by itself.
      log.error("log.unreadable", { error: String(error) });
      this.#skip(seq);
    }
  }

  /**
   * Hears whether publications are taken.
   *
   * @param writable Whether they are.
   */
  hearWritable(writable: boolean): void {
    this.#writable = writable;
  }

  /**
   * Takes in deltas that were lost on the bus.
   *
   * @param deltas All of them; where nobody has them, all who watch have to ask for the whole.
   */
  repairPresence(deltas: readonly PresenceDelta[] | undefined): void {
    if (deltas !== undefined) return deltas.forEach((delta) => this.#tellPresence(delta));
    for (const channel of this.#watchers.keys()) this.bus.send({ op: "restate", channel });
  }

  /**
   * Takes in what is committed by now: someone who was told of it elsewhere may ask for it here.
   *
   * @throws {Error} If the log can't be read.
   */
  catchUp(): void {
    this.repair(this.reader.lastSeq());
  }

  // Too much is missing to hold it all: those to whom it is due read it from the log, each at its pace.
  #skip(seq: number): void {
    this.#seq = seq;
    for (const feed of this.#feeds.values()) {
      this.#ringBytes -= feed.ring.bytes;
      feed.ring.skip(seq);
      this.#filled.delete(feed);
      for (const connection of feed.readers) this.#due.add(connection);
    }
    this.#beginRound();
  }

  // Readers are woken once, however many messages they are due.
  #takeAll(messages: readonly Message[]): void {
    this.#newest.clear();
    const filled = new Set<Feed>();
    for (const message of messages) {
      const channel = parseChannel(message.channel);
      if (channel === undefined || message.seq <= this.#seq) continue;
      const entry = new Entry(message);
      for (const name of feedsOf(channel)) {
        const feed = this.#feeds.get(name);
        if (feed === undefined) continue;
        const before = feed.ring.bytes;
        feed.ring.push(entry);
        this.#ringBytes += feed.ring.bytes - before;
        filled.add(feed);
      }
    }
    for (const feed of filled) {
      this.#filled.delete(feed);
      this.#filled.add(feed);
      for (const connection of feed.readers) this.#due.add(connection);
    }
    this.#beginRound();
    for (const quiet of this.#filled) {
      if (this.#ringBytes <= RINGS_BYTES) break;
      this.#ringBytes -= quiet.ring.bytes;
      quiet.ring.shrink(0);
      this.#filled.delete(quiet);
    }
  }

  #tellPresence(delta: PresenceDelta): void {
    const line = once((codec) => codec.presence(delta));
    for (const connection of this.#watchers.get(delta.channel) ?? []) {
      connection.presence(delta, line);
    }
  }

  #tellSignal(signal: Signal, origin: string): void {
    const channel = parseChannel(signal.channel);
    if (channel === undefined) return;
    const line = once((codec) => codec.signal(signal));
    const told = new Set<Subscriber>();
    for (const name of feedsOf(channel)) {
      for (const connection of this.#feeds.get(name)?.readers ?? []) told.add(connection);
    }
    if (!this.#signalsLeft.take(this.now(), told.size * signal.data.length)) return;
    for (const connection of told) {
      const text = connection.id === origin ? undefined : line(connection.codec);
      if (text !== undefined) connection.tell(text);
    }
  }

  /**
   * Hears that the network took something of a connection's: one that waits for room goes on.
   *
   * @param connection Whose.
   */
  taken(connection: Subscriber): void {
    if (this.#full.has(connection) && connection.hasRoom()) {
      this.#full.delete(connection);
      this.proceed(connection);
    }
  }

  #answer(): void {
    const end = this.now() + TURN;
    for (const connection of this.#urgent) {
      this.#urgent.delete(connection);
      connection.serve();
      if (this.now() > end) break;
    }
    this.#answering = this.#urgent.size > 0;
    if (this.#answering) this.#loop.next(() => this.#answer());
  }

  #beginRound(): void {
    if (this.#sending || this.#due.size === 0) return;
    this.#sending = true;
    [this.#round, this.#due] = [this.#due, this.#round];
    queueMicrotask(() => this.#send());
  }

  // Sends are bounded in time, so that a flood to many delays these and not commits, answers and pings. Whoever is due again
  // meanwhile waits for the next round: the longer one takes, the larger are the frames of the next.
  #send(): void {
    const end = this.now() + TURN;
    for (const connection of this.#round) {
      this.#round.delete(connection);
      connection.serve();
      if (this.now() > end) break;
    }
    setImmediate(() => {
      if (this.#round.size > 0) return this.#send();
      this.#sending = false;
      this.#beginRound();
    });
  }

  #look(): void {
    this.#looking = false;
    const full = [...this.#full];
    this.#full.clear();
    for (const connection of full) {
      if (connection.hasRoom()) this.wake(connection);
      else if (connection.open) this.waitForRoom(connection);
    }
  }
}

function once(encode: (codec: Codec) => string | undefined): (codec: Codec) => string | undefined {
  const lines = new Map<Codec, string | undefined>();
  return (codec) => {
    if (!lines.has(codec)) lines.set(codec, encode(codec));
    return lines.get(codec);
  };
}
