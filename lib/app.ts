/** Puts a server together out of its parts, and takes it apart again. */
import { deadline } from "@std/async/deadline";
import { join } from "node:path";
import process from "node:process";
import type { AccessSettings } from "./auth/access.ts";
import { type CoreEnd, directBus, type Readers } from "./bus/bus.ts";
import type { Config } from "./config/config.ts";
import { Counters, type Counts, LoopLag } from "./observability/counters.ts";
import { Broadcast } from "./bus/core_end.ts";
import { Core } from "./core/core.ts";
import { counted, localSequencer } from "./sequencer/sequencer.ts";
import { defaultLimit, Guard, type Load } from "./isolates/memory_guard.ts";
import { Credentials } from "./auth/secrets.ts";
import { heldAtMost, SendBudget } from "./delivery/send_budget.ts";
import { Supervisor } from "./isolates/supervisor.ts";
import type { EdgeSettings } from "./isolates/messages.ts";
import { named, naming } from "./config/system_errors.ts";
import { certificate, listening, removeStale, urlOf } from "./config/listening.ts";
import { FolderLock } from "./store/integrity/lock.ts";
import { Log } from "./store/writer.ts";
import { loggingLevel, startLogging } from "./observability/logger.ts";
import { lagOf, Metrics } from "./observability/metrics.ts";
import { opennessOf } from "./config/openness.ts";
import { InProcessEdge } from "./isolates/in_process.ts";
import type { Withdrawal } from "./auth/tokens.ts";

const WORKER = new URL("./isolates/worker.ts", import.meta.url);

/** A server that runs. */
export interface Running {
  /** Where it listens. */
  readonly address: Deno.NetAddr | Deno.UnixAddr;
  /** What people open; a socket in the file system as `unix:PATH`. */
  readonly url: string;
  /** How many isolates took the place of another. */
  readonly replacements: number;
  /** Puts other isolates in the place of those that serve, one after the other; clients come back and lose nothing. */
  replaceEdges(): Promise<void>;
  /**
   * Goes by other settings from now on: level, origins, limits, retention, tokens, certificate. Where edges have to, they are
   * replaced one after the other: clients come back and lose nothing. What it listens on and its folders stay.
   *
   * @param config What it is told now.
   * @throws {Error} If a file can't be read; then nothing is changed.
   */
  renew(config: Config): Promise<void>;
  /** Finishes what was accepted, says goodbye to everyone, and ends; within 10 s. */
  stop(): Promise<void>;
}

/** What differs between a program and its tests. */
export interface ServeParts {
  /** Milliseconds since 1970, for the records. */
  readonly clock?: () => number;
  /** The module that an edge's isolate runs. */
  readonly worker?: URL;
  /** Ends the process where only a new one helps. */
  readonly exit?: (code: number) => void;
}

// What an isolate that hangs leaves the core to finish its writing, in milliseconds.
const LAST_WRITES = 1000;

/**
 * Starts a server.
 *
 * @param config What it was told.
 * @param parts What isn't as usual.
 * @returns The server, once it serves.
 * @throws {Error} If the data folder, the log, the pages or the port can't be used.
 */
