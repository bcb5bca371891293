/** An edge that leaves while it still owes answers. */
import { configure, type LogRecord } from "@logtape/logtape";
import { assertEquals, assertMatch } from "@std/assert";
import type { EdgeEnd } from "../../lib/bus/bus.ts";
import { startEdge } from "../../lib/isolates/edge.ts";
import { LEAVE_ONE } from "../../lib/isolates/messages.ts";
import { DEFAULT_LIMITS } from "../../lib/config/limits.ts";
import { Log } from "../../lib/store/writer.ts";
import { CLOSE } from "../../lib/protocol/refusals.ts";
import { edgeSettings } from "../helpers/edge.ts";
import { pause } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { RawWebSocket } from "../helpers/raw_websocket.ts";

const bus: EdgeEnd = { send: (_, answered = () => {}) => answered(null), listen: () => {} };
const PAGES = 60;

Deno.test("an edge that leaves says so to a client that it still owes answers, and reads nothing for it afterwards", async () => {
  const events: string[] = [];
  await configure({
    reset: true,
    sinks: { events: (record: LogRecord) => void events.push(record.message.join("")) },
    loggers: [{ category: "fanfare", sinks: ["events"], lowestLevel: "error" }, {
      category: ["logtape", "meta"],
      sinks: [],
    }],
  });
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  const data = JSON.stringify("x".repeat(60_000));
  log.apply(
    Array.from({ length: 20 }, (_, i) => ({
      ...{ kind: "message" as const, channel: "room:a", from: "ada", data, time: 1, seq: i + 1 },
    })),
  );
  const edge = await startEdge(edgeSettings(`${folder.path}/log.db`, { limits: DEFAULT_LIMITS }), {
    ...{ bus, seq: log.seq, clock: Date.now, reusePort: false, name: 1 },
    metrics: () => Promise.resolve(""),
  });
  const { address } = edge.server;
  using socket = await RawWebSocket.open("port" in address ? address.port : 0, "");
  // It asks for more than its socket takes, and reads nothing until the edge has left.
  const ask = (id: number) => JSON.stringify({ id, history: { channel: "room:a", limit: 20 } });
  await socket.send(Array.from({ length: PAGES }, (_, i) => ask(i + 1)).join("\n"));
  await pause(100);
  await edge.server.leave(LEAVE_ONE);
  edge.close();
  let last = "";
  const decoder = new TextDecoder();
  while (await socket.read((text) => last = decoder.decode(text).slice(0, 100)));
  log.close();
  assertMatch(last, /^\{"closing":\{.*"retry":\d+/);
  assertEquals(socket.closeCode, CLOSE.leaving);
  assertEquals(events, []);
});
