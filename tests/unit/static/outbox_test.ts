/** The outbox: kept, in order, at the server's pace, once; over reloads, tabs and accounts. */
import { assertEquals, assertRejects } from "@std/assert";
import { type Client, connect, FanfareError, memoryStore } from "../../../static/client/fanfare.js";
import { MOST_BYTES, MOST_ITEMS } from "../../../static/client/outbox/entries.js";
import { KEY_LIFE } from "../../../static/client/outbox/outbox.js";
import { FakeLocks, FakeServer, settle } from "./fake_server.ts";

const ROOM = "room:a";
const HOUR = 3_600_000;

/** A browser: its tabs share a store, and locks where it has them. */
function browser(server: FakeServer, { locks = true }: { locks?: boolean } = {}) {
  const store = memoryStore(true);
  const held = new FakeLocks();
  return {
    store,
    tab: (adopts?: (channel: string) => boolean) =>
      connect({
        ...server.options,
        store,
        locks: locks ? held : null,
        ...(adopts === undefined ? {} : { adopts }),
      }),
  };
}

const said = (server: FakeServer) => server.log.map(({ data }) => data);
const states = (client: Client) =>
  client.outbox.map(({ data, status, error }) => [data, error?.code ?? status]);
const ignore = (promise: Promise<unknown>) => void promise.catch(() => {});

Deno.test("a message is kept before it is sent, and forgotten once it is acknowledged", async () => {
  const server = new FakeServer();
  const { store, tab } = browser(server);
  const client = tab();
  const place = client.publish(ROOM, { text: "hi" });
  assertEquals(states(client), [[{ text: "hi" }, "pending"]]);
  await settle();
  assertEquals((await store.owners()).length, 1);
  await server.run();
  assertEquals((await place).seq, 1);
  assertEquals([client.outbox, await store.owners()], [[], []]);
  client.close();
});

Deno.test("nothing is sent before it is kept", async () => {
  const server = new FakeServer();
  const written = Promise.withResolvers<void>();
  const client = connect({
    ...server.options,
    store: { ...memoryStore(), put: () => written.promise },
  });
  await server.run();
  ignore(client.publish(ROOM, 1));
  await server.run();
  assertEquals(said(server), []);
  written.resolve();
  await server.run();
  assertEquals(said(server), [1]);
  client.close();
});

Deno.test("a store that fails or hangs costs the reload, not the message", async () => {
  const server = new FakeServer();
  const failing = connect({
    ...server.options,
    store: { ...memoryStore(), put: () => Promise.reject(new Error("Quota")) },
  });
  const hanging = connect({
    ...server.options,
    store: { ...memoryStore(), put: () => new Promise<void>(() => {}) },
  });
  await server.run();
  ignore(failing.publish(ROOM, "failing"));
  ignore(hanging.publish(ROOM, "hanging"));
  await server.runFor(5000);
  assertEquals(said(server), ["failing", "hanging"]);
  failing.close();
  hanging.close();
});

Deno.test("after a reload without a connection it is known who one is and what waits, and all is sent in order", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  await server.run();
  server.socket.drop();
  for (const n of [1, 2, 3]) ignore(first.publish(ROOM, n));
  await settle();
  first.close();
  const second = tab();
  let told = 0;
  second.on("outbox", () => told += 1);
  await settle();
  assertEquals(second.account, "ada");
  assertEquals(states(second), [[1, "pending"], [2, "pending"], [3, "pending"]]);
  assertEquals(told > 0, true);
  ignore(second.publish(ROOM, 4));
  const sent: unknown[] = [];
  second.on("sent", (_client, { item, place }) => sent.push([item.data, place.seq]));
  await server.run();
  assertEquals(said(server), [1, 2, 3, 4]);
  assertEquals(sent, [[1, 1], [2, 2], [3, 3], [4, 4]]);
  second.close();
});

