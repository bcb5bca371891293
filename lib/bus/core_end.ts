/**
 * The core's end of the bus between isolates: one BroadcastChannel post for each committed batch, answers by `postMessage` to
 * the edge that sent. A post may be lost, an answer isn't (architecture.md, "Measured facts").
 */
import {
  type Answer,
  BEAT,
  type Beat,
  type CoreEnd,
  type Downward,
  type NumberedPost,
  type Post,
  type Sent,
  type Up,
  type Upward,
} from "./bus.ts";
import type { PresenceDelta } from "../protocol/presence.ts";

// For edges that lost posts: deltas of so many, with so many members in all. Messages they find in the log.
const RECENT_POSTS = 1000;
const RECENT_MEMBERS = 10_000;

/** Where an edge begins: it has all posts up to this number, and all records up to this seq. */
export interface BusStart {
  readonly number: number;
  readonly seq: number;
}

/** What carries posts to all edges, and may lose some. */
export type Channel = Pick<BroadcastChannel, "postMessage" | "close">;

/** What leads down to one edge. */
export interface EdgePort {
  /**
   * Posts to it; nothing is lost.
   *
   * @param message What.
   */
  postMessage(message: Downward): void;
}

interface Unanswered {
  left: number;
  readonly answers: Answer[];
}

interface Lane {
  readonly port: EdgePort;
  /** What it posted, oldest first. */
  readonly posts: Unanswered[];
  flushing: boolean;
}

interface Told {
  readonly number: number;
  readonly deltas: readonly PresenceDelta[];
  readonly members: number;
}

/** The bus to any number of edges. */
export class Broadcast implements CoreEnd {
  readonly #channel: Channel;
  readonly #lanes = new Map<number, Lane>();
  readonly #beat: ReturnType<typeof setInterval>;
  #take: ((sent: Sent) => void) | undefined;
  #gone: ((edge: number) => void) | undefined;
  #number = 0;
  #seq: number;
  #writable = true;
  #recent: Told[] = [];
  #recentMembers = 0;
  #forgotten = 0;

  /**
   * @param channel What carries the posts.
   * @param seq The log's last record.
   */
  constructor(channel: Channel, seq: number) {
    this.#channel = channel;
    this.#seq = seq;
    this.#beat = setInterval(() => this.repeat(), BEAT);
  }

  /**
   * Tells every edge; nothing is posted where nothing changed.
   *
   * @param post What.
   */
  post(post: Post): void {
    const { seq, presence, signals, writable } = post;
    const nothing = presence.length === 0 && signals.length === 0;
    if (nothing && seq === this.#seq && writable === this.#writable) return;
    const numbered: NumberedPost = { ...post, number: ++this.#number, after: this.#seq };
    this.#seq = seq;
    this.#writable = writable;
    this.#remember(presence);
    this.#channel.postMessage(numbered);
  }

  /**
   * Sets who takes up what edges send.
   *
   * @param take Called with each, in order.
   * @param gone Called with an edge that ended.
   */
  listen(take: (sent: Sent) => void, gone?: (edge: number) => void): void {
    this.#take = take;
    this.#gone = gone ?? this.#gone;
  }

  /**
   * Lets an edge take part.
   *
   * @param edge Its number.
   * @param port What leads down to it.
   * @returns Where it begins.
   */
  attach(edge: number, port: EdgePort): BusStart {
    this.#lanes.set(edge, { port, posts: [], flushing: false });
    return { number: this.#number, seq: this.#seq };
  }

  /**
   * Takes what an edge posted.
   *
   * @param edge Which.
   * @param message What.
   */
  receive(edge: number, message: Upward): void {
    const lane = this.#lanes.get(edge);
    if (lane === undefined) return;
    if (message.kind === "ups") return this.#takeAll(edge, lane, message.ups);
    lane.port.postMessage({ kind: "lost", deltas: this.#deltas(message.from, message.to) });
  }

  /**
   * An edge ended: what it held is gone.
   *
   * @param edge Which.
   */
  detach(edge: number): void {
    if (this.#lanes.delete(edge)) this.#gone?.(edge);
  }

  /** Tells the last number once more, for those that lost the last post; by itself once a second. */
  repeat(): void {
    const { seq, writable } = { seq: this.#seq, writable: this.#writable };
    const beat: Beat = { beat: true, number: this.#number, seq, writable };
    this.#channel.postMessage(beat);
  }

  /** Ends it. */
  async close(): Promise<void> {
    clearInterval(this.#beat);
    this.#channel.close();
    // Deno (2.9.6) gives the isolate's last channel up a turn later; one that is made in between is dead.
    await new Promise((resolve) => setTimeout(resolve));
  }

  #takeAll(edge: number, lane: Lane, ups: readonly Up[]): void {
    const post: Unanswered = { left: ups.length, answers: [] };
    lane.posts.push(post);
    for (const [i, up] of ups.entries()) {
      const answer = (answer: Answer) => {
        post.answers[i] = answer;
        post.left -= 1;
        if (post.left > 0 || lane.flushing) return;
        lane.flushing = true;
        // All that this turn answers goes down at once.
        queueMicrotask(() => this.#answer(lane));
      };
      this.#take?.({ edge, up, answer });
    }
  }

  #answer(lane: Lane): void {
    lane.flushing = false;
    const unanswered = lane.posts.findIndex(({ left }) => left > 0);
    const done = lane.posts.splice(0, unanswered < 0 ? lane.posts.length : unanswered);
    if (done.length === 0) return;
    const answers = done.map((post) => post.answers);
    lane.port.postMessage({ kind: "answers", answers, seq: this.#seq });
  }

  #remember(deltas: readonly PresenceDelta[]): void {
    if (deltas.length === 0) return;
    const members = deltas.reduce(
      (sum, { joined, left }) => sum + 1 + (joined?.length ?? 0) + (left?.length ?? 0),
      0,
    );
    this.#recent.push({ number: this.#number, deltas, members });
    this.#recentMembers += members;
    while (this.#recent.length > RECENT_POSTS || this.#recentMembers > RECENT_MEMBERS) {
      const oldest = this.#recent.shift();
      if (oldest === undefined) break;
      this.#recentMembers -= oldest.members;
      this.#forgotten = oldest.number;
    }
  }

  #deltas(from: number, to: number): readonly PresenceDelta[] | undefined {
    if (from <= this.#forgotten) return undefined;
    return this.#recent.filter(({ number }) => number >= from && number <= to)
      .flatMap(({ deltas }) => deltas);
  }
}
