/** Puts a server together out of its parts, and takes it apart again. */
import { join } from "node:path";
import { Access } from "./access.ts";
import { directBus } from "./bus.ts";
import { type Config, ConfigError } from "./config.ts";
import { Core } from "./core/core.ts";
import { localSequencer } from "./core/sequencer.ts";
import { Hub } from "./edge/hub.ts";
import { Pages } from "./edge/pages.ts";
import { EdgeServer } from "./edge/server.ts";
import { IDLE_SECONDS } from "./edge/sockets.ts";
import { isLoopback } from "./address.ts";
import { Counters } from "./counters.ts";
import { FolderLock } from "./lock.ts";
import { Log } from "./log/log.ts";
import { Reader } from "./log/reader.ts";

/** A server that runs. */
export interface Running {
  /** Where it listens. */
  readonly address: Deno.NetAddr;
  /** Finishes what was accepted, says goodbye to everyone, and ends; within 10 s. */
  stop(): Promise<void>;
}

/**
 * Starts a server.
 *
 * @param config What it was told.
 * @param clock Milliseconds since 1970.
 * @returns The server, once it serves.
 * @throws {Error} If the data folder, the log, the pages or the port can't be used.
 */
export async function serve(config: Config, clock: () => number = Date.now): Promise<Running> {
  await Deno.mkdir(config.data, { recursive: true, mode: 0o700 });
  // First of all, so that a second process is told at once and touches nothing.
  using stack = new DisposableStack();
  const lock = stack.use(FolderLock.take(config.data));
  const path = logPath(config.data);
  const log = stack.adopt(new Log(path, newEpoch, { spare: true }), (log) => log.close());
  const reader = stack.adopt(new Reader(path), (reader) => reader.close());
  const pages = await Pages.open(config.pages);
  const access = await Access.create({
    key: await secret(join(config.data, "cookie.key"), 32),
    adminToken: await adminToken(config),
    open: config.open || (isLoopback(config.host) && config.adminTokenFile === undefined),
  });
  const bus = directBus();
  const core = stack.adopt(
    new Core({
      bus: bus.core,
      log,
      sequencer: localSequencer(log, clock),
      now: () => performance.now(),
      limits: config.limits,
      retention: config.retention,
      clock,
    }),
    (core) => core.close(),
  );
  const hub = new Hub(bus.edge, reader, log.seq);
  const { host, port, origins, trustProxy, limits } = config;
  const edge = {
    hub,
    bus: bus.edge,
    access,
    limits,
    counters: new Counters(),
    clock,
    ping: IDLE_SECONDS * 500,
  };
  const server = new EdgeServer(edge, { host, port, origins, trustProxy, pages });
  lock.tell(urlOf(server.address));
  const parts = stack.move();
  return {
    address: server.address,
    async stop() {
      server.refuseNew();
      await core.settle();
      await server.leave();
      await core.settle();
      parts.dispose();
    },
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

async function adminToken({ adminTokenFile, data }: Config): Promise<string> {
  if (adminTokenFile === undefined) return (await secret(join(data, "admin.token"), 24)).toBase64();
  const token = (await Deno.readTextFile(adminTokenFile)).trim();
  if (token.length >= 16) return token;
  throw new ConfigError(`The token in "${adminTokenFile}" must have at least 16 characters`);
}

// Kept as base64, so that an operator can read it out of the file.
async function secret(path: string, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const known = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (known !== undefined) {
    const key = Uint8Array.fromBase64(known.trim());
    if (key.length === bytes) return key;
    throw new Error(`Cannot use "${path}": it must hold ${bytes} bytes in base64`);
  }
  const fresh = crypto.getRandomValues(new Uint8Array(bytes));
  // There whole or not at all: a kill in between must not leave an empty one. The folder is ours alone.
  const unfinished = `${path}-new`;
  using file = await Deno.open(unfinished, {
    create: true,
    truncate: true,
    write: true,
    mode: 0o600,
  });
  await file.write(new TextEncoder().encode(`${fresh.toBase64()}\n`));
  await file.sync();
  await Deno.rename(unfinished, path);
  return fresh;
}
