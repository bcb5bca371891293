/** The native protocol's verbs, refusals and order (protocol.md, "WebSocket"), in the in-memory world. */
import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { testWorld } from "../helpers/world_client.ts";

const codeOf = (answer: Record<string, unknown>) => {
  const { error } = answer;
  return typeof error === "object" && error !== null && "code" in error ? error.code : answer;
};

const list = (value: unknown): Record<string, unknown>[] => Array.isArray(value) ? value : [];

testWorld(
  "a message goes to every subscriber as one object, with seq, time, sender, name and key",
  async ({ open }) => {
    const ada = open();
    const bob = open();
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

testWorld(
  "several commands in a frame are answered, what one publishes keeps its order, seqs rise",
  async ({ open }) => {
    const client = open();
    await client.do("subscribe", { channel: "room:dev" });
    const lines = Array.from(
      { length: 100 },
      (_, i) => JSON.stringify({ id: 1000 + i, publish: { channel: "room:dev", data: i } }),
    );
    client.send(lines.join("\n"));
    let last = 0;
    for (let i = 0; i < 100; i++) {
      const { data, seq } = await client.hear("message");
      assertEquals(data, i);
      assertGreater(Number(seq), last);
      last = Number(seq);
    }
  },
);

testWorld(
  "subscribe gives the newest messages, and what is live begins behind them",
  async ({ open }) => {
    const client = open();
    for (let i = 0; i < 5; i++) await client.do("publish", { channel: "room:dev", data: i });
    const { messages, seq } = await client.do("subscribe", { channel: "room:dev", history: 2 });
    assertEquals(list(messages).map(({ data }) => data), [3, 4]);
    const { seq: next } = await client.do("publish", { channel: "room:dev", data: 5 });
    assertGreater(Number(next), Number(seq));
    assertEquals((await client.hear("message")).data, 5);
    assertEquals((await client.do("subscribe", { channel: "room:new" })).messages, []);
  },
);

testWorld(
  "`since` brings what was missed, page by page before anything live, or says that it can't",
  async ({ open }) => {
    const client = open();
    const { epoch, seq: start } = await client.do("hello", {});
    for (let i = 0; i < 450; i++) {
      client.send(`{"id":${5000 + i},"publish":{"channel":"room:dev","data":${i}}}`);
    }
    await client.do("publish", { channel: "room:dev", data: 450 });
    const late = open();
    const since = { epoch, seq: start };
    const answer = await late.do("subscribe", { channel: "room:dev", since });
    assertEquals([answer.recovered, answer.more, list(answer.messages).length], [true, true, 200]);
    await client.do("publish", { channel: "room:dev", data: 451 });
    const got = list(answer.messages).map(({ data }) => data);
    while (got.length < 452) got.push((await late.hear("message")).data);
    assertEquals(got, Array.from({ length: 452 }, (_, i) => i));
    for (const wrong of [{ epoch: "other", seq: 0 }, { epoch, seq: 999_999 }]) {
      const lost = open();
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

testWorld("history pages in both directions", async ({ open }) => {
  const client = open();
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

testWorld(
  "direct messages go to their two accounts, once to a connection, and to no other by any verb",
  async ({ open }) => {
    const ada = open();
    const bob = open();
    const eve = open();
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

testWorld(
  "presence tells who is there, who came, who left and who has another name",
  async ({ open, world }) => {
    const ada = open();
    const { account: a } = await ada.do("hello", { name: "Ada" });
    // What a channel is told within a second is told as one.
    const later = async () => {
      world.now += 2000;
      await ada.do("presence", { channel: "room:dev" });
    };
    const joined = await ada.do("subscribe", { channel: "room:dev", presence: true });
    assertEquals(joined.presence, { version: 1, count: 1, members: [{ account: a, name: "Ada" }] });
    const bob = open();
    const { account: b } = await bob.do("hello", {});
    await bob.do("subscribe", { channel: "room:dev" });
    const delta = { channel: "room:dev", version: 2, count: 2, joined: [{ account: b }], left: [] };
    await later();
    assertEquals(await ada.hear("presence"), delta);
    await bob.do("rename", { name: "Bob" });
    await later();
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
    bob.leave();
    // Who goes is announced after 2 s, unless it is back.
    await ada.do("presence", { channel: "room:dev" });
    assertEquals(ada.told, []);
    await later();
    assertEquals(await ada.hear("presence"), {
      channel: "room:dev",
      version: 4,
      count: 1,
      joined: [],
      left: [b],
    });
  },
);

testWorld(
  "a signal reaches the others who are subscribed, not its sender, and isn't kept",
  async ({ open }) => {
    const ada = open();
    const bob = open();
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

testWorld(
  "what is asked about one channel is answered in its order, though one waits for who is there",
  async ({ open }) => {
    const client = open();
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
    client.send(
      commands.map((command, i) => JSON.stringify({ id: i + 1, ...command })).join("\n"),
    );
    const ids: number[] = [];
    while (ids.length < commands.length) {
      const { id } = await client.next();
      if (typeof id === "number") ids.push(id);
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

testWorld(
  "whoever is banned by what waited for its turn is a member of nothing that waited behind it",
  async ({ open }) => {
    const banned = open();
    await banned.do("hello", {});
    const channel = "room:a";
    const commands = [
      { presence: { channel } },
      ...Array.from({ length: 100 }, () => ({ history: { channel, before: 2, after: 1 } })),
      { subscribe: { channel } },
    ];
    banned.send(
      commands.map((command, i) => JSON.stringify({ id: i + 100, ...command })).join("\n"),
    );
    assertEquals(await banned.look(() => banned.closed, "a close code"), 1008);
    const client = open();
    await client.do("hello", {});
    assertEquals((await client.do("presence", { channel })).count, 0);
  },
);

testWorld("unsubscribing ends it, also right behind the subscription", async ({ open }) => {
  const client = open();
  client.send(
    '{"id":900,"subscribe":{"channel":"room:dev","presence":true}}\n{"id":901,"unsubscribe":{"channel":"room:dev"}}',
  );
  await client.do("publish", { channel: "room:dev", data: 1 });
  await client.do("unsubscribe", { channel: "room:never" });
  await client.do("ping", {});
  assertEquals(client.told.filter((line) => "message" in line), []);
});

testWorld(
  "what isn't a command is refused with a sentence that says which, and changes nothing",
  async ({ open }) => {
    const client = open();
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
      client.send(line);
      const answer = await client.next();
      assertEquals(codeOf(answer), "bad_request", line);
      assertStringIncludes(String(Object(answer.error).message), says, line);
    }
    client.send('{"id":7,"ping":{}}');
    assertEquals((await client.next()).id, 7);
  },
);

testWorld("the 129th channel is refused", async ({ open }) => {
  const client = open();
  for (let i = 0; i < 128; i++) await client.do("subscribe", { channel: `room:r${i}` });
  assertEquals(codeOf(await client.ask("subscribe", { channel: "room:one-more" })), "bad_request");
  await client.do("subscribe", { channel: "room:r7" });
  await client.do("unsubscribe", { channel: "room:r7" });
  await client.do("subscribe", { channel: "room:one-more" });
});
