/** Event streams (protocol.md, "Event streams"): nothing lost, repeated or out of order, however they are cut; over one isolate and several. */
import { IDLE_SECONDS } from "../../lib/transports/sockets.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { EventStream, http } from "../helpers/http.ts";
import { randomOf, SEED } from "../helpers/random.ts";
import { ask } from "../helpers/raw_http.ts";
import { cookieOf, NativeClient, startServer, testIsolates } from "../helpers/server.ts";

const MESSAGES = 2500;
const CUTS = 100;

async function publish(client: NativeClient, channel: string, data: unknown): Promise<number> {
  return Number((await client.do("publish", { channel, data })).seq);
}

Deno.test(
  "a stream begins with its place alone, brings what is published, and goes on from an id",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    const { epoch } = await client.do("hello", {});
    const before = await publish(client, "push:a", "before");
    await using stream = await EventStream.open(server, "/events?channel=push:a&channel=push:b");
    assertEquals(stream.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assertEquals(stream.headers.get("x-accel-buffering"), "no");
    assertEquals(await stream.next(), { id: `${epoch}:${before}` });
    assertMatch((await stream.next())?.retry ?? "", /^\d+$/);
    const a = await publish(client, "push:a", { text: "line\nfeed\u2028" });
    const b = await publish(client, "push:b", 2);
    const first = await stream.until("message");
    assertEquals(first.id, `${epoch}:${a}`);
    const { messages } = await client.do("history", { channel: "push:a", limit: 1 });
    assertEquals([first.data], messages);
    assertEquals((await stream.until("message")).id, `${epoch}:${b}`);
    await using again = await EventStream.open(server, "/events?channel=push:a&channel=push:b", {
      "last-event-id": `${epoch}:${a}`,
    });
    assertEquals(await again.next(), { id: `${epoch}:${a}` });
    assertEquals((await again.until("message")).id, `${epoch}:${b}`);
    const query = `/events?channel=push:b&last_event_id=${epoch}:0`;
    await using byQuery = await EventStream.open(server, query);
    assertEquals((await byQuery.until("message")).id, `${epoch}:${b}`);
  },
);

Deno.test(
  "what can't be recovered is told as a gap, with the newest pages in the order of seq",
  async () => {
    await using server = await startServer({ limits: { recovery: 60 } });
    await using client = await NativeClient.open(server);
    const { epoch } = await client.do("hello", {});
    const start = await publish(client, "push:few", 0);
    const few = [start];
    const seqs: number[] = [];
    for (let i = 0; i < 140; i++) {
      if (i === 70) few.push(await publish(client, "push:few", i));
      seqs.push(await publish(client, i % 2 ? "push:even" : "push:odd", i));
    }
    const channels =
      "/events?channel=push:few&channel=push:odd&channel=push:even&channel=push:none";
    const read = async (id: string) => {
      await using stream = await EventStream.open(server, channels, { "last-event-id": id });
      const begin = await stream.next();
      await stream.next();
      const gap = await stream.until("gap");
      const got: number[] = [];
      while (got.at(-1) !== seqs.at(-1)) got.push(Number((await stream.until("message")).data.seq));
      return { begin, gap: gap.data.channels, got };
    };
    const inOrder = (...lists: number[][]) => lists.flat().sort((a, b) => a - b);
    // Of each its newest fifty, or what it has.
    const newest = seqs.slice(-100);
    const other = await read("another-log:5");
    assertEquals(other.gap, ["push:few", "push:odd", "push:even", "push:none"]);
    assertEquals(other.begin, { id: `${epoch}:${start - 1}` });
    assertEquals(other.got, inOrder(few, newest));
    const own = await read(`${epoch}:${start}`);
    assertEquals(own.gap, ["push:odd", "push:even"]);
    assertEquals(own.got, inOrder(few.slice(1), newest));
    assertEquals(own.begin, { id: `${epoch}:${(own.got[0] ?? 0) - 1}` });
    const ahead = await read(`${epoch}:999999`);
    assertEquals(ahead.gap, other.gap);
  },
);