Deno.test("what was sent and not acknowledged is sent again with its key, and is there once", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  await server.run();
  for (const n of [1, 2]) ignore(first.publish(ROOM, n));
  await settle();
  server.take(server.socket);
  assertEquals(said(server), [1, 2]);
  first.close();
  const second = tab();
  await server.run();
  assertEquals([said(server), second.outbox], [[1, 2], []]);
  second.close();
});

for (const locks of [true, false]) {
  const how = locks ? "locks" : "a lease";
  Deno.test(`two tabs with ${how}: each sends its own, and what a dead one left is sent by the other`, async () => {
    const server = new FakeServer();
    const { tab } = browser(server, { locks });
    const [one, two] = [tab(), tab()];
    await settle();
    ignore(one.publish(ROOM, 1));
    ignore(two.publish(ROOM, 2));
    await server.time.advance(40_000);
    assertEquals([states(one), states(two)], [[[1, "pending"]], [[2, "pending"]]]);
    one.close();
    await server.time.advance(4000);
    assertEquals(states(two), [[2, "pending"]], "it may have been a reload");
    await server.time.advance(60_000);
    assertEquals(states(two), [[1, "pending"], [2, "pending"]]);
    await server.runFor(40_000);
    assertEquals(said(server), [1, 2]);
    two.close();
  });
}

for (const locks of [true, false]) {
  const how = locks ? "locks" : "a lease";
  Deno.test(`with ${how} a tab takes over only what it shows; the rest waits for one that shows it`, async () => {
    const server = new FakeServer();
    const { tab } = browser(server, { locks });
    server.refuse = (verb, { data }) =>
      verb === "publish" && data === "bad" ? { code: "forbidden", message: "No" } : undefined;
    const chat = tab();
    const receive = tab(() => false);
    await server.run();
    ignore(chat.publish(ROOM, "bad"));
    await server.run();
    for (const socket of server.sockets) socket.drop();
    ignore(chat.publish(ROOM, "in the room"));
    ignore(chat.publish("push:all", "a push"));
    await settle();
    chat.close();
    const look = () => globalThis.dispatchEvent(new Event("online"));
    look();
    await server.time.advance(60_000);
    look();
    await server.time.advance(60_000);
    assertEquals(receive.outbox, []);
    const again = tab((channel) => channel === ROOM);
    await settle();
    assertEquals(states(again), [["bad", "forbidden"], ["in the room", "pending"]]);
    const send = tab((channel) => channel === "push:all");
    await settle();
    assertEquals(states(send), [["a push", "pending"]]);
    await server.runFor(1000);
    assertEquals(said(server).toSorted(), ["a push", "in the room"]);
    for (const client of [receive, again, send]) client.close();
  });

  Deno.test(`with ${how} a look at another tab leaves a reload its time`, async () => {
    const server = new FakeServer();
    const { tab } = browser(server, { locks });
    const [one, other] = [tab(), tab()];
    await settle();
    ignore(one.publish(ROOM, 1));
    await settle();
    one.close();
    const look = () => globalThis.dispatchEvent(new Event("online"));
    look();
    await server.time.advance(3000);
    look();
    await server.time.advance(1500);
    assertEquals(states(other), []);
    const again = tab();
    await settle();
    assertEquals(states(again), [[1, "pending"]]);
    again.close();
    await server.time.advance(4500);
    look();
    await server.time.advance(1000);
    assertEquals(states(other), [[1, "pending"]], "nobody came back");
    other.close();
  });
}

Deno.test("what is taken over goes before what was typed later, and after what was typed before", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const [one, two] = [tab(), tab()];
  const type = async (client: Client, n: number) => {
    ignore(client.publish(ROOM, n));
    await server.time.advance(10);
  };
  await settle();
  await type(two, 1);
  await type(one, 2);
  await type(two, 3);
  await type(one, 4);
  one.close();
  await server.time.advance(40_000);
  assertEquals(states(two).map(([n]) => n), [1, 2, 3, 4]);
  await server.run();
  assertEquals(said(server), [1, 2, 3, 4]);
  two.close();
});

