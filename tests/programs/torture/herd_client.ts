/** A client of the herd: it comes back as the client library does, and holds what it is told against its publisher's numbers. */
import type { Buffer } from "node:buffer";
import { backoff } from "../../../static/client/time.js";
import { FrameSocket, type FrameTaker } from "../../helpers/load/frames.ts";
import { pause } from "../../helpers/child_server.ts";
import type { Random } from "../../helpers/random.ts";

/** What all read. */
export const CHANNEL = "push:herd";
const PROTOCOL = "Sec-WebSocket-Protocol: fanfare.v1";

/** What the whole herd saw so far. */
export interface HerdCounts {
  /** How many there are to be. */
  clients: number;
  /** How many have their subscription now. */
  standing: number;
  delivered: number;
  lost: number;
  repeated: number;
  reordered: number;
  /** Came back, and couldn't be given what they missed. */
  unrecovered: number;
  /** Connections that ended though nobody left. */
  breaks: number;
  /** Handshakes that were refused, by status; `none` where the connection was. */
  refusals: Record<string, number>;
  /** What the publishers had to say. */
  troubles: string[];
}

interface Told {
  readonly subscribe?: {
    readonly epoch: string;
    readonly seq: number;
    readonly recovered?: boolean;
    readonly more?: boolean;
    readonly messages: readonly Numbered[];
  };
  readonly message?: Numbered;
  readonly closing?: { readonly retry: number };
  readonly error?: { readonly code: string };
}

interface Numbered {
  readonly seq: number;
  readonly data: { readonly nth: number };
}

/** One of the herd. */
export class Client implements FrameTaker {
  /** Whether its subscription stands. */
  stands = false;
  /** When it had everything again, by `performance.now()`. */
  back = 0;
  readonly #port: number;
  readonly #counts: HerdCounts;
  readonly #random: Random;
  #socket: FrameSocket | undefined;
  #cookie: string | undefined;
  #epoch = "";
  #place: number | undefined;
  #nth: number | undefined;
  #told: number | undefined;
  #leaving = false;
  #first: (() => void) | undefined;

  /**
   * @param port On 127.0.0.1.
   * @param counts Of the whole herd.
   * @param random Draws how long it waits before it comes back.
   */
  constructor(port: number, counts: HerdCounts, random: Random) {
    this.#port = port;
    this.#counts = counts;
    this.#random = random;
  }

  /** Begins, and ends once it stands for the first time. */
  async enter(): Promise<void> {
    const entered = new Promise<void>((resolve) => this.#first = resolve);
    void this.#run();
    await entered;
  }

  /** Cuts its connection; it comes back. */
  cut(): void {
    this.#socket?.close();
  }

  /** Goes for good. */
  leave(): void {
    this.#leaving = true;
    this.cut();
  }

  known(): boolean {
    return false;
  }

  arrived(): void {}

  whole(payload: Buffer): void {
    for (const line of payload.toString().split("\n")) {
      const { subscribe, message, closing, error }: Told = JSON.parse(line);
      if (message !== undefined) this.#take(message);
      else if (subscribe !== undefined) this.#subscribed(subscribe);
      else if (closing !== undefined) this.#told = closing.retry;
      else if (error !== undefined) {
        this.#refused(error.code);
        this.cut();
      }
    }
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#leaving;) {
      const told = this.#told;
      this.#told = undefined;
      if (attempt > 0) await pause(backoff(attempt - 1, this.#random.next(), told));
      if (this.#leaving) break;
      attempt += 1;
      try {
        const cookie = this.#cookie === undefined ? [] : [`Cookie: ${this.#cookie}`];
        this.#socket = await FrameSocket.open(this.#port, "/ws", [PROTOCOL, ...cookie]);
      } catch (error) {
        this.#refused(/HTTP\/1\.1 (\d+)/.exec(String(error))?.[1] ?? "none");
        continue;
      }
      this.#cookie ??= this.#socket.cookie;
      this.#socket.listen(this);
      this.#subscribe(this.#socket);
      if (this.#leaving) this.cut();
      await this.#socket.ended;
      if (this.stands) attempt = 1;
      this.#stand(false);
      if (!this.#leaving) this.#counts.breaks += 1;
    }
    this.#first?.();
  }

  #subscribe(socket: FrameSocket): void {
    const since = this.#place === undefined
      ? {}
      : { since: { epoch: this.#epoch, seq: this.#place } };
    socket.send(JSON.stringify({ id: 1, subscribe: { channel: CHANNEL, ...since } }));
  }

  #subscribed({ epoch, seq, recovered, more, messages }: Told["subscribe"] & object): void {
    if (this.#place !== undefined && !recovered) {
      this.#counts.unrecovered += 1;
      this.#nth = undefined;
    }
    this.#epoch = epoch;
    for (const message of messages) this.#take(message);
    if (!more) this.#place = Math.max(this.#place ?? 0, seq);
    this.back = performance.now();
    this.#stand(true);
    this.#first?.();
    this.#first = undefined;
  }

  #take({ seq, data: { nth } }: Numbered): void {
    const counts = this.#counts;
    counts.delivered += 1;
    if (this.#nth !== undefined) {
      if (nth > this.#nth + 1) counts.lost += nth - this.#nth - 1;
      else if (nth === this.#nth) counts.repeated += 1;
      else if (nth < this.#nth) counts.reordered += 1;
    }
    this.#nth = nth;
    this.#place = seq;
  }

  #stand(stands: boolean): void {
    if (stands !== this.stands) this.#counts.standing += stands ? 1 : -1;
    this.stands = stands;
  }

  #refused(how: string): void {
    this.#counts.refusals[how] = (this.#counts.refusals[how] ?? 0) + 1;
  }
}
