/** The command line: flags, environment, refusals; and the program itself from start to signal. */
import { assertEquals, assertGreater, assertLess, assertMatch, assertThrows } from "@std/assert";
import {
  ConfigError,
  defaultWorkers,
  readConfig,
  readSettings,
} from "../../../lib/config/config.ts";
import { defaultLimit } from "../../../lib/isolates/memory_guard.ts";
import { tempFolder } from "../../helpers/log.ts";

const none = () => undefined;

Deno.test("flags win over the environment, the environment over the defaults", () => {
  const env = (name: string) =>
    ({ FANFARE_PORT: "1", FANFARE_HOST: "::1", FANFARE_OPEN: "1" })[name];
  const config = readConfig(["--port", "2"], env);
  if (typeof config === "string") throw new Error("No configuration");
  assertEquals([config.port, config.host, config.open, config.data], [2, "::1", true, "./data"]);
});

Deno.test("the memory's limit has a size, is off by 0, and is left to the machine where nothing is said", () => {
  const limit = (...args: string[]) => {
    const config = readConfig(args, none);
    return typeof config === "string" ? config : config.maxMemory;
  };
  const given = [limit("--max-memory", "2G"), limit("--max-memory", "0"), limit()];
  assertEquals(given, [2 * 1024 ** 3, 0, undefined]);
  const { total } = Deno.systemMemoryInfo();
  assertGreater(defaultLimit(), 0);
  assertLess(defaultLimit(), 0.75 * total + 1);
});

Deno.test("a core each serves but that of the log; on up to two all is in one isolate", () => {
  assertEquals([1, 2, 3, 8, 1000].map(defaultWorkers), [0, 0, 2, 7, 256]);
});

Deno.test("a wrong flag or value is named", () => {
  const wrong: [string[], string][] = [
    [["--prot", "1"], "--prot"],
    [["--port", "70000"], "--port"],
    [["--port", "8e3"], "--port"],
    [["--port"], "--port"],
    [["--workers", "257"], "--workers"],
    [["--open=yes"], "--open"],
    [["--rate", "-1"], "--rate"],
    [["--max-per-address", "many"], "--max-per-address"],
    [["--max-name", "41"], "--max-name"],
    [["--max-memory", "2X"], "--max-memory"],
    [["--max-memory", "0.5G"], "--max-memory"],
    [["--log-level", "loud"], "--log-level"],
    [["--origin", "example.com"], "--origin"],
    [["extra"], "extra"],
    [["--constructor"], "--constructor"],
  ];
  for (const [args, named] of wrong) assertThrows(() => readConfig(args, none), ConfigError, named);
  assertThrows(
    () => readConfig([], (name) => name === "FANFARE_PORT" ? "x" : undefined),
    ConfigError,
    "FANFARE_PORT",
  );
});

Deno.test("a switch in the environment is on or off, and nothing else: off is off in every word for it", () => {
  const open = (text: string) => {
    const config = readConfig([], (name) => name === "FANFARE_OPEN" ? text : undefined);
    return typeof config === "string" ? config : config.open;
  };
  assertEquals(["1", "true", "yes", "on", "On"].map(open), [true, true, true, true, true]);
  assertEquals(["", "0", "false", "no", "off", "OFF"].map(open), Array(6).fill(false));
  for (const text of ["maybe", "2", "none", "of", "tru"]) {
    assertThrows(() => open(text), ConfigError, "FANFARE_OPEN");
  }
});

Deno.test("a version in the environment, as many images have one, is no question for it", () => {
  const env = (name: string) =>
    ["FANFARE_VERSION", "FANFARE_HELP"].includes(name) ? "1" : undefined;
  assertEquals(typeof readConfig([], env), "object");
  for (const name of ["FANFARE_VERSION", "FANFARE_HELP", "FANFARE_SETTINGS"]) {
    assertThrows(() => readSettings(`${name}=1`, "f"), ConfigError, "Line 1");
  }
});

const run = (args: string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-net",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      "--allow-sys=hostname,systemMemoryInfo",
      "main.ts",
      ...args,
    ],
    cwd: new URL("../../../", import.meta.url).pathname,
    stdout: "piped",
    stderr: "piped",
  });

Deno.test("a wrong flag ends the program with 2 and one line", async () => {
  const { code, stderr, stdout } = await run(["--prot", "1"]).output();
  assertEquals([code, stdout.length], [2, 0]);
  assertMatch(new TextDecoder().decode(stderr), /^fanfare: [^\n]*--prot[^\n]*\n$/);
});

Deno.test("--help and --version go to standard output and end with 0", async () => {
  for (
    const [flag, text] of [["--help", /--port N/], ["-h", /--port N/], [
      "--version",
      /^fanfare \d/,
    ]] as const
  ) {
    const { code, stdout } = await run([flag]).output();
    assertEquals(code, 0);
    assertMatch(new TextDecoder().decode(stdout), text);
  }
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`it prints one line when it serves, and ends with 0 on ${signal}`, async () => {
    const data = await Deno.makeTempDir();
    const process = run(["--port", "0", "--data", data]).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const line = (await reader.read()).value ?? "";
    const address =
      /^Fanfare listens on (http:\/\/127\.0\.0\.1:\d+\/) \(open: [^\n]*\)\n$/.exec(line)?.[1] ?? "";
    const response = await fetch(`${address}readyz`);
    assertEquals(await response.json(), { status: "ready" });
    process.kill(signal);
    assertEquals((await process.status).code, 0);
    assertEquals((await reader.read()).done, true);
    await process.stderr.cancel();
    await Deno.remove(data, { recursive: true });
  });
}

