/** The place of one client in its feeds, and what is due to it from there. */
import type { Codec } from "../codecs/codec.ts";
import { PAGE_MESSAGES } from "../protocol/command.ts";
import type { Feed, Hub, Subscriber } from "./hub.ts";
import { logSource, merged, ringSource, type Source } from "./merge.ts";
import type { SendSizes } from "./send_budget.ts";
import type { Entry } from "./feed_ring.ts";

interface Subscription {
  readonly feed: Feed;
  /** Only messages with a greater seq are due. */
  place: number;
  /** While it catches up: it is given its messages up to here before anything live is sent. */
  until?: number;
}

/** Retention was faster than a client's reading: it has to come back, to be told of the gap. */
export class Outrun extends Error {}

/** A cursor over feeds. Nothing is queued for its client: what is due is read when its socket has room. */
export class Cursor {
  readonly #hub: Hub;
  readonly #client: Subscriber;
  readonly #subscriptions = new Map<string, Subscription>();
  #position: number;
  // Of its codec and feeds; made when it is asked for, as a client may subscribe to many in one turn.
  #signature: string | undefined;
  #catching = 0;
  #end = Infinity;

  /**
   * @param hub What has the feeds.
   * @param client Who reads, and is served when something is due.
   */
  constructor(hub: Hub, client: Subscriber) {
    this.#hub = hub;
    this.#client = client;
    this.#position = hub.seq;
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
      this.#position = Math.max(this.#position, this.#firstOwed() - 1);
      return this.#position;
    }
    return subscription.until === undefined
      ? Math.max(this.#position, subscription.place)
      : subscription.place;
  }

  /**
   * Goes back to an older place, before it reads anything: what its feeds have from there on comes in the order of seq over
   * all of them.
   *
   * @param seq The place.
   */
  rewind(seq: number): void {
    this.#position = seq;
  }

  /**
   * Reads no further than to a place: what follows it isn't sent.
   *
   * @param seq The place.
   */
  endAt(seq: number): void {
    this.#end = seq;
  }

  /** Whether all up to {@linkcode endAt} was sent. */
  get ended(): boolean {
    return this.#position >= this.#end;
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
    const feed = known?.feed ?? this.#hub.attach(name, this.#client);
    const subscription: Subscription = { feed, place: after };
    // Whoever subscribes again while it catches up is still owed the rest.
    const end = Math.max(until, known?.until ?? 0);
    if (end > after) {
      subscription.until = end;
      this.#catching += 1;
    }
    this.#subscriptions.set(name, subscription);
    this.#signature = undefined;
    this.#hub.wake(this.#client);
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
    this.#hub.detach(subscription.feed, this.#client);
    this.#signature = undefined;
    return true;
  }

