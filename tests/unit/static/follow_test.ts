/** Event streams by fetch: how often a stream that ends at once is asked for again. */
import { assertEquals, assertRejects } from "@std/assert";
import { type Clock, FanfareError, follow } from "../../../static/client/fanfare.js";

const SILENCE = 40_000;

/** Time that goes on when it is waited for; streams themselves take as long as is told. */
function hastyClock(lives: number): { clock: Clock; waits: number[] } {
  const waits: number[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(ms, run) {
      // What watches for silence goes off with the stream.
      if (ms === SILENCE) return () => void (now += lives);
      waits.push(ms);
      queueMicrotask(run);
      return () => {};
    },
  };
  return { clock, waits };
}

/** A server of streams that end after their first words. */
function serveShort(words: string): { url: string } & AsyncDisposable {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(words, { headers: { "content-type": "text/event-stream" } }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const STORIES: [number, number[]][] = [
  [0, [200, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]],
  [5000, [200, 200, 200, 200, 200, 200, 200, 200]],
];
for (const [lives, expected] of STORIES) {
  Deno.test(
    `streams that end after ${lives} ms are asked for again ${
      lives === 0 ? "less and less often" : "as the server told"
    }`,
    async () => {
      await using server = serveShort(`id: e:1\n\nretry: 200\n\n`);
      const { clock, waits } = hastyClock(lives);
      const ended = new AbortController();
      const { after } = clock;
      clock.after = (ms, run) => {
        if (waits.length === expected.length) ended.abort();
        return after(ms, run);
      };
      const { signal } = ended;
      for await (
        const _ of follow(["push:all"], { url: server.url, clock, signal, random: () => 1 })
      );
      assertEquals(waits.slice(0, expected.length), expected);
    },
  );
}

Deno.test("a stream that is refused for good says why", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json({ code: "unauthorized", detail: "The token ended" }, { status: 401 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const error = await assertRejects(() => follow(["push:all"], { url }).next(), FanfareError);
  assertEquals([error.code, error.message], ["unauthorized", "The token ended"]);
});