testIsolates(
  "a stream that is cut a hundred times while 2,500 messages go through it",
  async (workers) => {
    await using server = await startServer({ workers });
    const random = randomOf(SEED, "cuts");
    const channels = ["push:a", "push:b", "push:c", "push:d"] as const;
    const query = `/events?${channels.map((channel) => `channel=${channel}`).join("&")}`;
    let place = "";
    {
      await using stream = await EventStream.open(server, query);
      place = (await stream.next())?.id ?? "";
    }
    await using client = await NativeClient.open(server);
    const sent: number[] = [];
    const publishing = (async () => {
      while (sent.length < MESSAGES) {
        const some = Array.from(
          { length: Math.min(25, MESSAGES - sent.length) },
          (_, i) => publish(client, random.pick(channels), i),
        );
        for (const seq of await Promise.all(some)) sent.push(seq);
      }
    })();
    const got: number[] = [];
    const read = async (enough: () => boolean) => {
      await using stream = await EventStream.open(server, query, { "last-event-id": place });
      for (let event; !enough() && (event = await stream.next()) !== undefined;) {
        assert(event.event !== "gap", "Nothing may be missing");
        if (event.id !== undefined) place = event.id;
        if (event.event === "message") got.push(Number(JSON.parse(event.data ?? "").seq));
      }
    };
    for (let cuts = 0; cuts < CUTS; cuts++) {
      const end = Math.min(got.length + random.whole(0, 49), MESSAGES - 10);
      await read(() => got.length >= end);
    }
    await publishing;
    await read(() => got.at(-1) === sent.at(-1));
    const lost = sent.filter((seq) => !new Set(got).has(seq)).length;
    const repeated = got.length - new Set(got).size;
    const disordered = got.filter((seq, i) => i > 0 && seq <= (got[i - 1] ?? 0)).length;
    const found = { messages: got.length, lost, repeated, disordered };
    assertEquals(found, { messages: MESSAGES, lost: 0, repeated: 0, disordered: 0 });
  },
  [0, 3],
);

Deno.test(
  "who reads a stream too slowly is a cursor: nothing is queued for it and nothing is lost",
  async () => {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    await using slow = await EventStream.open(server, "/events?channel=push:a");
    await slow.next();
    const data = { text: "x".repeat(60_000) };
    const seqs: number[] = [];
    // More than what the system keeps between the two.
    for (let i = 0; i < 120; i++) seqs.push(await publish(client, "push:a", data));
    const got: number[] = [];
    while (got.length < seqs.length) got.push(Number((await slow.until("message")).data.seq));
    assertEquals(got, seqs);
  },
);

testIsolates(
  "streams are counted while they are there, and end with the server",
  async (workers) => {
    await using server = await startServer({ workers, limits: { connections: 3 } });
    const streams = await Promise.all(
      Array.from({ length: 3 }, () => EventStream.open(server, "/events?channel=push:a")),
    );
    const full = await http(server, "/events?channel=push:a");
    assertEquals(full.status, 503);
    assert(Number(full.headers.get("retry-after")) > 0);
    const [first, ...others] = streams;
    await first?.[Symbol.asyncDispose]();
    for (;;) {
      await using next = await EventStream.open(server, "/events?channel=push:a");
      if (next.status === 200) break;
    }
    const restarted = server.restart();
    for (const stream of others) {
      const words: string[] = [];
      for (let event; (event = await stream.next()) !== undefined;) {
        words.push(
          ...Object.keys(event),
        );
      }
      assertEquals(words.at(-1), "retry");
    }
    await restarted;
  },
);

