/** Core, log and edge in this isolate, without a network: sockets are lists that the test reads, stalls and cuts. */
import { setImmediate } from "node:timers";
import { type Beat, directBus, type NumberedPost, type Upward } from "../../lib/bus/bus.ts";
import { Broadcast } from "../../lib/bus/core_end.ts";
import { Core } from "../../lib/core/core.ts";
import { localSequencer } from "../../lib/sequencer/sequencer.ts";
import { EdgeBroadcast } from "../../lib/bus/edge_end.ts";
import { Connection, type Socket } from "../../lib/delivery/connection.ts";
import { UNSENT } from "../../lib/delivery/send_budget.ts";
import { Hub } from "../../lib/delivery/hub.ts";
import { native } from "../../lib/codecs/native.ts";
import type { EdgeContext } from "../../lib/sessions/edge_context.ts";
import { NativeSession } from "../../lib/sessions/native.ts";
import { Counters } from "../../lib/observability/counters.ts";
import { edgeRates, type Limits } from "../../lib/config/limits.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import type { Message } from "../../lib/protocol/message.ts";
import { openAccess } from "./access.ts";
import { UNBOUNDED } from "./limits.ts";
import { copyAsKilled } from "./log.ts";

// A frame fills the socket of a test this many times as much as it is long: small messages fill it too.
const WEIGHT = 8;

/** A socket whose other end reads when the test says so; it fills up meanwhile. */
export class FakeSocket implements Socket {
  readyState: Socket["readyState"] = WebSocket.OPEN;
  closed: number | undefined;
  readonly #frames: string[] = [];
  #stalled = false;

  get bufferedAmount(): number {
    // As Deno's: a socket that is gone tells nothing of what was unsent.
    if (this.readyState !== WebSocket.OPEN) return 0;
    const unread = this.#frames.reduce((sum, { length }) => sum + WEIGHT * length, 0);
    return this.#stalled ? Math.max(UNSENT, unread) : unread;
  }

  send(frame: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    this.#frames.push(String(frame));
  }

  close(code?: number): void {
    this.closed = code;
    this.readyState = WebSocket.CLOSED;
  }

  /** It takes nothing until {@linkcode flow}. */
  stall(): void {
    this.#stalled = true;
  }

  /** It takes what it has room for. */
  flow(): void {
    this.#stalled = false;
  }

  /**
   * Reads what was sent.
   *
   * @param most How many frames.
   * @returns The frames.
   */
  read(most = Infinity): string[] {
    return this.#frames.splice(0, most);
  }
}

/**
 * Reads all of a feed.
 *
 * @param reader The log.
 * @param feed The feed.
 * @param after The place to begin with.
 * @returns Its messages.
 */
export function readAll(reader: Reader, feed: string, after = 0): Message[] {
  const all: Message[] = [];
  for (;;) {
    const { messages, more } = reader.after(feed, all.at(-1)?.seq ?? after, 2 ** 52, 1000);
    for (const message of messages) all.push(message);
    if (!more) return all;
  }
}

/** How a world differs from one edge beside its core. */
export interface WorldOptions {
  /** How many edges there are, on a bus between them and the core. */
  readonly edges: number;
  /** Whether a post to one edge is lost. */
  readonly lost: () => boolean;
  /** How many turns late a post is that isn't; the order stays. */
  readonly late: () => number;
}

/** A bus between isolates without isolates: posts are copied and come a turn later, or don't. */
function isolated(seq: number, { edges, lost, late }: WorldOptions) {
  const ends: EdgeBroadcast[] = [];
  const under: Promise<void>[] = [];
  const later = (run: () => void) => void setImmediate(run);
  const hear = async (end: EdgeBroadcast, post: NumberedPost | Beat, before?: Promise<void>) => {
    await before;
    for (let turns = late(); turns >= 0; turns--) await turn();
    end.hear(post);
  };
  const core = new Broadcast({
    postMessage: (post) => {
      for (const [i, end] of ends.entries()) {
        if (!lost()) under[i] = hear(end, structuredClone(post), under[i]);
      }
    },
    close: () => {},
  }, seq);
  for (let edge = 1; edge <= edges; edge++) {
    const start = core.attach(edge, {
      postMessage: (message) => later(() => end.receive(structuredClone(message))),
    });
    const up = (message: Upward) => later(() => core.receive(edge, structuredClone(message)));
    const end = new EdgeBroadcast(up, start.number);
    ends.push(end);
  }
  return { core, ends };
}

