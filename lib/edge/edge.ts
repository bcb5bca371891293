/** Puts an edge together: what has sockets, in the main isolate or in one of its own. */
import { Access } from "../access.ts";
import type { EdgeEnd } from "../bus.ts";
import { Counters } from "../counters.ts";
import type { EdgeSettings } from "../isolate.ts";
import { Reader } from "../log/reader.ts";
import { Grants } from "./grants.ts";
import { Hub } from "./hub.ts";
import { Pages } from "./pages.ts";
import { EdgeServer, lastLine } from "./server.ts";
import { IDLE_SECONDS } from "./sockets.ts";

/** How an edge takes part. */
export interface EdgePlace {
  readonly bus: EdgeEnd;
  /** The last record before it took part. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Whether other isolates listen on the same port. */
  readonly reusePort: boolean;
}

/** An edge that serves. */
export interface Edge {
  readonly server: EdgeServer;
  /** Gives back what it holds, once it has left. */
  close(): void;
}

/**
 * Starts an edge.
 *
 * @param settings What it is told.
 * @param place How it takes part.
 * @returns The edge, once it serves.
 * @throws {Error} If the log, the pages or the port can't be used.
 */
export async function startEdge(settings: EdgeSettings, place: EdgePlace): Promise<Edge> {
  const { host, port, origins, trustProxy, limits } = settings;
  const { bus, clock, reusePort } = place;
  using stack = new DisposableStack();
  const reader = stack.adopt(new Reader(settings.log), (reader) => reader.close());
  const [pages, access] = await Promise.all([
    Pages.open(settings.pages),
    Access.create(settings.access, clock),
  ]);
  const hub = new Hub(bus, reader, place.seq);
  const counters = new Counters();
  const grants = new Grants(access, clock, lastLine);
  const server = new EdgeServer(
    { hub, bus, access, grants, limits, counters, clock, ping: IDLE_SECONDS * 500 },
    { host, port, origins, trustProxy, pages, reusePort },
  );
  const parts = stack.move();
  return { server, close: () => parts.dispose() };
}
