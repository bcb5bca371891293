/** File descriptors that are used up (threats.md L11): accepting pauses, those who are here go on, and it heals by itself. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { Watch } from "../helpers/load/figures.ts";
import { pause, spawnServer, within } from "../helpers/child_server.ts";
import { NativeClient } from "../helpers/server.ts";

// Above what a server with two isolates has for itself, and soon used up.
const LIMIT = 200;
const STARVED = 20;

async function come(host: string): Promise<NativeClient> {
  for (;;) {
    const client = await NativeClient.open({ host }).catch(() => undefined);
    if (client !== undefined) return client;
    await pause(50);
  }
}

// What one listener can't take any more another may: so it isn't over with the first that is refused.
async function takeAll(port: number, greedy: Deno.Conn[]): Promise<void> {
  for (let refused = 0; refused < 10 && greedy.length < 3 * LIMIT;) {
    const conn = await Deno.connect({ port }).catch(() => undefined);
    if (conn === undefined) refused += 1;
    else greedy.push(conn);
    // What waits to be accepted is connected too: the server shall see them one by one.
    await pause(2);
  }
}

for (const workers of [0, 2]) {
  Deno.test(`L11: whoever takes all file descriptors keeps newcomers out, and nobody else, nor for longer (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({
      data,
      flags: ["--workers", String(workers)],
      by: ["sh", "-c", `ulimit -n ${LIMIT}; exec "$@"`, "sh"],
    });
    const events: unknown[] = [];
    server.onLog = ({ message }) => events.push(message);
    const port = await server.listening;
    const host = `127.0.0.1:${port}`;
    await using writer = await NativeClient.open({ host });
    await using reader = await NativeClient.open({ host });
    await reader.do("subscribe", { channel: "room:a" });
    const say = async (data: number) => {
      await writer.do("publish", { channel: "room:a", data });
      assertEquals((await reader.hear("message")).data, data);
    };
    const greedy: Deno.Conn[] = [];
    await takeAll(port, greedy);
    assertLess(greedy.length, 2 * LIMIT);
    using watch = new Watch(server.pid);
    const before = { cpu: watch.cpu, at: performance.now() };
    for (let i = 0; i < STARVED; i++) {
      await say(i);
      await pause(50);
    }
    // Files and an isolate that has to be started find some, for nobody else gets these.
    assertLess(watch.descriptors, LIMIT - 10);
    const share = (watch.cpu - before.cpu) / (performance.now() - before.at) * 1000;
    assertLess(share, 0.5, `It used ${share.toFixed(2)} of a core while it couldn't accept`);
    // Where all listeners paused at once, one found enough for itself meanwhile.
    await takeAll(port, greedy);
    await NativeClient.open({ host }).then(
      () => Promise.reject(new Error("Another was let in although nothing is left")),
      () => {},
    );
    for (const conn of greedy) conn.close();
    await using newcomer = await within(come(host), 10_000, "a newcomer to be let in");
    await newcomer.do("publish", { channel: "room:a", data: "healed" });
    assertEquals((await reader.hear("message")).data, "healed");
    await say(STARVED);
    const metrics = await fetch(`http://${host}/metrics`).then((response) => response.text());
    assertGreater(Number(/^fanfare_accept_pauses_total (\d+)$/m.exec(metrics)?.[1]), 0);
    server.signal("SIGTERM");
    const { code } = await within(server.ended, 10_000, "the server's end");
    assertEquals(code, 0);
    await server[Symbol.asyncDispose]();
    assertGreater(events.indexOf("accept.resumed"), events.indexOf("accept.paused"));
    await Deno.remove(data, { recursive: true });
  });
}
