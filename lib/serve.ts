/** Puts a server together out of its parts, and takes it apart again. */
import { join } from "node:path";
import { type CoreEnd, directBus, type Readers } from "./bus.ts";
import type { AccessSettings } from "./access.ts";
import type { Config } from "./config.ts";
import { Broadcast } from "./core/broadcast.ts";
import { Core } from "./core/core.ts";
import { localSequencer } from "./core/sequencer.ts";
import { Credentials } from "./credentials.ts";
import { Supervisor } from "./core/supervisor.ts";
import { startEdge } from "./edge/edge.ts";
import { type EdgeSettings, LEAVE_ALL } from "./isolate.ts";
import { FolderLock } from "./lock.ts";
import { Log } from "./log/log.ts";
import { loggingLevel } from "./logger.ts";
import type { Withdrawal } from "./tokens.ts";

const WORKER = new URL("./edge/worker.ts", import.meta.url);

/** A server that runs. */
export interface Running {
  /** Where it listens. */
  readonly address: Deno.NetAddr;
  /** How many isolates took the place of another. */
  readonly replacements: number;
  /** Puts other isolates in the place of those that serve, one after the other; clients come back and lose nothing. */
  replaceEdges(): Promise<void>;
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
  await Deno.mkdir(config.data, { recursive: true, mode: 0o700 });
  // First of all, so that a second process is told at once and touches nothing.
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(FolderLock.take(config.data));
  const path = logPath(config.data);
  const log = stack.adopt(new Log(path, newEpoch, { spare: true }), (log) => log.close());
  const credentials = stack.adopt(await Credentials.open(config), (held) => held.close());
  const settings: EdgeSettings = {
    log: path,
    access: credentials.settings,
    limits: config.limits,
    host: config.host,
    port: config.port,
    origins: config.origins,
    trustProxy: config.trustProxy,
    pages: config.pages,
  };
  const sequencer = localSequencer(log, clock);
  let readers = (): Promise<Readers> => Promise.resolve([]);
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
    });
    return stack.adopt(core, (core) => core.close());
  };
  const edges = config.workers === 0
    ? await openOne(settings, openCore, { log, clock, stack })
    : await openMany(settings, openCore, { log, stack, config, parts: { ...parts, exit } });
  readers = () => edges.readers();
  credentials.watch((access) => edges.renew(access));
  lock.tell(urlOf(edges.address));
  const held = stack.move();
  return {
    address: edges.address,
    get replacements() {
      return edges.replacements();
    },
    replaceEdges: () => edges.replace(),
    async stop() {
      edges.refuseNew();
      await edges.core.settle();
      await edges.leave();
      await edges.core.settle();
      await held.disposeAsync();
    },
  };
}

/** The edges of a server, wherever they are. */
interface Edges {
  readonly core: Core;
  readonly address: Deno.NetAddr;
  replacements(): number;
  replace(): Promise<void>;
  readers(): Promise<Readers>;
  renew(access: AccessSettings): void;
  refuseNew(): void;
  leave(): Promise<void>;
}

type OpenCore = (bus: CoreEnd) => Core;

async function openOne(
  settings: EdgeSettings,
  openCore: OpenCore,
  { log, clock, stack }: { log: Log; clock: () => number; stack: AsyncDisposableStack },
): Promise<Edges> {
  const bus = directBus();
  const core = openCore(bus.core);
  const place = { bus: bus.edge, seq: log.seq, clock, reusePort: false };
  const { server } = stack.adopt(await startEdge(settings, place), (edge) => edge.close());
  return {
    core,
    address: server.address,
    replacements: () => 0,
    replace: () => Promise.resolve(),
    readers: () => Promise.resolve(server.readers),
    renew: (access) => server.renew(access),
    refuseNew: () => server.refuseNew(),
    leave: () => server.leave(LEAVE_ALL),
  };
}

async function openMany(
  settings: EdgeSettings,
  openCore: OpenCore,
  { log, stack, config, parts }: {
    log: Log;
    stack: AsyncDisposableStack;
    config: Config;
    parts: ServeParts & { exit: (code: number) => void };
  },
): Promise<Edges> {
  const channel = `fanfare-${crypto.randomUUID()}`;
  const bus = stack.adopt(
    new Broadcast(new BroadcastChannel(channel), log.seq),
    (bus) => bus.close(),
  );
  const core = openCore(bus);
  const giveUp = async (code: number) => {
    const late = new Promise((resolve) => setTimeout(resolve, LAST_WRITES));
    await Promise.race([core.settle(), late]);
    parts.exit(code);
  };
  const supervisor = await Supervisor.start({
    bus,
    channel,
    settings,
    count: config.workers,
    logLevel: loggingLevel(),
    entry: parts.worker ?? WORKER,
    giveUp: (code) => void giveUp(code),
  });
  return {
    core,
    address: supervisor.address,
    replacements: () => supervisor.replacements,
    async replace() {
      for (const edge of supervisor.edges) await supervisor.replace(edge);
    },
    readers: () => supervisor.readers(),
    renew: (access) => supervisor.renew(access),
    refuseNew: () => supervisor.refuseNew(),
    leave: () => supervisor.leave(),
  };
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

/**
 * Writes an address as people open it.
 *
 * @param address Where a server listens.
 * @returns `http://host:port/`.
 */
export function urlOf({ hostname, port }: Deno.NetAddr): string {
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`;
}

function newEpoch(): string {
  return crypto.randomUUID();
}
