/** What is let go by age and by size, in small steps, and what clients are told of it; keys; the clock. */
import { assertEquals, assertLess } from "@std/assert";
import { nextTrim } from "../../lib/core/retention.ts";
import type { RetentionPolicy } from "../../lib/config/limits.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import { KEY_AGE } from "../../lib/store/feeds.ts";
import { TRIM_STEP } from "../../lib/store/trim.ts";
import type { Proposal } from "../../lib/protocol/message.ts";
import { memoryFolder, messages, tempFolder } from "../helpers/log.ts";
import { NativeClient, startServer } from "../helpers/server.ts";
import { until, World } from "../helpers/world.ts";

const FOR_EVER: RetentionPolicy = { keep: 0, keepPush: 0, keepBytes: 0 };

function withLog(run: (log: Log, reader: Reader) => void): void {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  const reader = new Reader(`${folder.path}/log.db`);
  run(log, reader);
  reader.close();
  log.close();
}

function append(log: Log, proposal: Proposal, time = log.time) {
  return log.apply([{ ...proposal, seq: log.seq + 1, time }]).outcomes[0];
}

/** Trims as the core does, to the end; tells how many steps it took. */
function trimAll(log: Log, policy: RetentionPolicy, now: number): number {
  for (let steps = 0;; steps++) {
    const proposal = nextTrim(log, policy, now);
    if (proposal === undefined) return steps;
    append(log, proposal);
  }
}

const seqs = (reader: Reader, feed: string) =>
  reader.after(feed, 0, Infinity, 10_000).messages.map(({ seq }) => seq);

Deno.test("by age: what is older goes from every feed, a step at a time, what is as old stays", () => {
  withLog((log, reader) => {
    const channels = ["room:a", "push:p", "dm:ada.bob"];
    log.apply(messages(1, 3 * TRIM_STEP, (seq) => ({ channel: channels[seq % 3] ?? "" })));
    const steps = trimAll(log, { ...FOR_EVER, keep: 100 }, 3 * TRIM_STEP - 50 + 100);
    assertEquals(steps, 3);
    const left = Array.from({ length: 51 }, (_, i) => 3 * TRIM_STEP - 50 + i);
    const of = (rest: number) => left.filter((seq) => seq % 3 === rest);
    assertEquals(seqs(reader, "room:a"), of(0));
    assertEquals(seqs(reader, "push:p"), of(1));
    for (const feed of ["dm:ada.bob", "dm:*ada", "dm:*bob"]) {
      assertEquals(seqs(reader, feed), of(2));
    }
    const gone = 3 * TRIM_STEP - 51;
    assertEquals(reader.trimmed("room:a"), gone);
    assertEquals([reader.trimmed("push:p"), reader.trimmed("dm:*bob")], [gone - 2, gone - 1]);
    assertEquals(reader.oldest("room:a"), of(0)[0]);
  });
});

Deno.test("pushes have an age of their own, rooms between them stay", () => {
  withLog((log, reader) => {
    log.apply(messages(1, 5000, (seq) => ({ channel: seq % 50 === 0 ? "push:p" : "room:a" })));
    const policy = { ...FOR_EVER, keepPush: 1000 };
    trimAll(log, policy, 5001);
    assertEquals(seqs(reader, "push:p"), Array.from({ length: 20 }, (_, i) => 4050 + 50 * i));
    assertEquals([reader.trimmed("push:p"), reader.trimmed("room:a")], [4000, 0]);
    assertEquals(reader.count("room:a", 0, Infinity, 10_000), 4900);
    // What was looked at isn't looked at again.
    assertEquals(trimAll(log, policy, 5001), 0);
    append(log, { kind: "message", channel: "push:p", from: null, data: "1" }, 9000);
    trimAll(log, policy, 10_001);
    assertEquals(seqs(reader, "push:p"), []);
  });
});

Deno.test("by size: the oldest goes until it fits, and the file gives its pages back", () => {
  withLog((log, reader) => {
    const data = JSON.stringify("x".repeat(2000));
    for (let seq = 1; seq <= 4000; seq += 500) log.apply(messages(seq, 500, () => ({ data })));
    const keepBytes = 4 * 1_048_576;
    trimAll(log, { ...FOR_EVER, keepBytes }, 0);
    assertLess(log.bytes, keepBytes + 1);
    assertLess(keepBytes - 800_000, log.bytes);
    assertEquals(reader.index.newest("room:a", Infinity, 1), [4000]);
    let rounds = 0;
    while (log.tidy()) rounds += 1;
    // Free pages went back in steps; some stay for what comes next.
    assertLess(5, rounds);
  });
});

Deno.test("a bound by size is one of messages: what keys and accounts take costs no message", () => {
  withLog((log, reader) => {
    for (let seq = 1; seq <= 3000; seq += 500) {
      log.apply(messages(seq, 500, (at) => ({ key: `${at}`, from: `a${at}`, data: "1" })));
    }
    trimAll(log, { ...FOR_EVER, keepBytes: 100_000 }, 0);
    assertLess(log.bytes, 100_001);
    const left = reader.count("room:a", 0, 1e9, 10_000);
    assertEquals([left > 200, left < 600], [true, true]);
  });
});