Deno.test("every quiet stream is sent something every 15 s, while it is there", async () => {
  // The server is in this isolate: its beats are held here, and beat when they are told to.
  const beats = new Map<number, { pause: number; beat: () => void }>();
  const { setInterval, clearInterval } = globalThis;
  let last = 1e9;
  globalThis.setInterval = Object.assign((beat: () => void, pause = 0) => {
    if (pause !== 15_000) return setInterval(beat, pause);
    beats.set(++last, { pause, beat });
    return last;
  }, setInterval);
  globalThis.clearInterval = (id) => {
    if (!beats.delete(Number(id))) clearInterval(id);
  };
  try {
    await using server = await startServer();
    await using client = await NativeClient.open(server);
    const beat = () => beats.forEach(({ beat }) => beat());
    {
      await using stream = await EventStream.open(server, "/events?channel=push:a");
      await stream.next();
      await using lines = await EventStream.open(server, "/push/a,b/sse");
      await lines.until("open");
      await using filtered = await EventStream.open(server, "/push/a/sse?priority=5");
      await filtered.until("open");
      beat();
      beat();
      await publish(client, "push:a", 1);
      await stream.until("message");
      assertEquals(stream.comments, 2);
      assertEquals((await lines.until("keepalive")).data.topic, "a,b");
      assertEquals((await filtered.until("keepalive")).data.topic, "a");
      assertEquals([...beats.values()].map(({ pause }) => pause), [15_000, 15_000, 15_000]);
      // Sockets are pinged by the runtime, at half the time after which a silent one is closed.
      assertEquals(IDLE_SECONDS * 500, 15_000);
    }
    while (beats.size > 0) await client.do("ping", {});
  } finally {
    Object.assign(globalThis, { setInterval, clearInterval });
  }
});

Deno.test("H13: an id, a query or a channel that isn't one is refused, and nothing of it gets into a stream", async () => {
  await using server = await startServer();
  for (
    const path of [
      "/events",
      "/events?channel=",
      "/events?channel=nothing",
      "/events?channel=push:a&x=1",
      "/events?channel=push:a%0d%0aevent:%20x",
      "/events?channel=push:a%E2%80%A8",
      "/events?channel=push:a&last_event_id=x",
      "/events?channel=push:a&last_event_id=e:1%0aevent:x",
      "/events?channel=push:a&last_event_id=e:-1",
      "/events?channel=push:a&last_event_id=e:1.5",
      "/events?channel=push:a&last_event_id=e:9007199254740993",
      "/events?channel=push:a&last_event_id=e:1&last_event_id=e:2",
      `/events?${Array.from({ length: 129 }, (_, i) => `channel=push:${i}`).join("&")}`,
    ]
  ) {
    assertEquals((await http(server, path)).status, 400, path);
  }
  for (const id of ["x", "e:1\u2028", "e:1 id: 2", ":1", "é:1", `${"e".repeat(200)}:1`]) {
    const headers = {
      "last-event-id": new TextDecoder("latin1").decode(new TextEncoder().encode(id)),
    };
    assertEquals(
      (await ask(server.host, { path: "/events?channel=push:a", headers })).status,
      400,
      id,
    );
  }
  const head = await fetch(`${server.url}/events?channel=push:a`, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
  await using stream = await EventStream.open(server, "/events?channel=push:a");
  for (const name of ["content-type", "cache-control", "x-accel-buffering"]) {
    assertEquals(head.headers.get(name), stream.headers.get(name), name);
  }
  // Nobody knows how long a stream gets: nothing is said of it, least of all that it is empty.
  for (const path of ["/events?channel=push:a", "/push/a/json", "/push/a/sse?poll=1"]) {
    const { status, headers } = await ask(server.host, { method: "HEAD", path });
    assertEquals([status, headers.get("content-length")], [200, null], path);
  }
});

Deno.test(
  "direct messages come to their two, whatever number of subscriptions they fall under",
  async () => {
    await using server = await startServer();
    const cookies = [await cookieOf(server), await cookieOf(server)] as const;
    const accounts: string[] = [];
    for (const cookie of cookies) {
      await using client = await NativeClient.open(server, { cookie });
      accounts.push(String((await client.do("hello", {})).account));
    }
    const channel = `dm:${accounts.toSorted().join(".")}`;
    await using client = await NativeClient.open(server, { cookie: cookies[0] });
    await using stream = await EventStream.open(server, `/events?channel=dm:*&channel=${channel}`, {
      cookie: cookies[1],
    });
    await stream.next();
    const seqs = [await publish(client, channel, 1), await publish(client, channel, 2)];
    assertEquals((await stream.until("message")).data.seq, seqs[0]);
    assertEquals((await stream.until("message")).data.seq, seqs[1]);
    const stranger = await http(server, `/events?channel=${channel}`, { headers: {} });
    assertEquals(stranger.status, 401);
    const foreign = await http(server, `/events?channel=${channel}`, {
      headers: { cookie: await cookieOf(server) },
    });
    assertEquals(foreign.status, 403);
  },
);
