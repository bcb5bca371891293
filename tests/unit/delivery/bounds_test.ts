/** What one client does stays within bounds, and the answers of a connection and its live part fit together. */
import { assertEquals, assertLess } from "@std/assert";
import { Access } from "../../../lib/auth/access.ts";
import { Connection, NO_PROGRESS } from "../../../lib/delivery/connection.ts";
import { UNSENT } from "../../../lib/delivery/send_budget.ts";
import { decode, native } from "../../../lib/codecs/native.ts";
import { NativeSession } from "../../../lib/sessions/native.ts";
import { Log } from "../../../lib/store/writer.ts";
import { PAGE_BYTES, Reader } from "../../../lib/store/reader.ts";
import { Presence } from "../../../lib/core/presence.ts";
import { ROSTER_SIZE } from "../../../lib/protocol/presence.ts";
import { memoryFolder, tempFolder } from "../../helpers/log.ts";
import { cookieOf, NativeClient, startServer, TestSocket } from "../../helpers/server.ts";
import { FakeSocket, turn, until, World } from "../../helpers/world.ts";

async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const folder = memoryFolder();
  const world = await World.open(folder);
  try {
    await run(world);
  } finally {
    world.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

const linesOf = (socket: FakeSocket): Record<string, Record<string, unknown>>[] =>
  socket.read().flatMap((frame) => frame.split("\n")).map((line) => JSON.parse(line));

const send = (wire: Pick<ReturnType<World["connect"]>, "session">, ...commands: object[]) =>
  wire.session.receive(commands.map((command) => JSON.stringify(command)).join("\n"));

Deno.test("with dm:* and dm:A.B on one connection what the answer brings doesn't come again", async () => {
  await withWorld(async (world) => {
    const ada = world.connect("ada");
    send(ada, { id: 1, subscribe: { channel: "dm:*" } });
    await world.settle();
    send(ada, { id: 2, publish: { channel: "dm:ada.ada", data: 1 } }, {
      id: 3,
      subscribe: { channel: "dm:ada.ada", history: 10, presence: true },
    });
    await world.settle();
    const lines = linesOf(ada.socket);
    const answer = lines.find(({ id }) => Number(id) === 3)?.subscribe;
    const live = lines.filter((line) => "message" in line).map(({ message }) => message?.seq);
    assertEquals(live.length, 1);
    assertLess(Number(answer?.seq), Number(live[0]));
  });
});

Deno.test("a connection that was quiet for long begins a subscription now, not where it fell quiet", async () => {
  await withWorld(async (world) => {
    const [ada, bob] = [world.connect("ada"), world.connect("bob")];
    send(ada, { id: 1, subscribe: { channel: "room:quiet" } });
    await world.settle();
    for (let id = 1; id <= 5; id++) send(bob, { id, publish: { channel: "room:busy", data: id } });
    await world.settle();
    ada.socket.read();
    send(ada, { id: 2, subscribe: { channel: "room:busy" } });
    await world.settle();
    const [answer, ...rest] = linesOf(ada.socket);
    assertEquals([answer?.subscribe?.seq, rest], [world.log.seq, []]);
  });
});

Deno.test("refusals wait like answers: whoever reads none of them is closed", async () => {
  await withWorld(async (world) => {
    const { socket, session, connection } = world.connect("ada");
    socket.stall();
    const line = JSON.stringify({ id: 1, signal: { channel: "dm:a.b", data: 0 } });
    session.receive(Array.from({ length: 512 }, () => line).join("\n"));
    assertEquals(socket.closed, undefined);
    session.receive(line);
    // They are taken some milliseconds at a time.
    while (!connection.closing) await turn();
    assertEquals([socket.closed, socket.read()], [undefined, []]);
    socket.flow();
    await world.settle();
    assertEquals(socket.closed, 1008);
    const lines = socket.read().flatMap((frame) => frame.split("\n"));
    assertEquals([lines.length, lines.at(-1)?.startsWith('{"closing":')], [513, true]);
  });
});

Deno.test("signals to one who doesn't read are dropped, not collected", async () => {
  await withWorld(async (world) => {
    const [ada, bob] = [world.connect("ada"), world.connect("bob")];
    send(bob, { id: 1, subscribe: { channel: "room:a" } });
    await world.settle();
    bob.socket.read();
    const data = "x".repeat(10_000);
    for (let id = 1; id <= 200; id++) send(ada, { id, signal: { channel: "room:a", data } });
    await world.settle();
    const told = bob.socket.read().reduce((sum, frame) => sum + frame.length, 0);
    assertLess(10_000, told);
    assertLess(told, 3 * UNSENT);
    const refused = linesOf(ada.socket).filter((line) => "error" in line);
    assertLess(50, refused.length);
  });
});

Deno.test("a log that can't be read for a moment refuses, and a client that goes meanwhile harms nobody", async () => {
  await withWorld(async (world) => {
    const [ada, bob] = [world.connect("ada"), world.connect("bob")];
    send(ada, { id: 1, subscribe: { channel: "dm:*" } });
    await world.settle();
    const read = Log.prototype.account;
    Log.prototype.account = () => {
      throw new Error("disk I/O error");
    };
    ada.connection.end();
    send(bob, { id: 1, publish: { channel: "dm:ada.bob", data: 1 } });
    await world.settle();
    Log.prototype.account = read;
    const [refused] = linesOf(bob.socket);
    assertEquals(refused?.error?.code, "unavailable");
    send(bob, { id: 2, publish: { channel: "room:a", data: 1 } });
    await world.settle();
    assertEquals(linesOf(bob.socket).at(-1)?.publish?.channel, "room:a");
  });
});

Deno.test("an error of ours behind a session's record closes its connection, and nobody else's", async () => {
  await withWorld(async (world) => {
    const bob = world.connect("bob");
    const socket = new FakeSocket();
    const connection = new Connection("c0", socket, native, world.edge.hub, "127.0.0.1");
    const who = { account: null, admin: false, session: "ab".repeat(32) };
    const session = new NativeSession(connection, who, world.edge);
    const refusal = Access.prototype.refusal;
    Access.prototype.refusal = () => {
      throw new Error("disk I/O error");
    };
    send({ session }, { id: 1, publish: { channel: "room:a", data: 1 } });
    await world.settle();
    Access.prototype.refusal = refusal;
    await world.settle();
    send(bob, { id: 1, publish: { channel: "room:a", data: 1 } });
    await world.settle();
    assertEquals([socket.closed, bob.socket.closed], [1013, undefined]);
    assertEquals(linesOf(bob.socket).at(-1)?.publish?.channel, "room:a");
    connection.end();
  });
});

Deno.test("a change of presence between the list and its answer is told behind it", async () => {
  await withWorld(async (world) => {
    const [ada, bob] = [world.connect("ada"), world.connect("bob")];
    ada.socket.stall();
    send(ada, { id: 1, subscribe: { channel: "room:a", presence: true } });
    await world.settle();
    world.now += 1000;
    send(bob, { id: 1, subscribe: { channel: "room:a" } });
    await world.settle();
    ada.socket.flow();
    const lines: ReturnType<typeof linesOf> = [];
    await until(() => lines.push(...linesOf(ada.socket)) >= 2);
    assertEquals(lines.map((line) => Object.keys(line)[0]), ["id", "presence"]);
    const versions = [lines[0]?.subscribe?.presence, lines[1]?.presence].map((told) =>
      Object.entries(told ?? {}).find(([name]) => name === "version")?.[1]
    );
    assertEquals(versions, [1, 2]);
  });
});

Deno.test("presence that isn't asked for any more isn't told", async () => {
  await withWorld(async (world) => {
    const [ada, bob] = [world.connect("ada"), world.connect("bob")];
    send(ada, { id: 1, subscribe: { channel: "room:a", presence: true } });
    send(ada, { id: 2, subscribe: { channel: "room:a", presence: false } });
    await world.settle();
    ada.socket.read();
    world.now += 1000;
    send(bob, { id: 1, subscribe: { channel: "room:a" } });
    await world.settle();
    assertEquals(linesOf(ada.socket), []);
  });
});

Deno.test("who reads slowly but steadily isn't closed, who takes nothing for 40 s is", async () => {
  await withWorld(async (world) => {
    const { socket, connection } = world.connect("ada");
    let unsent = 0;
    Object.defineProperty(socket, "bufferedAmount", { get: () => unsent });
    socket.send = (frame) => void (unsent += String(frame).length);
    connection.answer("y".repeat(1_000_000));
    await Promise.resolve();
    const look = async (ms: number, read: number) => {
      world.now += ms;
      unsent -= read;
      await new Promise((resolve) => setTimeout(resolve, 12));
    };
    // Nothing more is due to it: it is looked at all the same.
    for (let second = 0; second < 45; second++) await look(1000, 15_000);
    assertEquals(socket.closed, undefined);
    await look(NO_PROGRESS + 1, 0);
    assertEquals(socket.closed, 4008);
  });
});

Deno.test("of whoever takes nothing of the little that is due, what more is sent is no sign of life (L10)", async () => {
  await withWorld(async (world) => {
    for (const [state, end] of [[WebSocket.OPEN, 41_000], [WebSocket.CLOSING, 11_000]] as const) {
      const { socket, connection } = world.connect("ada");
      let unsent = 0;
      const bufferedAmount = () => socket.readyState === WebSocket.OPEN ? unsent : 0;
      Object.defineProperty(socket, "bufferedAmount", { get: bufferedAmount });
      socket.send = (frame) => void (unsent += String(frame).length);
      const begun = world.now;
      connection.answer("y");
      await Promise.resolve();
      // As the runtime does where a ping isn't answered: it closes, and the close frame isn't taken either.
      socket.readyState = state;
      for (; world.now - begun < end - 1000; world.now += 1000) {
        connection.tell("y");
        await Promise.resolve();
        assertEquals([connection.hasRoom(), connection.open], [true, true]);
      }
      world.now += 1001;
      assertEquals([connection.hasRoom(), connection.open], [false, false]);
    }
  });
});

Deno.test("a frame of lines that are nothing costs only what is looked at", () => {
  let looked = 0;
  for (const command of decode("x\n".repeat(500_000))) {
    assertEquals("refusal" in command, true);
    if (++looked === 100) break;
  }
  assertEquals(looked, 100);
});

Deno.test("blank lines are passed over at once: a megabyte of them holds nobody up", () => {
  const blank = "\n".repeat(524_288) + " \n".repeat(262_143);
  const frame = `${blank}{"id":1,"ping":{}}\n${blank}\n{"id":2,"ping":{}} `;
  // The best of many, since other tests run beside it: one line after the other takes tens of milliseconds each time.
  let least = Infinity;
  for (let i = 0; i < 200 && least >= 8; i++) {
    const begun = performance.now();
    const ids = [...decode(frame)].map(({ id }) => id);
    assertEquals(ids, [1, 2]);
    least = Math.min(least, performance.now() - begun);
  }
  assertLess(least, 8);
});

Deno.test("a page has at most 1 MiB in UTF-8, or one message", () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  const data = JSON.stringify("永".repeat(10_000));
  const record = { kind: "message", channel: "room:a", from: "ada", data, time: 1 } as const;
  log.apply(Array.from({ length: 100 }, (_, i) => ({ ...record, seq: i + 1 })));
  const reader = new Reader(`${folder.path}/log.db`);
  const { messages, more } = reader.after("room:a", 0, 1000, 200);
  const bytes = new TextEncoder().encode(messages.map(({ data }) => data).join("")).length;
  assertEquals(more, true);
  assertLess(bytes, PAGE_BYTES);
  assertLess(PAGE_BYTES - 35_000, bytes);
  reader.close();
  log.close();
});

