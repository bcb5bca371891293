/**
 * Between the edges and the core: what goes up, how it is answered, and what every edge is told. With the edge in the main
 * isolate nothing is posted anywhere: the two ends call each other. Between isolates they are core/broadcast.ts and
 * edge/broadcast.ts.
 */
import type { PresenceDelta, Roster, Signal } from "../protocol/presence.ts";
import type { Refusal } from "../protocol/refusals.ts";
import type { Withdrawal } from "../auth/tokens.ts";
import type { Message, Outcome, Proposal, Publication } from "../protocol/message.ts";

/** Where something comes from, for what is counted by address and by connection. */
export interface Origin {
  /** Absent where it comes without one, such as by a form. */
  readonly connection?: string;
  readonly address: string;
}

/** Channels with the number of connections that read each. */
export type Readers = readonly (readonly [channel: string, count: number])[];

/** What an edge sends up to the core. */
export type Up =
  | { readonly op: "propose"; readonly proposal: Proposal; readonly origin?: Origin }
  /** All or none, in one transaction. */
  | { readonly op: "publish"; readonly proposals: readonly Publication[]; readonly origin: Origin }
  /** A browser's session is recorded, or taken as used today; answered by an outcome with its account. */
  | { readonly op: "session"; hash: string; exchange?: string; origin: Origin }
  | {
    readonly op: "admit";
    origin: Required<Origin>;
    account: string | null;
    /** The session that it comes with, by its hash. */
    session?: string;
  }
  /** A connection turns out to be another account's. */
  | { readonly op: "identify"; origin: Required<Origin>; account: string }
  | { readonly op: "dismiss"; connection: string }
  /** A token was shown; of a right one its account and `iat`, in seconds since 1970. */
  | { readonly op: "token"; address: string; right: boolean; account?: string; issued?: number }
  | { readonly op: "join"; channel: string; account: string; connection: string; watch: boolean }
  | { readonly op: "leave"; channel: string; account: string; connection: string }
  | { readonly op: "readers" }
  /** Refused while the log can't be written. */
  | { readonly op: "ready" }
  | { readonly op: "withdraw"; tokens: Withdrawal }
  | { readonly op: "roster"; channel: string }
  | { readonly op: "restate"; channel: string }
  | { readonly op: "signal"; signal: Signal; connection: string };

/** How one {@linkcode Up} is answered: a proposal by its outcome, a question by the roster, the rest by nothing or a refusal. */
export type Answer =
  | { readonly outcome: Outcome }
  /** In the order of the proposals, with how many more may be published at once, where that has a limit. */
  | { readonly outcomes: readonly Outcome[]; readonly left: number | undefined }
  | { readonly roster: Roster }
  | { readonly readers: Readers }
  | { readonly refusal: Refusal }
  | null;

/** What every edge is told at once. */
export interface Post {
  /** The last record's seq, once these messages are taken in. */
  readonly seq: number;
  /** In the order of seq; the order of all posts is the order of the log. */
  readonly messages: readonly Message[];
  readonly presence: readonly PresenceDelta[];
  /** Each with the connection that it came from, which isn't told. */
  readonly signals: readonly { readonly signal: Signal; readonly connection: string }[];
  /** Whether publications are taken: not while the disk refuses them. */
  readonly writable: boolean;
  /** The hashes of sessions that ended; absent where none did. */
  readonly ended?: readonly string[];
}

/** Who takes the posts in. */
export interface Receiver {
  /** The last record that was taken in. */
  readonly seq: number;
  /**
   * Takes a post in; messages that are known already are passed over.
   *
   * @param post The next, in order.
   */
  receive(post: Post): void;
  /**
   * Posts were lost or are late: takes in from the log what it doesn't have yet.
   *
   * @param seq Up to which record; it is in the log.
   */
  repair(seq: number): void;
  /**
   * Hears whether publications are taken.
   *
   * @param writable Whether they are.
   */
  hearWritable(writable: boolean): void;
  /**
   * Deltas that were lost with posts.
   *
   * @param deltas All of them, in order; undefined where nobody has them any more.
   */
  repairPresence(deltas: readonly PresenceDelta[] | undefined): void;
}

/** What an edge does with the bus. */
export interface EdgeEnd {
  /**
   * Sends something up. What one edge sends is taken in the order in which it was sent.
   *
   * @param up What to send.
   * @param answered Called once with the answer, after the commit that it belongs to was received.
   */
  send(up: Up, answered?: (answer: Answer) => void): void;
  /**
   * Sets who takes the posts in; once.
   *
   * @param receiver Is given each post, in order.
   */
  listen(receiver: Receiver): void;
}

/** Something an edge sent, and how to answer it. */
export interface Sent {
  /** Which edge; what it holds goes with it. */
  readonly edge: number;
  readonly up: Up;
  /** Answers; called once, after the post that carries what it speaks of. */
  readonly answer: (answer: Answer) => void;
}

/** What the core does with the bus. */
export interface CoreEnd {
  /**
   * Tells every edge.
   *
   * @param post What.
   */
  post(post: Post): void;
  /**
   * Sets who takes up what edges send; once.
   *
   * @param take Called with each, in order.
   * @param gone Called with an edge that ended, after the last that it sent.
   */
  listen(take: (sent: Sent) => void, gone?: (edge: number) => void): void;
}

/**
 * Makes the bus of a process whose only edge is in the core's own isolate.
 *
 * @returns Its two ends.
 */
export function directBus(): { edge: EdgeEnd; core: CoreEnd } {
  let receiver: Receiver | undefined;
  let take: ((sent: Sent) => void) | undefined;
  return {
    edge: {
      send: (up, answer = () => {}) => take?.({ edge: 0, up, answer }),
      listen: (listener) => receiver = listener,
    },
    core: {
      post: (post) => receiver?.receive(post),
      listen: (listener) => take = listener,
    },
  };
}

/** A post between isolates. Each has a number, one above that of the one before: a hole in them is a loss. */
export interface NumberedPost extends Post {
  readonly number: number;
  /** The last record's seq before it: what is missing after a loss goes up to here. */
  readonly after: number;
}

/** What the bus repeats, so that the loss of a last post is seen within {@linkcode BEAT}. */
export interface Beat {
  readonly number: number;
  readonly seq: number;
  readonly writable: boolean;
  readonly beat: true;
}

/** How often the bus repeats its last number, and an edge says that it lives; in milliseconds. */
export const BEAT = 1000;

/** What an edge's isolate posts up: what was sent in one turn, or a question for the deltas of posts that it lost. */
export type Upward =
  | { readonly kind: "ups"; readonly ups: readonly Up[] }
  | { readonly kind: "lost"; readonly from: number; readonly to: number };

/** What the core posts down to one edge: answers, or the deltas it asked for. */
export type Downward =
  | {
    readonly kind: "answers";
    /** For each of the oldest posts that aren't answered yet, in order: its answers, in order. */
    readonly answers: readonly (readonly Answer[])[];
    /** The last record of the commit: they may be told once it was taken in. */
    readonly seq: number;
  }
  | { readonly kind: "lost"; readonly deltas: readonly PresenceDelta[] | undefined };
