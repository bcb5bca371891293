/** The commands that speak to a server: what they write, what they end with, and how they come through a restart. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { helpOf } from "../../lib/cli/options.ts";
import { helpOfLocal } from "../../lib/cli/local.ts";
import { TOKEN_HELP } from "../../lib/cli/token.ts";
import { HELP } from "../../lib/config/config.ts";
import { plain } from "../../lib/cli/terminal.ts";
import { programCommand, runProgram, spawnServer, within } from "../helpers/child_server.ts";
import { Log } from "../../lib/store/writer.ts";
import { messages, tempFolder } from "../helpers/log.ts";
import { startServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

interface Told {
  readonly code: number;
  readonly lines: string[];
  readonly stderr: string;
}

/** Runs a command with something on its standard input. */
async function run(args: readonly string[], input: string | Uint8Array = ""): Promise<Told> {
  const child = (await programCommand(args, { stdin: "piped", stdout: "piped", stderr: "piped" }))
    .spawn();
  // Read while it is written to: with both pipes full each would wait for the other.
  const output = child.output();
  const writer = child.stdin.getWriter();
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  await writer.write(bytes).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await within(output, 20_000, args.join(" "));
  const text = new TextDecoder();
  const lines = text.decode(stdout).split("\n").filter((line) => line !== "");
  return { code, lines, stderr: text.decode(stderr) };
}

const textOf = (line: string) => JSON.parse(line).data.text;

Deno.test("what is published comes back: a text, standard input, each of its lines; one JSON a line, no colours", async () => {
  await using server = await startServer();
  const to = ["--url", server.url];
  const first = await run(["publish", "push:all", "Backup done", ...to]);
  assertEquals([first.code, first.stderr, first.lines.length], [0, "", 1]);
  const { channel, seq } = JSON.parse(first.lines[0] ?? "");
  assertEquals([channel, typeof seq], ["push:all", "number"]);
  await run(["publish", "push:all", "-", ...to], "two\nlines\n");
  const many = Array.from({ length: 1200 }, (_, i) => `line ${i}`);
  const lines = await run(["publish", "push:all", "--lines", ...to], many.join("\n"));
  assertEquals([lines.code, lines.stderr, lines.lines.length], [0, "", 1200]);
  const key = ["--key", "once", "--data", ...to];
  const again = await run(["publish", "push:all", `{"a":1}`, ...key]);
  const repeat = await run(["publish", "push:all", `{"a":2}`, ...key]);
  // Without a token each run is another browser, whose keys are its own.
  assertEquals([again.code, repeat.code], [0, 0]);
  const all = await run(["history", "push:all", "--limit", "0", ...to]);
  assertEquals(all.lines.slice(0, 2).map(textOf), ["Backup done", "two\nlines"]);
  assertEquals(all.lines.slice(2, 1202).map(textOf), many);
  assertEquals(JSON.parse(all.lines[1202] ?? "").data, { a: 1 });
  const newest = await run(["history", "push:all", "--limit", "203", ...to]);
  assertEquals(newest.lines, all.lines.slice(-203));
  const after = await run(["history", "push:all", "--after", String(seq), "--limit", "2", ...to]);
  assertEquals(after.lines, all.lines.slice(1, 3));
});

Deno.test("subscribe goes on where it was over a kill of the server, and from a place of an earlier run", async () => {
  using folder = tempFolder("disk");
  const options = { data: `${folder.path}/data` };
  const first = await spawnServer(options);
  const port = await first.listening;
  const to = ["--url", `http://127.0.0.1:${port}`];
  const publish = (text: string) => run(["publish", "push:all", text, ...to]);
  const { seq } = JSON.parse((await publish("before")).lines[0] ?? "");
  const reading = run(["subscribe", "push:all", "--since", String(seq), "--count", "2", ...to]);
  await publish("one");
  await first[Symbol.asyncDispose]();
  await using second = await spawnServer({ ...options, port });
  await second.listening;
  await publish("two");
  const read = await reading;
  assertEquals([read.code, read.lines.map(textOf)], [0, ["one", "two"]]);
  const since = ["--since", String(seq), "--count", "2"];
  assertEquals((await run(["subscribe", "push:all", ...since, ...to])).lines, read.lines);
  const gap = ["--since", "anotherlog:1", "--count", "1", ...to];
  assertStringIncludes((await run(["subscribe", "push:all", ...gap])).stderr, "are missing here");
});

