/** The command line: flags, environment, refusals; and the program itself from start to signal. */
import { assertEquals, assertGreater, assertLess, assertMatch, assertThrows } from "@std/assert";
import { ConfigError, defaultWorkers, readConfig, readSettings } from "../lib/config.ts";
import { defaultLimit } from "../lib/core/guard.ts";

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
    cwd: new URL("..", import.meta.url).pathname,
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
    const address = /^Fanfare listens on (http:\/\/127\.0\.0\.1:\d+\/)\n$/.exec(line)?.[1] ?? "";
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
