/** The edge of a server that has no isolates for it: it can be ended, and begun again on the same port. */
import type { AccessSettings } from "../auth/access.ts";
import { BEAT, type Readers } from "../bus/bus.ts";
import { EXIT_HUNG, NO_EDGE } from "./supervisor.ts";
import { type Load, loadOf } from "./memory_guard.ts";
import { type Edge, type EdgePlace, startEdge } from "./edge.ts";
import type { EdgeServer } from "../http/server.ts";
import { CUT_ONE, type EdgeSettings, LEAVE_ALL, LEAVE_WITHIN } from "./messages.ts";
import { log } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";

// Where it can't begin again, such as while its port isn't free yet, it tries again after this many milliseconds.
const TRY_AGAIN = 100;

/** The parts of an in-process edge. */
export interface InProcessEdgeOptions {
  /** Tells how it takes part, from now on. */
  readonly place: () => EdgePlace;
  /** Takes what it counts. */
  readonly metrics: Metrics;
  /** Ends the process: nothing less helps. */
  readonly giveUp: (code: number) => void;
}

/** An edge in the core's own isolate. */
export class InProcessEdge {
  readonly #options: InProcessEdgeOptions;
  #settings: EdgeSettings;
  #edge: Edge;
  #number = 1;
  #load = loadOf(0, {});
  #counted = 0;
  #replacements = 0;
  #refusing = false;
  #replacing: Promise<void> | undefined;
  // One after the other: what is replaced must have begun.
  #last = Promise.resolve();

  private constructor(settings: EdgeSettings, edge: Edge, options: InProcessEdgeOptions) {
    this.#settings = settings;
    this.#edge = edge;
    this.#options = options;
    options.metrics.source(() => this.#edge.counts());
  }

  /**
   * Starts it.
   *
   * @param settings What it is told.
   * @param options Its parts.
   * @returns The edge, once it serves.
   * @throws {Error} If the log, the pages or the port can't be used.
   */
  static async start(
    settings: EdgeSettings,
    options: InProcessEdgeOptions,
  ): Promise<InProcessEdge> {
    const edge = await begin(settings, options.place());
    const { address } = edge.server;
    const port = "port" in address ? address.port : settings.port;
    return new InProcessEdge({ ...settings, port }, edge, options);
  }

  /** Where it listens. */
  get address(): Deno.NetAddr | Deno.UnixAddr {
    return this.#edge.server.address;
  }

  /** How often it was put in the place of itself, to get rid of what it held. */
  get replacements(): number {
    return this.#replacements;
  }

  /** What is known of it: no older than what isolates tell of themselves, since all sockets are asked. */
  get loads(): readonly Load[] {
    const now = performance.now();
    if (now - this.#counted >= BEAT || this.#load.edge !== this.#number) {
      this.#counted = now;
      this.#load = loadOf(this.#number, this.#edge.counts().gauges);
    }
    return [this.#load];
  }

  /** The channels that are read there. */
  get readers(): Readers {
    return this.#edge.server.readers;
  }

  /**
   * Ends all connections at once, and begins again. That frees what they half sent. What is unsent to those who stopped reading
   * stays, with their descriptors, until they go (Deno 2.9.6): a write that waits can't be ended but with its isolate. It has a bound
   * (send_budget.ts). A server with many such clients needs isolates (`--workers`).
   */
  replace(): Promise<void> {
    return this.#replacing ??= this.#again(
      (server) => server.leave(CUT_ONE),
      async () => {
        this.#edge = await this.#begin(this.#settings);
        this.#replacements += 1;
      },
    ).finally(() => this.#replacing = undefined);
  }

  /**
   * Goes by other settings from now on; clients are sent away and come back.
   *
   * @param settings What it is told.
   * @throws {Error} If it can't serve with them: it goes on with those that it had.
   */
  renew(settings: EdgeSettings): Promise<void> {
    const next = { ...settings, port: this.#settings.port };
    // What is told of access from now on, while the old one leaves, counts more than what stands there.
    this.#settings = { ...this.#settings, access: settings.access };
    return this.#again(
      (server) => server.leave(LEAVE_WITHIN),
      async () => {
        try {
          const { access } = this.#settings;
          this.#edge = await begin({ ...next, access }, this.#options.place());
          this.#settings = { ...next, access: this.#settings.access };
        } catch (error) {
          this.#edge = await this.#begin(this.#settings);
          throw error;
        }
      },
    );
  }

  /**
   * Goes by other secrets from now on.
   *
   * @param access What access goes by.
   */
  renewAccess(access: AccessSettings): void {
    this.#settings = { ...this.#settings, access };
    this.#edge.server.renew(access);
  }

  /** Has it look who is muted. */
  moderate(): void {
    this.#edge.server.moderate();
  }

  /** Refuses new work from now on. */
  refuseNew(): void {
    this.#refusing = true;
    this.#edge.server.refuseNew();
  }

  /** Says goodbye to all, and ends. */
  async leave(): Promise<void> {
    this.refuseNew();
    await this.#last;
    await this.#edge.server.leave(LEAVE_ALL);
  }

  /** Gives back what it holds, once it has left. */
  close(): void {
    this.#edge.close();
  }

  #again(
    end: (server: EdgeServer) => Promise<void>,
    begin: () => Promise<void>,
  ): Promise<void> {
    const done = this.#last.then(async () => {
      if (this.#refusing) return;
      const old = this.#edge;
      await end(old.server);
      // It hears of commits until another does.
      try {
        await begin();
      } finally {
        this.#number += 1;
        this.#options.metrics.take(0, old.counts());
        this.#options.metrics.drop(0);
        old.close();
        // What changed while there was nobody to tell.
        this.#edge.server.renew(this.#settings.access);
        this.#edge.server.moderate();
        if (this.#refusing) this.#edge.server.refuseNew();
      }
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #begin(settings: EdgeSettings): Promise<Edge> {
    for (const end = performance.now() + NO_EDGE;;) {
      try {
        return await begin(settings, this.#options.place());
      } catch (error) {
        log.error("edge.none", { error: String(error) });
        if (performance.now() > end) {
          this.#options.giveUp(EXIT_HUNG);
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN));
      }
    }
  }
}

// To connect one has to be able to write there, and a proxy is another user: who may is up to the folder that it stands in.
const ANYONE = 0o666;

async function begin(settings: EdgeSettings, place: EdgePlace): Promise<Edge> {
  const edge = await startEdge(settings, place);
  if (settings.unix !== undefined && Deno.build.os !== "windows") {
    await Deno.chmod(settings.unix, ANYONE);
  }
  return edge;
}
