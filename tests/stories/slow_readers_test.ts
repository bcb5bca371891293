/** Readers that stop reading (threats.md L1), in small; `deno task bench:slow-readers` has the figures of a thousand. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { Buffer } from "node:buffer";
import { type Answer, Crowd, CrowdReader } from "../helpers/load/crowd.ts";
import { Watch } from "../helpers/load/figures.ts";
import { BenchPublisher } from "../helpers/load/publisher.ts";
import { cookieFrom, pause, spawnServer, within } from "../helpers/child_server.ts";
import { NativeClient } from "../helpers/server.ts";

const CHANNEL = "push:crowd";
/** Only those who stop read it: it fills their sockets and what the system holds for them. */
const FILL = "push:fill";
const FILL_MESSAGES = 115;
const FILL_TEXT = "x".repeat(40_000);
const MANY = 200;
const SLOW = 100;
const RATE = 100;
const SECONDS = 3;

async function enter(
  port: number,
  cookie: string,
  crowd: Crowd,
  count: number,
  channels: readonly string[],
): Promise<{ reader: CrowdReader; answers: readonly Answer[] }[]> {
  const bodies = channels.map((channel) => ({ channel }));
  return await Promise.all(
    Array.from({ length: count }, () => CrowdReader.enter(port, cookie, crowd, bodies)),
  );
}

/** Reads on to the end; what only filled the socket is passed over unread. */
async function readOn(reader: CrowdReader, crowd: Crowd): Promise<void> {
  const filling = Buffer.from(`{"message":{"channel":"${FILL}"`);
  const onText = (payload: Uint8Array) => {
    const frame = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    for (let at = 0; at < frame.length;) {
      const end = frame.indexOf("\n", at);
      const line = frame.subarray(at, end < 0 ? frame.length : end);
      at += line.length + 1;
      if (line.subarray(0, filling.length).equals(filling)) continue;
      reader.last = crowd.take(line, reader.last, true);
    }
  };
  while (await reader.socket.read(onText));
  reader.ended = true;
}

async function all(
  readers: readonly CrowdReader[],
  published: number,
  what: string,
): Promise<void> {
  const done = async () => {
    while (readers.some(({ last }) => last < published - 1)) await pause(10);
  };
  await within(done(), 20_000, what);
}

Deno.test("L1: a hundred of three hundred readers stop reading: memory stays bounded, the others lose nothing and don't wait, and the hundred have all when they read again", async () => {
  const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  try {
    await using server = await spawnServer({ data, flags: ["--workers", "0"] });
    const port = await server.listening;
    using watch = new Watch(server.pid);
    const cookie = await cookieFrom(`http://127.0.0.1:${port}/`);
    const crowd = new Crowd(CHANNEL);
    // What they have read in the end is counted apart, and in full.
    const late = new Crowd(CHANNEL);
    const many = (await enter(port, cookie, crowd, MANY, [CHANNEL])).map(({ reader }) => reader);
    const slow = (await enter(port, cookie, late, SLOW, [CHANNEL, FILL])).map(({ reader }) =>
      reader
    );
    const running = many.map((reader) => reader.run());
    using publisher = await BenchPublisher.open(port, cookie);
    await publisher.publish(CHANNEL, RATE, 1);
    const before = watch.resident;

    // 4.6 MB for each of the hundred, of which nobody takes more than what fits into buffers.
    await publisher.fill(FILL, FILL_MESSAGES, FILL_TEXT);
    crowd.measuring = true;
    await publisher.publish(CHANNEL, RATE, SECONDS);
    await all(many, publisher.published, "what the others are due");
    crowd.measuring = false;
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assertEquals(/^fanfare_slow_readers (\d+)$/m.exec(metrics)?.[1], String(SLOW));
    const most = Math.max(...watch.memory, watch.resident);
    assertLess(most - before, 150);
    assertLess(crowd.latencies.at(0.99), 1000);

    const reading = slow.map((reader) => readOn(reader, late));
    await all(slow, publisher.published, "what those who stopped are due");
    for (const reader of [...many, ...slow]) {
      assertEquals([reader.ended, reader.last], [false, publisher.published - 1]);
      reader.socket[Symbol.dispose]();
    }
    await within(Promise.all([...running, ...reading]), 20_000, "the readers' end");
    const none = { lost: 0, repeated: 0, reordered: 0, damaged: 0 };
    assertEquals([crowd.faults, late.faults], [none, none]);
    assertEquals(crowd.delivered, MANY * publisher.published);
    assertEquals(late.delivered, SLOW * publisher.published);
    assertEquals(server.troubles, []);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("L1: what Deno keeps for each client that was sent a large page has an end, and the last one is given all in small ones", async () => {
  const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  try {
    const flags = ["--workers", "0", "--max-memory", "240M", "--max-commands", "0"];
    await using server = await spawnServer({ data, flags });
    const host = `127.0.0.1:${await server.listening}`;
    await using clients = new AsyncDisposableStack();
    const open = async () => clients.use(await NativeClient.open({ host }));
    const first = await open();
    const channel = "room:a";
    const text = "x".repeat(5000);
    for (let i = 0; i < 200; i++) await first.do("publish", { channel, data: { text, i } });
    using watch = new Watch(server.pid);
    const before = watch.resident;
    const page = async (client: NativeClient, before?: number) => {
      const place = before === undefined ? {} : { before };
      const { messages, more } = await client.do("history", { channel, limit: 200, ...place });
      return { messages: listOf(messages), more };
    };
    assertEquals((await page(first)).messages.length, 200);
    // A megabyte for each would be 300; pages of the size of frames are 40, which is too much as well.
    for (let i = 0; i < 300; i++) await page(await open());
    const grown = watch.resident - before;
    const last = await open();
    const seen: number[] = [];
    let pages = 0;
    for (let place: number | undefined, more: unknown = true; more === true; pages++) {
      const next = await page(last, place);
      seen.unshift(...next.messages.map(({ data }) => data.i));
      ({ more } = next);
      place = next.messages[0]?.seq;
    }
    assertEquals(seen, Array.from({ length: 200 }, (_, i) => i));
    assertGreater(pages, 100);
    assertLess(grown, 80);
    assertEquals(server.troubles, []);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

function listOf(messages: unknown): { seq: number; data: { i: number } }[] {
  if (Array.isArray(messages)) return messages;
  throw new Error("Cannot read the page: it has no messages");
}