Deno.test("a key is known for 24 hours by the log's time, over trims, and then forgotten in steps", () => {
  withLog((log, reader) => {
    const publish = (time: number, key: string) =>
      append(log, { kind: "message", channel: "push:p", from: "ada", key, data: "1" }, time);
    const first = publish(1000, "k");
    for (let i = 0; i < 1200; i++) publish(1000, `other ${i}`);
    trimAll(log, { ...FOR_EVER, keep: 1 }, 2000);
    assertEquals(seqs(reader, "push:p"), []);
    const last = publish(1000 + KEY_AGE - 1, "k");
    assertEquals([last?.duplicate, last?.seq, last?.time], [true, first?.seq, 1000]);
    assertEquals(log.tidy(), false);
    assertEquals(publish(1000 + KEY_AGE - 1, "other 7")?.duplicate, true);
    const anew = publish(1000 + KEY_AGE, "k");
    assertEquals([anew?.duplicate, anew?.time], [undefined, 1000 + KEY_AGE]);
    // 1,200 keys: several steps, and "k" is a new one now.
    let steps = 1;
    while (log.tidy()) steps += 1;
    assertLess(4, steps);
    assertEquals(publish(1000 + KEY_AGE, "k")?.seq, anew?.seq);
  });
});

const DAY = 86_400_000;

Deno.test("whoever comes back for what is gone is told so, and shown what is still kept", async () => {
  let now = 1_800_000_000_000;
  const retention = { keep: 0, keepPush: 30 * DAY, keepBytes: 0 };
  await using server = await startServer({ retention }, { clock: () => now });
  const placed: Record<string, unknown>[] = [];
  let epoch: unknown;
  {
    await using ada = await NativeClient.open(server);
    epoch = (await ada.do("hello", {})).epoch;
    for (const channel of ["push:p", "room:a", "push:p", "push:p"]) {
      placed.push(await ada.do("publish", { channel, data: 1 }));
      now += DAY;
    }
  }
  const seqs = placed.map(({ seq }) => Number(seq));
  // The first push is a bit more than 30 days old now, the second isn't.
  now += 27 * DAY;
  await server.restart();
  await using bob = await NativeClient.open(server);
  const since = (seq: number) => ({ since: { epoch, seq } });
  const subscribe = (channel: string, more: object) => bob.do("subscribe", { channel, ...more });
  let answer = await subscribe("push:p", since(0));
  // Retention runs beside everything else.
  for (const end = Date.now() + 10_000; answer.recovered === true && Date.now() < end;) {
    answer = await subscribe("push:p", since(0));
  }
  const given = (of: Record<string, unknown>) =>
    Array.isArray(of.messages) && of.messages.map(({ seq }) => seq);
  assertEquals([answer.recovered, answer.oldest, given(answer)], [false, seqs[2], seqs.slice(2)]);
  // Whoever has all that is gone misses nothing.
  answer = await subscribe("push:p", since(Number(seqs[0])));
  assertEquals([answer.recovered, given(answer)], [true, seqs.slice(2)]);
  answer = await subscribe("room:a", since(0));
  assertEquals([answer.recovered, given(answer)], [true, [seqs[1]]]);
});

Deno.test("a reader that retention overtook is closed, and comes back to a gap", async () => {
  const folder = memoryFolder();
  const world = await World.open(folder);
  const ada = world.connect("ada");
  const bob = world.connect("bob");
  ada.session.receive('{"id":1,"subscribe":{"channel":"room:a"}}');
  await world.settle();
  ada.socket.read();
  ada.socket.stall();
  const data = "x".repeat(60_000);
  for (let id = 1; id <= 160; id++) {
    bob.session.receive(JSON.stringify({ id, publish: { channel: "room:a", data } }));
  }
  await world.settle();
  const upTo = world.log.seq - 10;
  world.edge.bus.send({ op: "propose", proposal: { kind: "trim", scope: "all", upTo } });
  await world.settle();
  ada.socket.flow();
  await until(() => ada.socket.closed !== undefined);
  const told = ada.socket.read().map((line) => Object.keys(JSON.parse(line)).join());
  assertEquals([ada.socket.closed, told], [4008, ["closing"]]);
  world.close();
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("the clock goes back an hour: time never falls, and keys are remembered by it", async () => {
  let now = 1_800_000_000_000;
  await using server = await startServer({}, { clock: () => now });
  await using ada = await NativeClient.open(server);
  const publish = (key: string) => ada.do("publish", { channel: "room:a", data: 1, key });
  const first = await publish("a");
  now -= 3_600_000;
  const second = await publish("b");
  assertEquals([second.time, Number(second.seq) > Number(first.seq)], [first.time, true]);
  now += 3_600_000 + 5;
  assertEquals((await publish("c")).time, Number(first.time) + 5);
  // Nearly a day on by the clock, and back: a key counts by the time of its message.
  now += DAY - 10;
  assertEquals((await publish("a")).duplicate, true);
  now += 10;
  assertEquals((await publish("a")).duplicate, undefined);
});

Deno.test("the same key at the same time over two connections, and after a restart, is one message", async () => {
  await using server = await startServer();
  const { url } = server;
  const cookie = (await fetch(`${url}/to_chat/`)).headers.getSetCookie()[0]?.split(";")[0] ?? "";
  const placed: Record<string, unknown>[] = [];
  const publish = async (client: NativeClient, data: number) => {
    placed.push(await client.do("publish", { channel: "room:a", data, key: "k" }));
  };
  {
    await using one = await NativeClient.open(server, { cookie });
    await using other = await NativeClient.open(server, { cookie });
    await Promise.all([publish(one, 1), publish(other, 2), publish(one, 3), publish(other, 4)]);
  }
  await server.restart();
  await using again = await NativeClient.open(server, { cookie });
  await publish(again, 5);
  const [first] = placed;
  assertEquals(placed.filter(({ duplicate }) => duplicate === undefined).length, 1);
  for (const { seq, time } of placed) assertEquals([seq, time], [first?.seq, first?.time]);
  const { messages } = await again.do("history", { channel: "room:a" });
  assertEquals(Array.isArray(messages) && messages.length, 1);
});
