/** Very many who come back at once (threats.md L2); ten thousand are `deno task bench:cut`. */
import { assertLess } from "@std/assert";
import { cutAll } from "../helpers/load/cut.ts";
import { spawnServer } from "../helpers/child_server.ts";
import { memoryFolder } from "../helpers/log.ts";
import { World } from "../helpers/world.ts";
import { Reader } from "../../lib/store/reader.ts";

for (const workers of [0, 2]) {
  Deno.test(`L2: two thousand that are cut at once are all back with what they missed (${workers} isolates)`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    await using server = await spawnServer({ data, flags: ["--workers", String(workers)] });
    const { seconds, slowest } = await cutAll({
      port: await server.listening,
      clients: 2000,
      behind: 20,
    });
    // A fifth of those that threats.md speaks of, in a third of the time.
    assertLess(seconds, 20);
    assertLess(slowest, 5000);
    await Deno.remove(data, { recursive: true });
  });
}

Deno.test("L2: what all who come back missed is read from the log once", async () => {
  const folder = memoryFolder();
  const world = await World.open(folder);
  const read = Reader.prototype.after;
  try {
    const { session } = world.connect("ada");
    for (let id = 1; id <= 100; id++) {
      session.receive(JSON.stringify({ id, publish: { channel: "room:a", data: id } }));
    }
    await world.settle();
    let reads = 0;
    Reader.prototype.after = function (...args) {
      reads += 1;
      return read.apply(this, args);
    };
    const since = { epoch: "epoch", seq: 1 };
    const back = Array.from({ length: 500 }, (_, i) => {
      const client = world.connect(`a${i}`);
      client.session.receive(JSON.stringify({ id: 1, subscribe: { channel: "room:a", since } }));
      return client;
    });
    await world.settle();
    for (const { socket } of back) {
      const [frame = "{}"] = socket.read();
      assertLess(98, JSON.parse(frame).subscribe.messages.length);
    }
    assertLess(reads, 3);
  } finally {
    Reader.prototype.after = read;
    world.close();
    Deno.removeSync(folder, { recursive: true });
  }
});
