/** Core, log and edge in this isolate, without a network: sockets are lists that the test reads, stalls and cuts. */
import { Access } from "../../lib/access.ts";
import { directBus } from "../../lib/bus.ts";
import { Core } from "../../lib/core/core.ts";
import { localSequencer } from "../../lib/core/sequencer.ts";
import { Connection, type Socket, UNSENT } from "../../lib/edge/connection.ts";
import { Hub } from "../../lib/edge/hub.ts";
import { native } from "../../lib/edge/native.ts";
import { type EdgeParts, NativeSession } from "../../lib/edge/session.ts";
import { Counters } from "../../lib/counters.ts";
import type { Limits } from "../../lib/limits.ts";
import { Log } from "../../lib/log/log.ts";
import { Reader } from "../../lib/log/reader.ts";
import type { Message } from "../../lib/protocol/message.ts";
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

/** A server without a network, on a log at `folder/log.db`. */
export class World {
  readonly log: Log;
  readonly reader: Reader;
  readonly core: Core;
  readonly edge: EdgeParts;
  readonly bus = directBus();
  now = 0;
  #opened = 0;

  private constructor(readonly folder: string, access: Access, limits: Limits) {
    this.log = new Log(`${folder}/log.db`, () => "epoch");
    this.reader = new Reader(`${folder}/log.db`);
    const now = () => this.now;
    const sequencer = localSequencer(this.log, now);
    this.core = new Core({ bus: this.bus.core, log: this.log, sequencer, now, limits });
    const hub = new Hub(this.bus.edge, this.reader, this.log.seq, now);
    const counters = new Counters();
    this.edge = { hub, bus: this.bus.edge, access, limits, counters, clock: now, ping: 1000 };
  }

  /**
   * Opens one.
   *
   * @param folder Where its log is or is made.
   * @param limits Of how many and how often: only those that are named hold.
   * @returns The server.
   */
  static async open(folder: string, limits: Partial<Limits> = {}): Promise<World> {
    const key = new Uint8Array(32);
    const access = await Access.create({ key, adminToken: "none of them", open: true });
    return new World(folder, access, { ...UNBOUNDED, ...limits });
  }

  /** Waits until all that was sent up is committed, told, and sent as far as sockets take it. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      const before = this.log.seq;
      await this.core.settle();
      await new Promise((resolve) => setTimeout(resolve));
      quiet = before === this.log.seq ? quiet + 1 : 0;
    }
  }

  /**
   * A native client connects.
   *
   * @param account Whose.
   * @returns Its socket, its connection, and what it is sent to.
   */
  connect(account: string): { socket: FakeSocket; connection: Connection; session: NativeSession } {
    const socket = new FakeSocket();
    const id = `c${++this.#opened}`;
    const connection = new Connection(id, socket, native, this.edge.hub, "127.0.0.1");
    const session = new NativeSession(connection, { account, admin: false }, this.edge);
    return { socket, connection, session };
  }

  /** Ends in order. */
  close(): void {
    this.core.close();
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
