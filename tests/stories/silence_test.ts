/** A silent network (threats.md L10): nothing is closed, nothing comes, and what is sent is taken by nobody. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { pause } from "../helpers/child_server.ts";
import { RawWebSocket } from "../helpers/raw_websocket.ts";
import { cookieOf, NativeClient, startServer, type TestServer } from "../helpers/server.ts";

const GONE = 45_000;
const PRESENCE = 60_000;
const LARGE = "x".repeat(60_000);
// Together more than what the network between two programs of a machine holds.
const FLOOD = 200;

/** What Linux holds of what the server sent to a client that doesn't read, on both sides, in bytes. */
function heldFor(client: number, server: number): number {
  const rows = Deno.readTextFileSync("/proc/net/tcp").trim().split("\n").map((line) =>
    line.trim().split(/\s+/)
  );
  const queues = (from: number, to: number) => {
    const address = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const row = rows.find(([, local, remote]) =>
      local?.endsWith(address(from)) && remote?.endsWith(address(to))
    );
    return (row?.[4] ?? "0:0").split(":").map((hex) => parseInt(hex, 16));
  };
  return (queues(server, client)[0] ?? 0) + (queues(client, server)[1] ?? 0);
}

/** A member of the room that says nothing more once it is there, nor reads, nor closes. */
async function silentMember(server: TestServer, channels: readonly string[]) {
  const cookie = await cookieOf(server);
  const socket = await RawWebSocket.open(Number(server.host.split(":")[1]), cookie);
  for (const [i, channel] of channels.entries()) {
    await socket.send(JSON.stringify({ id: i + 1, subscribe: { channel } }));
    await socket.read(() => {});
  }
  return socket;
}

/** A reader of a stream that doesn't read on. */
async function silentReader({ host }: TestServer, path: string): Promise<Deno.TcpConn> {
  const [hostname = "", port] = host.split(":");
  const conn = await Deno.connect({ hostname, port: Number(port) });
  await conn.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  await conn.read(new Uint8Array(4096));
  return conn;
}

/** Publishes until a client is so full that the server keeps something of it itself: less than a connection may have unsent. */
async function fill(writer: NativeClient, channel: string, client: number, server: number) {
  const before = heldFor(client, server);
  for (let sent = 0;;) {
    await writer.do("publish", { channel, data: LARGE });
    sent += LARGE.length;
    // What the system takes it takes soon.
    for (let look = 0; heldFor(client, server) - before < sent; look++) {
      if (look === 50) return;
      await pause(10);
    }
  }
}

async function gauges(server: TestServer): Promise<Record<string, number>> {
  const text = await fetch(`${server.url}/metrics`).then((response) => response.text());
  const found = text.matchAll(/^fanfare_(\w+) (\d+)$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

/** Has clients of each kind fall silent, and waits until all are gone. */
async function fallSilent(workers: number): Promise<void> {
  await using server = await startServer({ workers });
  const port = Number(server.host.split(":")[1]);
  await using writer = await NativeClient.open(server);
  await using witness = await NativeClient.open(server);
  await writer.do("ping", {});
  using idle = await silentMember(server, ["room:a"]);
  using flooded = await silentMember(server, ["room:a", "push:flood"]);
  using little = await silentMember(server, ["room:a", "push:little"]);
  using events = await silentReader(server, "/events?channel=push:flood");
  using lines = await silentReader(server, "/push/flood/json");
  const told = await witness.do("subscribe", { channel: "room:a", presence: true });
  assertEquals(Reflect.get(Object(told.presence), "count"), 4);
  await fill(writer, "push:little", little.port, port);
  for (let i = 0; i < FLOOD; i++) {
    await writer.do("publish", { channel: "push:flood", data: LARGE });
  }
  const silent = performance.now();
  const elapsed = () => performance.now() - silent;
  while (Number((await witness.do("presence", { channel: "room:a" })).count) > 1) {
    assertLess(elapsed(), PRESENCE);
    await pause(200);
  }
  // Whoever went is taken from the list two seconds later.
  assertLess(elapsed(), GONE + 2500);
  let now = await gauges(server);
  while (now.connections !== 2) {
    assertLess(elapsed(), GONE + 2500, JSON.stringify(now));
    await pause(200);
    now = await gauges(server);
  }
  // By the ping that wasn't answered, or since nothing was taken: that depends on what the system still held. Streams have
  // no pings.
  const { stuck_sockets = 0, silent_closed_total = 0, slow_closed_total = 0 } = now;
  assertEquals(silent_closed_total + slow_closed_total, 5);
  assertGreater(silent_closed_total, 0);
  assertGreater(slow_closed_total, 1);
  // Nobody can take a socket from the runtime that its client doesn't take: it is counted until it goes (F4).
  assertLess(stuck_sockets, 3);
  for (const one of [idle, flooded, little]) one[Symbol.dispose]();
  for (const one of [events, lines]) one.close();
  while ((await gauges(server)).stuck_sockets !== 0) await pause(200);
}

Deno.test("L10: whoever falls silent is gone within 45 s, with and without something unsent, on sockets and streams", async () => {
  await Promise.all([fallSilent(0), fallSilent(1)]);
});
