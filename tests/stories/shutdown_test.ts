/** The end in order, of the real program under load (threats.md L8): nothing that was accepted goes unanswered, nobody is cut. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { cookieFrom, pause, spawnServer, within } from "../helpers/child_server.ts";
import { ask, HANDSHAKE } from "../helpers/raw_http.ts";
import { RawWebSocket } from "../helpers/raw_websocket.ts";
import { NativeClient, type TestSocket } from "../helpers/server.ts";
import { keysKept, openNative, write } from "../helpers/writing.ts";

// So many milliseconds the goodbyes of one isolate are spread over at most.
const CROWD = 800;
const END = 10_000;

/** What newcomers are told while it leaves. */
async function assertRefuses(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  while ((await statusOf(`${url}/readyz`)) !== 503) await pause(5);
  const handshake = ask(`127.0.0.1:${port}`, { path: "/ws", headers: HANDSHAKE });
  const statuses = await Promise.all([
    statusOf(`${url}/healthz`),
    statusOf(`${url}/send/`, {
      method: "POST",
      body: new URLSearchParams({ msg: "late" }),
    }),
    statusOf(`${url}/events?channel=push:all`),
    handshake.then(({ status }) => status),
  ]);
  assertEquals(statuses, [200, 503, 503, 503]);
  assertGreater(Number((await handshake).headers.get("retry-after")), 0);
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
      crowd.push(...await Promise.all(Array.from({ length: 50 }, () => openNative(port))));
    }
    const times: number[] = [];
    const codes = crowd.map(({ closed }) =>
      closed.then((code) => {
        times.push(performance.now());
        return code;
      })
    );
    using _stays = await owing(port);
    let told = 0;
    const writers = ["Ada", "Bob", "Cyd", "Dan"].map((name) => write(port, name, () => told++));
    while (told <= 600) await pause(10);
    const begun = performance.now();
    server.signal("SIGTERM");
    await assertRefuses(port);
    const { code } = await within(server.ended, END, "its end");
    assertEquals(code, 0);
    assertLess(performance.now() - begun, END);
    assertEquals(new Set(await Promise.all(codes)), new Set([1001]));
    for (const { frames } of crowd) assertEquals(frames.at(-1)?.includes('"closing"'), true);
    assertGreater((times.at(-1) ?? 0) - (times[0] ?? 0), CROWD / Math.max(1, workers) / 2);
    const written = await Promise.all(writers);
    // They are told as well; what they go on sending may end their sockets before the close frame is read.
    for (const { last } of written) assertEquals(last?.includes('"closing"'), true);
    const acknowledged = written.flatMap(({ keys }) => keys);
    assertGreater(acknowledged.length, 500);
    assertEquals((await keysKept(data)).sort(), acknowledged.sort());
    assertEquals(server.troubles, []);
    await Deno.remove(data, { recursive: true });
  });

  Deno.test(`L8: a second signal ends it at once (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({ data, flags: ["--workers", String(workers)] });
    const port = await server.listening;
    using _stays = await owing(port);
    const leaving = new Promise<void>((resolve) => {
      server.onLog = ({ message }) => message === "server.leaving" && resolve();
    });
    server.signal("SIGTERM");
    await leaving;
    // What comes within half a second may be the first one's echo.
    await pause(550);
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
  const channel = "room:owed";
  const socket = await RawWebSocket.open(port, await cookieFrom(`http://127.0.0.1:${port}/`));
  await using writer = await NativeClient.open({ host: `127.0.0.1:${port}` });
  const text = "x".repeat(60_000);
  for (let i = 0; i < 20; i++) await writer.do("publish", { channel, data: text });
  for (let id = 1; id <= 200; id++) {
    await socket.send(JSON.stringify({ id, history: { channel, limit: 200 } }));
  }
  const slow = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return /^fanfare_slow_readers 1$/m.test(text);
  };
  while (!await slow()) await pause(50);
  return socket;
}