Deno.test("Ctrl-C under a task runner comes twice, and still ends in order", async () => {
  const data = await Deno.makeTempDir();
  const process = run(["--port", "0", "--data", data]).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  process.kill("SIGINT");
  process.kill("SIGINT");
  assertEquals((await process.status).code, 0);
  await reader.cancel();
  await process.stderr.cancel();
  await Deno.remove(data, { recursive: true });
});

Deno.test("the line at the start says who may push, and where the data and the token are", async () => {
  using folder = tempFolder("disk");
  const own = `${folder.path}/own.token`;
  await Deno.writeTextFile(own, "0123456789abcdef0123");
  const cases: [string[], RegExp, string][] = [
    [[], /^open: anyone on this machine may push$/, "admin.token"],
    [["--open"], /^open: anyone may push$/, "admin.token"],
    [["--trust-proxy"], /^closed: /, "admin.token"],
    [["--origin", "https://chat.example"], /^closed: /, "admin.token"],
    [["--admin-token-file", own], /^closed: /, own],
    [["--host", "0.0.0.0"], /^closed: /, "admin.token"],
  ];
  for (const [i, [flags, who, token]] of cases.entries()) {
    const data = `${folder.path}/${i}`;
    const child = run(["--port", "0", "--data", data, ...flags]).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const line = (await reader.read()).value ?? "";
    const [, told = "", where = "", file = ""] =
      /^Fanfare listens on http:\/\/[\d.]+:\d+\/ \((.*); data in "(.*)", admin token in "(.*)"\)\n$/
        .exec(line) ?? [];
    assertMatch(told, who, line);
    assertEquals([where, file], [data, token === own ? own : `${data}/admin.token`]);
    assertEquals((await Deno.stat(file)).isFile, true);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    await reader.cancel();
    await child.stderr.cancel();
  }
});

Deno.test("a file or a folder that a flag names and that can't be used ends the program with 2, and the flag's name", async () => {
  using folder = tempFolder("disk");
  const nothing = `${folder.path}/nothing`;
  const short = `${folder.path}/short`;
  await Deno.writeTextFile(short, "x");
  const cases: [string[], string][] = [
    [["--admin-token-file", nothing], "--admin-token-file"],
    [["--admin-token-file", folder.path], "--admin-token-file"],
    [["--admin-token-file", short], short],
    [["--jwt-secret-file", nothing], "--jwt-secret-file"],
    [["--jwt-secret-file", short], short],
    [["--jwks", nothing], "--jwks"],
    [["--jwks", short], short],
    [["--cert", nothing, "--key", nothing], "--cert"],
    [["--cert", short, "--key", short], "--cert"],
    [["--pages", nothing], "--pages"],
    [["--settings", nothing], "--settings"],
    [["--origin", "https://*.example.com"], "--origin"],
  ];
  for (const [i, [flags, named]] of cases.entries()) {
    const data = `${folder.path}/${i}`;
    const { code, stdout, stderr } = await run(["--port", "0", "--data", data, ...flags]).output();
    const line = new TextDecoder().decode(stderr);
    assertEquals([code, stdout.length], [2, 0], line);
    assertMatch(line, /^fanfare: [^\n]+\n$/);
    assertEquals(line.includes(named), true, line);
  }
});

Deno.test("an origin is one, written in any way that means it; patterns are refused with a sentence", () => {
  const read = (text: string) => {
    const config = readConfig(["--origin", text], none);
    return typeof config === "string" ? config : config.origins[0];
  };
  const right: [string, string][] = [
    ["https://chat.example", "https://chat.example"],
    ["https://chat.example/", "https://chat.example"],
    ["HTTPS://Chat.Example:443", "https://chat.example"],
    ["http://chat.example:8080", "http://chat.example:8080"],
    ["https://例.example", "https://xn--fsq.example"],
    ["http://[::1]:8000", "http://[::1]:8000"],
    ["capacitor://localhost", "capacitor://localhost"],
    ["ionic://localhost", "ionic://localhost"],
    ["chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"],
    ["moz-extension://0b3b-4a", "moz-extension://0b3b-4a"],
  ];
  for (const [text, origin] of right) assertEquals(read(text), origin);
  const patterns = ["https://*.example.com", "*", "https://*", "http://localhost:*"];
  for (const text of patterns) {
    assertThrows(() => read(text), ConfigError, "patterns aren't matched");
  }
  const wrong = [
    "chat.example",
    "null",
    "https://chat.example/path",
    "https://chat.example?x",
    "https://chat.example/?",
    "https://chat.example#",
    "https://user@chat.example",
    "https://a.example,https://b.example",
    "file:///index.html",
    "data:text/html,x",
    "wss://chat.example",
    "chrome-extension://",
    "chrome-extension://a/b",
    "javascript://x",
  ];
  for (const text of wrong) assertThrows(() => read(text), ConfigError, "without a path");
});