Deno.test("a list that crosses its cap is asked for anew, in both directions", () => {
  const presence = new Presence();
  for (let i = 0; i < ROSTER_SIZE; i++) presence.join("room:a", `a${i}`, null, `c${i}`, 0);
  presence.take(0);
  presence.join("room:a", "last", null, "last", 0);
  const [over] = presence.take(1000);
  assertEquals([over?.count, over?.joined], [ROSTER_SIZE + 1, undefined]);
  presence.leave("room:a", "a0", "c0", 1000);
  const [under] = presence.take(10_000);
  assertEquals([under?.count, under?.left], [ROSTER_SIZE, undefined]);
});

Deno.test("a native client that asks for nothing older leaves the demo's private messages waiting", async () => {
  await using server = await startServer();
  const cookie = await cookieOf(server);
  const chat = () => TestSocket.open(`ws://${server.host}/chat/`, { headers: { cookie } });
  const first = await chat();
  first.send("test");
  const { userid } = JSON.parse(await first.next());
  await first.close();
  await using ada = await NativeClient.open(server);
  const own = String((await ada.do("hello", {})).account);
  const [a, b] = [own, userid].sort();
  const publish = (text: string) => ada.do("publish", { channel: `dm:${a}.${b}`, data: { text } });
  await publish("waits");
  const native = async (body: object) => {
    await using client = await NativeClient.open(server, { cookie });
    await client.do("subscribe", { channel: "dm:*", ...body });
  };
  await native({});
  {
    await using again = await chat();
    again.send("test");
    await again.until((frame) => frame.includes("waits"));
  }
  await publish("read natively");
  // All that there is was in its page.
  await native({ history: 100 });
  await publish("the end");
  await using last = await chat();
  last.send("test");
  const frames = [await last.until((frame) => frame.includes('"type":1'))];
  while (!frames.at(-1)?.includes("the end")) frames.push(await last.next());
  assertEquals(frames.filter((frame) => frame.includes("waits")), []);
});

