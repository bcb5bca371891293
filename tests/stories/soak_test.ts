/** A short soak (threats.md L12): hundreds come, talk and go, in order or not; what they took is given back. */
import { assertEquals, assertLess } from "@std/assert";
import { Watch } from "../helpers/load/figures.ts";
import { cookieFrom, pause, spawnServer } from "../helpers/child_server.ts";
import { EventStream } from "../helpers/http.ts";
import { randomOf, SEED } from "../helpers/random.ts";
import { RawWebSocket } from "../helpers/raw_websocket.ts";
import { NativeClient } from "../helpers/server.ts";

const SECONDS = 9;
// The first few seconds are those of code that is compiled.
const WARM_UP = 4;
const VISITORS = 60;
// In MiB. A heap finds its size in half a minute (seen: 190 at 15 s, 223 to 228 from 30 s to 70 s); the slope is torture's.
const GROWTH = 120;
const BACK = 10_000;

async function gauges(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const found = text.matchAll(/^fanfare_(\w+) (\d+)$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}

for (const workers of [0, 2]) {
  Deno.test(`L12: memory, descriptors and counters are level while connections come and go (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({ data, flags: ["--workers", String(workers)] });
    const port = await server.listening;
    const host = `127.0.0.1:${port}`;
    const url = `http://${host}`;
    using watch = new Watch(server.pid);
    await using witness = await NativeClient.open({ host });
    await gauges(url);
    const descriptors = watch.descriptors;
    const random = randomOf(SEED, "soak");
    const end = performance.now() + SECONDS * 1000;
    let visits = 0;
    const visit = async () => {
      if (random.chance(0.2)) {
        await using _ = await EventStream.open({ url }, "/events?channel=push:a");
        return await pause(random.whole(0, 100));
      }
      if (random.chance(0.2)) {
        // Gone without a word, with what it was owed.
        using raw = await RawWebSocket.open(port, await cookieFrom(url));
        await raw.send('{"id":1,"subscribe":{"channel":"room:a","history":200}}');
        return await pause(random.whole(0, 100));
      }
      await using client = await NativeClient.open({ host });
      const channel = `room:r${visits % 500}`;
      await client.do("subscribe", { channel, presence: true });
      await client.do("publish", { channel, data: "x".repeat(random.whole(1, 1000)) });
      await pause(random.whole(0, 100));
    };
    const visitor = async () => {
      for (; performance.now() < end; visits++) await visit();
    };
    const all = Promise.all(Array.from({ length: VISITORS }, visitor));
    await pause(WARM_UP * 1000);
    const before = watch.resident;
    await all;
    assertLess(1000, visits);
    const rest = async () => {
      const { connections, stuck_sockets: stuck, slow_readers: slow } = await gauges(url);
      const { count } = await witness.do("presence", { channel: "room:a" });
      return [connections, stuck, slow, count];
    };
    const deadline = performance.now() + BACK;
    while ((await rest()).join() !== "1,0,0,0" && performance.now() < deadline) await pause(100);
    assertEquals(await rest(), [1, 0, 0, 0]);
    // Connections of requests are kept for a moment; each isolate has one at most for our own.
    while (watch.descriptors > descriptors + 4 && performance.now() < deadline) await pause(100);
    assertLess(watch.descriptors, descriptors + 5);
    const grown = watch.resident - before;
    console.log(visits, before, watch.resident, descriptors, watch.descriptors);
    assertLess(grown, GROWTH, `${visits} visits: from ${before} to ${watch.resident} MiB`);
    assertEquals(server.troubles, []);
    await Deno.remove(data, { recursive: true });
  });
}
