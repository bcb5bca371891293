/** The native protocol's verbs, frames and refusals (protocol.md, "WebSocket"), on real sockets. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
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

testIsolates("hello tells who and where one is, and the limits", async () => {
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
  "a message goes to every subscriber as one object, with seq, time, sender, name and key",
  async () => {
    await using server = await startServer();
    await using ada = await NativeClient.open(server);
    await using bob = await NativeClient.open(server);
    const { account } = await ada.do("hello", { name: "Ada" });
    await ada.do("subscribe", { channel: "room:dev" });
    await bob.do("subscribe", { channel: "room:dev" });
    const data = { text: "hi", n: [1, null, { a: "\u2028é" }] };
    const sent = await ada.do("publish", { channel: "room:dev", key: "k1", data });
    const expected = {
      channel: "room:dev",
      seq: sent.seq,
      time: sent.time,
      from: account,
      name: "Ada",
      key: "k1",
      data,
    };
    assertEquals(await ada.hear("message"), expected);
    assertEquals(await bob.hear("message"), expected);
  },
);

testIsolates(
  "several commands in a frame are answered, what one publishes keeps its order, seqs rise",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    await client.do("subscribe", { channel: "room:dev" });
    const lines = Array.from(
      { length: 100 },
      (_, i) => JSON.stringify({ id: 1000 + i, publish: { channel: "room:dev", data: i } }),
    );
    client.socket.send(lines.join("\n"));
    let last = 0;
    for (let i = 0; i < 100; i++) {
      const { data, seq } = await client.hear("message");
      assertEquals(data, i);
      assertGreater(Number(seq), last);
      last = Number(seq);
    }
  },
);

testIsolates(
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

testIsolates(
  "subscribe gives the newest messages, and what is live begins behind them",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    for (let i = 0; i < 5; i++) await client.do("publish", { channel: "room:dev", data: i });
    const { messages, seq } = await client.do("subscribe", { channel: "room:dev", history: 2 });
    assertEquals(list(messages).map(({ data }) => data), [3, 4]);
    const { seq: next } = await client.do("publish", { channel: "room:dev", data: 5 });
    assertGreater(Number(next), Number(seq));
    assertEquals((await client.hear("message")).data, 5);
    assertEquals((await client.do("subscribe", { channel: "room:new" })).messages, []);
  },
);

testIsolates(
  "`since` brings what was missed, page by page before anything live, or says that it can't",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    const { epoch, seq: start } = await client.do("hello", {});
    for (let i = 0; i < 450; i++) {
      client.socket.send(`{"id":${5000 + i},"publish":{"channel":"room:dev","data":${i}}}`);
    }
    await client.do("publish", { channel: "room:dev", data: 450 });
    await using late = await NativeClient.open(server);
    const since = { epoch, seq: start };
    const answer = await late.do("subscribe", { channel: "room:dev", since });
    assertEquals([answer.recovered, answer.more, list(answer.messages).length], [true, true, 200]);
    await client.do("publish", { channel: "room:dev", data: 451 });
    const got = list(answer.messages).map(({ data }) => data);
    while (got.length < 452) got.push((await late.hear("message")).data);
    assertEquals(got, Array.from({ length: 452 }, (_, i) => i));
    for (const wrong of [{ epoch: "other", seq: 0 }, { epoch, seq: 999_999 }]) {
      await using lost = await NativeClient.open(server);
      const gap = await lost.do("subscribe", { channel: "room:dev", since: wrong });
      assertEquals([gap.recovered, list(gap.messages).length, list(gap.messages).at(-1)?.data], [
        false,
        50,
        451,
      ]);
      assertEquals(typeof gap.oldest, "number");
    }
  },
);

testIsolates("history pages in both directions", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  const seqs: number[] = [];
  for (let i = 0; i < 6; i++) {
    seqs.push(Number((await client.do("publish", { channel: "room:dev", data: i })).seq));
  }
  const page = async (body: object) => {
    const { messages, more } = await client.do("history", {
      channel: "room:dev",
      limit: 2,
      ...body,
    });
    return [list(messages).map(({ data }) => data), more];
  };
  assertEquals(await page({}), [[4, 5], true]);
  assertEquals(await page({ before: seqs[2] }), [[0, 1], false]);
  assertEquals(await page({ after: seqs[1] }), [[2, 3], true]);
  assertEquals(await page({ after: seqs[3] }), [[4, 5], false]);
  assertEquals(
    codeOf(await client.ask("history", { channel: "room:dev", before: 3, after: 1 })),
    "bad_request",
  );
});

testIsolates(
  "direct messages go to their two accounts, once to a connection, and to no other by any verb",
  async () => {
    await using server = await startServer();
    await using ada = await NativeClient.open(server);
    await using bob = await NativeClient.open(server);
    await using eve = await NativeClient.open(server);
    const a = String((await ada.do("hello", {})).account);
    const b = String((await bob.do("hello", {})).account);
    await eve.do("hello", {});
    const channel = a < b ? `dm:${a}.${b}` : `dm:${b}.${a}`;
    await bob.do("subscribe", { channel: "dm:*" });
    await bob.do("subscribe", { channel });
    for (
      const [verb, body] of [
        ["subscribe", { channel }],
        ["history", { channel }],
        ["presence", { channel }],
        ["publish", { channel, data: 1 }],
        ["signal", { channel, data: 1 }],
      ] as const
    ) {
      assertEquals(codeOf(await eve.ask(verb, body)), "forbidden", verb);
    }
    await ada.do("publish", { channel, data: "one" });
    await ada.do("publish", { channel, data: "two" });
    assertEquals((await bob.hear("message")).data, "one");
    assertEquals((await bob.hear("message")).data, "two");
    const all = await bob.do("history", { channel: "dm:*" });
    assertEquals(list(all.messages).map(({ data }) => data), ["one", "two"]);
    assertEquals(list((await eve.do("history", { channel: "dm:*" })).messages), []);
    assertEquals(
      codeOf(await ada.ask("publish", { channel: `dm:${a}.zzzzzzzz`, data: 1 })),
      "not_found",
    );
  },
);

testIsolates(
  "presence tells who is there, who came, who left and who has another name",
  async () => {
    await using server = await startServer();
    await using ada = await NativeClient.open(server);
    const { account: a } = await ada.do("hello", { name: "Ada" });
    const joined = await ada.do("subscribe", { channel: "room:dev", presence: true });
    assertEquals(joined.presence, { version: 1, count: 1, members: [{ account: a, name: "Ada" }] });
    const bob = await NativeClient.open(server);
    const { account: b } = await bob.do("hello", {});
    await bob.do("subscribe", { channel: "room:dev" });
    const delta = { channel: "room:dev", version: 2, count: 2, joined: [{ account: b }], left: [] };
    assertEquals(await ada.hear("presence"), delta);
    await bob.do("rename", { name: "Bob" });
    assertEquals(await ada.hear("presence"), {
      ...delta,
      version: 3,
      joined: [{ account: b, name: "Bob" }],
    });
    const members = [{ account: a, name: "Ada" }, { account: b, name: "Bob" }];
    assertEquals(await ada.do("presence", { channel: "room:dev" }), {
      channel: "room:dev",
      version: 3,
      count: 2,
      members,
    });
    await bob[Symbol.asyncDispose]();
    assertEquals(await ada.hear("presence"), {
      channel: "room:dev",
      version: 4,
      count: 1,
      joined: [],
      left: [b],
    });
  },
);

testIsolates(
  "a signal reaches the others who are subscribed, not its sender, and isn't kept",
  async () => {
    await using server = await startServer();
    await using ada = await NativeClient.open(server);
    await using bob = await NativeClient.open(server);
    const { account } = await ada.do("hello", {});
    for (const client of [ada, bob]) await client.do("subscribe", { channel: "room:dev" });
    await ada.do("signal", { channel: "room:dev", data: { typing: true } });
    assertEquals(await bob.hear("signal"), {
      channel: "room:dev",
      from: account,
      data: { typing: true },
    });
    await ada.do("ping", {});
    assertEquals(ada.told, []);
    assertEquals(list((await bob.do("history", { channel: "room:dev" })).messages), []);
  },
);

testIsolates(
  "what is asked about one channel is answered in its order, though one waits for who is there",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    const channel = "room:a";
    const commands = [
      { subscribe: { channel, presence: true } },
      { unsubscribe: { channel } },
      { presence: { channel } },
      { subscribe: { channel, history: 5 } },
      { subscribe: { channel, presence: true } },
      { history: { channel } },
      { unsubscribe: { channel } },
      { ping: {} },
      { history: { channel: "room:b" } },
    ];
    client.socket.send(
      commands.map((command, i) => JSON.stringify({ id: i + 1, ...command })).join("\n"),
    );
    const ids: number[] = [];
    while (ids.length < commands.length) {
      const lines = (await client.socket.next()).split("\n").map((line) => JSON.parse(line));
      ids.push(...lines.map(({ id }) => id).filter((id) => id !== undefined));
    }
    assertEquals(ids.filter((id) => id <= 7), [1, 2, 3, 4, 5, 6, 7]);
    // Others don't wait for it.
    assertEquals(ids.slice(0, 2), [8, 9]);
    // The last word was that nothing of it is read.
    await client.do("publish", { channel, data: 1 });
    await client.do("ping", {});
    assertEquals(client.told.filter((line) => "message" in line), []);
  },
);

testIsolates(
  "whoever is banned by what waited for its turn is a member of nothing that waited behind it",
  async () => {
    await using server = await startServer();
    await using banned = await NativeClient.open(server);
    await banned.do("hello", {});
    const channel = "room:a";
    const commands = [
      { presence: { channel } },
      ...Array.from({ length: 100 }, () => ({ history: { channel, before: 2, after: 1 } })),
      { subscribe: { channel } },
    ];
    banned.socket.send(
      commands.map((command, i) => JSON.stringify({ id: i + 100, ...command })).join("\n"),
    );
    assertEquals(await banned.socket.closed, 1008);
    await using client = await NativeClient.open(server);
    await client.do("hello", {});
    assertEquals((await client.do("presence", { channel })).count, 0);
  },
);

testIsolates("unsubscribing ends it, also right behind the subscription", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  client.socket.send(
    '{"id":900,"subscribe":{"channel":"room:dev","presence":true}}\n{"id":901,"unsubscribe":{"channel":"room:dev"}}',
  );
  await client.do("publish", { channel: "room:dev", data: 1 });
  await client.do("unsubscribe", { channel: "room:never" });
  await client.do("ping", {});
  assertEquals(client.told.filter((line) => "message" in line), []);
});

testIsolates(
  "what isn't a command is refused with a sentence that says which, and changes nothing",
  async () => {
    await using server = await startServer();
    await using socket = await TestSocket.open(`ws://${server.host}/ws`);
    const deep = "[".repeat(33) + "]".repeat(33);
    const wrong: [string, string][] = [
      ["nonsense", "JSON"],
      ["null", "object"],
      ["[]", "object"],
      ["1", "object"],
      ['{"id":1}', "no verb"],
      ['{"id":1,"ping":[]}', "must be an object"],
      ['{"id":1,"ping":{},"hello":{}}', "one verb"],
      ['{"id":1,"dance":{}}', "unknown"],
      ['{"id":1,"constructor":{}}', "unknown"],
      ['{"ping":{}}', '"id"'],
      ['{"id":"1","ping":{}}', '"id"'],
      ['{"id":-1,"ping":{}}', '"id"'],
      ['{"id":1e300,"ping":{}}', '"id"'],
      ['{"id":1,"ping":{"x":1}}', "ping.x"],
      ['{"id":1,"ping":{"constructor":1}}', "ping.constructor"],
      ['{"id":1,"ping":{"__proto__":{}}}', "__proto__"],
      ['{"id":1,"publish":{"channel":"room:x","data":{"__proto__":1}}}', "__proto__"],
      ['{"id":1,"publish":{"channel":"room:x"}}', "publish.data"],
      [`{"id":1,"publish":{"channel":"room:x","data":${deep}}}`, "deeper"],
      ['{"id":1,"publish":{"channel":"room:x","data":"\\ud800"}}', "surrogate"],
      ['{"id":1,"publish":{"channel":"room:x","data":"\\u0000"}}', "NUL"],
      ['{"id":1,"publish":{"channel":"room:x","data":1,"key":""}}', "publish.key"],
      ['{"id":1,"publish":{"channel":"room:a b","data":1}}', "publish.channel"],
      ['{"id":1,"publish":{"channel":"dm:*","data":1}}', "publish.channel"],
      ['{"id":1,"publish":{"channel":"dm:b.a","data":1}}', "publish.channel"],
      ['{"id":1,"publish":{"channel":"room:e\\u0301","data":1}}', "publish.channel"],
      [
        '{"id":1,"subscribe":{"channel":"room:x","since":{"epoch":"e","seq":-1}}}',
        "subscribe.since.seq",
      ],
      [
        '{"id":1,"subscribe":{"channel":"room:x","since":{"epoch":"e","seq":1.5}}}',
        "subscribe.since.seq",
      ],
      ['{"id":1,"subscribe":{"channel":"room:x","history":201}}', "subscribe.history"],
      ['{"id":1,"history":{"channel":"room:x","limit":0}}', "history.limit"],
      ['{"id":1,"rename":{"name":"a\\u202eb"}}', "rename.name"],
      ['{"id":1,"rename":{"name":" "}}', "rename.name"],
      [`{"id":1,"rename":{"name":"${"x".repeat(41)}"}}`, "rename.name"],
    ];
    for (const [line, says] of wrong) {
      socket.send(line);
      const { error } = JSON.parse(await socket.next());
      assertEquals(error.code, "bad_request", line);
      assertStringIncludes(error.message, says, line);
    }
    socket.send('{"id":7,"ping":{}}');
    assertEquals(JSON.parse(await socket.next()).id, 7);
  },
);

testIsolates(
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

testIsolates("the 129th channel is refused", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  for (let i = 0; i < 128; i++) await client.do("subscribe", { channel: `room:r${i}` });
  assertEquals(codeOf(await client.ask("subscribe", { channel: "room:one-more" })), "bad_request");
  await client.do("subscribe", { channel: "room:r7" });
  await client.do("unsubscribe", { channel: "room:r7" });
  await client.do("subscribe", { channel: "room:one-more" });
});

testIsolates("only the subprotocol that is spoken is taken, and none", async () => {
  await using server = await startServer();
  await using none = await TestSocket.open(`ws://${server.host}/ws`);
  none.send('{"id":1,"ping":{}}');
  assertEquals(JSON.parse(await none.next()).id, 1);
  const url = `ws://${server.host}/ws`;
  const other = await TestSocket.open(url, { protocols: ["fanfare.v9"] }).catch(() => undefined);
  assertEquals(other, undefined);
});

testIsolates(
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
  async () => {
    const data = await Deno.makeTempDir();
    const client = await (async () => {
      await using server = await startServer({ data });
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
    await using server = await startServer({ data });
    await using back = await NativeClient.open(server);
    const { messages } = await back.do("history", { channel: "room:dev", limit: 200 });
    assertEquals(list(messages).length, acknowledged);
    assertEquals(acknowledged, 50);
    await Deno.remove(data, { recursive: true });
  },
);