Deno.test("a greeting that is refused changes nobody; of two cookies the first that is whole counts; no token in an address", async () => {
  await using server = await startServer();
  const token = (await Deno.readTextFile(`${server.data}/admin.token`)).trim();
  await using client = await NativeClient.open(server);
  const refused = await client.ask("hello", { token, name: "Ada" });
  assertEquals("error" in refused, true);
  const published = await client.ask("publish", { channel: "room:a", data: 1 });
  assertEquals("publish" in published, true);
  await using reader = await NativeClient.open(server);
  const { messages } = await reader.do("history", { channel: "room:a" });
  assertEquals(Array.isArray(messages) && typeof messages[0].from, "string");
  const cookie = await cookieOf(server);
  const [name, ...value] = cookie.split("=");
  const accounts: unknown[] = [];
  for (
    const pairs of [[cookie], [cookie, `${name}=x`], [`${name}=x`, `${name}=${value.join("=")}`]]
  ) {
    await using other = await NativeClient.open(server, { cookie: pairs.join("; ") });
    accounts.push((await other.do("hello", {})).account);
  }
  assertEquals(new Set(accounts).size, 1);
  for (const path of ["/readyz?token=x", "/to_chat/?a=1&access_token=x"]) {
    const response = await fetch(server.url + path);
    await response.body?.cancel();
    assertEquals(response.status, 401);
  }
});

Deno.test("a key has up to 128 characters, however many units they take", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  const publish = (key: string) => client.ask("publish", { channel: "room:a", data: 1, key });
  assertEquals("publish" in await publish("🎺".repeat(128)), true);
  assertEquals("error" in await publish("🎺".repeat(129)), true);
});