  /** Ends the reading of all of them. */
  end(): void {
    for (const name of [...this.#subscriptions.keys()]) this.unsubscribe(name);
  }

  /**
   * Takes what is due now.
   *
   * @param parts Where lines are added.
   * @param sizes How much may be sent at once.
   * @throws {Outrun} If it is no longer kept.
   */
  take(parts: string[], sizes: SendSizes): void {
    if (this.#subscriptions.size === 0 || this.#isSlowed()) return;
    const { reader } = this.#hub;
    const before = reader.bytesRead;
    if (this.#catching > 0) this.#catchUp(parts, sizes);
    else this.#takeLive(parts, sizes);
    const read = reader.bytesRead - before;
    if (read > 0) this.#client.meter?.spend(read);
  }

  // What is in the rings is never held up: only what has to be read for this client alone.
  #isSlowed(): boolean {
    const { meter } = this.#client;
    if (meter === undefined || (this.#catching === 0 && !this.#isBehind())) return false;
    const wait = meter.wait();
    if (wait > 0) this.#hub.proceedIn(this.#client, wait);
    return wait > 0;
  }

  #isBehind(): boolean {
    if (this.#position === this.#hub.seq) return false;
    for (const { feed, place } of this.#subscriptions.values()) {
      if (Math.max(this.#position, place) < feed.ring.floor) return true;
    }
    return false;
  }

  // The cursor of a quiet connection stays behind: nothing below the first message that it is owed is due to it.
  #firstOwed(): number {
    const { seq, reader } = this.#hub;
    let first = seq + 1;
    for (const { feed, place, until } of this.#subscriptions.values()) {
      const after = Math.max(this.#position, until ?? place);
      let next = after >= feed.ring.floor
        ? feed.ring.next(after)
        : reader.index.next(feed.name, after, seq);
      // What retention took from it is owed too: it has to be told of the gap.
      if (after < feed.ring.floor && reader.trimmed(feed.name) > after) next = after + 1;
      if (next !== undefined) first = Math.min(first, next);
    }
    return first;
  }

  // Strictly before anything live: what the connection is owed stays in one order.
  #catchUp(parts: string[], sizes: SendSizes): void {
    const { reader, counters } = this.#hub;
    let room = sizes.frame;
    for (const subscription of this.#subscriptions.values()) {
      const { until, feed, place } = subscription;
      if (room <= 0) break;
      if (until === undefined) continue;
      const page = reader.after(feed.name, place, until, PAGE_MESSAGES, room);
      if (reader.trimmed(feed.name) > place) throw new Outrun();
      for (const message of page.messages) {
        const line = this.#client.codec.message(message);
        parts.push(line);
        room -= line.length;
        subscription.place = message.seq;
      }
      counters.delivered(page.messages.length);
      if (page.more) continue;
      subscription.place = until;
      delete subscription.until;
      this.#catching -= 1;
    }
    this.#hub.proceed(this.#client);
  }

  #takeLive(parts: string[], sizes: SendSizes): void {
    if (this.#position >= Math.min(this.#hub.seq, this.#end)) return;
    if (!this.#client.codec.joins || this.#end < Infinity || this.#isFresh()) {
      const { entries, position } = this.#collect(sizes);
      for (const entry of entries) parts.push(entry.line(this.#client.codec));
      this.#hub.counters.delivered(entries.length, entries[0]?.message.time);
      this.#advance(position);
      return;
    }
    // What was joined for others may be more than there is room for now.
    const made = this.#hub.shared(`${this.#signed()}@${this.#position}/${sizes.frame}`, () => {
      const { entries, position, whole } = this.#collect(sizes);
      const frame = entries.map((entry) => entry.line(this.#client.codec)).join("\n");
      return { frame, position, whole, count: entries.length, time: entries[0]?.message.time };
    });
    if (made.frame !== "") parts.push(made.frame);
    this.#hub.counters.delivered(made.count, made.time);
    this.#advance(made.position);
  }

  // Whether a subscription began after the cursor: then its place differs from that of all others with the same feeds.
  #isFresh(): boolean {
    for (const { place } of this.#subscriptions.values()) if (place > this.#position) return true;
    return false;
  }

  #advance(position: number): void {
    this.#position = position;
    if (position < Math.min(this.#hub.seq, this.#end)) this.#hub.proceed(this.#client);
  }

  // What its feeds have from the cursor on, merged by seq: from the rings, or for a feed that it fell out of from the log.
  #collect(sizes: SendSizes): { entries: Entry[]; position: number; whole: boolean } {
    return this.#isBehind()
      ? this.#hub.reader.atOnce(() => this.#merge(sizes))
      : this.#merge(sizes);
  }

  #merge({ frame }: SendSizes): { entries: Entry[]; position: number; whole: boolean } {
    const upTo = Math.min(this.#hub.seq, this.#end);
    const { codec } = this.#client;
    const entries: Entry[] = [];
    let size = 0;
    let more = false;
    for (const entry of merged(this.#sources(upTo))) {
      if (entry.message.seq > upTo) break;
      more = size >= frame;
      if (more) break;
      entries.push(entry);
      size += entry.line(codec).length + 1;
    }
    if (!more) return { entries, position: upTo, whole: false };
    const due = entries.slice(0, cutOf(entries, codec, frame));
    return { entries: due, position: due.at(-1)?.message.seq ?? upTo, whole: true };
  }

  *#sources(upTo: number): Iterable<Source> {
    const { reader } = this.#hub;
    const behind = new Map<string, number>();
    for (const { feed, place } of this.#subscriptions.values()) {
      const after = Math.max(this.#position, place);
      if (after >= upTo) continue;
      if (after < feed.ring.floor) {
        behind.set(feed.name, after);
        continue;
      }
      const source = ringSource(feed.ring, after);
      if (source !== undefined) yield source;
    }
    if (behind.size === 0) return;
    for (const head of reader.index.heads(behind, upTo)) {
      if (head.trimmed > (behind.get(head.feed) ?? 0)) throw new Outrun();
      const source = logSource(reader, head, upTo);
      if (source !== undefined) yield source;
    }
  }

  #signed(): string {
    if (this.#signature !== undefined) return this.#signature;
    const ids = [...this.#subscriptions.values()].map(({ feed }) => feed.id).sort((a, b) => a - b);
    return this.#signature = `${this.#client.codec.index}:${ids.join(",")}`;
  }
}

/**
 * Finds where a full frame ends. It is cut where the entries themselves say so, whatever it began with: so those who fell behind at
 * different places are at the same places again after one frame, and share what follows.
 *
 * @param due More than a frame.
 * @param codec Whose lines.
 * @param most The size of a frame, in characters.
 * @returns How many of them make the frame.
 */
function cutOf(due: readonly Entry[], codec: Codec, most: number): number {
  // How often a character ends a frame, in 65,536ths: on average once in half a frame.
  const marks = 2 * 65_536 / most;
  // The high bits of a multiple of the golden ratio are spread evenly.
  const cut = due.findIndex((entry) =>
    (Math.imul(entry.message.seq, 0x9e3779b1) >>> 16) < entry.line(codec).length * marks
  );
  return cut < 0 ? due.length : cut + 1;
}
