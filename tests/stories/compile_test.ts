/** The compiled program: all that the source does, in one file. */
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { type Binary, compile } from "../helpers/binary.ts";
import {
  type ChildServer,
  cookieFrom,
  runProgram,
  spawnServer,
  within,
} from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { NativeClient, startServer, TestSocket } from "../helpers/server.ts";

const STATIC = new URL("../../static/", import.meta.url);
const PAGES = ["/", "/to_recmsg/", "/to_sendmsg/", "/to_chat/"];

let binary: Binary | undefined;

function testBinary(name: string, test: (path: string) => Promise<void>): void {
  Deno.test({ name: `compiled: ${name}`, fn: () => test(binary?.path ?? "") });
}

// One for all of the tests below: it takes some seconds.
Deno.test.beforeAll(async () => {
  binary = await compile();
});
Deno.test.afterAll(() => binary?.[Symbol.dispose]());

Deno.test("a runtime part that was named is for this machine: for another target it is refused", async () => {
  for (const target of [["--target", "another-target"], ["--target=another-target"]]) {
    const { code, stderr } = await task("compile", ...target);
    assertEquals(code, 2);
    assertMatch(stderr, /Cannot compile for another-target: DENORT_BIN names/);
  }
});

Deno.test("the task says what it takes, and refuses what it doesn't", async () => {
  const help = await task("compile", "--help");
  assertEquals(help.code, 0);
  assertMatch(help.stdout, /^Usage: deno task compile \[--target TARGET\] \[--output FILE\]$/m);
  const wrong = await task("compile", "--outptu", "x");
  assertEquals(wrong.code, 2);
  assertMatch(wrong.stderr, /--outptu/);
});

async function task(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", ...args],
    cwd: new URL("../../", import.meta.url),
    env: { DENORT_BIN: "/nowhere/denort", NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function* files(folder: URL, path = ""): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, folder))) {
    if (isDirectory) yield* files(folder, `${path}${name}/`);
    else yield path + name;
  }
}

async function text(url: string): Promise<string> {
  const response = await fetch(url);
  const body = await response.text();
  assertEquals(response.status, 200, `${url}: ${body}`);
  return body;
}

function post(url: string, fields: Record<string, string>, cookie = ""): Promise<string> {
  const init = { method: "POST", body: new URLSearchParams(fields), headers: { cookie } };
  return fetch(url, init).then((response) => response.text());
}

async function end(child: ChildServer): Promise<void> {
  child.signal("SIGTERM");
  assertEquals((await within(child.ended, 10_000, "the end")).code, 0);
  assertEquals(child.troubles, []);
}

testBinary("it tells its flags and its version, and refuses a wrong flag", async (path) => {
  const help = await runProgram(["--help"], path);
  assertEquals([help.code, help.stderr], [0, ""]);
  assertMatch(help.stdout, /--data DIR/);
  assertMatch((await runProgram(["--version"], path)).stdout, /^fanfare \d+\.\d+\.\d+\n$/);
  const wrong = await runProgram(["--prot", "1"], path);
  assertEquals(wrong.code, 2);
  assertMatch(wrong.stderr, /^fanfare: Unknown flag "--prot"; see --help\n$/);
});

testBinary("it exports spans if it was compiled to, and says where it wasn't", async (path) => {
  using folder = tempFolder("disk");
  const traced = await compile({ OTEL_DENO: "true" });
  using _removed = traced;
  let told = "";
  await using collector = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      told += await request.text();
      return Response.json({});
    },
  );
  const env = {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
  };
  for (const binary of [path, traced.path]) {
    await using child = await spawnServer({ data: `${folder.path}/data`, binary, env });
    const events: unknown[] = [];
    child.onLog = ({ message }) => events.push(message);
    const url = `http://127.0.0.1:${await child.listening}`;
    const pushed = await fetch(`${url}/push/hidden`, { method: "POST", body: "a secret" });
    assertEquals(pushed.status, 201);
    await pushed.body?.cancel();
    await end(child);
    assertEquals(events.includes("tracing.none"), binary === path);
    assertEquals(told.includes("fanfare.kind"), binary !== path);
  }
  assertEquals(/hidden|secret/.test(told), false);
});

