/** Each limit on a real server: n are let through, the next is refused in the caller's protocol (design: slow, many, gone). */
import { closeCodeIn } from "../helpers/raw_websocket.ts";
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { ask, connect, HANDSHAKE, sendAll, written } from "../helpers/raw_http.ts";
import { readConfig } from "../../lib/config/config.ts";
import { DEFAULT_LIMITS } from "../../lib/config/limits.ts";
import { memoryFolder } from "../helpers/log.ts";
import { pause } from "../helpers/child_server.ts";
import {
  accountOf,
  cookieOf,
  NativeClient,
  startServer,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";
import { World } from "../helpers/world.ts";

const RATE_LIMITED = `refusals_total{by="command",code="rate_limited"}`;

const errorOf = (answer: Record<string, unknown>): { code?: string; retry?: number } =>
  typeof answer.error === "object" && answer.error !== null ? answer.error : {};

const handshake = (server: TestServer, headers: Record<string, string> = {}, path = "/ws") =>
  ask(server.host, { path, headers: { ...HANDSHAKE, ...headers } });

async function post(
  server: TestServer,
  msg: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; retry: string | null; code?: string }> {
  const body = new URLSearchParams({ msg });
  const response = await fetch(`${server.url}/send/`, { method: "POST", body, headers });
  const { code } = await response.json();
  return { status: response.status, retry: response.headers.get("retry-after"), code };
}

Deno.test("M9: a burst of publications comes at once, the next is refused with its retry, and so is all until that is over", async () => {
  await using server = await startServer({ limits: { rate: 5, burst: 15 } });
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "room:a" });
  const publish = (key: string) => client.ask("publish", { channel: "room:a", data: key, key });
  const answers = await Promise.all(Array.from({ length: 17 }, (_, i) => publish(`k${i}`)));
  const refused = answers.map((answer) => errorOf(answer).code);
  assertEquals(refused.slice(0, 15).every((code) => code === undefined), true);
  assertEquals(refused.slice(15), ["rate_limited", "rate_limited"]);
  const { retry = 0 } = errorOf(answers[15] ?? {});
  // Five publications' worth: a second, of which little is over.
  assertGreater(retry, 500);
  assertLess(retry, 1001);
  // One token has been earned by then, and still nothing gets ahead of what was refused; a repeat isn't refused.
  await pause(300);
  assertEquals(errorOf(await publish("k17")).code, "rate_limited");
  assertEquals("publish" in await publish("k3"), true);
  await pause(retry);
  const later = await Promise.all(["k15", "k16", "k17", "k18", "k19"].map(publish));
  assertEquals(later.map((answer) => errorOf(answer).code), Array.from({ length: 5 }));
  const { messages } = await client.do("history", { channel: "room:a", limit: 200 });
  const keys = Array.isArray(messages) ? messages.map(({ key }) => key) : [];
  assertEquals(keys, Array.from({ length: 20 }, (_, i) => `k${i}`));
});

Deno.test("repeats don't count, before the first one is on disk either", async () => {
  await using server = await startServer({ limits: { rate: 1, burst: 3 } });
  await using client = await NativeClient.open(server);
  const repeats = await Promise.all(
    Array.from(
      { length: 100 },
      () => client.ask("publish", { channel: "room:a", data: 1, key: "same" }),
    ),
  );
  assertEquals(repeats.filter((answer) => "publish" in answer).length, 100);
  const others = await Promise.all(
    [1, 2, 3].map((key) =>
      client.ask("publish", { channel: "room:a", data: 1, key: `other${key}` })
    ),
  );
  assertEquals(others.map((answer) => "publish" in answer), [true, true, false]);
});

Deno.test("the forms of the first protocol are refused with 429 and Retry-After, by account, and by address where there is none", async () => {
  await using server = await startServer({
    limits: { rate: 1, burst: 3 },
    trustProxy: true,
    open: true,
  });
  const nobody = { "x-forwarded-for": "192.0.2.1" };
  const cookie = await cookieOf(server, "/to_chat/", nobody);
  const own = { ...nobody, cookie };
  for (let i = 0; i < 3; i++) assertEquals((await post(server, "x", own)).status, 200);
  const refused = await post(server, "x", own);
  assertEquals([refused.status, refused.code], [429, "rate_limited"]);
  assertGreater(Number(refused.retry), 0);
  for (let i = 0; i < 3; i++) assertEquals((await post(server, "x", nobody)).status, 200);
  assertEquals((await post(server, "x", nobody)).status, 429);
  assertEquals((await post(server, "x", { "x-forwarded-for": "192.0.2.2" })).status, 200);
});

