/** A TCP proxy that treats connections badly: it delays, splits, merges and cuts them. What it forwards is always a prefix. */
import net from "node:net";
import { pause, within } from "./child_server.ts";
import type { Random } from "./random.ts";

/** How connections are treated. */
export interface ProxyOptions {
  /** The port on 127.0.0.1 that it forwards to. */
  readonly target: number;
  readonly random: Random;
  /**
   * How long connections live, in milliseconds; each is drawn between 0 and twice that.
   *
   * @default {1500}
   */
  readonly life?: number;
}

/** How many connections were cut, in which way. */
export interface Cuts {
  /** By RST. */
  reset: number;
  /** By FIN, after what was on its way. */
  finished: number;
  /** Nothing is forwarded any more, and nothing is closed. */
  silenced: number;
}

/** A proxy that runs. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  readonly cuts: Cuts;
  /** Lets all connections that begin from now on live. */
  calm(): void;
}

/** What one direction may hold, in bytes. */
const HELD = 262_144;
/** How long a silenced connection stays before it is reset, in milliseconds. */
const SILENT = 8000;
const END_LIMIT = 10_000;

/**
 * Starts one on a free port.
 *
 * @param options How it treats connections.
 * @returns The proxy.
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const cuts: Cuts = { reset: 0, finished: 0, silenced: 0 };
  const pairs = new Set<Pair>();
  let calm = false;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const pair = new Pair(client, options, cuts, calm);
    pairs.add(pair);
    void pair.ended.then(() => pairs.delete(pair));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen on a port");
  return {
    port: address.port,
    cuts,
    calm() {
      calm = true;
      for (const pair of pairs) pair.spare();
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      const ended = [...pairs].map((pair) => pair.ended);
      for (const pair of pairs) pair.reset();
      await within(Promise.all([closed, ...ended]), END_LIMIT, "the proxy's connections to end");
    },
  };
}

/** A client's connection and the one to the server. */
class Pair {
  readonly ended: Promise<void>;
  readonly #sockets: readonly [net.Socket, net.Socket];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #random: Random;
  readonly #cuts: Cuts;
  #silent = false;
  #doom: ReturnType<typeof setTimeout> | undefined;

  constructor(client: net.Socket, options: ProxyOptions, cuts: Cuts, calm: boolean) {
    const { target, random, life = 1500 } = options;
    this.#random = random;
    this.#cuts = cuts;
    const server = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    server.setNoDelay(true);
    this.#sockets = [client, server];
    const closed = this.#sockets.map((socket) =>
      new Promise<void>((resolve) => socket.once("close", () => resolve()))
    );
    this.ended = Promise.all(closed).then(() => {
      for (const timer of this.#timers) clearTimeout(timer);
    });
    // Whatever happens to one side happens to the other; while it is silent nobody is told.
    for (const socket of this.#sockets) {
      socket.on("error", () => this.#silent || this.reset());
      socket.on("close", () => this.#silent || this.#finish());
    }
    void this.#pump(client, server);
    void this.#pump(server, client);
    if (!calm) this.#doom = this.#after(random.next() * 2 * life, () => this.#cut());
  }

  /** Doesn't cut it any more. */
  spare(): void {
    clearTimeout(this.#doom);
    if (this.#silent) this.reset();
  }

  /** Ends both connections by RST. */
  reset(): void {
    for (const socket of this.#sockets) {
      // Before it is connected there is nothing to reset; and a reset waits for what is unwritten, perhaps for ever.
      if (socket.connecting || socket.writableLength > 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #cut(): void {
    switch (this.#random.pick(["reset", "finished", "silenced"])) {
      case "reset":
        this.#cuts.reset += 1;
        return this.reset();
      case "finished":
        this.#cuts.finished += 1;
        return this.#finish();
      case "silenced":
        this.#cuts.silenced += 1;
        this.#silent = true;
        for (const socket of this.#sockets) socket.pause();
        this.#after(this.#random.next() * SILENT, () => this.reset());
    }
  }

  #finish(): void {
    for (const socket of this.#sockets) {
      socket.end();
      // The other side may never end its half.
      this.#after(1000, () => socket.destroy());
    }
  }

  async #pump(from: net.Socket, to: net.Socket): Promise<void> {
    const queue: Uint8Array[] = [];
    let held = 0;
    let ended = false;
    let wake = () => {};
    from.on("data", (bytes: Uint8Array) => {
      queue.push(bytes);
      held += bytes.length;
      if (held > HELD) from.pause();
      wake();
    });
    from.on("end", () => {
      ended = true;
      wake();
    });
    void this.ended.then(() => {
      ended = true;
      wake();
    });
    for (;;) {
      if (queue.length === 0) {
        if (ended) break;
        await new Promise<void>((resolve) => wake = resolve);
        continue;
      }
      // What comes meanwhile is merged.
      if (this.#random.chance(0.3)) await pause(this.#random.whole(1, 15));
      const bytes = concatenate(queue.splice(0));
      held = 0;
      for (const piece of this.#split(bytes)) {
        if (this.#silent || to.destroyed) return;
        if (!to.write(piece)) await drained(to);
        if (this.#random.chance(0.2)) await pause(this.#random.whole(0, 3));
      }
      if (!this.#silent) from.resume();
    }
    to.end();
  }

  // Mostly whole; else at up to four places, often so that only a byte or two stand alone.
  *#split(bytes: Uint8Array): Generator<Uint8Array> {
    const places = this.#random.chance(0.7) ? 0 : this.#random.whole(1, 4);
    let start = 0;
    for (let i = 0; i < places && start < bytes.length; i++) {
      const size = this.#random.chance(0.5)
        ? this.#random.whole(1, 3)
        : this.#random.whole(1, bytes.length - start);
      yield bytes.subarray(start, start + size);
      start += size;
    }
    if (start < bytes.length) yield bytes.subarray(start);
  }

  #after(ms: number, act: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }
}

function drained(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
