/** Log lines of refusals: one a minute for each kind and address, with a count. */
import { assertEquals, assertLess } from "@std/assert";
import { PAUSE, RefusalLog } from "../../lib/observability/refusal_log.ts";
import { type LogLine, spawnServer } from "../helpers/child_server.ts";
import { NativeClient } from "../helpers/server.ts";

Deno.test("M13: a kind of refusal is logged at most once a minute for an address, with how many there were", () => {
  const lines: unknown[] = [];
  const log = new RefusalLog<{ id: number }>((event, facts) => lines.push([event, facts]));
  for (let id = 0; id < 1000; id++) log.add("a.refused", "400 192.0.2.1", { id }, id);
  log.add("a.refused", "404 192.0.2.1", { id: 1 }, 1000);
  log.add("a.refused", "400 192.0.2.2", { id: 2 }, 1000);
  log.add("b.refused", "400 192.0.2.1", { id: 3 }, 1000);
  assertEquals(lines.splice(0), [
    ["a.refused", { id: 0, count: 1 }],
    ["a.refused", { id: 1, count: 1 }],
    ["a.refused", { id: 2, count: 1 }],
    ["b.refused", { id: 3, count: 1 }],
  ]);
  log.flush(PAUSE - 1);
  assertEquals(lines, []);
  log.flush(PAUSE);
  assertEquals(lines.splice(0), [["a.refused", { id: 999, count: 999 }]]);
  log.add("a.refused", "400 192.0.2.1", { id: 4 }, PAUSE + 1);
  log.add("a.refused", "400 192.0.2.1", { id: 5 }, 2 * PAUSE);
  assertEquals(lines.splice(0), [["a.refused", { id: 5, count: 2 }]]);
  log.flush(9 * PAUSE);
  assertEquals([log.size, lines], [0, []]);
});

Deno.test("M13: a million addresses take a bounded number of lines and names", () => {
  let lines = 0;
  const log = new RefusalLog<object>(() => lines += 1);
  for (let i = 0; i < 1_000_000; i++) log.add("a.refused", `400 ${i}`, {}, i / 1000);
  assertLess(log.size, 10_002);
  assertLess(lines, 10_002);
});

Deno.test("M13: of hundreds of refused requests and commands the log of a server tells the first of each kind at once", async () => {
  const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  const lines: LogLine[] = [];
  {
    await using server = await spawnServer({ data, flags: ["--workers", "0"] });
    server.onLog = (line) => lines.push(line);
    const host = `127.0.0.1:${await server.listening}`;
    for (let i = 0; i < 200; i++) {
      for (const [path, status] of [["/api/nothing", 404], ["/send/", 405]] as const) {
        const response = await fetch(`http://${host}${path}`);
        await response.body?.cancel();
        assertEquals([response.status, response.headers.has("x-request-id")], [status, true]);
      }
    }
    for (let i = 0; i < 3; i++) {
      await using client = await NativeClient.open({ host });
      for (let j = 0; j < 50; j++) await client.ask("history", { channel: "none" });
    }
    server.signal("SIGTERM");
    await server.ended;
  }
  const told = lines.filter(({ message = "" }) => message.endsWith(".refused"))
    .map(({ message, status, code, count }) => [message, status ?? code, count]);
  assertEquals(told, [
    ["request.refused", 404, 1],
    ["request.refused", 405, 1],
    ["command.refused", "bad_request", 1],
  ]);
  await Deno.remove(data, { recursive: true });
});
