/** Where the server listens: over TLS, and on a socket in the file system. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { pause, programCommand, runProgram, spawnServer, within } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { startServer, testIsolates } from "../helpers/server.ts";

const FIXTURES = new URL("../fixtures/tls/", import.meta.url).pathname;
const TLS = { cert: `${FIXTURES}cert.pem`, key: `${FIXTURES}key.pem` };

testIsolates("over TLS pages and sockets work, and cookies are for TLS alone", async (workers) => {
  await using server = await startServer({ workers, tls: TLS });
  const url = server.url.replace("http:", "https:");
  const caCerts = [await Deno.readTextFile(TLS.cert)];
  using client = Deno.createHttpClient({ caCerts });
  // The DOM's types know no client, Deno's fetch does.
  const trusting = { client, method: "GET" };
  const page = await fetch(`${url}/to_chat/`, trusting);
  assertMatch(await page.text(), /<script/);
  assertMatch(page.headers.getSetCookie()[0] ?? "", /^__Host-fanfare_.*Secure/i);
  const socket: WebSocket = Reflect.construct(WebSocket, [
    `${url.replace("https", "wss")}/ws`,
    { client, protocols: ["fanfare.v1"] },
  ]);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.onopen = () => socket.send(`{"id":1,"ping":{}}`);
  socket.onmessage = ({ data }) => resolve(String(data));
  socket.onerror = () => reject(new Error("No socket over TLS"));
  assertMatch(await within(promise, 20_000, "an answer"), /"ping"/);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
}, [0, 1]);

Deno.test("a certificate needs its key, and a socket in the file system one isolate", async () => {
  for (
    const [flags, sentence] of [
      [["--cert", "c.pem"], /need each other/],
      [["--unix", "s", "--workers", "2"], /--workers 0/],
      [["--unix", "s", "--cert", TLS.cert, "--key", TLS.key], /goes without/],
    ] as const
  ) {
    const { code, stderr } = await (await programCommand([...flags])).output();
    assertEquals(code, 2);
    assertMatch(new TextDecoder().decode(stderr), sentence);
  }
});

async function statusOn(path: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path });
  const request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  return await new Response(connection.readable).text();
}

Deno.test("a socket in the file system: one that a kill left is removed, one that is in use isn't, nor is a file", async () => {
  using folder = tempFolder("disk");
  const unix = `${folder.path}/fanfare.sock`;
  const start = (data: string) =>
    spawnServer({ data: `${folder.path}/${data}`, flags: ["--unix", unix, "--workers", "0"] });
  const first = await start("a");
  const there = async () => {
    while (!await statusOn(unix).then((text) => / 200 /.test(text), () => false)) await pause(10);
  };
  await within(there(), 20_000, "the first server");
  const second = await start("b");
  assertEquals((await within(second.ended, 20_000, "the second's end")).code, 1);
  assertMatch(second.troubles.join(), /another process does/);
  // A proxy is another user, and connecting is writing.
  assertEquals((Deno.lstatSync(unix).mode ?? 0) & 0o777, 0o666);
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  assertEquals(Deno.lstatSync(unix).isSocket, true);
  await using third = await start("a");
  await within(there(), 20_000, "the third server");
  // The commands speak to it as they do to a port.
  const url = ["--url", `unix:${unix}`];
  const published = await runProgram(["publish", "push:all", "by a file", ...url]);
  assertEquals([published.code, published.stderr], [0, ""]);
  for (const command of [["history"], ["subscribe", "--since", "0", "--count", "1"]]) {
    const told = await runProgram([...command, "push:all", ...url]);
    assertEquals([told.code, told.stderr], [0, ""]);
    assertEquals(JSON.parse(told.stdout).data, { text: "by a file" });
  }
  const nowhere = ["--url", `unix:${folder.path}/nothing.sock`, "--timeout", "1s"];
  const unreached = await runProgram(["history", "push:all", ...nowhere]);
  assertEquals(unreached.code, 69);
  assertMatch(unreached.stderr, /^fanfare: No server answers at unix:\S+nothing\.sock: [^\n]+\n$/);
  third.signal("SIGTERM");
  assertEquals((await within(third.ended, 10_000, "the end")).code, 0);
  await Deno.writeTextFile(`${folder.path}/file`, "");
  const config = { unix: `${folder.path}/file`, workers: 0 };
  await assertRejects(() => startServer(config), Error, "no socket");
});
