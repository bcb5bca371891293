/**
 * Receipts of direct messages on `/chat/`. Their protocol has no receipts, so a message counts as received once
 * it was sent and the socket was seen with nothing unsent afterwards.
 */
import { setImmediate } from "node:timers";
import { directFeed } from "../protocol/channel.ts";
import type { Connection } from "../delivery/connection.ts";
import type { Feed, Hub, Subscriber } from "../delivery/hub.ts";
import type { EdgeContext } from "./edge_context.ts";

/** How often the place of an account is written at most, in milliseconds. */
export const PLACE_PAUSE = 2000;

// A socket with room takes a frame within two turns of the loop, before its client can close. After those looks a timer is
// enough: this is the longest pause, in milliseconds.
const TURNS = 4;
const LONGEST_PAUSE = 250;

/** The places of accounts in their direct messages, in this edge: the log has all but those of the last two seconds. */
export class DirectPlaces {
  readonly #edge: EdgeContext;
  // Of accounts whose place was written less than PLACE_PAUSE ago: the newest place, which may not be written yet.
  readonly #recent = new Map<string, number>();

  /** @param edge The context of the edge. */
  constructor(edge: EdgeContext) {
    this.#edge = edge;
  }

  /**
   * Finds up to which seq an account received its direct messages.
   *
   * @param account The account.
   * @returns The seq; 0 where it never received any.
   */
  of(account: string): number {
    const { places } = this.#edge.hub.reader;
    return Math.max(places.received(account, directFeed(account)), this.#recent.get(account) ?? 0);
  }

  /**
   * Raises a place: writes it at once, or {@linkcode PLACE_PAUSE} after it was written last.
   *
   * @param account The account.
   * @param received The seq up to which it received all.
   */
  raise(account: string, received: number): void {
    const recent = this.#recent.get(account);
    this.#recent.set(account, Math.max(received, recent ?? 0));
    if (recent === undefined) this.#write(account, received);
  }

  #write(account: string, received: number): void {
    const proposal = { kind: "place" as const, account, feed: directFeed(account), received };
    this.#edge.bus.send({ op: "propose", proposal });
    setTimeout(() => {
      const newest = this.#recent.get(account) ?? 0;
      if (newest > received) this.#write(account, newest);
      else this.#recent.delete(account);
    }, PLACE_PAUSE);
  }
}

/** Sends one client its direct messages, and raises its account's place as it receives them. */
export class DirectReceipt implements Subscriber {
  readonly id: string;
  readonly codec;
  readonly meter = undefined;
  readonly #connection: Connection;
  readonly #account: string;
  readonly #hub: Hub;
  readonly #places: DirectPlaces;
  readonly #feed: Feed;
  // The place once all that is due is received.
  #due = 0;
  #looking = false;

  /**
   * Subscribes to the account's direct messages, from its place on.
   *
   * @param connection The client's.
   * @param account Whose messages.
   * @param hub The edge's.
   * @param places The places of all accounts.
   */
  constructor(connection: Connection, account: string, hub: Hub, places: DirectPlaces) {
    ({ id: this.id, codec: this.codec } = connection);
    [this.#connection, this.#account] = [connection, account];
    [this.#hub, this.#places] = [hub, places];
    const feed = directFeed(account);
    const from = Math.min(Math.max(places.of(account), hub.reader.trimmed(feed)), hub.seq);
    connection.cursor.subscribe(feed, from, hub.seq);
    this.#feed = hub.attach(feed, this);
    if (hub.reader.index.next(feed, from, hub.seq) !== undefined) this.serve();
  }

  /** Whether messages may still come. */
  get open(): boolean {
    return this.#connection.open;
  }

  /** Hears that there is a message: looks at the socket until it was sent. */
  serve(): void {
    this.#due = this.#hub.seq;
    if (this.#looking) return;
    this.#looking = true;
    this.#lookLater(0);
  }

  /** Ends it: what was sent and not seen as received is sent again when the account comes back. */
  close(): void {
    this.#hub.detach(this.#feed, this);
    this.#hub.remove(this);
  }

  hasRoom(): boolean {
    return true;
  }

  tell(): boolean {
    return false;
  }

  presence(): void {}

  #lookLater(looks: number): void {
    const look = () => this.#look(looks + 1);
    if (looks < TURNS) setImmediate(look);
    else setTimeout(look, Math.min(2 ** (looks - TURNS), LONGEST_PAUSE));
  }

  #look(looks: number): void {
    const { open, cursor, unsent } = this.#connection;
    const received = open && unsent === 0 && cursor.place(this.#feed.name) >= this.#due;
    if (open && !received) return this.#lookLater(looks);
    this.#looking = false;
    if (received) this.#places.raise(this.#account, this.#due);
  }
}