/** Lets all else that is due happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Waits until something is so, as what follows a timer of the hub.
 *
 * @param holds Tells whether it is.
 * @throws {Error} If it isn't within 20 s.
 */
export async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds();) {
    if (performance.now() > end) throw new Error(`Not so in time: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A server without a network, on a log at `folder/log.db`. */
export class World {
  readonly log: Log;
  readonly reader: Reader;
  readonly core: Core;
  /** The first edge, mostly the only one. */
  readonly edge: EdgeContext;
  readonly edges: readonly EdgeContext[];
  readonly #isolated: ReturnType<typeof isolated> | undefined;
  now = 0;
  #opened = 0;

  private constructor(
    readonly folder: string,
    { access, expiry }: Awaited<ReturnType<typeof openAccess>>,
    limits: Limits,
    options?: WorldOptions,
  ) {
    this.log = new Log(`${folder}/log.db`, () => "epoch");
    this.reader = new Reader(`${folder}/log.db`);
    const now = () => this.now;
    const sequencer = localSequencer(this.log, now);
    this.#isolated = options && isolated(this.log.seq, options);
    const direct = directBus();
    const bus = this.#isolated?.core ?? direct.core;
    this.core = new Core({ bus, log: this.log, sequencer, now, limits });
    this.edges = (this.#isolated?.ends ?? [direct.edge]).map((bus) => {
      const hub = new Hub(bus, this.reader, this.log.seq, now);
      const rates = edgeRates(limits);
      return {
        hub,
        bus,
        access,
        expiry,
        limits,
        rates,
        counters: new Counters(),
        clock: now,
        ping: 1000,
      };
    });
    const [first] = this.edges;
    if (first === undefined) throw new Error("A world has at least one edge");
    this.edge = first;
  }

  /**
   * Opens one.
   *
   * @param folder Where its log is or is made.
   * @param limits Of how many and how often: only those that are named hold.
   * @param options How it differs.
   * @returns The server.
   */
  static async open(
    folder: string,
    limits: Partial<Limits> = {},
    options?: WorldOptions,
  ): Promise<World> {
    return new World(folder, await openAccess(Date.now), { ...UNBOUNDED, ...limits }, options);
  }

  /** How often edges saw that posts were missing. */
  get holes(): number {
    return (this.#isolated?.ends ?? []).reduce((sum, { holes }) => sum + holes, 0);
  }

  /** Waits until all that was sent up is committed, told, and sent as far as sockets take it. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      const before = this.log.seq;
      await this.core.settle();
      await new Promise((resolve) => setTimeout(resolve));
      const told = this.edges.every(({ hub }) =>
        hub.seq === this.log.seq && hub.slices.size === 0
      ) &&
        (this.#isolated?.ends ?? []).every(({ idle }) => idle);
      // A quiet bus does so by itself, once a second.
      if (!told) this.#isolated?.core.repeat();
      quiet = told && before === this.log.seq ? quiet + 1 : 0;
    }
  }

  /**
   * A native client connects, to one edge after the other.
   *
   * @param account Whose.
   * @returns Its socket, its connection, and what it is sent to.
   */
  connect(account: string): { socket: FakeSocket; connection: Connection; session: NativeSession } {
    const socket = new FakeSocket();
    const edge = this.edges[this.#opened % this.edges.length] ?? this.edge;
    const id = `c${++this.#opened}`;
    const connection = new Connection(id, socket, native, edge.hub, "127.0.0.1");
    const session = new NativeSession(connection, { account, admin: false }, edge);
    return { socket, connection, session };
  }

  /** Ends in order. */
  close(): void {
    this.core.close();
    for (const end of this.#isolated?.ends ?? []) end.close();
    void this.#isolated?.core.close();
    this.reader.close();
    this.log.close();
  }

  /**
   * Ends as by kill -9.
   *
   * @param folder Where what it leaves on the disk is put.
   */
  kill(folder: string): void {
    copyAsKilled(this.folder, folder);
    this.close();
  }
}