export async function serve(config: Config, parts: ServeParts = {}): Promise<Running> {
  const { clock = Date.now, exit = Deno.exit } = parts;
  await using stack = new AsyncDisposableStack();
  // First of all, so that a second process is told at once and touches nothing.
  const lock = await naming(`Cannot use the data folder "${config.data}" (--data)`, async () => {
    await Deno.mkdir(config.data, { recursive: true, mode: 0o700 });
    return stack.use(FolderLock.take(config.data));
  });
  const path = logPath(config.data);
  const log = stack.adopt(new Log(path, newEpoch, { spare: true }), (log) => log.close());
  let credentials = await Credentials.open(config, clock());
  stack.defer(() => credentials.close());
  const bounds = boundsOf(config);
  const settings = await settingsOf(config, credentials.settings, bounds.limit);
  if (config.unix !== undefined) await removeStale(config.unix);
  const counters = new Counters();
  const sequencer = counted(localSequencer(log, clock), counters);
  const metrics = new Metrics();
  metrics.source(() => ({
    totals: { ...counters.totals, process_cpu_seconds_total: cpuSeconds() },
    gauges: gaugesOf(log, path),
  }));
  let readers = (): Promise<Readers> => Promise.resolve([]);
  let moderate = () => {};
  const openCore = (bus: CoreEnd) => {
    const { limits, retention } = config;
    const now = () => performance.now();
    const withdraw = (tokens: Withdrawal) => credentials.withdraw(tokens);
    const core = new Core({
      bus,
      log,
      sequencer,
      now,
      limits,
      retention,
      clock,
      withdraw,
      readers: () => readers(),
      moderated: () => moderate(),
    });
    return stack.adopt(core, (core) => core.close());
  };
  const edges = await naming(
    listening(config),
    () =>
      config.workers === 0
        ? openOne(settings, openCore, { log, clock, stack, metrics, exit })
        : openMany(settings, openCore, {
          ...{ log, stack, config, metrics },
          parts: { ...parts, exit },
        }),
  );
  readers = () => edges.readers();
  const guard = stack.use(
    new Guard({
      ...bounds,
      measure: () => Deno.memoryUsage().rss,
      loads: () => edges.loads(),
      refuse: (refusing) => edges.core.refuseNew(refusing),
      replace: (edge, urgent) => edges.free(edge, urgent),
      now: () => performance.now(),
    }),
  );
  metrics.source(() => ({ totals: guard.totals, gauges: guard.gauges }));
  moderate = () => edges.moderate();
  // What came while there was nobody to tell.
  moderate();
  credentials.watch((access) => edges.renewAccess(access));
  const url = urlOf(edges.address, config.tls !== undefined);
  lock.tell(url);
  const held = stack.move();
  return {
    address: edges.address,
    url,
    get replacements() {
      return edges.replacements();
    },
    replaceEdges: () => edges.replace(),
    async renew(next) {
      const { data, host, port, unix, pages } = config;
      const kept = { ...next, data, host, port, unix, pages };
      const fresh = await Credentials.open(kept, clock());
      const bounds = boundsOf(next);
      let settings: EdgeSettings;
      try {
        settings = await settingsOf(kept, fresh.settings, bounds.limit);
      } catch (error) {
        fresh.close();
        throw error;
      }
      if (loggingLevel() !== undefined) startLogging(next.logLevel);
      edges.core.renew({ limits: next.limits, retention: next.retention });
      guard.renew(bounds);
      fresh.follow(credentials);
      credentials = fresh;
      await edges.renew({ ...settings, access: fresh.settings });
    },
    async stop() {
      guard[Symbol.dispose]();
      edges.refuseNew();
      await edges.core.settle();
      await edges.leave();
      await edges.core.settle();
      await held.disposeAsync();
    },
  };
}

function boundsOf({ maxMemory, limits }: Config): { limit: number; stuck: number } {
  return { limit: maxMemory ?? defaultLimit(), stuck: limits.stuck };
}

async function settingsOf(
  config: Config,
  access: AccessSettings,
  memory: number,
): Promise<EdgeSettings> {
  const { data, host, port, unix, limits, origins, trustProxy, pages } = config;
  if (pages !== undefined) {
    await named(
      `Cannot serve the folder of --pages, "${pages}"`,
      () => Array.fromAsync(Deno.readDir(pages)),
    );
  }
  return {
    log: logPath(data),
    access,
    tls: await certificate(config),
    held: heldAtMost(memory, config.workers),
    localOnly: opennessOf(config) === "local",
    ...{ limits, host, port, unix, origins, trustProxy, pages },
  };
}

/** The edges of a server, wherever they are. */
interface Edges {
  readonly core: Core;
  readonly address: Deno.NetAddr | Deno.UnixAddr;
  replacements(): number;
  replace(): Promise<void>;
  /** What is known of each. */
  loads(): readonly Load[];
  /** Puts another in the place of one, for what it holds. */
  free(edge: number, urgent: boolean): Promise<void>;
  renew(settings: EdgeSettings): Promise<void>;
  renewAccess(access: AccessSettings): void;
  /** Has all of them look who is muted. */
  moderate(): void;
  readers(): Promise<Readers>;
  refuseNew(): void;
  leave(): Promise<void>;
}

type OpenCore = (bus: CoreEnd) => Core;