Deno.test("an account's limit holds tenfold for its address, whatever accounts it takes", async () => {
  await using server = await startServer({ limits: { rate: 1, burst: 2 }, trustProxy: true });
  const header = { "x-forwarded-for": "2001:db8::1" };
  let taken = 0;
  const began = performance.now();
  for (let i = 0; i < 25; i++) {
    await using client = await NativeClient.open(server, header);
    for (const data of [1, 2]) {
      if ("publish" in await client.ask("publish", { channel: "room:a", data })) taken += 1;
    }
  }
  assertGreater(taken, 19);
  // Ten a second come back while this runs.
  assertLess(taken, 21 + 10 * (performance.now() - began) / 1000);
});

Deno.test("H7: connections in all, of an address and of an account are refused before the upgrade, and come in once there is room", async () => {
  const cases = [
    [{ connections: 2 }, 503, "unavailable"],
    [{ perAddress: 2 }, 429, "rate_limited"],
    [{ perAccount: 2 }, 429, "rate_limited"],
  ] as const;
  for (const [limits, status, code] of cases) {
    await using server = await startServer({ limits, trustProxy: true });
    const from = { "x-forwarded-for": "192.0.2.1" };
    const headers = { ...from, cookie: await cookieOf(server, "/to_chat/", from) };
    const first = await NativeClient.open(server, headers);
    await using _second = await NativeClient.open(server, headers);
    for (const path of ["/ws", "/chat/", "/link/"]) {
      const refused = await handshake(server, headers, path);
      assertEquals([refused.status, JSON.parse(refused.body).code], [status, code], path);
      assertGreater(Number(refused.headers.get("retry-after")), 0);
    }
    await first[Symbol.asyncDispose]();
    await using back = await NativeClient.open(server, headers);
    await back.do("ping", {});
  }
});

Deno.test("F4: a socket that we closed and whose client doesn't go is counted until it does", async () => {
  await using server = await startServer({ limits: { connections: 1 } });
  using stays = await connect(server.host);
  const handshaken = written(server.host, { path: "/ws", headers: HANDSHAKE });
  // A binary frame: closed with 1003, which is never answered.
  const binary = new Uint8Array([0x82, 0x81, 0, 0, 0, 0, 7]);
  await sendAll(stays, new TextEncoder().encode(handshaken));
  await stays.read(new Uint8Array(4096));
  await sendAll(stays, binary);
  const bytes: number[] = [];
  const some = new Uint8Array(1024);
  while (closeCodeIn(new Uint8Array(bytes)) === undefined) {
    const count = await stays.read(some);
    if (count === null) throw new Error("The socket ended without a close frame");
    bytes.push(...some.subarray(0, count));
  }
  assertEquals(closeCodeIn(new Uint8Array(bytes)), 1003);
  assertEquals((await handshake(server)).status, 503);
  // What it says now is heard by nobody, and ends it.
  const text = new TextEncoder().encode('{"id":1,"publish":{"channel":"room:a","data":1}}');
  await sendAll(stays, new Uint8Array([0x81, 0x80 | text.length, 0, 0, 0, 0, ...text]));
  for (let tries = 0; (await handshake(server)).status !== 101; tries++) {
    assertLess(tries, 100);
    await pause(20);
  }
  await using reader = await opened(server);
  const { messages } = await reader.do("history", { channel: "room:a" });
  assertEquals(messages, []);
});

// The handshake that was tried last may not be gone yet.
async function opened(server: TestServer): Promise<NativeClient> {
  for (;;) {
    const client = await NativeClient.open(server).catch(() => undefined);
    if (client !== undefined) return client;
    await pause(20);
  }
}

Deno.test("a client that goes during its handshake doesn't hold its place for long", async () => {
  await using server = await startServer({ limits: { connections: 1 } });
  for (let i = 0; i < 5; i++) {
    using gone = await connect(server.host);
    await sendAll(
      gone,
      new TextEncoder().encode(written(server.host, { path: "/ws", headers: HANDSHAKE })),
    );
  }
  const begun = performance.now();
  await using client = await opened(server);
  await client.do("ping", {});
  assertLess(performance.now() - begun, 8000);
});