testBinary("every page and asset comes out of it, as the source serves it", async (path) => {
  using folder = tempFolder("disk");
  await using child = await spawnServer({ data: `${folder.path}/data`, binary: path });
  const url = `http://127.0.0.1:${await child.listening}`;
  await using source = await startServer();
  const libraries = new Set<string>();
  for (const page of PAGES) {
    const html = await text(url + page);
    const [, map = ""] = /<script type="importmap">(.*?)<\/script>/.exec(html) ?? [];
    const { imports }: { imports: Record<string, string> } = JSON.parse(map);
    for (const library of Object.values(imports)) libraries.add(library);
  }
  assertLess(4, libraries.size);
  for (const library of libraries) assertMatch(await text(url + library), /export|import/);
  let assets = 0;
  for await (const file of files(STATIC)) {
    if (!/\.(?:js|css|svg)$/.test(file)) continue;
    assets += 1;
    assertEquals(await text(`${url}/static/${file}`), await text(`${source.url}/static/${file}`));
  }
  assertLess(20, assets);
  // What the service worker keeps, each with its hash.
  assertEquals(await text(`${url}/sw.js`), await text(`${source.url}/sw.js`));
  await end(child);
});

for (const workers of ["0", "2"]) {
  testBinary(`push, chat, history and a restart, with ${workers} isolates`, async (path) => {
    using folder = tempFolder("disk");
    const options = {
      data: `${folder.path}/data`,
      binary: path,
      flags: ["--workers", workers],
    };
    await using child = await spawnServer(options);
    let serving = 0;
    child.onLog = ({ message }) => serving += message === "edge.serving" ? 1 : 0;
    const host = `127.0.0.1:${await child.listening}`;
    const url = `http://${host}`;

    await using link = await TestSocket.open(`ws://${host}/link/`);
    link.send("test");
    // It is sent everything from the moment on that it is open.
    assertMatch(await post(`${url}/send/`, { msg: "Backup done" }), /success/);
    assertEquals(await link.next(), "Backup done");

    const cookie = await cookieFrom(url);
    await using chat = await TestSocket.open(`ws://${host}/chat/`, { headers: { cookie } });
    chat.send("test");
    const { userid } = JSON.parse(await chat.until((frame) => frame.includes("userid")));
    const said = { type: "1", txt: "hello", userfrom: userid, userto: "" };
    assertMatch(await post(`${url}/msg_send/`, said, cookie), /success/);
    const frame = await chat.until((frame) => frame.includes(`"type":1`));
    assertEquals(JSON.parse(frame), { type: 1, data: { msg: "hello", user: userid } });

    const ada = await NativeClient.open({ host });
    const { seq } = await ada.do("publish", { channel: "room:lobby", data: { text: "again" } });
    assertEquals(serving, Number(workers));
    const told = await runProgram(["publish", "push:all", "by hand", "--url", url], path);
    assertEquals([told.code, told.stderr], [0, ""]);
    assertEquals(await link.next(), "by hand");
    child.signal("SIGKILL");
    await child.ended;
    await ada.socket.closed;

    await using second = await spawnServer(options);
    await using bob = await NativeClient.open({ host: `127.0.0.1:${await second.listening}` });
    const { messages } = await bob.do("history", { channel: "room:lobby" });
    assertEquals(Array.isArray(messages) && messages.map(({ data }) => data.text), [
      "hello",
      "again",
    ]);
    assertEquals(Array.isArray(messages) && messages.at(-1).seq, seq);
    await bob.socket.close();
    // Its copier is an isolate that no module imports, as an edge is.
    const copy = ["backup", `${folder.path}/copy`, "--data", `${folder.path}/data`];
    const copied = await runProgram(copy, path);
    assertMatch(copied.stdout, /^Copied all up to seq/, copied.stderr);
    await end(second);
  });
}
