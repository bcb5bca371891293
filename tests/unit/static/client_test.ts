/** The client library: states and their reasons, coming back, and places in channels; time stands still. */
import { assertEquals, assertRejects } from "@std/assert";
import {
  type Client,
  connect,
  type ConnectOptions,
  FanfareError,
  type Message,
  Reason,
  type Roster,
  State,
} from "../../../static/client/fanfare.js";
import { backoff } from "../../../static/client/time.js";
import { FakeServer, settle } from "./fake_server.ts";

const ROOM = "room:a";

async function connected(
  options: ConnectOptions = {},
  server = new FakeServer(),
): Promise<{ server: FakeServer; client: Client; history: string[] }> {
  const history: string[] = [];
  const client = connect({ ...server.options, ...options });
  client.on("state", ({ state, reason }) => history.push(`${state} ${reason}`));
  await server.run();
  return { server, client, history };
}

const line = (value: unknown) => JSON.stringify(value);
const message = (seq: number, channel = ROOM) => ({
  message: { channel, seq, time: seq, from: "bob", data: seq },
});

/** Runs with errors that nobody caught collected. */
async function uncaught(run: () => Promise<void>): Promise<string[]> {
  const errors: string[] = [];
  const listen = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.message);
  };
  globalThis.addEventListener("error", listen);
  try {
    await run();
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    globalThis.removeEventListener("error", listen);
  }
  return errors;
}

Deno.test("each transition has its reason, from the start to the end", async () => {
  const { server, client, history } = await connected();
  server.socket.drop();
  await server.runFor(500);
  server.socket.due.push(line({ closing: { reason: "Restart", retry: 2000 } }));
  server.socket.deliver();
  server.socket.drop(1001);
  await server.runFor(2000);
  client.close();
  assertEquals(history, [
    "open greeted",
    "waiting lost",
    "connecting retry",
    "open greeted",
    "waiting leaving",
    "connecting retry",
    "open greeted",
    "closed done",
  ]);
});

Deno.test("the wait is exponential with full jitter, from half a second to thirty", () => {
  const most = Array.from({ length: 9 }, (_, attempt) => backoff(attempt, 1));
  assertEquals(most, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assertEquals([backoff(3, 0), backoff(3, 0.25), backoff(5000, 1)], [0, 1000, 30_000]);
  assertEquals(backoff(0, 0.5, 200), 100, "what the server told counts");
  assertEquals([backoff(3, 0.5, 200), backoff(3, 0.5, 9000)], [2000, 4500], "not for less again");
});

Deno.test("tries are counted until a connection was good for a while, not until a socket opens", async () => {
  const { server, client } = await connected();
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    server.socket.drop();
    waits.push(client.nextTry - server.time.clock.now());
    await server.time.advance(client.nextTry - server.time.clock.now());
    server.socket.open();
    await settle();
  }
  assertEquals(waits, [250, 500, 1000, 2000]);
  await server.runFor(5000);
  server.socket.drop();
  assertEquals(client.nextTry - server.time.clock.now(), 250);
  client.close();
});