Deno.test("of many handshakes at once so many are answered as may be open, the others are told to come back", async () => {
  await using server = await startServer({ limits: { handshakes: 2 } });
  const answers = await Promise.all(Array.from({ length: 40 }, () => handshake(server)));
  const count = (status: number) => answers.filter((answer) => answer.status === status).length;
  assertEquals(count(101) + count(503), 40);
  assertGreater(count(101), 1);
  assertGreater(count(503), 0);
  for (let i = 0; i < 10; i++) assertEquals((await handshake(server)).status, 101);
});

Deno.test("an address brings so many accounts a minute into being; those beyond read, and write when it is their turn", async () => {
  await using server = await startServer({ limits: { newAccounts: 3 }, trustProxy: true });
  const header = { "x-forwarded-for": "2001:db8::1" };
  for (let i = 0; i < 3; i++) {
    await using client = await NativeClient.open(server, header);
    await client.do("publish", { channel: "room:a", data: i });
  }
  await using late = await NativeClient.open(server, header);
  const { messages } = await late.do("subscribe", { channel: "room:a", history: 10 });
  assertEquals(Array.isArray(messages) && messages.length, 3);
  const tries = [
    await late.ask("publish", { channel: "room:a", data: 3 }),
    await late.ask("rename", { name: "Eve" }),
  ].map(errorOf);
  for (const { code, retry = 0 } of tries) {
    assertEquals([code, retry > 10_000], ["rate_limited", true]);
  }
  await using other = await NativeClient.open(server, { "x-forwarded-for": "2001:db8:0:1::1" });
  await other.do("publish", { channel: "room:a", data: 3 });
});

Deno.test("commands a second, publications aside: the next is refused with its retry", async () => {
  await using server = await startServer({ limits: { commands: 10 } });
  await using client = await NativeClient.open(server);
  const pings = await Promise.all(Array.from({ length: 40 }, () => client.ask("ping", {})));
  const refused = pings.filter((answer) => errorOf(answer).code === "rate_limited");
  assertGreater(refused.length, 5);
  assertLess(refused.length, 11);
  const { retry = 0 } = errorOf(refused[0] ?? {});
  assertGreater(retry, 0);
  const publications = await Promise.all(
    Array.from({ length: 40 }, (_, data) => client.ask("publish", { channel: "room:a", data })),
  );
  assertEquals(publications.every((answer) => "publish" in answer), true);
  await pause(2 * retry);
  await client.do("ping", {});
});

Deno.test("channels and names have the length that was asked for", async () => {
  await using server = await startServer({ limits: { channels: 2, name: 5 } });
  await using client = await NativeClient.open(server);
  const { limits } = await client.do("hello", { name: "Grace" });
  assertEquals([Reflect.get(Object(limits), "channels"), Reflect.get(Object(limits), "name")], [
    2,
    5,
  ]);
  assertEquals(errorOf(await client.ask("rename", { name: "Graces" })).code, "bad_request");
  for (const channel of ["room:a", "room:b"]) await client.do("subscribe", { channel });
  assertEquals(errorOf(await client.ask("subscribe", { channel: "room:c" })).code, "bad_request");
  await using greedy = await NativeClient.open(server);
  assertEquals(errorOf(await greedy.ask("hello", { name: "Graces" })).code, "bad_request");
});

