/** One client: its answers, its socket's room, its end. */
import type { Origin } from "../bus/bus.ts";
import { log } from "../observability/logger.ts";
import { CLOSE } from "../protocol/refusals.ts";
import type { Codec } from "../codecs/codec.ts";
import type { PresenceDelta } from "../protocol/presence.ts";
import { Answers, type Due } from "./answers.ts";
import type { Meter } from "./byte_rates.ts";
import { ANSWERS_TIME, type Closing, FAILED_RETRY } from "./closing.ts";
import type { Hub, Subscriber } from "./hub.ts";
import { type SendSizes, UNSENT } from "./send_budget.ts";
import { Cursor, Outrun } from "./cursor.ts";

/** How long a client may take nothing of what is unsent before it is closed, in milliseconds. */
export const NO_PROGRESS = 40_000;

// How long the runtime may try to close a socket whose client doesn't take the close frame either, in milliseconds.
const CLOSING_TIME = 10_000;

/** The part of a WebSocket that a connection uses. */
export type Socket = Pick<WebSocket, "send" | "close" | "bufferedAmount" | "readyState"> & {
  /** Whether the room that a frame took is free once it is sent; not so for a WebSocket. */
  readonly frees?: true;
  /** Ends it once all that was sent is taken. */
  finish?(): void;
};

interface Watch {
  /** Of the list or delta that the client was given last. */
  readonly version: number;
  /** The newest delta that was dropped: told when there is room, its version shows the hole. */
  readonly missed?: string;
}

/** A connection is a cursor, not a queue: nothing but answers is kept for it. */
export class Connection implements Subscriber {
  readonly #socket: Socket;
  readonly #hub: Hub;
  /** Its feeds, and its place in them. */
  readonly cursor: Cursor;
  readonly #answers: Answers;
  /** Counts what is read for its client; undefined where that isn't counted. */
  meter: Meter | undefined;
  #words: string[] = [];
  #wordsSize = 0;
  #unsent = 0;
  #largest = 0;
  #progress: number;
  #open = true;
  #closing: Closing | undefined;
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
    this.cursor = new Cursor(hub, this);
    this.#answers = new Answers(hub, this);
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
    // Of one that was closed or lost the runtime doesn't tell it, and keeps it all the same.
    const stands = this.#open && this.#socket.readyState === WebSocket.OPEN;
    return stands ? this.#socket.bufferedAmount : this.#unsent;
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
  get sizes(): SendSizes {
    return this.#hub.budget.of(this.#hub.now(), this);
  }

