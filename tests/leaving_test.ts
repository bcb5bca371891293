/** The end in order, of the real program under load (hostile.md L8): nothing that was accepted goes unanswered, nobody is cut. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { cookieFrom, pause, spawnServer, within } from "./helpers/child_server.ts";
import { ask, HANDSHAKE } from "./helpers/raw_http.ts";
import { RawWebSocket } from "./helpers/raw_websocket.ts";
import { NativeClient, TestSocket } from "./helpers/server.ts";

// So many milliseconds the goodbyes of one isolate are spread over at most.
const CROWD = 800;
const WINDOW = 16;
const CHANNEL = "room:a";
const END = 10_000;

const open = (port: number) =>
  TestSocket.open(`ws://127.0.0.1:${port}/ws`, { protocols: ["fanfare.v1"] });

/** Publishes as fast as it is answered until it is closed, and tells the keys of what was acknowledged. */
async function write(port: number, name: string): Promise<string[]> {
  const socket = await open(port);
  const acknowledged: string[] = [];
  for (let sent = 0;;) {
    while (sent - acknowledged.length < WINDOW) {
      const publish = { channel: CHANNEL, data: name, key: `${name}-${++sent}` };
      socket.send(JSON.stringify({ id: sent, publish }));
    }
    const frame = await Promise.race([socket.next(), socket.closed]);
    if (typeof frame === "number") break;
    for (const line of frame.split("\n").map((text) => JSON.parse(text))) {
      if ("publish" in line) acknowledged.push(`${name}-${line.id}`);
      else if (!("closing" in line)) throw new Error(`Told ${JSON.stringify(line)}`);
    }
  }
  assertEquals(socket.frames.at(-1)?.includes('"closing"'), true);
  assertEquals(await socket.closed, 1001);
  return acknowledged;
}

/** All keys in the log, from the disk. */
async function kept(data: string): Promise<string[]> {
  await using server = await spawnServer({ data });
  const port = await server.listening;
  await using client = await NativeClient.open({ host: `127.0.0.1:${port}` });
  const keys: string[] = [];
  for (let [after, more] = [0, true]; more;) {
    const page = await client.do("history", { channel: CHANNEL, after, limit: 200 });
    const messages: { seq: number; key: string }[] = Array.isArray(page.messages)
      ? page.messages
      : [];
    keys.push(...messages.map(({ key }) => key));
    [after, more] = [messages.at(-1)?.seq ?? after, page.more === true];
  }
  return keys;
}

/** What newcomers are told while it leaves. */
async function assertRefuses(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  while ((await statusOf(`${url}/readyz`)) !== 503) await pause(5);
  assertEquals(await statusOf(`${url}/healthz`), 200);
  assertEquals(await statusOf(`${url}/send/`, { method: "POST", body: "msg=late" }), 503);
  assertEquals(await statusOf(`${url}/events?channel=push:all`), 503);
  const { status, headers } = await ask(`127.0.0.1:${port}`, { path: "/ws", headers: HANDSHAKE });
  assertEquals([status, Number(headers.get("retry-after")) > 0], [503, true]);
}

async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const { status, body } = await fetch(url, init);
  await body?.cancel();
  return status;
}

for (const workers of [0, 2]) {
  Deno.test(`L8: SIGTERM under load: what was accepted is acknowledged, all hear 1001 one after the other, and it ends with 0 (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({
      data,
      flags: ["--workers", String(workers)],
      env: { FANFARE_MAX_PER_ACCOUNT: "0" },
    });
    const port = await server.listening;
    const crowd: TestSocket[] = [];
    while (crowd.length < CROWD) {
      crowd.push(...await Promise.all(Array.from({ length: 50 }, () => open(port))));
    }
    const times: number[] = [];
    const codes = crowd.map(({ closed }) =>
      closed.then((code) => {
        times.push(performance.now());
        return code;
      })
    );
    const writers = ["Ada", "Bob", "Cyd", "Dan"].map((name) => write(port, name));
    await pause(500);
    const begun = performance.now();
    server.signal("SIGTERM");
    await assertRefuses(port);
    const { code } = await within(server.ended, END, "its end");
    assertEquals(code, 0);
    assertLess(performance.now() - begun, END);
    assertEquals(new Set(await Promise.all(codes)), new Set([1001]));
    for (const { frames } of crowd) assertEquals(frames.at(-1)?.includes('"closing"'), true);
    assertGreater((times.at(-1) ?? 0) - (times[0] ?? 0), CROWD / Math.max(1, workers) / 2);
    const acknowledged = (await Promise.all(writers)).flat();
    assertGreater(acknowledged.length, 500);
    assertEquals((await kept(data)).sort(), acknowledged.sort());
    assertEquals(server.troubles, []);
    await Deno.remove(data, { recursive: true });
  });

  Deno.test(`L8: a second signal ends it at once (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({ data, flags: ["--workers", String(workers)] });
    const port = await server.listening;
    using _stays = await owing(port);
    server.signal("SIGTERM");
    await assertRefuses(port);
    // What comes within half a second may be the first one's echo.
    await pause(600);
    const begun = performance.now();
    server.signal("SIGTERM");
    const { code } = await within(server.ended, END, "its end");
    assertEquals(code, 1);
    assertLess(performance.now() - begun, 500);
    await Deno.remove(data, { recursive: true });
  });
}

// A client that doesn't read what it is owed: it is waited for, a second and a half.
async function owing(port: number): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(port, await cookieFrom(`http://127.0.0.1:${port}/`));
  await using writer = await NativeClient.open({ host: `127.0.0.1:${port}` });
  const text = "x".repeat(60_000);
  for (let i = 0; i < 20; i++) await writer.do("publish", { channel: CHANNEL, data: text });
  for (let id = 1; id <= 200; id++) {
    await socket.send(JSON.stringify({ id, history: { channel: CHANNEL, limit: 200 } }));
  }
  await writer.do("ping", {});
  return socket;
}
