/** The native protocol's handshakes, frames and closes (protocol.md, "WebSocket"), on real sockets. */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import {
  cookieOf,
  NativeClient,
  startServer,
  testIsolates,
  TestSocket,
} from "../helpers/server.ts";

const codeOf = (answer: Record<string, unknown>) => {
  const { error } = answer;
  return typeof error === "object" && error !== null && "code" in error ? error.code : answer;
};

const list = (value: unknown): Record<string, unknown>[] => Array.isArray(value) ? value : [];

Deno.test("hello tells who and where one is, and the limits", async () => {
  await using server = await startServer({ limits: { rate: 20, burst: 60 } });
  await using client = await NativeClient.open(server);
  const hello = await client.do("hello", { name: "Ada" });
  assertMatch(String(hello.account), /^[0-9a-f]{8}$/);
  assertEquals(hello.name, "Ada");
  assertMatch(String(hello.connection), /^[0-9a-f-]{36}$/);
  assertEquals(typeof hello.epoch, "string");
  assertEquals(hello.ping, 15_000);
  assertEquals(hello.limits, {
    message: 65_536,
    frame: 1_048_576,
    channels: 128,
    pending: 256,
    recovery: 10_000,
    rate: 20,
    burst: 60,
    history: 200,
    key: 128,
    name: 40,
  });
  assertEquals(codeOf(await client.ask("hello", {})), "bad_request");
});

testIsolates(
  "clients on different sockets are told of messages, presence and signals, and read history",
  async (workers) => {
    await using server = await startServer({ workers });
    await using ada = await NativeClient.open(server);
    const { account: a } = await ada.do("hello", { name: "Ada" });
    await ada.do("subscribe", { channel: "room:dev", presence: true });
    // With several isolates some of them are on another one.
    await using crowd = new AsyncDisposableStack();
    const others: NativeClient[] = [];
    for (let i = 0; i < 4; i++) others.push(crowd.use(await NativeClient.open(server)));
    for (const other of others) {
      const { account } = await other.do("hello", {});
      await other.do("subscribe", { channel: "room:dev" });
      assertEquals((await ada.hear("presence")).joined, [{ account }]);
    }
    const data = { text: "hi", n: [1, null, { a: "\u2028é" }] };
    const { seq, time } = await ada.do("publish", { channel: "room:dev", key: "k1", data });
    const message = { channel: "room:dev", seq, time, from: a, name: "Ada", key: "k1", data };
    await ada.do("signal", { channel: "room:dev", data: 1 });
    assertEquals(await ada.hear("message"), message);
    for (const other of others) {
      assertEquals(await other.hear("message"), message);
      assertEquals(await other.hear("signal"), { channel: "room:dev", from: a, data: 1 });
      const { messages } = await other.do("history", { channel: "room:dev" });
      assertEquals(messages, [message]);
      assertEquals((await other.do("presence", { channel: "room:dev" })).count, 5);
    }
    const [gone] = others;
    await gone?.[Symbol.asyncDispose]();
    assertEquals((await ada.hear("presence")).count, 4);
  },
  [0, 1, 3],
);

Deno.test(
  "publishing again with the same key gives the first seq, and nobody sees it twice",
  async () => {
    await using server = await startServer();
    const cookie = await cookieOf(server);
    await using client = await NativeClient.open(server, { cookie });
    await client.do("subscribe", { channel: "room:dev" });
    const first = await client.do("publish", { channel: "room:dev", key: "k", data: 1 });
    const again = await client.do("publish", { channel: "room:dev", key: "k", data: 2 });
    assertEquals(again, { ...first, duplicate: true });
    await server.restart();
    await using back = await NativeClient.open(server, { cookie });
    assertEquals(await back.do("publish", { channel: "room:dev", key: "k", data: 3 }), again);
    await using other = await NativeClient.open(server);
    assertEquals(
      (await other.do("publish", { channel: "room:dev", key: "k", data: 4 })).duplicate,
      undefined,
    );
    const { messages } = await other.do("history", { channel: "room:dev" });
    assertEquals(list(messages).map(({ data }) => data), [1, 4]);
  },
);

Deno.test(
  "too large a message is refused; too large a frame, a binary one, 100 bad lines end the connection",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    const fits = "x".repeat(65_534);
    await client.do("publish", { channel: "room:dev", data: fits });
    assertEquals(
      codeOf(await client.ask("publish", { channel: "room:dev", data: `${fits}x` })),
      "too_large",
    );
    const frame = await TestSocket.open(`ws://${server.host}/ws`);
    frame.send(" ".repeat(1_048_577));
    assertEquals(await frame.closed, 1009);
    const binary = await TestSocket.open(`ws://${server.host}/ws`);
    binary.send(new Uint8Array(3));
    assertEquals(await binary.closed, 1003);
    const bad = await TestSocket.open(`ws://${server.host}/ws`);
    bad.send("x\n".repeat(100));
    assertEquals(await bad.closed, 1008);
    assert((await client.do("ping", {})).time);
  },
);

Deno.test("only the subprotocol that is spoken is taken, and none", async () => {
  await using server = await startServer();
  await using none = await TestSocket.open(`ws://${server.host}/ws`);
  none.send('{"id":1,"ping":{}}');
  assertEquals(JSON.parse(await none.next()).id, 1);
  const url = `ws://${server.host}/ws`;
  const other = await TestSocket.open(url, { protocols: ["fanfare.v9"] }).catch(() => undefined);
  assertEquals(other, undefined);
});

Deno.test(
  "the admin token pushes on a closed server, reads rooms, and has no part in direct messages",
  async () => {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, "0123456789abcdef0123");
    await using server = await startServer({ adminTokenFile: file });
    await using admin = await NativeClient.open(server, {
      authorization: "Bearer 0123456789abcdef0123",
    });
    await using user = await NativeClient.open(server);
    assertEquals((await admin.do("hello", {})).account, null);
    await user.do("subscribe", { channel: "push:all" });
    assertEquals(codeOf(await user.ask("publish", { channel: "push:all", data: 1 })), "forbidden");
    await admin.do("publish", { channel: "push:all", data: 2 });
    assertEquals((await user.hear("message")).from, null);
    assertEquals(codeOf(await admin.ask("subscribe", { channel: "dm:*" })), "forbidden");
    await using late = await NativeClient.open(server);
    assertEquals(codeOf(await late.ask("hello", { token: "wrong" })), "unauthorized");
    await Deno.remove(file);
  },
);

testIsolates(
  "leaving: clients are told, closed with 1001, and what was accepted is kept",
  async (workers) => {
    const data = await Deno.makeTempDir();
    const client = await (async () => {
      await using server = await startServer({ workers, data });
      const client = await NativeClient.open(server);
      for (let i = 0; i < 50; i++) {
        client.socket.send(`{"id":${100 + i},"publish":{"channel":"room:dev","data":${i}}}`);
      }
      await client.do("ping", {});
      return client;
    })();
    assertGreater(Number((await client.hear("closing")).retry), 0);
    assertEquals(await client.socket.closed, 1001);
    const acknowledged =
      client.socket.frames.join("\n").split("\n").filter((line) => line.includes('"publish"'))
        .length;
    await using server = await startServer({ workers, data });
    await using back = await NativeClient.open(server);
    const { messages } = await back.do("history", { channel: "room:dev", limit: 200 });
    assertEquals(list(messages).length, acknowledged);
    assertEquals(acknowledged, 50);
    await Deno.remove(data, { recursive: true });
  },
);
