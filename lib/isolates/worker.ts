/** The entry of an edge that has an isolate of its own. Its supervisor is core/supervisor.ts. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { BEAT } from "../bus/bus.ts";
import type { Farewell, FromWorker, ToWorker, WorkerStart } from "./messages.ts";
import { startLogging } from "../observability/logger.ts";
import { EdgeBroadcast } from "../bus/edge_end.ts";
import { type Edge, startEdge } from "./edge.ts";

type Parent = NonNullable<typeof parentPort>;

async function run(parent: Parent, start: WorkerStart): Promise<void> {
  const tell = (message: FromWorker) => parent.postMessage(message);
  const bus = new EdgeBroadcast((message) => tell({ kind: "bus", message }), start.number);
  const channel = new BroadcastChannel(start.channel);
  // Both before anything is awaited: what comes while it starts waits, and what was before is seen to be missing.
  const { promise: started, resolve: begin } = Promise.withResolvers<Edge>();
  channel.onmessage = ({ data }) => void started.then(() => bus.hear(data));
  parent.on("message", (message: ToWorker) => void started.then((edge) => take(edge, message)));
  const leave = async (edge: Edge, farewell: Farewell) => {
    await edge.server.leave(farewell);
    clearInterval(beat);
    bus.close();
    channel.close();
    edge.close();
    tell({ kind: "beat", counts: counts() });
    tell({ kind: "left" });
  };
  const take = (edge: Edge, message: ToWorker) => {
    switch (message.kind) {
      case "bus":
        return bus.receive(message.message);
      case "metrics":
        asked.get(message.id)?.(message.text);
        return void asked.delete(message.id);
      case "level":
        return startLogging(message.level);
      case "refuse":
        return edge.server.refuseNew();
      case "readers":
        return tell({ kind: "readers", ask: message.ask, readers: edge.server.readers });
      case "access":
        return edge.server.renew(message.access);
      case "mutes":
        return edge.server.moderate();
      case "leave":
        return void leave(edge, message.farewell);
    }
  };
  const asked = new Map<number, (text: string) => void>();
  let questions = 0;
  const metrics = () =>
    new Promise<string>((resolve) => {
      const id = ++questions;
      asked.set(id, resolve);
      tell({ kind: "metrics", id });
    });
  if (start.logLevel !== undefined) startLogging(start.logLevel);
  const { seq, edge: name } = start;
  const place = { bus, seq, clock: Date.now, reusePort: true, name, metrics };
  const edge = await startEdge(start.settings, place);
  const counts = () => {
    const { totals, gauges } = edge.counts();
    return { totals: { ...totals, bus_holes_total: bus.holes }, gauges };
  };
  const beat = setInterval(() => tell({ kind: "beat", counts: counts() }), BEAT);
  begin(edge);
  const { address } = edge.server;
  tell({ kind: "serving", port: "port" in address ? address.port : 0 });
}

// Whoever imports the types of this module isn't an edge.
if (!isMainThread && parentPort !== null) {
  const parent = parentPort;
  run(parent, workerData).catch((error) => {
    const sentence = error instanceof Error ? error.message : String(error);
    const failed: FromWorker = { kind: "failed", sentence };
    parent.postMessage(failed);
  });
}