Deno.test("M9: whoever goes on at more than ten times the rate for ten seconds is closed with 1008, slower ones aren't", async () => {
  for (const [each, closes] of [[21, true], [20, false]] as const) {
    const folder = memoryFolder();
    const world = await World.open(folder, { rate: 2, commands: 1 });
    const { socket, session } = world.connect("ada");
    for (let second = 0; second < 12; second++) {
      world.now = second * 1000;
      // Three are taken at once, then one a second: so many are refused.
      const taken = second === 0 ? 3 : 1;
      for (let i = 0; i < each + taken; i++) session.receive('{"id":1,"ping":{}}');
      await world.settle();
      socket.read();
    }
    assertEquals(socket.closed, closes ? 1008 : undefined, `${each} a second`);
    assertEquals(world.edge.counters.get("banned_total"), closes ? 1 : 0);
    assertGreater(world.edge.counters.get(RATE_LIMITED), 10 * each - 1);
    world.close();
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a first client's socket counts as one too", async () => {
  await using server = await startServer({ limits: { connections: 1 } });
  await using _chat = await TestSocket.open(`ws://${server.host}/chat/`);
  assertEquals((await handshake(server, {}, "/link/")).status, 503);
});

Deno.test("quotas: each has a flag and a default; without a rate, commands aren't counted either, unless it is said", () => {
  const limitsOf = (args: string[]) => {
    const config = readConfig(args, () => undefined);
    if (typeof config === "string") throw new Error("No configuration");
    return config.limits;
  };
  assertEquals(limitsOf([]), DEFAULT_LIMITS);
  const { rate, burst, commands } = limitsOf(["--rate", "7"]);
  assertEquals([rate, burst, commands], [7, 21, 70]);
  assertEquals(limitsOf(["--rate", "0"]), { ...DEFAULT_LIMITS, rate: 0, burst: 0, commands: 0 });
  assertEquals(limitsOf(["--rate", "0", "--max-commands", "9"]).commands, 9);
  assertEquals(limitsOf(["--max-per-address", "0"]).perAccount, 0);
  assertEquals(limitsOf(["--max-per-address", "7"]).perAccount, 7);
  assertEquals(limitsOf(["--max-per-account", "3"]), { ...DEFAULT_LIMITS, perAccount: 3 });
  const flags = [
    "max-connections",
    "max-handshakes",
    "max-new-accounts",
    "max-channels",
    "max-name",
    "max-signals",
    "max-repeats",
    "max-refusals",
  ];
  const set = limitsOf(flags.flatMap((flag, i) => [`--${flag}`, String(i + 1)]));
  const { connections, handshakes, newAccounts, channels, name } = set;
  const { signals, repeats, refusals } = set;
  assertEquals([connections, handshakes, newAccounts, channels, name], [1, 2, 3, 4, 5]);
  assertEquals([signals, repeats, refusals], [6, 7, 8]);
});

Deno.test("M13: refused requests have a rate, of an account, of an address without one, and tenfold of an address; probes and metrics answer", async () => {
  await using server = await startServer({ limits: { refusals: 1 }, trustProxy: true });
  const statusOf = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(server.url + path, { headers });
    await response.body?.cancel();
    const { status } = response;
    if (status === 429) assertEquals(response.headers.get("retry-after"), "1");
    // Each refusal has a name, whether it gets a line of its own in the log or not.
    assertEquals(response.headers.has("x-request-id"), status >= 400);
    return status;
  };
  const refused = async (count: number, headers: Record<string, string>) => {
    const statuses: number[] = [];
    for (let i = 0; i < count; i++) statuses.push(await statusOf("/api/nothing", headers));
    return statuses.filter((status) => status === 404).length;
  };
  const first = { "x-forwarded-for": "192.0.2.1" };
  const cookie = await cookieOf(server, "/to_chat/", first);
  await accountOf(server, cookie, first);
  // Ten seconds' worth may come at once.
  assertEquals(await refused(12, first), 10);
  for (const path of ["/to_chat/", "/api/me", "/openapi.yaml"]) {
    assertEquals(await statusOf(path, first), 429, path);
  }
  // An account has a rate of its own.
  assertEquals(await statusOf("/api/me", { ...first, cookie }), 200);
  for (const path of ["/healthz", "/readyz"]) assertEquals(await statusOf(path, first), 200, path);
  assertEquals(await statusOf("/metrics", first), 401);
  assertEquals(await refused(12, { "x-forwarded-for": "192.0.2.2" }), 10);
});

