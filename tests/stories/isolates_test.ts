/** Isolates that end, hang or are replaced: their clients come back, presence is right, nothing is lost (threats.md L7). */
import {
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "node:path";
import { pause, spawnServer, within } from "../helpers/child_server.ts";
import type { Fault } from "../helpers/faulty_worker.ts";
import { cookieOf, NativeClient, startServer, type TestServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";
import { keysKept, write } from "../helpers/writing.ts";

const WORKER = new URL("../helpers/faulty_worker.ts", import.meta.url);
const CLIENTS = 30;

async function wrong(server: Pick<TestServer, "data">, fault: Fault, edge?: number): Promise<void> {
  const name = edge === undefined ? "fault" : `fault.${edge}`;
  await Deno.writeTextFile(join(server.data, "fault-new"), fault);
  await Deno.rename(join(server.data, "fault-new"), join(server.data, name));
}

/** Clients of as many accounts in one room; which isolate has which, the system decides. */
async function crowd(server: TestServer): Promise<{ clients: NativeClient[]; gone: string[] }> {
  const cookies: string[] = [];
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      cookies[i] = await cookieOf(server);
      return await NativeClient.open(server, { cookie: cookies[i] });
    }),
  );
  const gone: string[] = [];
  for (const [i, client] of clients.entries()) {
    await client.do("subscribe", { channel: "room:a" });
    void client.socket.closed.then(() => gone.push(cookies[i] ?? ""));
  }
  return { clients, gone };
}

async function epochOf(client: NativeClient): Promise<unknown> {
  return (await client.do("subscribe", { channel: "room:epoch" })).epoch;
}

async function countIn(client: NativeClient): Promise<number> {
  return Number((await client.do("presence", { channel: "room:a" })).count);
}

// The moment at which a listener goes refuses whom it had taken: people come again.
async function come(server: TestServer, headers = {}): Promise<NativeClient> {
  for (;;) {
    try {
      return await NativeClient.open(server, headers);
    } catch {
      await pause(10);
    }
  }
}

for (const fault of ["throw", "reject", "heap", "exit"] as const) {
  Deno.test(`an isolate that ends (${fault}) is replaced, its clients alone are cut, and presence is right`, async () => {
    await using server = await startServer({ workers: 3 }, { worker: WORKER });
    const { clients, gone } = await crowd(server);
    await wrong(server, fault);
    while (gone.length === 0) await pause(5);
    const noticed = performance.now();
    while (server.replacements() === 0) await pause(5);
    assertLess(performance.now() - noticed, 1000);
    await using watcher = await come(server);
    while (await countIn(watcher) !== CLIENTS - gone.length) await pause(20);
    // Those that were cut come back where they were, and are missed by nobody.
    const published = await watcher.do("publish", { channel: "room:a", data: "missed" });
    const since = { epoch: await epochOf(watcher), seq: Number(published.seq) - 1 };
    const back = await Promise.all(gone.map((cookie) => come(server, { cookie })));
    for (const client of back) {
      const { recovered, messages } = await client.do("subscribe", { channel: "room:a", since });
      assertEquals([recovered, Array.isArray(messages) && messages[0]?.data], [true, "missed"]);
    }
    while (await countIn(watcher) !== CLIENTS) await pause(20);
    assertLess(performance.now() - noticed, 5000);
    assertGreater(CLIENTS, gone.length);
    assertEquals(server.replacements(), 1);
    for (const client of [...clients, ...back]) await client.socket.close();
  });
}

Deno.test("several isolates that end together are each replaced at once; one that goes on failing waits longer", async () => {
  await using server = await startServer({ workers: 3 }, { worker: WORKER });
  const { clients, gone } = await crowd(server);
  for (const edge of [1, 2, 3]) await wrong(server, "throw", edge);
  while (gone.length < CLIENTS) await pause(1);
  const noticed = performance.now();
  while (server.replacements() < 3) await pause(5);
  assertLess(performance.now() - noticed, 1000);
  await using watcher = await come(server);
  await watcher.do("ping", {});
  // The fourth took the place of one that had failed once.
  await wrong(server, "throw", 4);
  const again = performance.now();
  while (server.replacements() < 4) await pause(5);
  assertGreater(performance.now() - again, 1000);
  for (const client of clients) await client.socket.close();
});

