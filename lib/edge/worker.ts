/** The entry of an edge that has an isolate of its own. Its supervisor is core/supervisor.ts. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { BEAT } from "../bus.ts";
import type { Farewell, FromWorker, ToWorker, WorkerStart } from "../isolate.ts";
import { startLogging } from "../logger.ts";
import { EdgeBroadcast } from "./broadcast.ts";
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
    tell({ kind: "left" });
  };
  const take = (edge: Edge, message: ToWorker) => {
    switch (message.kind) {
      case "bus":
        return bus.receive(message.message);
      case "refuse":
        return edge.server.refuseNew();
      case "readers":
        return tell({ kind: "readers", ask: message.ask, readers: edge.server.readers });
      case "renew":
        return edge.server.renew(message.access);
      case "leave":
        return void leave(edge, message.farewell);
    }
  };
  if (start.logLevel !== undefined) await startLogging(start.logLevel);
  const place = { bus, seq: start.seq, clock: Date.now, reusePort: true };
  const edge = await startEdge(start.settings, place);
  const beat = setInterval(() => tell({ kind: "beat" }), BEAT);
  begin(edge);
  tell({ kind: "serving", port: edge.server.address.port });
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
