/**
 * The client library: one connection that comes back by itself, subscriptions that go on where they were, an outbox that
 * sends each message once, and event streams by fetch. Works in browsers, Deno and Node 22. Protocol: `fanfare.v1`.
 *
 * @module
 */

/** A message. */
export interface Message {
  /** Where it was published. */
  channel: string;
  /** Its place among all messages of the server. */
  seq: number;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
  /** The account, or null for a push by none. */
  from: string | null;
  /** The display name at that moment. */
  name?: string;
  /** What makes it one message, however often it is sent. */
  key?: string;
  /** Any JSON value. */
  data: unknown;
}

/** An account that is in a channel. */
export interface Member {
  /** The account. */
  account: string;
  /** Its display name, absent if none. */
  name?: string;
}

/** Who is in a channel; `count` is right even where `members` is cut. */
export interface Roster {
  /** Up by one with each change. */
  version: number;
  /** How many are there. */
  count: number;
  /** At most 1000 of them. */
  members: Member[];
}

/** A word that isn't kept. */
export interface Signal {
  /** Where it was said. */
  channel: string;
  /** By whom; null for the admin. */
  from: string | null;
  /** Any JSON value. */
  data: unknown;
}

/** Where a message was put. */
export interface Place {
  /** Its seq. */
  seq: number;
  /** Its time, in milliseconds since 1970. */
  time: number;
}

/** A message of the outbox. */
export interface Item {
  /** Its name in the outbox; stays the same whatever happens. */
  id: string;
  /** What makes it one message for the server. */
  key: string;
  /** Where to. */
  channel: string;
  /** What. */
  data: unknown;
  /** Who wrote it; absent if that wasn't known. */
  account?: string | null;
  /** When it was written, in milliseconds since 1970. */
  time: number;
  /** Rises with each item of a tab. */
  order: number;
  /** The tab that sends it. */
  owner: string;
  /** What it waits for: the server, or a decision. */
  status: "pending" | "failed";
  /** Why it failed, or why it waits. */
  error?: { code: string; message: string };
  /** When it may have been sent first, by the server's clock. */
  tried?: number;
}

/** What keeps items, and a few facts by name. Changes are made in the order in which they are asked for. */
export interface Store {
  /** Whether what it keeps outlives the page, as far as is known now. */
  lasting: boolean;
  /** Whether others may use it at the same time: tabs of a browser. */
  shared: boolean;
  /** Keeps items; the writing begins before this returns. */
  put: (items: readonly Item[]) => Promise<void>;
  /** Forgets items. */
  remove: (ids: readonly string[]) => Promise<void>;
  /** Whose items there are. */
  owners: () => Promise<string[]>;
  /** Makes the items of one owner another's, at once or not at all. */
  take: (
    from: string,
    to: string,
    unlessAlive?: number,
    wanted?: (channel: string) => boolean,
  ) => Promise<Item[]>;
  /** Reads a fact. */
  get: (name: string) => Promise<unknown>;
  /** Keeps a fact; `undefined` forgets it. */
  set: (name: string, value: unknown) => Promise<void>;
  /** Lets go of it. */
  close: () => void;
}

/** What tells the time and wakes up. */
export interface Clock {
  /** Milliseconds since 1970; somebody may set it back or forward. */
  now: () => number;
  /** Milliseconds since some moment; nobody sets it. */
  monotonic: () => number;
  /** Calls later; what it returns calls that off. */
  after: (ms: number, run: () => void) => () => void;
}

/** What a tab needs of `navigator.locks`. */
export interface Locks {
  /** Asks for a lock. */
  request: (
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    held: (lock: unknown) => unknown,
  ) => Promise<unknown>;
}