Deno.test("an isolate that hangs ends the process with 70 within seven seconds, and all that was acknowledged is there", async () => {
  const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  await using server = await spawnServer({
    data,
    program: "tests/helpers/faulty_server.ts",
    flags: ["--workers", "2"],
  });
  const port = await server.listening;
  let told = 0;
  const writers = ["Ada", "Bob", "Cyd", "Dan"].map((name) => write(port, name, () => told++));
  while (told <= 200) await pause(10);
  await wrong({ data }, "hang");
  const { code } = await within(server.ended, 7000, "its end");
  assertEquals(code, 70);
  const acknowledged = (await Promise.all(writers)).flatMap(({ keys }) => keys);
  assertGreater(acknowledged.length, 100);
  const kept = await keysKept(data);
  assertEquals(new Set(kept).size, kept.length);
  assertEquals(acknowledged.filter((key) => !kept.includes(key)), []);
  await Deno.remove(data, { recursive: true });
});

Deno.test("isolates that are replaced on purpose say so, with a short retry, and serve until then", async () => {
  await using server = await startServer({ workers: 2 });
  const { clients } = await crowd(server);
  const published = clients.map((client, i) =>
    client.do("publish", { channel: "room:a", data: i, key: `k${i}` })
  );
  const replaced = server.replaceEdges();
  // What they had accepted is answered; what came too late isn't, and its client publishes it again.
  const answers = await Promise.allSettled(published);
  await replaced;
  assertEquals(server.replacements(), 2);
  const codes = await Promise.all(clients.map(({ socket }) => socket.closed));
  assertEquals(new Set(codes), new Set([1001]));
  for (const client of clients) {
    const { retry } = await client.hear("closing");
    assertEquals(retry, 100);
  }
  await using again = await come(server);
  const { messages } = await again.do("history", { channel: "room:a", limit: 200 });
  const kept = new Set(Array.isArray(messages) ? messages.map(({ key }) => key) : []);
  answers.forEach(({ status }, i) => {
    if (status === "fulfilled") assertEquals(kept.has(`k${i}`), true);
  });
});

Deno.test("where another can't start the old isolate stays, with all its clients", async () => {
  await using server = await startServer({ workers: 1 }, { worker: WORKER });
  await using client = await NativeClient.open(server);
  await Deno.writeTextFile(join(server.data, "nostart"), "");
  await server.replaceEdges();
  await Deno.remove(join(server.data, "nostart"));
  assertEquals(server.replacements(), 0);
  assertEquals("publish" in await client.ask("publish", { channel: "room:a", data: 1 }), true);
  // It is one of those that serve as before, and can be replaced.
  await server.replaceEdges();
  assertEquals([server.replacements(), await client.socket.closed], [1, 1001]);
});

Deno.test("a server whose core stands still isn't ready, and says so in time", async () => {
  tool("curl");
  await using server = await startServer({ workers: 1 });
  const args = ["-s", "-w", "\n%{http_code} %header{retry-after}", `${server.url}/readyz`];
  const asked = new Deno.Command("curl", { args }).output();
  // The core is in this isolate: it does nothing for so long, as behind a disk that doesn't answer.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000);
  const answer = new TextDecoder().decode((await asked).stdout);
  assertStringIncludes(answer, '"detail":"The log doesn\'t answer"');
  assertStringIncludes(answer, "\n503 5");
  assertEquals((await fetch(`${server.url}/readyz`).then((again) => again.json())).status, "ready");
});

Deno.test("two servers don't share a port by accident, with isolates or without", async () => {
  for (const [one, other] of [[2, 2], [0, 2], [2, 0]] as const) {
    await using server = await startServer({ workers: one });
    const port = Number(server.host.split(":")[1]);
    await assertRejects(
      () => startServer({ workers: other, port }),
      Error,
      `Cannot listen on 127.0.0.1:${port} (--host and --port): another process does`,
    );
  }
});

Deno.test("what keeps an isolate from starting is told, and nothing is left behind", async () => {
  const pages = "/nowhere/at/all";
  await assertRejects(() => startServer({ workers: 2, pages }), Error, "nowhere");
});
