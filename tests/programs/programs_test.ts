/** The client library in programs of Node and Deno: by socket and by event stream, with a token, over a restart of the server. */
import { assertEquals, assertGreater } from "@std/assert";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { startServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

const ROOT = new URL("../../", import.meta.url);
const SECRET = "a secret of at least thirty-two characters";
const COUNT = 60;

/** How to start a program: Node has WebSocket by itself from 22 on, and behind a flag before. */
const RUNTIMES = {
  Node: ["node", "--experimental-websocket"],
  Deno: [Deno.execPath(), "run", "-A"],
} as const;

async function majorOfNode(): Promise<number> {
  const { stdout } = await new Deno.Command(tool("node"), { args: ["--version"] }).output();
  return Number(/\d+/.exec(new TextDecoder().decode(stdout))?.[0]);
}

/** A program under way, whose lines are read one after the other. */
class Program implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor([command, ...before]: readonly [string, ...string[]], args: string[]) {
    this.#process = new Deno.Command(command, {
      ...{ args: [...before, ...args], stdout: "piped", stderr: "inherit" },
      signal: AbortSignal.timeout(30_000),
    }).spawn();
    this.#lines = lines(this.#process.stdout);
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`The program ended with ${(await this.#process.status).code}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill();
    } catch {
      // It has ended.
    }
    await this.#process.status;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

for (const [name, command] of Object.entries(RUNTIMES)) {
  Deno.test(`a program in ${name} hears all it publishes by both ways, once and in order, over a restart`, async () => {
    if (name === "Node") assertGreater(await majorOfNode(), 19, "This test needs Node 20");
    const jwtSecretFile = await Deno.makeTempFile();
    await Deno.writeTextFile(jwtSecretFile, SECRET);
    await using server = await startServer({ jwtSecretFile });
    const token = await new SignJWT({ sub: "program" }).setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
    const script = fileURLToPath(new URL("tests/recipes/restart.mjs", ROOT));
    const library = new URL("static/client/fanfare.js", ROOT).href;
    await using program = new Program(command, [
      ...[script, library, server.url, token, String(COUNT)],
    ]);
    assertEquals(await program.line(), "both stand");
    await server.restart();
    const { socket, stream, gaps, outbox, states } = JSON.parse(await program.line());
    const all = Array.from({ length: COUNT }, (_, n) => n);
    assertEquals({ socket, stream, gaps, outbox }, {
      ...{ socket: all, stream: all },
      ...{ gaps: 0, outbox: 0 },
    });
    assertEquals(states.slice(0, 2), ["open greeted", "waiting leaving"], "it was away");
    await Deno.remove(jwtSecretFile);
  });
}