  /** How many answers wait for room in the socket. */
  get waiting(): number {
    return this.#answers.size;
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
    if (!this.#open || this.#wordsSize > Math.min(this.sizes.frame, UNSENT) || !this.hasRoom()) {
      return false;
    }
    this.#words.push(word);
    this.#wordsSize += word.length;
    // A flood of them to many delays neither answers nor what the loop does besides.
    this.#hub.proceed(this);
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
      // It reads nothing: more is only sent into the memory.
      this.#close(CLOSE.tooSlow, "Too slow; nothing is lost, come back");
    }
    return this.#open && unsent < this.#hub.budget.of(now, this).room;
  }

  /**
   * Closes the connection after an error of ours, such as of the disk: thrown further it would end every connection of the isolate.
   *
   * @param error What was thrown.
   */
  fail(error: unknown): void {
    log.error("connection.failed", { connection: this.id, error: String(error) });
    this.close(CLOSE.later, "The server couldn't go on", FAILED_RETRY);
  }

  /** Sends what is due: answers first, then what isn't kept, then messages. */
  serve(): void {
    try {
      if (this.#hub.rights?.clears(this) ?? true) this.#serve();
    } catch (error) {
      if (error instanceof Outrun) {
        log.info("connection.outrun", { connection: this.id, address: this.address });
        return this.close(CLOSE.tooSlow, "What was due is no longer kept; come back");
      }
      // One client's trouble never reaches another.
      log.error("connection.failed", { connection: this.id, error: String(error) });
      this.finish(CLOSE.later, "The server couldn't go on", FAILED_RETRY);
    }
  }

  #serve(): void {
    if (!this.#open || this.#socket.readyState !== WebSocket.OPEN) return;
    if (!this.hasRoom()) return this.#open ? this.#hub.waitForRoom(this) : undefined;
    const parts = this.#answers.size === 0 ? [] : this.#answers.take(this.sizes.frame);
    try {
      if (this.#answers.size > 0) {
        // What isn't kept never overtakes the answer that it belongs to.
        this.#hub.proceed(this);
      } else if (!this.closing) {
        this.#takeWords(parts);
        this.cursor.take(parts, this.sizes);
      }
    } finally {
      // The answers go out also where the messages behind them can't be read.
      this.#send(parts);
    }
    this.#part();
    if (this.#answers.size === 0 && this.cursor.ended) this.#socket.finish?.();
  }

  /**
   * Closes the socket: the client gets the answers to what it sent before, is told why, and gets the code once it is quiet. What
   * comes from now on isn't handled, and nothing but answers is sent.
   *
   * @param code A close code.
   * @param reason For people; at most 123 bytes.
   * @param retry Milliseconds after which the client may come back.
   */
  close(code: number, reason: string, retry = 0): void {
    if (!this.#open || this.closing) return;
    if (this.#socket.readyState !== WebSocket.OPEN) return this.#close(code, reason);
    const late = setTimeout(() => this.finish(code, reason, retry), ANSWERS_TIME);
    this.#closing = { code, reason, retry, strict: true, late };
    this.#part();
  }

  /**
   * Closes the socket as soon as the client has all its answers; until then messages are sent to it. Takes what
   * {@linkcode close} takes.
   */
  leave(code: number, reason: string, retry: number): void {
    this.#closing ??= { code, reason, retry, strict: false };
    this.#part();
  }

  /**
   * Closes the socket, whatever the client is still owed; as it was to be closed before, where that was so. Takes what
   * {@linkcode close} takes.
   */
  finish(code: number, reason: string, retry: number): void {
    if (!this.#open) return;
    const last = this.#closing ?? { code, reason, retry };
    const line = this.codec.closing?.(last.reason, last.retry);
    if (line !== undefined && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(line);
    this.#close(last.code, last.reason);
  }

  /** Whether it is told to go: nothing that comes from now on is accepted. */
  get leaving(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether it is being closed: what came before and wasn't begun isn't done either. */
  get closing(): boolean {
    return this.#closing?.strict === true;
  }

  #close(code: number, reason: string): void {
    if (!this.#open) return;
    if (this.#socket.readyState === WebSocket.OPEN) this.#unsent = this.#socket.bufferedAmount;
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
    clearTimeout(this.#closing?.late);
    try {
      this.onEnd?.();
    } finally {
      this.cursor.end();
      for (const channel of [...this.#watched?.keys() ?? []]) this.unwatch(channel);
      this.#answers.clear();
      this.#words = [];
      this.#hub.remove(this);
    }
  }

  /** Called once, when the connection ends, while its subscriptions still stand. */
  onEnd?: () => void;

  /** Tells whether something that was accepted still has to be answered; a farewell waits for it. */
  owes: () => boolean = () => false;

  #part(): void {
    if (this.#closing === undefined || this.#answers.size > 0 || this.owes()) return;
    const { code, reason, retry } = this.#closing;
    this.finish(code, reason, retry);
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

  #send(parts: readonly string[]): void {
    if (!this.#open || parts.length === 0) return;
    if (this.codec.joins) this.#put(parts.join("\n"));
    else for (const part of parts) this.#put(part);
    // Looked at although nothing more is due: whether it reads.
    if (this.#unsent >= UNSENT) this.#hub.waitForRoom(this);
  }

  #put(frame: string): void {
    this.#socket.send(frame);
    const before = this.#unsent;
    this.#unsent = this.#socket.bufferedAmount;
    const sent = this.#unsent - before;
    this.#hub.budget.add(sent);
    if (this.#socket.frees !== true) this.#largest = Math.max(this.#largest, sent);
  }
}
