/** Starts, watches and restarts the isolates of edges, and has them leave. */
import { deadline } from "@std/async/deadline";
import { Worker } from "node:worker_threads";
import type { AccessSettings } from "../auth/access.ts";
import { BEAT, type Readers } from "../bus/bus.ts";
import type { Series } from "../observability/counters.ts";
import {
  CUT_ONE,
  type EdgeSettings,
  type Farewell,
  type FromWorker,
  LEAVE_ALL,
  LEAVE_ONE,
  type ToWorker,
  type WorkerStart,
} from "./messages.ts";
import type { Level } from "../config/config.ts";
import { log } from "../observability/logger.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Broadcast } from "../bus/core_end.ts";
import { type Load, loadOf } from "./memory_guard.ts";

/** How long an edge may give no sign of life before it counts as hung, in milliseconds. */
export const HANG = 5000;

/** How long no edge may serve before the process ends, in milliseconds. */
export const NO_EDGE = 10_000;

/** The exit code where only a new process helps (EX_SOFTWARE of sysexits.h): an isolate that hangs can't be ended. */
export const EXIT_HUNG = 70;

// Before an edge is started again, in milliseconds: at once, then slower while it goes on failing.
const PAUSES = [0, 1000, 2000, 4000];

// One that served for so long has nothing to do with failures before it.
const STEADY = 60_000;

// An edge that has said goodbye to all is ended after this many milliseconds, whatever still holds it.
const LEAVE_ONE_LIMIT = 2000;
const CUT_LIMIT = 1000;
const LEAVE_ALL_LIMIT = 9000;

// How long edges have to tell who reads there, in milliseconds.
const READERS_TIME = 1000;

// Pages, hub and rings; what sockets hold unsent is outside of it.
const HEAP_MIB = 1024;

/** What a supervisor works with. */
export interface SupervisorOptions {
  readonly bus: Broadcast;
  /** The name of the bus's BroadcastChannel. */
  readonly channel: string;
  readonly settings: EdgeSettings;
  /** How many edges there are to be. */
  readonly count: number;
  readonly logLevel: Level | undefined;
  /** Takes what the edges count. */
  readonly metrics: Metrics;
  /** The module that an edge's isolate runs. */
  readonly entry: URL;
  /** Ends the process: nothing less helps. */
  readonly giveUp: (code: number) => void;
}

/** A place that always has an edge: those that come after one another there share how often they failed. */
interface Slot {
  failures: number;
}

interface Isolate {
  readonly edge: number;
  readonly slot: Slot;
  readonly worker: Worker;
  readonly since: number;
  /** How often settings had changed when it was started. */
  readonly age: number;
  /** When it last gave a sign of life. */
  alive: number;
  /** What it told of itself then. */
  gauges: Series;
  serving: boolean;
  /** It was told to leave: its end is no death. */
  leaving: boolean;
  readonly served: PromiseWithResolvers<number>;
  readonly ended: PromiseWithResolvers<void>;
}

/** Watches over the isolates that serve. */
export class Supervisor {
  #options: SupervisorOptions;
  readonly #isolates = new Map<number, Isolate>();
  readonly #pauses = new Set<ReturnType<typeof setTimeout>>();
  // Edges for which another is being started, and the end of that.
  readonly #replaced = new Map<number, Promise<void>>();
  #age = 0;
  #edges = 0;
  #port: number;
  #asks = 0;
  readonly #counting = new Map<number, (isolate: Isolate, readers: Readers) => void>();
  #replacements = 0;
  #stopping = false;
  #served = performance.now();
  #looked = performance.now();
  readonly #watch: ReturnType<typeof setInterval>;