Deno.test("each end has its code and its sentence", async () => {
  await using server = await startServer();
  const to = ["--url", server.url];
  const cases: [string[], number, RegExp][] = [
    [["publish", "dm:a.b", "x", ...to], 1, /may not publish in dm:a\.b/],
    [["subscribe", "dm:a.b", ...to], 1, /Cannot read dm:a\.b/],
    [["publish", "push:a", "no json", "--data", ...to], 1, /isn't JSON/],
    [["publish", "nowhere", "x"], 2, /"nowhere" is no channel/],
    [["publish"], 2, /Name a channel/],
    [["history", "push:a", "--limit", "x"], 2, /--limit is "x"/],
    [["history", "push:a", "--before", "1", "--after", "1"], 2, /not both/],
    [["subscribe", "push:a", "--since", "x:y"], 2, /--since/],
    [["publish", "push:a", "x", "--timeout", "soon"], 2, /--timeout/],
    [["history", "push:a", "--url", "nowhere"], 2, /address/],
    [
      ["publish", "push:a", "x", "--url", "http://127.0.0.1:1", "--timeout", "300ms"],
      69,
      /No server/,
    ],
  ];
  for (const [args, code, sentence] of cases) {
    const told = await run(args);
    assertEquals([told.code, told.lines], [code, []], args.join(" "));
    assertMatch(told.stderr, sentence);
    assertMatch(told.stderr, /^fanfare: [^\n]+\n$/);
  }
});

Deno.test("what the system refuses is told with the flag or the file that is in the way", async () => {
  using folder = tempFolder("disk");
  const at = (name: string) => `${folder.path}/${name}`;
  await Deno.writeTextFile(at("file"), "");
  await Deno.mkdir(at("log/fanfare.db"), { recursive: true });
  const data = ["--data", at("data")];
  const cases: [string[], number, RegExp][] = [
    [["--unix", at("a".repeat(120)), ...data], 1, /Cannot listen on "[^"]+" \(--unix\): /],
    [["check", "--data", at("file")], 1, /Cannot lock and read the log "[^"]+": it isn't a folder/],
    [["check", "--data", at("log")], 1, /Cannot lock and read the log "[^"]+": it is a folder/],
    [["token", "--sub", "a", "--jwt-secret-file", ""], 2, /--jwt-secret-file is missing/],
    [["token", "--sub", "a", "--expires", "0s"], 2, /--expires/],
    [["token", "--sub", "a", "--publish", "push:"], 2, /--publish is "push:"/],
  ];
  for (const [args, code, sentence] of cases) {
    const told = await run(args);
    assertEquals([told.code, told.lines], [code, []], args.join(" "));
    assertMatch(told.stderr, sentence);
    assertMatch(told.stderr, /^fanfare: [^\n]+\n$/);
  }
});

Deno.test("standard input that is no text, or has no end, is refused; what went before it is told", async () => {
  await using server = await startServer();
  const to = ["--url", server.url];
  const bytes = Uint8Array.of(0x6f, 0x6b, 0x0a, 0xff, 0xfe, 0x0a);
  const binary = await run(["publish", "push:all", ...to], bytes);
  assertEquals([binary.code, binary.lines], [1, []]);
  assertStringIncludes(binary.stderr, "isn't text in UTF-8");
  const lines = await run(["publish", "push:all", "--lines", ...to], bytes);
  assertEquals([lines.code, lines.lines.length], [1, 1]);
  assertStringIncludes(lines.stderr, "isn't text in UTF-8");
  const endless = "x".repeat(1_048_577);
  for (const flags of [[], ["--lines"]]) {
    const { code, stderr } = await run(["publish", "push:all", ...flags, ...to], endless);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "more than 1048576 bytes");
  }
  const { lines: kept } = await run(["history", "push:all", ...to]);
  assertEquals(kept.map(textOf), ["ok"]);
});

