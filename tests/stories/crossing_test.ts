/** What happens at the same time: edges that are replaced, settings that are read again, the guard, the end. */
import { assertEquals, assertMatch } from "@std/assert";
import { directBus } from "../../lib/bus/bus.ts";
import { Core } from "../../lib/core/core.ts";
import { localSequencer } from "../../lib/sequencer/sequencer.ts";
import { Log } from "../../lib/store/writer.ts";
import { Metrics } from "../../lib/observability/metrics.ts";
import { InProcessEdge } from "../../lib/isolates/in_process.ts";
import { edgeSettings } from "../helpers/edge.ts";
import { pause, within } from "../helpers/child_server.ts";
import { UNBOUNDED } from "../helpers/limits.ts";
import { tempFolder } from "../helpers/log.ts";
import { connect, type RawAnswer, readAnswer, sendAll, written } from "../helpers/raw_http.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

const ORIGIN = "https://other.example";

// The guard cuts at its next look, whatever an edge holds.
const CUT = 1024;

/** Asks from another origin, which only settings that were read again let in: of each isolate, since connections are spread. */
async function statusesOf({ url }: TestServer): Promise<number[]> {
  const statuses = new Set<number>();
  for (let i = 0; i < 20; i++) {
    const response = await fetch(`${url}/send/`, {
      method: "POST",
      headers: { origin: ORIGIN, connection: "close" },
      body: new URLSearchParams({ msg: "hello" }),
    });
    await response.body?.cancel();
    statuses.add(response.status);
  }
  return [...statuses];
}

async function replacements({ url }: TestServer): Promise<number> {
  const text = await fetch(`${url}/metrics`).then((response) => response.text(), () => "");
  return Number(/^fanfare_guard_replacements_total (\d+)$/m.exec(text)?.[1] ?? 0);
}

for (const workers of [0, 2]) {
  Deno.test(`settings that are read while an edge is replaced hold for the one that comes, too (${workers} isolates)`, async () => {
    await using server = await startServer({ workers, maxMemory: 0, open: true });
    const replacing = server.replaceEdges();
    await server.renew({ origins: [ORIGIN] });
    await replacing;
    assertEquals(await statusesOf(server), [200]);
  });

  Deno.test(`settings that are read while the guard cuts an edge hold for the one that comes, too (${workers} isolates)`, async () => {
    await using server = await startServer({ workers, maxMemory: 0, open: true });
    for (let i = 0; i < 3; i++) {
      const before = await replacements(server);
      await server.renew({ maxMemory: CUT, origins: [] });
      const counted = (async () => {
        while (await replacements(server) === before) await pause(5);
      })();
      await within(counted, 20_000, "the guard to cut");
      // Another is about to begin.
      await server.renew({ maxMemory: 0, origins: [ORIGIN] });
      assertEquals(await statusesOf(server), [200]);
    }
  });
}

/** Begins to send a body, and leaves it at that: a server waits for the rest as long as it waits at all. */
async function dawdle({ host }: TestServer): Promise<Deno.TcpConn> {
  const conn = await connect(host);
  const headers = { "content-length": "9", connection: "keep-alive" };
  const request = written(host, { method: "POST", path: "/push/all", headers, body: "begun" });
  await sendAll(conn, new TextEncoder().encode(request));
  return conn;
}

Deno.test("a token that changes while the only edge is renewed holds for the one that comes", async () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  const bus = directBus();
  const sequencer = localSequencer(log, Date.now);
  const now = () => performance.now();
  const core = new Core({ bus: bus.core, log, sequencer, now, limits: UNBOUNDED });
  const access = {
    key: new Uint8Array(32),
    adminToken: "the first of the tokens",
    open: false,
    tokens: { accountClaim: "sub", withdrawn: [] },
  };
  const settings = edgeSettings(`${folder.path}/log.db`, { access });
  const place = { bus: bus.edge, clock: Date.now, reusePort: false, name: "core" };
  const edge = await InProcessEdge.start(settings, {
    place: () => ({ ...place, seq: log.seq, metrics: () => Promise.resolve("") }),
    metrics: new Metrics(),
    giveUp: () => {},
  });
  // The first token is what the settings are read with.
  const renewing = edge.renew({ ...settings, origins: [ORIGIN] });
  edge.renewAccess({ ...access, adminToken: "the second of the tokens" });
  await renewing;
  const { address } = edge;
  const port = "port" in address ? address.port : 0;
  const statuses = ["first", "second"].map(async (which) => {
    const headers = { authorization: `Bearer the ${which} of the tokens` };
    const response = await fetch(`http://127.0.0.1:${port}/api/channels`, { headers });
    await response.body?.cancel();
    return response.status;
  });
  assertEquals(await Promise.all(statuses), [401, 200]);
  await edge.leave();
  await core.settle();
  core.close();
  edge.close();
  log.close();
});

/** What an answer has to have, whoever gave it and however late. */
function assertComesBack({ status, headers }: RawAnswer): void {
  const has = ["retry-after", "x-content-type-options"].map((name) => headers.get(name));
  assertEquals([status, ...has], [503, "2", "nosniff"]);
  assertMatch(headers.get("x-request-id") ?? "", /^[0-9a-f]{12}$/);
}

/** Reads until a connection ends. */
async function ended(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(1024);
  while (await conn.read(buffer).catch(() => null) !== null);
}

for (const workers of [0, 1]) {
  Deno.test(`a body that is still coming when its edge leaves is taken, and one that doesn't come is told to come back (${workers} isolates)`, async () => {
    await using server = await startServer({ workers, maxMemory: 0 });
    using goesOn = await dawdle(server);
    using stops = await dawdle(server);
    const renewing = server.renew({ origins: [ORIGIN] });
    await sendAll(goesOn, new TextEncoder().encode(" end"));
    assertEquals((await readAnswer(goesOn)).status, 201);
    assertComesBack(await readAnswer(stops));
    await renewing;
    await within(ended(stops), 10_000, "its connection to end");
  });
}

Deno.test("a body that is still coming when the guard cuts its edge is told to come back", async () => {
  await using server = await startServer({ workers: 0, maxMemory: 0 });
  using stops = await dawdle(server);
  await server.renew({ maxMemory: CUT });
  const answer = await readAnswer(stops);
  assertComesBack(answer);
  // Whoever publishes has to know that it may be done.
  assertMatch(answer.body, /may have been done/);
});