Deno.test("without locks a reload finds its items at once too", async () => {
  const server = new FakeServer();
  const { tab } = browser(server, { locks: false });
  const [one, other] = [tab(), tab()];
  await settle();
  ignore(one.publish(ROOM, 1));
  await settle();
  globalThis.dispatchEvent(new Event("pagehide"));
  other.close();
  const again = tab();
  await settle();
  assertEquals(states(again), [[1, "pending"]]);
  one.close();
  again.close();
});

Deno.test("what another account wrote fails, and goes as one's own under a new key when it is tried again", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  await server.run();
  server.socket.drop();
  ignore(first.publish(ROOM, 1));
  await settle();
  const [before] = first.outbox;
  first.close();
  server.account = "bob";
  const second = tab();
  await server.run();
  assertEquals([said(server), states(second)], [[], [[1, "other_account"]]]);
  assertEquals(second.outbox[0]?.error?.message, "Written as ada");
  second.retry(before?.id ?? "");
  await server.run();
  assertEquals(server.log.map(({ data, from, key }) => [data, from, key === before?.key]), [
    [1, "bob", false],
  ]);
  second.close();
});

Deno.test("what was sent as another account and not acknowledged says that it may have arrived", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const client = tab();
  await server.run();
  ignore(client.publish(ROOM, "sent"));
  await settle();
  server.take(server.socket);
  server.socket.drop();
  ignore(client.publish(ROOM, "never sent"));
  server.account = "bob";
  await server.runFor(500);
  assertEquals(states(client), [["sent", "uncertain"], ["never sent", "other_account"]]);
  client.close();
});

Deno.test("when the network goes nothing is sent until the server answers, so that nothing is uncertain", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const client = tab();
  await server.run();
  globalThis.dispatchEvent(new Event("offline"));
  ignore(client.publish(ROOM, 1));
  await settle();
  assertEquals(server.socket.sent.map(({ verb }) => verb), ["ping"]);
  assertEquals(client.outbox[0]?.tried, undefined);
  await server.run();
  assertEquals(said(server), [1], "a server on this machine still answers");
  client.close();
});

Deno.test("a program without an account of its own sends what it never sent as whoever it is next", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  await server.run();
  ignore(client.publish(ROOM, "tried"));
  await settle();
  server.socket.drop();
  const untried = client.publish(ROOM, "untried");
  server.account = "anew";
  await server.runFor(1000);
  assertEquals(said(server), ["untried"]);
  assertEquals((await untried).seq, 1);
  assertEquals(states(client), [["tried", "uncertain"]]);
  client.close();
});

Deno.test("a refusal for good fails, over a reload too; tried again under the same key it is sent after the others", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  await server.run();
  server.refuse = (verb, { data }) =>
    verb === "publish" && data === "bad"
      ? { code: "forbidden", message: "You may not" }
      : undefined;
  const bad = first.publish(ROOM, "bad");
  ignore(first.publish(ROOM, "good"));
  const refused = assertRejects(() => bad, FanfareError, "You may not");
  await server.run();
  await refused;
  assertEquals([said(server), states(first)], [["good"], [["bad", "forbidden"]]]);
  const key = first.outbox[0]?.key;
  first.close();
  const second = tab();
  await server.runFor(60_000);
  assertEquals(states(second), [["bad", "forbidden"]]);
  server.refuse = () => undefined;
  second.retry(second.outbox[0]?.id ?? "");
  assertEquals(states(second), [["bad", "pending"]]);
  await server.run();
  assertEquals([said(server), server.log[1]?.key], [["good", "bad"], key]);
  second.close();
});

Deno.test("what is discarded is gone, and who waited for it is told", async () => {
  const server = new FakeServer();
  const { store, tab } = browser(server);
  const client = tab();
  const place = client.publish(ROOM, 1);
  const refused = assertRejects(() => place, FanfareError, "discarded");
  await settle();
  client.discard(client.outbox[0]?.id ?? "");
  await refused;
  await server.run();
  assertEquals([said(server), client.outbox, await store.owners()], [[], [], []]);
  client.close();
});