Deno.test("why no server answers is said: nobody listens, its certificate, what another program answers", async () => {
  using folder = tempFolder("disk");
  const fixture = (name: string) =>
    fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
  const tls = { cert: fixture("cert"), key: fixture("key") };
  await using server = await startServer({ tls });
  await using other = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(null, { status: 404 }),
  );
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const closed = listener.addr.port;
  listener.close();
  await Deno.writeTextFile(`${folder.path}/token`, "a token of someone's");
  const cases: [string, RegExp][] = [
    [`http://127.0.0.1:${closed}`, /refused/i],
    [server.url.replace(/^http:/, "https:"), /certificate/],
    [`http://127.0.0.1:${other.addr.port}`, /404/],
  ];
  // Each tries for its second; so all do together.
  const runs = cases.flatMap(([url, why]) =>
    [[], ["--token-file", `${folder.path}/token`]].map(async (flags) => {
      const told = await run(["publish", "push:a", "x", "--url", url, "--timeout", "1s", ...flags]);
      assertEquals([told.code, told.lines], [69, []]);
      assertMatch(told.stderr, /^fanfare: No server answers at [^\n]+\n$/);
      assertMatch(told.stderr, why);
    })
  );
  await Promise.all(runs);
});

Deno.test("a reader that has enough, such as head, ends a command without an error", async () => {
  await using server = await startServer();
  const lines = Array.from({ length: 2000 }, (_, i) => `${i} ${"x".repeat(200)}`).join("\n");
  await run(["publish", "push:all", "--lines", "--url", server.url], lines);
  const args = ["history", "push:all", "--limit", "0", "--url", server.url];
  const child = (await programCommand(args, { stdout: "piped", stderr: "piped" })).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const stderr = await new Response(child.stderr).text();
  assertEquals([(await within(child.status, 10_000, "the end")).code, stderr], [0, ""]);
});