Deno.test("M13: a signal counts as one for each 4 KiB that it has begun", async () => {
  const folder = memoryFolder();
  const world = await World.open(folder, { signals: 2 });
  const { socket, session } = world.connect("ada");
  const refusedOf = async (size: number, count: number) => {
    const data = "x".repeat(size - 2);
    for (let i = 0; i < count; i++) {
      session.receive(JSON.stringify({ id: i + 1, signal: { channel: "room:a", data } }));
    }
    await world.settle();
    return socket.read().join("\n").split("\n").filter((line) => line.includes("rate_limited"))
      .length;
  };
  assertEquals(await refusedOf(4096, 7), 1);
  world.now += 3000;
  assertEquals(await refusedOf(4097, 4), 1);
  // One that is larger than a burst passes when nothing else was counted.
  world.now += 3000;
  assertEquals(await refusedOf(65_000, 2), 1);
  world.now += 3000;
  assertEquals(await refusedOf(1000, 1), 1);
  world.close();
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("M13: a connection that is being closed answers no more large signals", async () => {
  const folder = memoryFolder();
  const world = await World.open(folder, { signals: 1 });
  const { connection, socket, session } = world.connect("ada");
  const signal = (id: number) =>
    JSON.stringify({ id, signal: { channel: "room:a", data: "x".repeat(20_000) } });
  session.receive(signal(1));
  session.receive(signal(2));
  await world.settle();
  assert(socket.read().join().includes("rate_limited"));
  session.receive('{"id":3,"publish":{"channel":"room:a","data":1}}');
  connection.close(1008, "Enough");
  assertEquals(connection.closing, true);
  session.receive(signal(4));
  await world.settle();
  const told = socket.read().join("\n");
  assert(told.includes('"id":3'));
  assert(!told.includes('"id":4'), told);
  world.close();
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("M13: whoever goes on over one of these rates for ten seconds on end is closed with 1008", async () => {
  const kinds = [
    [{ signals: 1 }, '{"id":1,"signal":{"channel":"room:a","data":1}}', 3],
    [{ repeats: 1 }, '{"id":1,"publish":{"channel":"room:a","data":1,"key":"k"}}', 3],
    [{ refusals: 1 }, '{"id":1,"history":{"channel":"dm:bob~eve"}}', 10],
  ] as const;
  for (const [limits, line, burst] of kinds) {
    for (const paused of [false, true]) {
      const folder = memoryFolder();
      const world = await World.open(folder, limits);
      const { socket, session } = world.connect("ada");
      for (let second = 0; second < 12; second++) {
        world.now = second * 1000;
        const count = paused && second === 6 ? 0 : second === 0 ? burst + 2 : 4;
        for (let i = 0; i < count; i++) session.receive(line);
        await world.settle();
        socket.read();
      }
      const what = `${line}${paused ? ", with a pause" : ""}`;
      assertEquals(socket.closed, paused ? undefined : 1008, what);
      assertGreater(world.edge.counters.get(RATE_LIMITED), 9);
      world.close();
      Deno.removeSync(folder, { recursive: true });
    }
  }
});

Deno.test("M13: the 256 unanswered of an outbox pass again after a reconnect; far more repeats are told when to go on", async () => {
  const { repeats } = DEFAULT_LIMITS;
  await using server = await startServer({ limits: { repeats } });
  const headers = { cookie: await cookieOf(server) };
  const refusedOf = async () => {
    await using client = await NativeClient.open(server, headers);
    const asked = Array.from(
      { length: 256 },
      (_, i) => client.ask("publish", { channel: "room:a", data: i, key: `k${i}` }),
    );
    return (await Promise.all(asked)).map(errorOf).filter(({ code }) => code !== undefined);
  };
  for (const round of [1, 2, 3]) assertEquals(await refusedOf(), [], `${round}`);
  let refused: Awaited<ReturnType<typeof refusedOf>> = [];
  for (let round = 4; refused.length === 0; round++) {
    assertLess(round, 50);
    refused = await refusedOf();
  }
  for (const error of refused) {
    assertEquals([error.code, Object.keys(error)], ["rate_limited", ["code", "message", "retry"]]);
  }
});

Deno.test("M13: a first client that greets again and again isn't given the list over the rate", async () => {
  await using server = await startServer({ limits: { refusals: 0.1 } });
  const cookie = await cookieOf(server);
  await using chat = await TestSocket.open(`ws://${server.host}/chat/`, { headers: { cookie } });
  // The account in the list; undefined where a message comes first.
  const greeted = async (): Promise<string | undefined> => {
    for (;;) {
      const { userid, type } = JSON.parse(await chat.next());
      if (userid !== undefined || type === 1) return userid;
    }
  };
  chat.send("test");
  const userfrom = await greeted() ?? "";
  for (let i = 0; i < 5; i++) chat.send("test");
  const body = new URLSearchParams({ type: "1", txt: "behind them", userfrom, userto: "" });
  const said = await fetch(`${server.url}/msg_send/`, {
    method: "POST",
    body,
    headers: { cookie },
  });
  assertEquals([said.status, await said.json()], [200, { msg: "success" }]);
  // One is let through at once, and another every ten seconds.
  assertEquals([await greeted(), await greeted()], [userfrom, undefined]);
});
