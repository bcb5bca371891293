/** What happens at the same time: edges that are replaced, settings that are read again, the guard, the end. */
import { assertEquals } from "@std/assert";
import { pause, within } from "./helpers/child_server.ts";
import { connect, sendAll, written } from "./helpers/raw_http.ts";
import { startServer, type TestServer } from "./helpers/server.ts";

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

for (const workers of [0, 1, 3]) {
  Deno.test(`settings that are read while an edge is replaced hold for the one that comes, too (${workers} isolates)`, async () => {
    await using server = await startServer({ workers, maxMemory: 0 });
    const replacing = server.replaceEdges();
    await server.renew({ origins: [ORIGIN] });
    await replacing;
    assertEquals(await statusesOf(server), [200]);
  });

  Deno.test(`settings that are read while the guard cuts an edge hold for the one that comes, too (${workers} isolates)`, async () => {
    await using server = await startServer({ workers, maxMemory: 0 });
    for (let i = 0; i < 3; i++) {
      const before = await replacements(server);
      await server.renew({ maxMemory: CUT, origins: [] });
      const counted = (async () => {
        while (await replacements(server) === before) await pause(5);
      })();
      await within(counted, 5000, "the guard to cut");
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
  const folder = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  const adminTokenFile = `${folder}/token`;
  await Deno.writeTextFile(adminTokenFile, "the first of the tokens");
  await using server = await startServer({ workers: 0, adminTokenFile });
  using _ = await dawdle(server);
  const renewing = server.renew({ adminTokenFile, origins: [ORIGIN] });
  // The old one has read the file for the last time.
  for (let leaves = false; !leaves;) {
    await connect(server.host).then((conn) => conn.close(), () => leaves = true);
    await pause(10);
  }
  await Deno.writeTextFile(adminTokenFile, "the second of the tokens");
  await renewing;
  const status = async (which: string) => {
    const headers = { authorization: `Bearer the ${which} of the tokens` };
    const response = await fetch(`${server.url}/api/channels`, { headers });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await status("first"), await status("second")], [401, 200]);
  await Deno.remove(folder, { recursive: true });
});