/** Runs a command in a shell, where its pipes can be broken; `fanfare` stands for the program. */
async function inShell(line: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = `${Deno.execPath()} run -A ${
    fileURLToPath(new URL("../../main.ts", import.meta.url))
  }`;
  const args = ["-o", "pipefail", "-c", line.replaceAll("fanfare ", `${program} `)];
  const command = new Deno.Command("bash", { args, stdin: "null" });
  const { code, stdout, stderr } = await within(command.output(), 30_000, line);
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test("what is published is published to its end, whoever reads the places", async () => {
  await using server = await startServer();
  const to = `--url ${server.url}`;
  const { code, stderr } = await inShell(
    `seq 1500 | fanfare publish push:all --lines ${to} | true`,
  );
  assertEquals([code, stderr], [0, ""]);
  const { lines } = await run(["history", "push:all", "--limit", "0", "--url", server.url]);
  assertEquals([lines.length, textOf(lines.at(-1) ?? "")], [1500, "1500"]);
});

Deno.test("what can't be written down is told as that: the message is published all the same", async () => {
  await using server = await startServer();
  const { code, stderr } = await inShell(
    `fanfare publish push:all hello --url ${server.url} >/dev/full`,
  );
  assertEquals(code, 1);
  assertMatch(stderr, /^fanfare: Cannot write to standard output: [^\n]*\n$/);
});

Deno.test("a server serves, whether it can say so or not", async () => {
  using folder = tempFolder("disk");
  for (const full of [">/dev/full 2>/dev/full", ">&- 2>&-", ">/dev/full"]) {
    const path = `${folder.path}/${crypto.randomUUID()}`;
    const line = `
      fanfare --port 0 --data ${path} ${full} &
      for i in $(seq 200); do sleep 0.1; grep -so 'http://[0-9.:]*' ${path}/fanfare.owner && break; done
      kill $!; wait $!`;
    const { code, stdout, stderr } = await inShell(line);
    assertEquals([code, /^http:\S+\n$/.test(stdout)], [0, true], `${full}: ${stdout}${stderr}`);
    if (full === ">/dev/full") assertStringIncludes(stderr, "server.unheard");
  }
});

Deno.test("a log that is damaged is damaged, whoever reads about it", async () => {
  using folder = tempFolder("disk");
  const log = new Log(`${folder.path}/fanfare.db`, () => "epoch");
  log.apply(messages(1, 3));
  log.close();
  const check = `fanfare check --data ${folder.path}`;
  assertEquals((await inShell(`${check} | true`)).code, 0);
  using db = new DatabaseSync(`${folder.path}/fanfare.db`);
  db.exec("UPDATE messages SET data = '1' WHERE seq = 2");
  const { code, stdout } = await inShell(check);
  assertEquals([code, stdout.split("\n")[0]], [1, "Read 3 messages, found 1 fault"]);
  assertEquals((await inShell(`${check} 2>&1 | true`)).code, 1);
});

Deno.test("every command has a help; the program's names the commands", async () => {
  for (const name of ["publish", "subscribe", "history"] as const) {
    const { code, stdout } = await runProgram([name, "--help"]);
    assertEquals([code, stdout], [0, `${helpOf(name)}\n`]);
    assertStringIncludes((await runProgram(["--help"])).stdout, `fanfare ${name} `);
  }
  for (
    const [name, text] of [["backup", helpOfLocal("backup")], ["check", helpOfLocal("check")], [
      "token",
      TOKEN_HELP,
    ], ["serve", HELP]] as const
  ) {
    const told = { code: 0, stdout: `${text}\n`, stderr: "" };
    assertEquals(await runProgram([name, "--help"]), told);
    assertEquals(await runProgram(["help", name]), told);
    assertStringIncludes(text ?? "", "Exit codes: 0 ");
    assertStringIncludes(HELP, `fanfare ${name === "serve" ? "[serve]" : name} `);
  }
});

Deno.test("what people write moves no cursor and turns no line around", () => {
  assertEquals(
    plain("a\x1b]0;title\x07b\x9bc\u202ed\te\n"),
    "a\ufffd]0;title\ufffdb\ufffdc\ufffdd\te\n",
  );
  assertEquals(plain("你好 👋🏽 é"), "你好 👋🏽 é");
});

/** Runs a command line on a terminal of its own, and tells what a person would see there. */
async function onTerminal(line: string): Promise<string> {
  const args = ["--quiet", "--return", "--command", line, "/dev/null"];
  const env = { TERM: "xterm" };
  const output = await new Deno.Command(tool("script"), { args, env }).output();
  const shown = new TextDecoder().decode(output.stdout);
  assertEquals(output.code, 0, shown);
  return shown;
}

Deno.test("what takes long shows on a terminal how far it is, and behind a pipe nothing of it", async () => {
  using folder = tempFolder("disk");
  const log = new Log(`${folder.path}/fanfare.db`, () => "epoch");
  log.apply(messages(1, 1500));
  log.close();
  await using server = await startServer();
  await Deno.writeTextFile(`${folder.path}/lines`, "one\ntwo\n");
  const program = `${Deno.execPath()} run -A ${new URL("../../main.ts", import.meta.url).pathname}`;
  const data = ["--data", folder.path];
  const bar = /█*░* ?(\d+)(?: of (\d+))? (?:messages|MB)/;

  const checked = await onTerminal(`${program} check ${data.join(" ")}`);
  assertMatch(checked, /░{30} 0 of 1500 messages/);
  // It is taken away before the results come.
  assertStringIncludes(checked, "\r\x1b[KRead 1500 messages, found no fault");
  // One that can't move its cursor, such as an editor's, gets lines.
  const dumb = await onTerminal(`TERM=dumb ${program} check ${data.join(" ")}`);
  assertMatch(dumb, /^Read 1500 messages, found no fault\r\n/);
  const copied = await onTerminal(`${program} backup ${folder.path}/copy ${data.join(" ")}`);
  assertStringIncludes(copied, `${"█".repeat(30)} 1 of 1 MB\r\x1b[KCopied all up to seq 1500`);
  const to = `--url ${server.url}`;
  const lines = `publish push:all --lines ${to} <${folder.path}/lines >${folder.path}/told`;
  assertMatch(await onTerminal(`${program} ${lines}`), bar);
  assertEquals((await Deno.readTextFile(`${folder.path}/told`)).split("\n").length, 3);
  // The results come where people see them: those show how far it is.
  const seen = await onTerminal(`${program} history push:all ${to}`);
  assertEquals([seen.trim().split("\n").length, bar.test(seen)], [2, false]);

  for (const args of [["check", ...data], ["backup", `${folder.path}/other`, ...data]]) {
    const { lines, stderr } = await run(args);
    assertEquals([stderr, /[█░]/.test(lines.join(""))], ["", false]);
  }
});
