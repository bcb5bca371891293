/** Who publishes as fast as it is answered until it is cut, and what is in the log of that. */
import { spawnServer } from "./child_server.ts";
import { NativeClient, TestSocket } from "./server.ts";

/** Where all of them publish. */
export const CHANNEL = "room:a";

const WINDOW = 16;

/** What one of them has to tell. */
export interface Written {
  /** Of what was acknowledged. */
  readonly keys: readonly string[];
  /** The last frame. */
  readonly last: string | undefined;
}

/**
 * Opens a native client's socket.
 *
 * @param port On 127.0.0.1.
 * @returns The socket, open.
 */
export function openNative(port: number): Promise<TestSocket> {
  return TestSocket.open(`ws://127.0.0.1:${port}/ws`, { protocols: ["fanfare.v1"] });
}

/**
 * Publishes until it is closed.
 *
 * @param port On 127.0.0.1.
 * @param name What its keys begin with.
 * @param told Called for each publication that is acknowledged.
 * @returns What was acknowledged.
 * @throws {Error} If it is refused.
 */
export async function write(
  port: number,
  name: string,
  told: () => void = () => {},
): Promise<Written> {
  const socket = await openNative(port);
  const keys: string[] = [];
  for (let sent = 0;;) {
    while (sent - keys.length < WINDOW) {
      const publish = { channel: CHANNEL, data: name, key: `${name}-${++sent}` };
      socket.send(JSON.stringify({ id: sent, publish }));
    }
    const frame = await Promise.race([socket.next(20_000), socket.closed]);
    if (typeof frame === "number") return { keys, last: socket.frames.at(-1) };
    for (const line of frame.split("\n").map((text) => JSON.parse(text))) {
      if ("publish" in line) {
        keys.push(`${name}-${line.id}`);
        told();
      } else if (!("closing" in line)) throw new Error(`Told ${JSON.stringify(line)}`);
    }
  }
}

/**
 * Reads the log from the disk, by a server of its own.
 *
 * @param data The folder.
 * @returns The keys of all that was published, in order.
 */
export async function keysKept(data: string): Promise<string[]> {
  await using server = await spawnServer({ data });
  const port = await server.listening;
  await using client = await NativeClient.open({ host: `127.0.0.1:${port}` });
  const keys: string[] = [];
  for (let [after, more] = [0, true]; more;) {
    const page = await client.do("history", { channel: CHANNEL, after, limit: 200 });
    const messages: { seq: number; key: string }[] = Array.isArray(page.messages)
      ? page.messages
      : [];
    keys.push(...messages.map(({ key }) => key));
    [after, more] = [messages.at(-1)?.seq ?? after, page.more === true];
  }
  return keys;
}