async function openOne(
  settings: EdgeSettings,
  openCore: OpenCore,
  { log, clock, stack, metrics, exit }: {
    log: Log;
    clock: () => number;
    stack: AsyncDisposableStack;
    metrics: Metrics;
    exit: (code: number) => void;
  },
): Promise<Edges> {
  const bus = directBus();
  const core = openCore(bus.core);
  const place = {
    ...{ bus: bus.edge, clock, reusePort: false, name: "core" },
    metrics: () => Promise.resolve(metrics.text()),
    budget: new SendBudget(),
  };
  const edge = await InProcessEdge.start(settings, {
    place: () => ({ ...place, seq: log.seq }),
    metrics,
    giveUp: (code) => void lastly(core).then(() => exit(code)),
  });
  stack.defer(() => edge.close());
  metrics.source(() => ({ totals: { replacements_total: edge.replacements }, gauges: {} }));
  let told = settings;
  return {
    core,
    address: edge.address,
    replacements: () => edge.replacements,
    replace: () => Promise.resolve(),
    loads: () => edge.loads,
    free: () => edge.replace(),
    async renew(next) {
      if (isSame(told, next)) return;
      const before = told;
      told = next;
      try {
        await edge.renew(next);
      } catch (error) {
        told = { ...before, access: told.access };
        throw error;
      }
    },
    renewAccess(access) {
      told = { ...told, access };
      edge.renewAccess(access);
    },
    moderate: () => edge.moderate(),
    readers: () => Promise.resolve(edge.readers),
    refuseNew: () => edge.refuseNew(),
    leave: () => edge.leave(),
  };
}

// Where the process has to end by itself: what was accepted is written, if that is possible at all.
async function lastly(core: Core): Promise<void> {
  await deadline(core.settle(), LAST_WRITES).catch(() => {});
}

// What edges are told is plain data, keys aside.
function isSame(one: EdgeSettings, other: EdgeSettings): boolean {
  const written = (settings: EdgeSettings) =>
    JSON.stringify(
      settings,
      (name, value: unknown) => {
        // For what sockets may hold nobody is sent away: edges that come later go by it.
        if (name === "held") return undefined;
        return value instanceof Uint8Array ? value.toHex() : value;
      },
    );
  return written(one) === written(other);
}

async function openMany(
  settings: EdgeSettings,
  openCore: OpenCore,
  { log, stack, config, metrics, parts }: {
    log: Log;
    stack: AsyncDisposableStack;
    config: Config;
    metrics: Metrics;
    parts: ServeParts & { exit: (code: number) => void };
  },
): Promise<Edges> {
  const channel = `fanfare-${crypto.randomUUID()}`;
  const bus = stack.adopt(
    new Broadcast(new BroadcastChannel(channel), log.seq),
    (bus) => bus.close(),
  );
  const core = openCore(bus);
  const lag = stack.adopt(new LoopLag(), (lag) => lag.close());
  const supervisor = await Supervisor.start({
    bus,
    metrics,
    channel,
    settings,
    count: config.workers,
    logLevel: loggingLevel(),
    entry: parts.worker ?? WORKER,
    giveUp: (code) => void lastly(core).then(() => parts.exit(code)),
  });
  metrics.source((): Counts => ({
    totals: { replacements_total: supervisor.replacements },
    gauges: lagOf("core", lag.seconds),
  }));
  const replace = async () => {
    for (const edge of supervisor.edges) await supervisor.replace(edge);
  };
  let told = settings;
  return {
    core,
    address: supervisor.address,
    replacements: () => supervisor.replacements,
    replace,
    loads: () => supervisor.loads,
    free: (edge, urgent) => urgent ? supervisor.cut(edge) : supervisor.replace(edge),
    async renew(next) {
      const changed = !isSame(told, next);
      told = next;
      await supervisor.renew(changed ? next : undefined, loggingLevel());
      await supervisor.replaceOld();
    },
    renewAccess(access) {
      told = { ...told, access };
      supervisor.renewAccess(access);
    },
    moderate: () => supervisor.moderate(),
    readers: () => supervisor.readers(),
    refuseNew: () => supervisor.refuseNew(),
    leave: () => supervisor.leave(),
  };
}

const STARTED = performance.timeOrigin / 1000;

function gaugesOf(log: Log, path: string): Record<string, number> {
  return {
    log_seq: log.seq,
    log_bytes: sizeOf(path) + sizeOf(`${path}-wal`),
    process_resident_memory_bytes: Deno.memoryUsage().rss,
    process_start_time_seconds: STARTED,
  };
}

// Of all isolates.
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function sizeOf(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch {
    // Another is in its place or on its way: that is told elsewhere.
    return 0;
  }
}

/**
 * Tells where the log of a data folder is.
 *
 * @param data The folder.
 * @returns The file.
 */
export function logPath(data: string): string {
  return join(data, "fanfare.db");
}

function newEpoch(): string {
  return crypto.randomUUID();
}