Deno.test("the outbox takes so many messages and no more, and drops none", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  for (let i = 0; i < MOST_ITEMS; i++) ignore(client.publish(ROOM, i));
  const error = await assertRejects(() => client.publish(ROOM, "one more"), FanfareError);
  assertEquals([error.code, client.outbox.length], ["full", MOST_ITEMS]);
  await server.runFor(1000);
  assertEquals(server.log.length, MOST_ITEMS);
  await server.run();
  ignore(client.publish(ROOM, "room again"));
  await server.run();
  assertEquals(server.log.length, MOST_ITEMS + 1);
  client.close();
});

Deno.test("the outbox takes so many bytes and no more", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  const half = "x".repeat(MOST_BYTES / 2 - 2);
  for (let i = 0; i < 2; i++) ignore(client.publish(ROOM, half));
  const error = await assertRejects(() => client.publish(ROOM, 1), FanfareError);
  assertEquals([error.code, client.outbox.length], ["full", 2]);
  client.close();
});

Deno.test("what is no JSON value, or too long for the server, is refused and never sent", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  await server.run();
  const nothing = await assertRejects(() => client.publish(ROOM, undefined), FanfareError);
  await assertRejects(() => client.publish(ROOM, { big: 1n }), FanfareError, "JSON");
  const long = client.publish(ROOM, "x".repeat(1000));
  const refused = assertRejects(() => long, FanfareError);
  await server.run();
  assertEquals([nothing.code, (await refused).code], ["bad_request", "too_large"]);
  assertEquals([said(server), client.outbox.length], [[], 1]);
  client.close();
});

Deno.test("it keeps to the server's bucket: a burst, then the rate", async () => {
  const server = new FakeServer();
  server.limits = { message: 1000, pending: 100, rate: 10, burst: 5 };
  const client = connect({ ...server.options, store: memoryStore() });
  for (let i = 0; i < 20; i++) ignore(client.publish(ROOM, i));
  await server.run();
  const counts = [server.log.length];
  for (let i = 0; i < 4; i++) {
    await server.runFor(500, 50);
    counts.push(server.log.length);
  }
  assertEquals(counts, [5, 10, 15, 20, 20]);
  client.close();
});

Deno.test("never more commands are unanswered than the server allows, whatever is asked", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  await server.run();
  for (let i = 0; i < 10; i++) ignore(client.publish(ROOM, i));
  for (let i = 0; i < 10; i++) ignore(client.history(ROOM));
  await settle();
  assertEquals(server.socket.sent.length, server.limits.pending);
  await server.run();
  assertEquals(server.log.length, 10);
  client.close();
});

for (const code of ["rate_limited", "unavailable"]) {
  Deno.test(`after ${code} everything waits as long as was told, then goes on in order`, async () => {
    const server = new FakeServer();
    server.limits.pending = 100;
    const client = connect({ ...server.options, store: memoryStore() });
    await server.run();
    let refusals = 2;
    server.refuse = (verb) =>
      verb === "publish" && refusals-- > 0 ? { code, message: "Later", retry: 3000 } : undefined;
    for (const n of [1, 2]) ignore(client.publish(ROOM, n));
    await server.run();
    ignore(client.publish(ROOM, 3));
    await server.runFor(2750);
    assertEquals([said(server), refusals], [[], 0]);
    await server.runFor(500);
    assertEquals(said(server), [1, 2, 3]);
    client.close();
  });
}

Deno.test("a clock that is set back holds nothing up: not what was refused for now, not the pace, not a dead tab's", async () => {
  const server = new FakeServer();
  server.limits = { message: 1000, pending: 100, rate: 10, burst: 1 };
  const { store, tab } = browser(server, { locks: false });
  const client = tab();
  await server.run();
  let refusals = 1;
  server.refuse = (verb) =>
    verb === "publish" && refusals-- > 0
      ? { code: "unavailable", message: "Later", retry: 3000 }
      : undefined;
  for (const n of [1, 2]) ignore(client.publish(ROOM, n));
  await server.run();
  server.time.set(-HOUR);
  await server.runFor(3500);
  assertEquals(said(server), [1, 2]);
  // It died without a word, and what it said last is an hour ahead of this clock.
  await store.set("alive:dead", server.time.clock.now() + HOUR);
  await store.put([{
    ...{ id: "3", key: "k3", channel: ROOM, data: 3, time: 0, order: 0 },
    ...{ owner: "dead", status: "pending" },
  }]);
  await server.runFor(120_000, 1000);
  assertEquals(said(server), [1, 2, 3]);
  client.close();
});

