/** Ten thousand mutations of what clients send: the server goes on, and others notice nothing (threats.md, all rows). */
import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { fuzz } from "./fuzz/fuzz.ts";
import { runFuzz } from "./fuzz/run.ts";
import { within } from "../helpers/child_server.ts";
import { SEED } from "../helpers/random.ts";
import { sendAll } from "../helpers/raw_http.ts";

Deno.test("fuzz: ten thousand cases, and after each thousand a known client still gets its message", async () => {
  const { cases, answers } = await runFuzz({ seed: SEED, cases: 10_000, limit: 120_000 });
  assertEquals(cases, 10_000);
  // Whoever is refused at the door tries nothing out: tokens are read, and some are right all the same.
  assertEquals(answers["token 429"], undefined);
  for (const status of [200, 401]) assertGreater(answers[`token ${status}`] ?? 0, 30);
});

const OPTIONS = {
  ...{ cookie: "fanfare=1", account: "1", token: "t", seed: SEED, first: 0, cases: 200 },
  until: Infinity,
  sign: () => Promise.resolve("t"),
  onThousand: () => Promise.resolve(),
};

Deno.test("fuzz: an answer without a head is none, and no connection is left open", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = serve(listener, Infinity);
  const { cases } = await fuzz({ ...OPTIONS, host: `127.0.0.1:${listener.addr.port}` });
  assertEquals(cases, OPTIONS.cases);
  listener.close();
  await within(served, 5000, "all connections to be closed");
});

Deno.test("fuzz: a server that goes away ends the run, and no connection is left open", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = serve(listener, 60);
  const run = fuzz({ ...OPTIONS, host: `127.0.0.1:${listener.addr.port}` });
  await assertRejects(() => run, Deno.errors.ConnectionRefused);
  await within(served, 5000, "all connections to be closed");
});

/** Takes a number of connections, then listens no more; ends once all of them have. */
async function serve(listener: Deno.TcpListener, most: number): Promise<void> {
  const ends: Promise<void>[] = [];
  for await (const conn of listener) {
    ends.push(answer(conn));
    // This closes the listener.
    if (ends.length === most) break;
  }
  await Promise.all(ends);
}

/** Opens a WebSocket that says nothing, or answers without a head, as nginx answers HTTP/0.9. */
async function answer(conn: Deno.TcpConn): Promise<void> {
  using _ = conn;
  const buffer = new Uint8Array(65_536);
  try {
    const count = await conn.read(buffer) ?? 0;
    const head = new TextDecoder().decode(buffer.subarray(0, count));
    const opens = head.includes("\r\nupgrade: websocket\r\n");
    const text = opens
      ? "HTTP/1.1 101 Switching Protocols\r\n\r\n"
      : "<html>\r\n<head><title>400: Bad Request</title></head>\r\n\r\n";
    await sendAll(conn, new TextEncoder().encode(text));
    while (opens && await conn.read(buffer) !== null);
  } catch {
    // The client went.
  }
}
