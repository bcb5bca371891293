/** Debian's nginx between all clients and the server, and how many connections that lets through. */
import { startNginx } from "../../helpers/nginx.ts";

/** Where everything listens, below the ports that outgoing connections take: those would hold a port while it has nobody. */
export interface Ports {
  readonly server: number;
  /** Where all clients connect. */
  readonly front: number;
  /** The same for whoever isn't on this machine, as the proxy says. */
  readonly foreign: number;
}

/** An address of nobody (RFC 5737). */
const FOREIGN = "198.51.100.7";
const WORKERS = 4;
/** Of a process's descriptors, what is kept for everything but the clients'. */
const KEPT = 500;
/** How uneven nginx's workers may be: each connection takes two of one worker's descriptors. */
const UNEVEN = 1.3;

/** How many descriptors a process may have here. */
export function descriptorLimit(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

/**
 * Tells how many clients there can be.
 *
 * @param wanted How many there should be.
 * @returns As many, or what the descriptors of a process allow.
 */
export function capacity(wanted: number): number {
  const limit = descriptorLimit();
  return Math.min(wanted, limit - KEPT, Math.floor((limit - KEPT) * WORKERS / 2 / UNEVEN));
}

/**
 * Finds free ports.
 *
 * @returns Three.
 */
export function freePorts(): Ports {
  const found: number[] = [];
  while (found.length < 3) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      if (!found.includes(port)) found.push(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  const [server = 0, front = 0, foreign = 0] = found;
  return { server, front, foreign };
}

/**
 * Starts nginx; disposing of it ends it.
 *
 * @param folder A folder of its own.
 * @param ports Where it listens, and what it passes on to.
 * @returns nginx, once it serves.
 */
export async function startFront(folder: string, ports: Ports): Promise<AsyncDisposable> {
  await Deno.mkdir(folder);
  const limit = descriptorLimit();
  const listen = `listen 127.0.0.1:${ports.front}`;
  return await startNginx({
    folder,
    port: ports.front,
    upstream: `http://127.0.0.1:${ports.server}`,
    foreign: { port: ports.foreign, address: FOREIGN },
    changes: [
      // Here all are one visitor.
      ["limit_conn visitors 200", "limit_conn visitors 60000"],
      // A storm comes evenly to all of its workers.
      [`${listen};`, `${listen} reuseport backlog=4096;`],
    ],
    main: `worker_processes ${WORKERS}; worker_rlimit_nofile ${limit};`,
    events: `worker_connections ${limit};`,
  });
}