Deno.test("whether the server still knows a key is told by the server's clock, not by the one here", async () => {
  const cases = [[0, 25, "expired"], [-48, 25, "expired"], [48, 1, "sent"]] as const;
  // Written before there is a connection, and while there is one.
  for (const early of [true, false]) {
    for (const [set, gone, expected] of cases) {
      const server = new FakeServer();
      const { tab } = browser(server);
      // The clock here was wrong before, and is wrong in another way later.
      server.time.set(-set * HOUR);
      const first = tab();
      if (early) ignore(first.publish(ROOM, "tried"));
      await settle();
      server.socket.open();
      await settle();
      server.take(server.socket, 1);
      server.socket.deliver();
      if (!early) ignore(first.publish(ROOM, "tried"));
      await settle();
      assertEquals(server.socket.sent.length, 1, "under way");
      first.close();
      server.time.set(2 * set * HOUR);
      await server.time.advance(gone * HOUR);
      const second = tab();
      await server.run();
      const state = second.outbox[0]?.error?.code ?? "sent";
      assertEquals([early, set, gone, state], [early, set, gone, expected]);
      second.close();
    }
  }
});

Deno.test("what is at the server while it refuses is waited for before anything is sent again", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  await server.run();
  for (const n of [1, 2]) ignore(client.publish(ROOM, n));
  await settle();
  server.socket.refusesFor = 2000;
  server.take(server.socket, 1);
  server.socket.deliver();
  await server.time.advance(1500);
  server.take(server.socket, 1);
  await server.time.advance(1000);
  assertEquals(server.socket.sent, [], "the second one's answer is under way");
  await server.runFor(3000);
  assertEquals(said(server), [1, 2]);
  client.close();
});

Deno.test("what was tried a day ago may have been sent: it isn't sent again by itself", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  await server.run();
  ignore(first.publish(ROOM, "tried"));
  await settle();
  server.socket.drop();
  ignore(first.publish(ROOM, "never tried"));
  await settle();
  const key = first.outbox[0]?.key;
  first.close();
  await server.time.advance(KEY_LIFE + HOUR);
  const second = tab();
  await server.run();
  assertEquals([said(server), states(second)], [["never tried"], [["tried", "expired"]]]);
  second.retry(second.outbox[0]?.id ?? "");
  await server.run();
  assertEquals([said(server), server.log[1]?.key === key], [["never tried", "tried"], false]);
  second.close();
});

Deno.test("the same key again while it waits is the same message", async () => {
  const server = new FakeServer();
  const client = connect({ ...server.options, store: memoryStore() });
  const [one, two] = [1, 2].map((n) => client.publish(ROOM, n, { key: "k" }));
  const elsewhere = client.publish("room:b", 3, { key: "k" });
  await server.run();
  assertEquals([await one, await two, said(server)], [
    { channel: ROOM, seq: 1, time: server.log[0]?.time ?? 0 },
    { channel: ROOM, seq: 1, time: server.log[0]?.time ?? 0 },
    [1, 3],
  ]);
  assertEquals((await elsewhere).seq, 2);
  client.close();
});

Deno.test("closing tells who waits, and the next client sends what is kept", async () => {
  const server = new FakeServer();
  const { tab } = browser(server);
  const first = tab();
  const place = first.publish(ROOM, 1);
  const refused = assertRejects(() => place, FanfareError, "closed");
  first.close();
  await refused;
  await assertRejects(() => first.publish(ROOM, 2), FanfareError, "closed");
  await settle();
  const second = tab();
  await server.run();
  assertEquals(said(server), [1]);
  second.close();
});