/** How to connect. */
export interface ConnectOptions {
  /** The server's address, http(s) or ws(s); by default the page's own. */
  url?: string;
  /** A bearer token, or what gets one for each connection; browsers have their cookie. */
  token?: string | (() => string | Promise<string>);
  /** A display name to take. */
  name?: string;
  /** Where the outbox is kept; by default IndexedDB where there is one, else memory. */
  store?: Store;
  /** What tells which tabs live; by default `navigator.locks`, null for none. */
  locks?: Locks | null;
  /** Of which channels what a closed tab left behind is sent and shown here; by default of all. */
  adopts?: (channel: string) => boolean;
  /** From 0 to 1; for tests. */
  random?: () => number;
  /** The time; for tests. */
  clock?: Clock;
  /** Another socket; for tests. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocket;
}

/** What is told to who listens. */
export interface Events {
  /** State or reason changed. */
  state: (client: Client) => void;
  /** Account or name are known or changed. */
  account: (client: Client) => void;
  /** The items of the outbox changed. */
  outbox: (client: Client) => void;
  /** An item of the outbox has its place; told before `outbox`. */
  sent: (client: Client, sent: { item: Item; place: Place }) => void;
}

/** What a subscription asks for, and who is told. */
export interface SubscribeOptions {
  /** The place to begin with, such as that of an earlier run (the client's `epoch`, a message's `seq`): what follows it is told. */
  since?: { epoch: string; seq: number };
  /** How many of the newest messages to begin with, 0 to 200. */
  history?: number;
  /** New messages, each once and in order; with `gap` some before them are missing, with `reset` the server has another log. */
  onMessages?: (messages: Message[], gap: boolean, reset: boolean) => void;
  /** The subscription stands, after each connection. */
  onReady?: () => void;
  /** Who is here, whenever it changes. */
  onPresence?: (roster: Roster) => void;
  /** Words that aren't kept. */
  onSignal?: (signal: Signal) => void;
  /** The subscription was refused. */
  onError?: (error: FanfareError) => void;
}

/** A subscription. Made by {@linkcode Client.subscribe}. */
export interface Subscription {
  /** Which channel. */
  channel: string;
  /** Who is here, as far as it is known. */
  roster: Roster | undefined;
  /** Ends it: nothing is told any more. */
  close(): void;
  /** Whether a channel's messages come by this subscription. */
  reads(channel: string): boolean;
}

/** The states of a client; told by the `state` event with a {@linkcode Reason}. */
export const State: Readonly<{
  /** A socket is being opened. */
  connecting: "connecting";
  /** Commands are answered. */
  open: "open";
  /** The connection is gone; the client comes back by itself. */
  waiting: "waiting";
  /** Closed for good. */
  closed: "closed";
}>;

/** Why a client is in its state. */
export const Reason: Readonly<{
  /** `connect()` was called. */
  start: "start";
  /** The server answered the greeting. */
  greeted: "greeted";
  /** The connection broke, or couldn't be made. */
  lost: "lost";
  /** The server said that it goes away. */
  leaving: "leaving";
  /** The server didn't answer. */
  silent: "silent";
  /** The time to wait is over, or the network is back. */
  retry: "retry";
  /** `close()` was called. */
  done: "done";
  /** The server refused the token or the client for good. */
  refused: "refused";
}>;

/** What the library itself says beside the protocol's codes. */
export const Code: Readonly<{
  /** There is no connection, or there will be none. */
  closed: "closed";
  /** The outbox has no room. */
  full: "full";
  /** Written by another account than the one that is here now, and never sent. */
  otherAccount: "other_account";
  /** Sent as another account, and not acknowledged: it may have arrived. */
  uncertain: "uncertain";
  /** Tried so long ago that the server has forgotten its key. */
  expired: "expired";
  /** Taken out of the outbox by `discard()`. */
  discarded: "discarded";
}>;

/** A refusal by the server, with the protocol's code, or by the library, with one of {@linkcode Code}. */
export class FanfareError extends Error {
  /** The protocol's code, or one of {@linkcode Code}. */
  code: string;
  /** Milliseconds after which to try again. */
  retry: number | undefined;
  /**
   * Makes the error.
   *
   * @param code The code.
   * @param message A sentence.
   * @param retry Milliseconds after which to try again.
   */
  constructor(code: string, message: string, retry?: number);
}

/** A connection to the server that heals by itself. Made by {@linkcode connect}. */
export class Client {
  /** One's own account, as the server told it now or the last time; null for the admin. */
  account: string | null | undefined;
  /** One's own display name. */
  name: string | undefined;
  /** Names the server's log, once it was greeted: seqs of two can't be compared. */
  epoch: string | undefined;
  /** How the connection is. */
  state: (typeof State)[keyof typeof State];
  /** Why it is so. */
  reason: (typeof Reason)[keyof typeof Reason];
  /** When the next try is made, in milliseconds since 1970; while waiting. */
  nextTry: number;
  /**
   * Connects.
   *
   * @param options How.
   */
  constructor(options: ConnectOptions);
  /** What was published and isn't acknowledged, and what failed; in order. A new list whenever something changed. */
  get outbox(): readonly Item[];
  /** Whether what is in the outbox outlives this page: not where the browser has no IndexedDB, refuses it, or is full. */
  get keeps(): boolean;
  /** Listens, until what it returns is called. */
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void;
  /** Subscribes to a channel, over all connections to come. */
  subscribe(channel: string, options?: SubscribeOptions): Subscription;
  /** Publishes once, however often it has to be sent. */
  publish(channel: string, data: unknown, options?: { key?: string }): Promise<Place>;
  /** Sends a failed message of the outbox once more, as one's own of now. */
  retry(id: string): void;
  /** Takes a message out of the outbox. One that is on its way may still arrive. */
  discard(id: string): void;
  /** Reads a page of a channel, oldest first. */
  history(
    channel: string,
    range?: { before?: number; after?: number; limit?: number },
  ): Promise<{ messages: Message[]; more: boolean }>;
  /** Asks who is in a channel. */
  presence(channel: string): Promise<Roster>;
  /** Says something to those who are subscribed now; not kept. */
  signal(channel: string, data: unknown): Promise<unknown>;
  /** Takes another display name, or none. */
  rename(name: string | null): Promise<void>;
  /** Closes for good. */
  close(): void;
}

/** What to follow, and how. */
export interface FollowOptions {
  /** The server's address; by default the page's own. */
  url?: string;
  /** A bearer token, or what gets one for each connection. */
  token?: string | (() => string | Promise<string>);
  /** The id of an event: what follows it comes first. */
  since?: string;
  /** Ends it. */
  signal?: AbortSignal;
  /** From 0 to 1; for tests. */
  random?: () => number;
  /** The time; for tests. */
  clock?: Clock;
}

/** A message, or the channels in which messages are missing; each with the place behind it. */
export type Followed = { id: string; message: Message; gap?: undefined } | {
  id: string;
  gap: string[];
  message?: undefined;
};

/**
 * Connects, and stays connected until `close()`.
 *
 * @param options How.
 * @returns The client.
 */
export function connect(options?: ConnectOptions): Client;

/**
 * Follows channels by an event stream that comes back by itself: `for await (const { message } of follow(["push:all"]))`.
 *
 * @param channels Their names.
 * @param options How.
 * @returns What comes, in the order of seq over all channels, each once.
 */
export function follow(
  channels: string[],
  options?: FollowOptions,
): AsyncGenerator<Followed, void, void>;

/**
 * Keeps items in memory.
 *
 * @param shared Whether several clients are given it.
 * @returns The store.
 */
export function memoryStore(shared?: boolean): Store;

/**
 * Makes a key for a message.
 *
 * @returns 32 hex digits.
 */
export function newKey(): string;
