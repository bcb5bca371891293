/** Puts an edge together: what has sockets, in the main isolate or in one of its own. */
import { dirname } from "node:path";
import { Access } from "../auth/access.ts";
import type { EdgeEnd } from "../bus/bus.ts";
import { Counters, type Counts, LoopLag } from "../observability/counters.ts";
import type { EdgeSettings } from "./messages.ts";
import { edgeRates, MOST_MUTES } from "../config/limits.ts";
import { Reader } from "../store/reader.ts";
import { lagOf } from "../observability/metrics.ts";
import { ByteRates } from "../delivery/byte_rates.ts";
import { CredentialExpiry } from "../sessions/credential_expiry.ts";
import { Hub } from "../delivery/hub.ts";
import { Pages } from "../site/pages.ts";
import { EdgeServer } from "../http/server.ts";
import { IDLE_SECONDS } from "../transports/sockets.ts";
import { SendBudget } from "../delivery/send_budget.ts";
import { isTraced, traced } from "../bus/traced.ts";

/** How an edge takes part. */
export interface EdgePlace {
  readonly bus: EdgeEnd;
  /** The last record before it took part. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Whether other isolates listen on the same port. */
  readonly reusePort: boolean;
  /** Its name among the isolates. */
  readonly name: string | number;
  /** Tells the numbers of the whole process, in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** What measures how much is sent to one at once, where the isolate had an edge before. */
  readonly budget?: SendBudget;
}

/** An edge that serves. */
export interface Edge {
  readonly server: EdgeServer;
  /** Tells what it counted, for the sum of all isolates. */
  counts(): Counts;
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
  const { host, port, tls, unix, origins, trustProxy, localOnly, limits } = settings;
  const { clock, reusePort, budget = new SendBudget() } = place;
  budget.renew(settings.held);
  const tracing = isTraced();
  const bus = tracing ? traced(place.bus) : place.bus;
  using stack = new DisposableStack();
  const reader = stack.adopt(new Reader(settings.log), (reader) => reader.close());
  const [pages, access] = await Promise.all([
    Pages.open(settings.pages),
    Access.create(settings.access, clock),
  ]);
  const counters = new Counters();
  const now = () => performance.now();
  const fill = { rate: limits.read, burst: limits.readBurst };
  const rates = new ByteRates({ fill, loopback: trustProxy }, now);
  const hub = new Hub(bus, reader, place.seq, now, counters, budget, rates);
  const lag = stack.adopt(new LoopLag(), (lag) => lag.close());
  const { sessions } = reader;
  const expiry = new CredentialExpiry({ access, sessions, clock });
  hub.rights = expiry;
  access.mute(reader.mutes(clock(), "", MOST_MUTES));
  const server = new EdgeServer(
    {
      hub,
      bus,
      access,
      expiry,
      limits,
      rates: edgeRates(limits),
      counters,
      clock,
      ping: IDLE_SECONDS * 500,
    },
    {
      ...{ host, port, tls, unix, origins, trustProxy, localOnly, pages, reusePort, tracing },
      metrics: place.metrics,
      open: settings.access.open,
      folder: dirname(settings.log),
    },
  );
  const parts = stack.move();
  return {
    server,
    counts: () => ({
      totals: counters.totals,
      gauges: {
        ...server.gauges,
        ...lagOf(place.name, lag.seconds),
        heap_bytes: Deno.memoryUsage().heapUsed,
        isolates: 1,
      },
    }),
    close: () => parts.dispose(),
  };
}