Deno.test("a server that greets and goes at once is come back to less and less often, whatever it says", async () => {
  for (const closing of [undefined, { reason: "Restart", retry: 0 }]) {
    const { server, client } = await connected();
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      if (closing !== undefined) server.socket.frame(line({ closing }));
      server.socket.drop(1001);
      waits.push(client.nextTry - server.time.clock.now());
      await server.time.advance(waits.at(-1) ?? 0);
      await server.run();
      assertEquals(client.state, State.open);
    }
    const first = closing === undefined ? 250 : 0;
    assertEquals(waits, [first, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    client.close();
  }
});

Deno.test("the time to come back that a server told is for once", async () => {
  const { server, client } = await connected();
  server.socket.frame(line({ closing: { reason: "Restart", retry: 3000 } }));
  server.socket.drop(1001);
  assertEquals(client.nextTry - server.time.clock.now(), 1500);
  await server.time.advance(1500);
  server.socket.drop();
  assertEquals([client.reason, client.nextTry - server.time.clock.now()], ["lost", 500]);
  client.close();
});

for (const code of [1003, 1007, 1008, 1009, 4500, 4999]) {
  Deno.test(`it doesn't come back after ${code}`, async () => {
    const { server, client } = await connected();
    const place = client.publish(ROOM, 1);
    const refused = assertRejects(() => place, FanfareError, "closed");
    server.socket.drop(code);
    await refused;
    assertEquals([client.state, client.reason], [State.closed, Reason.refused]);
    assertEquals(server.time.next, undefined, "nothing is left to be done");
  });
}

for (const code of [1000, 1001, 1006, 1011, 1013, 4001, 4008]) {
  Deno.test(`it comes back after ${code}`, async () => {
    const { server, client } = await connected();
    server.socket.drop(code);
    await server.runFor(500);
    assertEquals([client.state, server.sockets.length], [State.open, 2]);
    client.close();
  });
}

Deno.test("a token that is made anew for each connection; one that is refused is the end", async () => {
  const given: unknown[] = [];
  const server = new FakeServer();
  server.refuse = (verb, { token }) => {
    if (verb !== "hello") return undefined;
    given.push(token);
    return token === "t3" ? { code: "unauthorized", message: "The token ended" } : undefined;
  };
  let n = 0;
  const { client } = await connected({ token: () => `t${++n}` }, server);
  for (let i = 0; i < 2; i++) {
    server.socket.drop(4001);
    await server.runFor(500);
  }
  assertEquals(given, ["t1", "t2", "t3"]);
  assertEquals([client.state, client.reason], [State.closed, Reason.refused]);
});

Deno.test("a name that won't do is the end, a server that can't now is not", async () => {
  const server = new FakeServer();
  const answers = ["unavailable", "rate_limited", "bad_request"];
  server.refuse = () => ({ code: answers.shift() ?? "internal", message: "No", retry: 4000 });
  const { client, history } = await connected({ name: "" }, server);
  await server.runFor(10_000);
  assertEquals(history, [
    "waiting lost",
    "connecting retry",
    "waiting lost",
    "connecting retry",
    "closed refused",
  ]);
  client.close();
});

Deno.test("a rename outlives the connection", async () => {
  const server = new FakeServer();
  const names: unknown[] = [];
  server.refuse = (verb, { name }) => void (verb === "hello" && names.push(name));
  const { client } = await connected({ name: "Ada" }, server);
  const renamed = client.rename("Countess");
  await server.run();
  await renamed;
  server.socket.drop();
  await server.runFor(500);
  assertEquals(names, ["Ada", "Countess"]);
  client.close();
});

Deno.test("a handshake, or a greeting, that isn't answered is a silence", async () => {
  for (const opens of [false, true]) {
    const server = new FakeServer();
    const client = connect(server.options);
    if (opens) server.socket.open();
    await server.time.advance(9999);
    assertEquals(client.state, State.connecting);
    await server.time.advance(1);
    assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
    client.close();
  }
});

Deno.test("silence is asked about; only a question that isn't answered is a loss, however late timers are", async () => {
  const { server, client } = await connected();
  await server.time.advance(15_000);
  assertEquals(server.socket.sent.map(({ verb }) => verb), ["ping"]);
  await server.run();
  await server.runFor(60_000, 5000);
  assertEquals([client.state, server.sockets.length], [State.open, 1]);
  await server.time.advance(30_000);
  assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
  client.close();
});

Deno.test("a page that slept asks before it takes the connection for lost", async () => {
  const { server, client } = await connected();
  server.time.sleep(120_000);
  await server.runFor(1000);
  assertEquals([client.state, server.sockets.length], [State.open, 1]);
  client.close();
});

Deno.test("when the network goes or another comes, the connection is asked at once and has two seconds", async () => {
  for (const event of ["offline", "online"]) {
    const { server, client } = await connected();
    globalThis.dispatchEvent(new Event(event));
    await server.run();
    await server.runFor(5000);
    assertEquals(client.state, State.open, "a server on this machine still answers");
    globalThis.dispatchEvent(new Event(event));
    await server.time.advance(2000);
    assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
    client.close();
  }
});

Deno.test("on a slow uplink a probe waits as long as answers take there, and is quick again where they are", async () => {
  const { server, client } = await connected();
  const answerAfter = async (ms: number) => {
    await server.time.advance(ms);
    await server.run();
  };
  const probe = () => globalThis.dispatchEvent(new Event("online"));
  const asked = client.history(ROOM);
  await answerAfter(1500);
  await asked;
  probe();
  await answerAfter(5900);
  assertEquals([client.state, server.sockets.length], [State.open, 1]);
  // Each quick answer is believed by half: 10 s, 5, 2.5, 2.
  for (let i = 0; i < 3; i++) {
    probe();
    await server.run();
  }
  probe();
  await server.time.advance(2000);
  assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
  client.close();
});

Deno.test("a probe behind a large message has the time that this takes on a slow uplink, and not for ever", async () => {
  const server = new FakeServer();
  server.limits.message = 1_000_000;
  const { client } = await connected({}, server);
  client.publish(ROOM, "x".repeat(64_000)).catch(() => {});
  await settle();
  globalThis.dispatchEvent(new Event("online"));
  await server.time.advance(5900);
  await server.run();
  assertEquals([client.state, server.sockets.length], [State.open, 1]);
  client.publish(ROOM, "x".repeat(900_000)).catch(() => {});
  await settle();
  globalThis.dispatchEvent(new Event("online"));
  await server.time.advance(10_000);
  assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
  client.close();
});

Deno.test("each probe that killed a connection gives the next one twice its time, up to ten seconds; so does each handshake", async () => {
  const { server, client } = await connected();
  const limits: number[] = [];
  for (let i = 0; i < 4; i++) {
    globalThis.dispatchEvent(new Event("offline"));
    const before = server.time.now;
    while (client.state === State.open) await server.time.advance(500);
    limits.push(server.time.now - before);
    await server.time.advance(client.nextTry - server.time.now);
    server.socket.open();
    await server.time.advance(2600);
    await server.run();
  }
  assertEquals(limits, [2000, 10_000, 10_000, 10_000], "greetings took so long there");
  client.close();
  const none = new FakeServer();
  const hopeless = connect(none.options);
  const handshakes: number[] = [];
  for (let i = 0; i < 3; i++) {
    const before = none.time.now;
    while (hopeless.state === State.connecting) await none.time.advance(500);
    handshakes.push(none.time.now - before);
    await none.time.advance(hopeless.nextTry - none.time.now);
  }
  assertEquals(handshakes, [10_000, 20_000, 20_000]);
  hopeless.close();
});

Deno.test("a clock that is set back hides no silence", async () => {
  const { server, client } = await connected();
  server.time.set(-3_600_000);
  await server.time.advance(30_000);
  assertEquals([client.state, client.reason], [State.waiting, Reason.silent]);
  client.close();
});

Deno.test("when the network is back it is tried at once", async () => {
  const { server, client } = await connected();
  server.socket.drop();
  globalThis.dispatchEvent(new Event("online"));
  await server.run();
  assertEquals([client.state, server.sockets.length], [State.open, 2]);
  client.close();
});

Deno.test("an answer and what follows it in the same frame: nothing lost, nothing twice", async () => {
  const heard: number[] = [];
  const { server, client } = await connected();
  client.subscribe(ROOM, { onMessages: (list) => heard.push(...list.map(({ seq }) => seq)) });
  await settle();
  const [subscribe] = server.socket.sent.splice(0);
  const answer = { channel: ROOM, epoch: "e1", seq: 4, messages: [] };
  server.socket.frame(
    [line({ id: subscribe?.id, subscribe: answer }), line(message(5)), line(message(6))].join("\n"),
  );
  server.socket.frame(line(message(7)));
  assertEquals(heard, [5, 6, 7]);
  server.socket.drop();
  await server.time.advance(500);
  server.socket.open();
  await settle();
  server.take(server.socket, 1);
  server.socket.deliver();
  await settle();
  const [again] = server.socket.sent.splice(0);
  assertEquals(again?.body.since, { epoch: "e1", seq: 7 });
  server.socket.frame(
    [
      line({
        id: again?.id,
        subscribe: { ...answer, seq: 9, recovered: true, messages: [message(9).message] },
      }),
      line(message(10)),
    ].join("\n"),
  );
  assertEquals(heard, [5, 6, 7, 9, 10]);
  client.close();
});

Deno.test("what comes twice is dropped, live and while it recovers", async () => {
  const heard: number[] = [];
  const server = new FakeServer();
  const { client } = await connected({}, server);
  client.subscribe(ROOM, { onMessages: (list) => heard.push(...list.map(({ seq }) => seq)) });
  await server.run();
  server.publish("bob", ROOM, 1);
  await server.run();
  server.socket.frame([1, 1, 2, 2].map((seq) => line(message(seq))).join("\n"));
  assertEquals(heard, [1, 2]);
  client.close();
});

Deno.test("another log begins anew, and so does one that was put back", async () => {
  const calls: unknown[] = [];
  const server = new FakeServer();
  for (let i = 0; i < 5; i++) server.publish("bob", ROOM, i);
  const { client } = await connected({}, server);
  client.subscribe(ROOM, {
    history: 2,
    onMessages: (list, gap, reset) => calls.push([list.map(({ seq }) => seq), gap, reset]),
  });
  await server.run();
  server.socket.drop();
  server.wipe("e2");
  server.publish("bob", ROOM, "new");
  await server.runFor(500);
  server.socket.drop();
  server.log = [];
  await server.runFor(500);
  assertEquals(calls, [[[4, 5], false, false], [[1], true, true], [[], true, true]]);
  client.close();
});

Deno.test("a newest page after a gap holds nothing that was seen", async () => {
  const calls: unknown[] = [];
  const { server, client } = await connected();
  client.subscribe(ROOM, {
    onMessages: (list, gap, reset) => calls.push([list.map(({ seq }) => seq), gap, reset]),
  });
  await server.run();
  server.socket.frame(line(message(3)));
  server.socket.drop();
  await server.time.advance(500);
  server.socket.open();
  await settle();
  server.take(server.socket, 1);
  server.socket.deliver();
  await settle();
  const [subscribe] = server.socket.sent.splice(0);
  const messages = [2, 3, 7].map((seq) => message(seq).message);
  server.socket.frame(line({
    id: subscribe?.id,
    subscribe: { channel: ROOM, epoch: "e1", seq: 7, recovered: false, messages },
  }));
  assertEquals(calls, [[[3], false, false], [[7], true, false]]);
  client.close();
});

Deno.test("all direct messages and one direct channel at once: each hears each once", async () => {
  const all: number[] = [];
  const one: number[] = [];
  const server = new FakeServer();
  const { client } = await connected({}, server);
  const seqs = (list: Message[]) => list.map(({ seq }) => seq);
  client.subscribe("dm:*", { onMessages: (list) => all.push(...seqs(list)) });
  client.subscribe("dm:ada.bob", { onMessages: (list) => one.push(...seqs(list)) });
  await server.run();
  server.publish("bob", "dm:ada.bob", 1);
  server.publish("eve", "dm:ada.eve", 2);
  await server.run();
  server.socket.drop();
  server.publish("bob", "dm:ada.bob", 3);
  await server.runFor(500);
  server.publish("bob", "dm:ada.bob", 4);
  await server.run();
  assertEquals([all, one], [[1, 2, 3, 4], [1, 3, 4]]);
  client.close();
});

Deno.test("a subscription that was closed hears nothing more, not even its answer", async () => {
  const heard: number[] = [];
  const server = new FakeServer();
  server.publish("bob", ROOM, 1);
  const { client } = await connected({}, server);
  const onMessages = (list: Message[]) => heard.push(...list.map(({ seq }) => seq));
  client.subscribe(ROOM, { history: 10, onMessages }).close();
  await server.run();
  assertEquals(heard, []);
  const [old, anew] = [
    client.subscribe(ROOM, { onMessages }),
    client.subscribe(ROOM, { onMessages }),
  ];
  await server.run();
  old.close();
  server.publish("bob", ROOM, 2);
  await server.run();
  assertEquals(heard, [2], "the later one stays, and hears it once");
  anew.close();
  client.close();
});

Deno.test("a subscription that is refused for now is asked for again; for good, it is told", async () => {
  const server = new FakeServer();
  const codes = ["unavailable", "forbidden"];
  server.refuse = (verb) =>
    verb === "subscribe" && codes[0]
      ? { code: codes.shift(), message: "No", retry: 700 }
      : undefined;
  const { client } = await connected({}, server);
  const told: string[] = [];
  client.subscribe(ROOM, { onError: ({ code }) => told.push(code) });
  await server.runFor(500);
  assertEquals([told, codes], [[], ["forbidden"]]);
  await server.runFor(500);
  assertEquals(told, ["forbidden"]);
  client.close();
});

Deno.test("what a listener throws stops nobody else, and isn't swallowed", async () => {
  const heard: number[] = [];
  const errors = await uncaught(async () => {
    const server = new FakeServer();
    const { client } = await connected({}, server);
    const broken = (what: string) => () => {
      throw new Error(what);
    };
    client.on("state", broken("state"));
    client.on("sent", broken("sent"));
    client.subscribe(ROOM, { onMessages: broken("messages") });
    client.subscribe("room:b", { onMessages: (list) => heard.push(...list.map(({ seq }) => seq)) });
    server.socket.drop();
    await server.runFor(500);
    const place = client.publish(ROOM, 1);
    await server.run();
    assertEquals((await place).seq, 1);
    server.publish("bob", "room:b", 2);
    await server.run();
    client.close();
  });
  assertEquals(heard, [2]);
  assertEquals(
    new Set(errors.map((error) => error.replace("Uncaught Error: ", ""))),
    new Set(["state", "messages", "sent"]),
  );
});

Deno.test("what isn't the protocol ends the connection, and what was missed is recovered", async () => {
  const heard: number[] = [];
  const server = new FakeServer();
  const { client, history } = await connected({}, server);
  client.subscribe(ROOM, { onMessages: (list) => heard.push(...list.map(({ seq }) => seq)) });
  await server.run();
  server.publish("bob", ROOM, 1);
  server.publish("bob", ROOM, 2);
  server.socket.due[1] = '{"message":';
  server.socket.deliver();
  assertEquals([heard, history.at(-1)], [[1], "waiting lost"]);
  await server.runFor(500);
  assertEquals(heard, [1, 2]);
  server.socket.frame("null");
  assertEquals(client.state, State.waiting);
  client.close();
});

Deno.test("an old socket says nothing any more", async () => {
  const heard: number[] = [];
  const { server, client } = await connected();
  client.subscribe(ROOM, { onMessages: (list) => heard.push(...list.map(({ seq }) => seq)) });
  await server.run();
  const old = server.socket;
  const told = old.onmessage;
  old.drop();
  await server.runFor(500);
  told?.({ data: line(message(9)) });
  old.onclose?.({ code: 1008 });
  assertEquals([heard, client.state], [[], State.open]);
  client.close();
});

Deno.test("who is here: deltas after the list, a hole asks once more, a long list goes on by its count", async () => {
  const rosters: string[] = [];
  const { server, client } = await connected();
  const show = ({ version, count, members }: Roster) =>
    `${version}: ${members.map(({ account }) => account)} of ${count}`;
  client.subscribe(ROOM, { onPresence: (roster) => rosters.push(show(roster)) });
  await settle();
  const delta = (version: number, count: number, more: object = {}) =>
    server.socket.frame(line({ presence: { channel: ROOM, version, count, ...more } }));
  const joins = (account: string) => ({ joined: [{ account }], left: [] });
  delta(3, 9, joins("early"));
  const [subscribe] = server.socket.sent.splice(0);
  server.socket.frame(line({
    id: subscribe?.id,
    subscribe: {
      ...{ channel: ROOM, epoch: "e1", seq: 0, messages: [] },
      presence: { version: 4, count: 1, members: [{ account: "ada" }] },
    },
  }));
  delta(4, 9, joins("old"));
  delta(5, 2, joins("bob"));
  assertEquals(rosters.splice(0), ["4: ada of 1", "5: ada,bob of 2"]);
  delta(8, 3, joins("eve"));
  delta(9, 4, joins("joe"));
  const asked = server.socket.sent.splice(0);
  assertEquals(asked.map(({ verb }) => verb), ["presence"], "it is asked for once");
  const list = (version: number, ...accounts: string[]) => ({
    channel: ROOM,
    version,
    count: accounts.length,
    members: accounts.map((account) => ({ account })),
  });
  server.socket.frame(line({ id: asked[0]?.id, presence: list(8, "ada", "bob", "eve") }));
  const again = server.socket.sent.splice(0);
  assertEquals(again.map(({ verb }) => verb), ["presence"], "what came meanwhile isn't in it");
  server.socket.frame(line({ id: again[0]?.id, presence: list(9, "ada", "bob", "eve", "joe") }));
  delta(10, 1001);
  assertEquals(rosters, [
    "8: ada,bob,eve of 3",
    "9: ada,bob,eve,joe of 4",
    "10: ada,bob,eve,joe of 1001",
  ]);
  assertEquals(server.socket.sent, []);
  client.close();
});

Deno.test("who asks without a connection is told so, and nothing is left unhandled", async () => {
  const { server, client } = await connected();
  const asked = client.history(ROOM);
  const refused = assertRejects(() => asked, FanfareError, "lost");
  server.socket.drop();
  await refused;
  await assertRejects(() => client.signal(ROOM, 1), FanfareError, "no connection");
  client.subscribe(ROOM).close();
  client.close();
  client.close();
});