  private constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#port = options.settings.port;
    this.#watch = setInterval(() => this.#look(), BEAT / 2);
  }

  /**
   * Starts the edges.
   *
   * @param options What it works with.
   * @returns The supervisor, once all of them serve.
   * @throws {Error} If the port is taken, or an edge can't be started.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    // Edges share their port, and would share it with another server too: ask for it alone first.
    const { host, port } = options.settings;
    const alone = Deno.listen({ hostname: host, port });
    const supervisor = new Supervisor(options);
    supervisor.#port = alone.addr.port;
    alone.close();
    try {
      const first = Array.from({ length: options.count }, () => supervisor.#open({ failures: 0 }));
      await Promise.all(first.map(({ served }) => served.promise));
    } catch (error) {
      await supervisor.#terminateAll();
      throw error;
    }
    return supervisor;
  }

  /** Where the edges listen. */
  get address(): Deno.NetAddr {
    return { transport: "tcp", hostname: this.#options.settings.host, port: this.#port };
  }

  /** How many edges were started in the place of another. */
  get replacements(): number {
    return this.#replacements;
  }

  /** The edges that serve. */
  get edges(): readonly number[] {
    return this.loads.map(({ edge }) => edge);
  }

  /** What is known of each of them. */
  get loads(): readonly Load[] {
    return [...this.#isolates.values()].filter(({ serving, leaving }) => serving && !leaving)
      .map(({ edge, gauges }) => loadOf(edge, gauges));
  }

  /**
   * Puts another in the place of an edge: the new one first, then the old one sends its clients over. Where the new one can't
   * start the old one stays.
   *
   * @param edge Which.
   */
  async replace(edge: number): Promise<void> {
    const old = this.#isolates.get(edge);
    if (old === undefined || old.leaving || this.#stopping || this.#replaced.has(edge)) return;
    const done = this.#replace(old);
    this.#replaced.set(edge, done);
    await done;
  }

  /**
   * Replaces all edges that were started with settings of before, one after the other. Those that are starting are waited for:
   * they were told what was right then.
   */
  async replaceOld(): Promise<void> {
    const tried = new Set<Isolate>();
    for (;;) {
      await Promise.all(this.#replaced.values());
      const old = [...this.#isolates.values()].find((isolate) =>
        isolate.age < this.#age && !isolate.leaving && !tried.has(isolate)
      );
      if (old === undefined || this.#stopping) return;
      await old.served.promise.catch(() => {});
      // Meanwhile another may have begun to take its place.
      if (this.#replaced.has(old.edge)) continue;
      tried.add(old);
      await this.replace(old.edge);
    }
  }

  async #replace(old: Isolate): Promise<void> {
    const { edge } = old;
    const next = this.#open(old.slot);
    // It isn't one of those that have to be there before it serves: where it can't, the old one goes on.
    next.leaving = true;
    try {
      await next.served.promise;
      next.leaving = false;
      this.#replacements += 1;
      log.info("edge.replaced", { edge, by: next.edge });
      await this.#leave(old, LEAVE_ONE, LEAVE_ONE_LIMIT);
    } catch (error) {
      log.error("edge.stays", { edge, error: String(error) });
      await next.worker.terminate();
      this.#forget(next);
      if (!this.#isolates.has(edge) && !this.#stopping) this.#open(old.slot);
    } finally {
      this.#replaced.delete(edge);
    }
  }

  /**
   * Ends an edge within a moment, for the sake of what it holds, while another begins in its place; one that is being replaced as
   * well.
   *
   * @param edge Which.
   */
  async cut(edge: number): Promise<void> {
    const old = this.#isolates.get(edge);
    if (old === undefined || this.#stopping) return;
    if (!old.leaving && !this.#replaced.has(edge)) {
      this.#replacements += 1;
      log.info("edge.replaced", { edge, by: this.#open(old.slot).edge });
    }
    await this.#leave(old, CUT_ONE, CUT_LIMIT);
  }

  /**
   * Goes by other settings from now on: the level of the log at once, the rest where the next edges are started, such as by
   * {@linkcode replaceOld}. It ends once the edges log at that level.
   *
   * @param settings What edges are told; undefined where that is the same as before.
   * @param logLevel The least that is logged.
   */
  async renew(settings: EdgeSettings | undefined, logLevel: Level | undefined): Promise<void> {
    if (settings !== undefined) this.#age += 1;
    this.#options = { ...this.#options, settings: settings ?? this.#options.settings, logLevel };
    if (logLevel === undefined) return;
    for (const isolate of this.#isolates.values()) {
      this.#tell(isolate, { kind: "level", level: logLevel });
    }
    // What an edge is told it takes in order: one that answers has the level.
    await this.readers();
  }

  /**
   * Has all edges go by other secrets at once, those that come later too.
   *
   * @param access What access goes by.
   */
  renewAccess(access: AccessSettings): void {
    this.#options = { ...this.#options, settings: { ...this.#options.settings, access } };
    for (const isolate of this.#isolates.values()) this.#tell(isolate, { kind: "access", access });
  }

  /** Has all edges look who is muted. */
  moderate(): void {
    for (const isolate of this.#isolates.values()) this.#tell(isolate, { kind: "mutes" });
  }

  /**
   * Counts who reads what, in all edges; one that doesn't answer in time isn't counted.
   *
   * @returns Channels with their readers.
   */
  async readers(): Promise<Readers> {
    const ask = ++this.#asks;
    const counts = new Map<string, number>();
    const waiting = new Set([...this.#isolates.values()].filter(({ serving }) => serving));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#counting.set(ask, (isolate, readers) => {
      for (const [channel, count] of readers) {
        counts.set(channel, (counts.get(channel) ?? 0) + count);
      }
      if (waiting.delete(isolate) && waiting.size === 0) resolve();
    });
    for (const isolate of waiting) this.#tell(isolate, { kind: "readers", ask });
    if (waiting.size > 0) await deadline(promise, READERS_TIME).catch(() => {});
    this.#counting.delete(ask);
    return [...counts];
  }

  /** Has all edges refuse new work. */
  refuseNew(): void {
    this.#stopping = true;
    for (const isolate of this.#isolates.values()) this.#tell(isolate, { kind: "refuse" });
  }

  /** Has all edges say goodbye, and ends them. */
  async leave(): Promise<void> {
    this.refuseNew();
    const all = [...this.#isolates.values()];
    for (const pause of this.#pauses) clearTimeout(pause);
    await Promise.all(all.map((isolate) => this.#leave(isolate, LEAVE_ALL, LEAVE_ALL_LIMIT)));
    clearInterval(this.#watch);
  }

  async #leave(isolate: Isolate, farewell: Farewell, limit: number): Promise<void> {
    isolate.leaving = true;
    this.#tell(isolate, { kind: "leave", farewell });
    await deadline(isolate.ended.promise, limit).catch(() => {});
    // With all that it may still hold, such as sockets that nobody reads.
    await isolate.worker.terminate();
    this.#forget(isolate);
  }

  #open(slot: Slot): Isolate {
    const edge = ++this.#edges;
    const { bus, channel, settings, entry, logLevel } = this.#options;
    const port = {
      postMessage: (message: Extract<ToWorker, { kind: "bus" }>["message"]) =>
        this.#tell(isolate, { kind: "bus", message }),
    };
    const { number, seq } = bus.attach(edge, port);
    const start: WorkerStart = {
      settings: { ...settings, port: this.#port },
      channel,
      number,
      seq,
      edge,
      logLevel,
    };
    const now = performance.now();
    const isolate: Isolate = {
      edge,
      slot,
      worker: new Worker(entry, {
        workerData: start,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
      }),
      since: now,
      age: this.#age,
      alive: now,
      gauges: {},
      serving: false,
      leaving: false,
      served: Promise.withResolvers(),
      ended: Promise.withResolvers(),
    };
    // Whoever doesn't wait for it hears of its end all the same.
    isolate.served.promise.catch(() => {});
    this.#isolates.set(edge, isolate);
    isolate.worker.on("message", (message: FromWorker) => this.#hear(isolate, message));
    isolate.worker.on("error", (error: Error) => this.#ended(isolate, String(error)));
    isolate.worker.on("exit", (code: number) => this.#ended(isolate, `it exited with ${code}`));
    return isolate;
  }

  #hear(isolate: Isolate, message: FromWorker): void {
    isolate.alive = performance.now();
    switch (message.kind) {
      case "bus":
        return this.#options.bus.receive(isolate.edge, message.message);
      case "serving":
        isolate.serving = true;
        isolate.served.resolve(message.port);
        log.info("edge.serving", {
          edge: isolate.edge,
          ms: Math.round(performance.now() - isolate.since),
        });
        return;
      case "beat":
        isolate.gauges = message.counts.gauges;
        if (this.#isolates.has(isolate.edge)) {
          this.#options.metrics.take(isolate.edge, message.counts);
        }
        return;
      case "metrics": {
        const text = this.#options.metrics.text();
        return this.#tell(isolate, { kind: "metrics", id: message.id, text });
      }
      case "readers":
        return this.#counting.get(message.ask)?.(isolate, message.readers);
      case "left":
        return isolate.ended.resolve();
      case "failed":
        isolate.served.reject(new Error(message.sentence));
        void isolate.worker.terminate();
        return this.#ended(isolate, message.sentence);
    }
  }

  // An isolate tells its end once or twice: what threw, then its exit.
  #ended(isolate: Isolate, why: string): void {
    isolate.served.reject(new Error(`An edge ended: ${why}`));
    if (!this.#forget(isolate) || isolate.leaving || this.#stopping) return;
    const now = performance.now();
    // What ends others at the same time is no failure of this one: each is started again at once.
    const { slot } = isolate;
    slot.failures = now - isolate.since > STEADY ? 0 : slot.failures + 1;
    const pause = PAUSES[Math.min(Math.max(0, slot.failures - 1), PAUSES.length - 1)] ?? 0;
    log.error("edge.ended", { edge: isolate.edge, why, pause });
    // Another is on its way already.
    if (this.#replaced.has(isolate.edge)) return;
    const timer = setTimeout(() => {
      this.#pauses.delete(timer);
      if (this.#stopping) return;
      this.#replacements += 1;
      this.#open(slot);
    }, pause);
    this.#pauses.add(timer);
  }

  #forget(isolate: Isolate): boolean {
    isolate.ended.resolve();
    if (!this.#isolates.delete(isolate.edge)) return false;
    this.#options.bus.detach(isolate.edge);
    this.#options.metrics.drop(isolate.edge);
    return true;
  }

  #look(): void {
    const now = performance.now();
    // Where this isolate itself stood still, such as a machine that slept, nobody else is to blame.
    const stood = now - this.#looked > 2 * BEAT;
    this.#looked = now;
    for (const isolate of this.#isolates.values()) {
      if (stood) isolate.alive = now;
      if (isolate.serving && !isolate.leaving) this.#served = now;
      if (!isolate.serving || isolate.leaving || now - isolate.alive < HANG) continue;
      log.error("edge.hung", { edge: isolate.edge, silent: Math.round(now - isolate.alive) });
      return this.#options.giveUp(EXIT_HUNG);
    }
    if (stood || this.#stopping) this.#served = now;
    if (now - this.#served < NO_EDGE) return;
    log.error("edge.none", { since: Math.round(now - this.#served) });
    this.#options.giveUp(EXIT_HUNG);
  }

  async #terminateAll(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    for (const pause of this.#pauses) clearTimeout(pause);
    for (const isolate of [...this.#isolates.values()]) {
      await isolate.worker.terminate();
      this.#forget(isolate);
    }
  }

  #tell({ worker }: Isolate, message: ToWorker): void {
    worker.postMessage(message);
  }
}
