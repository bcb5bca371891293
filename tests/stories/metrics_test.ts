/** What the server tells of itself at /metrics: right, of all isolates, in Prometheus' format, and for whom. */
import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { Counters } from "../../lib/observability/counters.ts";
import { Metrics } from "../../lib/observability/metrics.ts";
import { pause } from "../helpers/child_server.ts";
import { NativeClient, startServer, testIsolates, type TestServer } from "../helpers/server.ts";

const TOKEN = "a token for the tests";

type Numbers = ReadonlyMap<string, number>;

/** Reads the text format; whatever isn't in it is an error. */
function read(text: string): Numbers {
  const numbers = new Map<string, number>();
  const types = new Map<string, string>();
  assertMatch(text, /\n$/);
  let family = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const [, what, name = "", rest = ""] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (what === "HELP") {
      assertEquals(types.has(name), false, `${name} stands there twice`);
      family = name;
    } else if (what === "TYPE") {
      assertEquals(name, family);
      assertMatch(rest, /^(?:counter|gauge|histogram)$/);
      assertEquals(rest === "counter", name.endsWith("_total"), name);
      types.set(name, rest);
    } else {
      const sample = /^([a-z_]+)(\{(?:[a-z_]+="[^"\\\n]*",?)+\})? (\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;
      const [, sampled = "", labels = "", value = ""] = sample.exec(line) ?? [];
      assertEquals(
        sampled.replace(/_(?:bucket|sum|count)$/, ""),
        family.replace(/_sum$/, ""),
        line,
      );
      assertEquals(numbers.has(sampled + labels), false, line);
      numbers.set(sampled + labels, Number(value));
    }
  }
  return numbers;
}

async function scrape(server: TestServer, headers: HeadersInit = {}): Promise<Numbers> {
  const response = await fetch(`${server.url}/metrics`, { headers });
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return read(await response.text());
}

// What edges count is told with their sign of life, once a second.
async function until(server: TestServer, fits: (numbers: Numbers) => boolean): Promise<Numbers> {
  for (const end = performance.now() + 5000;;) {
    const numbers = await scrape(server);
    if (fits(numbers)) return numbers;
    assertLess(performance.now(), end, JSON.stringify([...numbers]));
    await pause(50);
  }
}

testIsolates("what happens is counted, of all isolates, whichever is asked", async (workers) => {
  await using server = await startServer({ workers });
  const clients = await Promise.all(Array.from({ length: 6 }, () => NativeClient.open(server)));
  for (const client of clients) await client.do("subscribe", { channel: "room:a" });
  const [ada] = clients;
  for (let i = 0; i < 5; i++) {
    await ada?.do("publish", { channel: "room:a", data: i, key: `k${i}` });
  }
  await ada?.do("publish", { channel: "room:a", data: 0, key: "k0" });
  for (const client of clients) {
    for (let i = 0; i < 5; i++) await client.hear("message");
    await client.ask("subscribe", { channel: "nowhere" });
  }
  await (await fetch(`${server.url}/nowhere`)).body?.cancel();
  const done = await until(
    server,
    (numbers) =>
      numbers.get("fanfare_deliveries_total") === 30 &&
      numbers.get(`fanfare_refusals_total{by="command",code="bad_request"}`) === 6 &&
      numbers.get(`fanfare_refusals_total{by="request",code="404"}`) === 1 &&
      numbers.get("fanfare_connections") === 6,
  );
  assertEquals(done.get(`fanfare_publications_total{kind="room"}`), 5);
  assertEquals(done.get("fanfare_duplicates_total"), 1);
  assertEquals(done.get("fanfare_connections_total"), 6);
  assertEquals(done.get("fanfare_delivery_seconds_count"), 30);
  assertEquals(done.get(`fanfare_delivery_seconds_bucket{le="+Inf"}`), 30);
  assertLess(done.get("fanfare_delivery_seconds_sum") ?? Infinity, 30);
  // Accounts are records too, with commits of their own.
  assertGreater(done.get("fanfare_commit_seconds_count"), 5);
  assertGreater(done.get("fanfare_log_bytes"), 4096);
  assertGreater(done.get("process_resident_memory_bytes"), 10_000_000);
  assertGreater(done.get("process_cpu_seconds_total"), 0.01);
  assertLess(done.get("process_cpu_seconds_total") ?? Infinity, 3600);
  assertGreater(done.get("process_start_time_seconds"), Date.now() / 1000 - 3600);
  assertEquals(done.get("fanfare_stuck_sockets"), 0);
  for (const client of clients) await client.socket.close();
  await until(server, (numbers) => numbers.get("fanfare_connections") === 0);
});

Deno.test(
  "what a client recovers is sent to it as well, whether its answer has room for it or not",
  async () => {
    await using server = await startServer();
    await using ada = await NativeClient.open(server);
    const { epoch, seq } = Object(await ada.do("subscribe", { channel: "room:a" }));
    await ada.do("unsubscribe", { channel: "room:a" });
    const many = 250;
    for (let i = 0; i < many; i++) {
      await ada.do("publish", { channel: "room:a", data: i, key: `${i}` });
    }
    await using bob = await NativeClient.open(server);
    const since = { epoch, seq };
    const { recovered, messages } = Object(await bob.do("subscribe", { channel: "room:a", since }));
    assertEquals([recovered, messages.length < many], [true, true]);
    await until(server, (numbers) => numbers.get("fanfare_deliveries_total") === many);
  },
);

Deno.test("an isolate that is replaced takes no count with it", async () => {
  await using server = await startServer({ workers: 2 });
  const clients = await Promise.all(Array.from({ length: 4 }, () => NativeClient.open(server)));
  await until(server, (numbers) => numbers.get("fanfare_connections") === 4);
  await server.replaceEdges();
  for (const client of clients) await client.socket.closed;
  const after = await until(server, (numbers) => numbers.get("fanfare_isolates") === 2);
  assertEquals(after.get("fanfare_connections"), 0);
  assertEquals(after.get("fanfare_connections_total"), 4);
  assertEquals(after.get("fanfare_replacements_total"), 2);
});

Deno.test("the metrics are for the admin, and without a token for this machine alone, on an open server", async () => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/token`;
  await Deno.writeTextFile(file, TOKEN);
  try {
    await using closed = await startServer({ adminTokenFile: file });
    const refused = await fetch(`${closed.url}/metrics`);
    await refused.body?.cancel();
    assertEquals(refused.status, 401);
    assertGreater((await scrape(closed, { authorization: `Bearer ${TOKEN}` })).size, 10);
    // What a proxy brings is never this machine's own, whatever its header says.
    for (const open of [true, false]) {
      await using behind = await startServer({ trustProxy: true, open, adminTokenFile: file });
      for (const [from, status] of [["203.0.113.7", 401], ["127.0.0.1", 401], ["", 400]] as const) {
        const headers = { "x-forwarded-for": from };
        const visitor = await fetch(`${behind.url}/metrics`, { headers });
        await visitor.body?.cancel();
        assertEquals(visitor.status, status, `${from}, ${open}`);
      }
      const admin = { authorization: `Bearer ${TOKEN}`, "x-forwarded-for": "127.0.0.1" };
      assertGreater((await scrape(behind, admin)).size, 10);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what nobody has met yet is there all the same, as 0: a rate needs a beginning", () => {
  const numbers = read(new Metrics().text());
  for (const name of ["commit_seconds", "delivery_seconds"]) {
    const tell = (of: string) => numbers.get(`fanfare_${name}_${of}`);
    assertEquals(['bucket{le="0.005"}', 'bucket{le="+Inf"}', "sum", "count"].map(tell), [
      0,
      0,
      0,
      0,
    ]);
  }
  assertEquals(numbers.get("fanfare_deliveries_total"), 0);
});

Deno.test("a histogram's buckets add up, over isolates that come and go", () => {
  const metrics = new Metrics();
  const counts = (...seconds: number[]) => {
    const counters = new Counters();
    for (const some of seconds) counters.observe("commit_seconds", some, 2);
    return { totals: counters.totals, gauges: { connections: 1 } };
  };
  metrics.take(1, counts(0.0005, 0.003));
  metrics.take(2, counts(100));
  metrics.drop(1);
  const numbers = read(metrics.text());
  const bucket = (le: string) => numbers.get(`fanfare_commit_seconds_bucket{le="${le}"}`);
  assertEquals([bucket("0.0005"), bucket("0.0025"), bucket("0.005"), bucket("10")], [2, 2, 4, 4]);
  assertEquals([bucket("+Inf"), numbers.get("fanfare_commit_seconds_count")], [6, 6]);
  assertEquals(numbers.get("fanfare_connections"), 1);
  assertEquals(numbers.get("fanfare_bus_holes_total"), 0);
});

Deno.test("the operations' table has every metric that there is, and no other", async () => {
  await using server = await startServer();
  await using ada = await NativeClient.open(server);
  await ada.do("subscribe", { channel: "room:a" });
  await ada.do("publish", { channel: "room:a", data: 1 });
  await ada.hear("message");
  await ada.ask("publish", { channel: "nowhere", data: 1 });
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const told = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) =>
    `${name} ${type}`
  );
  const page = await Deno.readTextFile(new URL("../../static/docs/operations.md", import.meta.url));
  const listed = [...page.matchAll(/^\| `((?:fanfare|process)_[a-z_]+)` *\| (\w+)/gm)]
    .map(([, name, type]) => `${name} ${type}`);
  assertEquals(listed, told);
});

Deno.test("the dashboard asks for what there is", async () => {
  await using server = await startServer();
  await (await fetch(`${server.url}/nowhere`)).body?.cancel();
  const known = new Set([...(await scrape(server)).keys()].map((key) => key.replace(/\{.*/, "")));
  // Histograms and what has labels begin with the first of their kind.
  for (const name of ["delivery_seconds_bucket", "commit_seconds_bucket"]) {
    known.add(`fanfare_${name}`);
  }
  const dashboard = await (await fetch(`${server.url}/static/grafana.json`)).text();
  const asked = [...dashboard.matchAll(/\b(?:fanfare|process)_[a-z_]+/g)].map(([name]) => name);
  assertEquals([...new Set(asked)].filter((name) => !known.has(name)), []);
  // All are shown, but when the process began.
  known.delete("process_start_time_seconds");
  const base = [...known].filter((name) => !/_(?:bucket|sum|count)$/.test(name));
  assertEquals(base.filter((name) => !asked.includes(name)), []);
});
