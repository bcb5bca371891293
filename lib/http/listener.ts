/**
 * A listener that goes on. Deno's server ends its loop at the first connection that can't be accepted, and unheard that ends the
 * process; what it has accepted goes on. So another takes its place as soon as there is room (threats.md L11).
 *
 * @module
 */
import type { Counters } from "../observability/counters.ts";
import { log } from "../observability/logger.ts";

/** A server of Deno's, on a port or on a socket in the file system. */
export type Server = Deno.HttpServer<Deno.NetAddr> | Deno.HttpServer<Deno.UnixAddr>;

/** How a listener goes on. */
export interface ListenerOptions {
  /** A folder that is there: descriptors of it are held. */
  readonly folder: string;
  /** Counts the pauses. */
  readonly counters: Counters;
  /** Cuts the server: then it doesn't go on either. */
  readonly signal: AbortSignal;
}

// What else goes on may need so many while nothing is accepted: files, an isolate that takes the place of another.
const HELD = 16;

// How soon it is looked again whether there is room, in milliseconds.
const AGAIN = 500;

/** File descriptors in hand, to be given up when there are none left. Windows has no such limit. */
class Reserve {
  readonly #folder: string;
  #held: Deno.FsFile[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Takes what it holds, and looks whether there are as many besides; tells why not, and holds nothing then. */
  take(): string | undefined {
    if (Deno.build.os === "windows") return undefined;
    try {
      while (this.#held.length < 2 * HELD) {
        this.#held.push(Deno.openSync(this.#folder, { read: true }));
      }
    } catch (error) {
      this.free();
      return `No file descriptors to spare: ${error}`;
    }
    for (const file of this.#held.splice(HELD)) file.close();
    return undefined;
  }

  free(): void {
    for (const file of this.#held.splice(0)) file.close();
  }
}

/** Listens until it is shut down. */
export class Listener {
  readonly #open: (port?: number) => Server;
  readonly #counters: Counters;
  readonly #reserve: Reserve;
  #server: Server;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #paused = { at: 0, error: "" };
  #ended = false;

  /**
   * Begins to listen.
   *
   * @param open Begins to serve; with a port, on that one.
   * @param options What it goes on with.
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(open: (port?: number) => Server, { folder, counters, signal }: ListenerOptions) {
    this.#open = open;
    this.#counters = counters;
    this.#reserve = new Reserve(folder);
    this.#server = open();
    this.#reserve.take();
    this.#follow(this.#server);
    signal.addEventListener("abort", () => this.#end());
  }

  /** Where it listens. */
  get addr(): Deno.NetAddr | Deno.UnixAddr {
    return this.#server.addr;
  }

  /** Ends it, and whatever was accepted since it listened last. */
  async shutdown(): Promise<void> {
    this.#end();
    await this.#server.shutdown();
  }

  /** Ends when the server has ended, whichever way. */
  get finished(): Promise<void> {
    return this.#server.finished.catch(() => {});
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#reserve.free();
  }

  #follow(server: Server): void {
    server.finished.catch((error) => {
      if (this.#ended) return;
      this.#reserve.free();
      this.#paused = { at: performance.now(), error: "" };
      this.#counters.add("accept_pauses_total");
      this.#wait(error);
    });
  }

  // Told once, not each time that it is tried in vain.
  #wait(error: unknown): void {
    const sentence = String(error);
    if (sentence !== this.#paused.error) log.error("accept.paused", { error: sentence });
    this.#paused.error = sentence;
    this.#timer = setTimeout(() => this.#again(), AGAIN);
  }

  #again(): void {
    const none = this.#reserve.take();
    if (none !== undefined) return this.#wait(none);
    try {
      const { addr } = this;
      if ("path" in addr) removeIfThere(addr.path);
      this.#server = this.#open("port" in addr ? addr.port : undefined);
    } catch (error) {
      return this.#wait(error);
    }
    log.info("accept.resumed", { ms: Math.round(performance.now() - this.#paused.at) });
    this.#follow(this.#server);
  }
}

// The file that it listened on is nobody's now, and in the way.
function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
