/** Prints how many bytes of heap forty thousand names of rooms leave behind; with `--v8-flags=--expose-gc`. */
import { memoryFolder } from "../helpers/log.ts";
import { World } from "../helpers/world.ts";

const folder = memoryFolder();
const world = await World.open(folder);
const { socket, session } = world.connect("ada");

async function round(from: number): Promise<void> {
  for (let name = from; name < from + 10_000; name += 100) {
    const lines: string[] = [];
    for (let id = 1; id <= 100; id++) {
      const channel = `room:n${name + id}`;
      lines.push(JSON.stringify({ id, subscribe: { channel, presence: true } }));
      lines.push(JSON.stringify({ id, unsubscribe: { channel } }));
    }
    session.receive(lines.join("\n"));
    // More answers than its socket has room for at once: it reads until it has them all.
    for (let answers = 0; answers < lines.length && socket.closed === undefined;) {
      await world.settle();
      answers += socket.read().join("\n").split("\n").filter((line) =>
        line.startsWith('{"id"')
      ).length;
    }
  }
}

async function collected(): Promise<number> {
  // Whoever left is gone after this.
  world.now += 10_000;
  await new Promise((resolve) => setTimeout(resolve, 2100));
  await world.settle();
  Reflect.get(globalThis, "gc")();
  return Deno.memoryUsage().heapUsed;
}

await round(0);
const before = await collected();
for (let i = 1; i <= 4; i++) await round(10_000 * i);
console.log(await collected() - before);
if (socket.closed !== undefined) throw new Error(`The connection was closed: ${socket.closed}`);
world.close();
Deno.removeSync(folder, { recursive: true });
