/**
 * Between the edges and the core: what goes up, how it is answered, and what every edge is told. With the edge in the main
 * isolate nothing is posted anywhere: the two ends call each other.
 */
import type { PresenceDelta, Roster, Signal } from "./protocol/presence.ts";
import type { Refusal } from "./protocol/codes.ts";
import type { Message, Outcome, Proposal } from "./protocol/message.ts";

/** Where something comes from, for what is counted by address and by connection. */
export interface Origin {
  /** Absent where it comes without one, such as by a form. */
  readonly connection?: string;
  readonly address: string;
}

/** What an edge sends up to the core. */
export type Up =
  | { readonly op: "propose"; readonly proposal: Proposal; readonly origin?: Origin }
  | { readonly op: "admit"; origin: Required<Origin>; account: string | null }
  | { readonly op: "dismiss"; connection: string }
  | { readonly op: "token"; address: string; right: boolean }
  | { readonly op: "join"; channel: string; account: string; connection: string; watch: boolean }
  | { readonly op: "leave"; channel: string; account: string; connection: string }
  | { readonly op: "roster"; channel: string }
  | { readonly op: "signal"; signal: Signal; connection: string };

/** How one {@linkcode Up} is answered: a proposal by its outcome, a question by the roster, the rest by nothing or a refusal. */
export type Answer =
  | { readonly outcome: Outcome }
  | { readonly roster: Roster }
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
}

/** What an edge does with the bus. */
export interface EdgeEnd {
  /**
   * Sends something up. What one edge sends is taken in the order in which it was sent.
   *
   * @param up What to send.
   * @param answered Called once with the answer, after the post of the commit that it belongs to was received.
   */
  send(up: Up, answered?: (answer: Answer) => void): void;
  /**
   * Sets who takes the posts in; once.
   *
   * @param receive Called with each post, in order.
   */
  listen(receive: (post: Post) => void): void;
}

/** Something an edge sent, and how to answer it. */
export interface Sent {
  /** Which edge: all that it holds goes with it. */
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
   */
  listen(take: (sent: Sent) => void): void;
}

/**
 * Makes the bus of a process whose only edge is in the core's own isolate.
 *
 * @returns Its two ends.
 */
export function directBus(): { edge: EdgeEnd; core: CoreEnd } {
  let receive: ((post: Post) => void) | undefined;
  let take: ((sent: Sent) => void) | undefined;
  return {
    edge: {
      send: (up, answer = () => {}) => take?.({ edge: 0, up, answer }),
      listen: (listener) => receive = listener,
    },
    core: {
      post: (post) => receive?.(post),
      listen: (listener) => take = listener,
    },
  };
}
