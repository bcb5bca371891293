/** Fanfare's command line: arguments in, exit code out. */
import denoJson from "./deno.json" with { type: "json" };
import { helpOfLocal, runBackup, runCheck } from "./lib/cli/local.ts";
import { helpOf, isRequest, readRequest } from "./lib/cli/options.ts";
import { speak } from "./lib/cli/speak.ts";
import { Terminal } from "./lib/cli/terminal.ts";
import { makeToken } from "./lib/cli/token.ts";
import {
  type Config,
  ConfigError,
  HELP,
  readConfig,
  readSettings,
  settingsFile,
} from "./lib/config/config.ts";
import { tokenPath } from "./lib/auth/secrets.ts";
import { isTraced } from "./lib/bus/traced.ts";
import { readNamed } from "./lib/config/system_errors.ts";
import { log, startLogging } from "./lib/observability/logger.ts";
import { opennessOf } from "./lib/config/openness.ts";
import { logPath, type Running, serve } from "./lib/app.ts";

/** How long an orderly end may take, in milliseconds. */
const END_DEADLINE = 9500;

// `help COMMAND` is `COMMAND --help`.
const ARGS = Deno.args[0] === "help" ? [...Deno.args.slice(1, 2), "--help"] : Deno.args;

async function main(): Promise<void> {
  const env = (name: string) => Deno.env.get(name);
  const [command, ...args] = ARGS;
  if (isRequest(command)) {
    const request = readRequest(command, args, env);
    if (request === "help") return terminal.line(helpOf(command));
    const code = await speak(request, terminal);
    terminal.clear();
    // Nothing that is left over shall hold it up.
    Deno.exit(code);
  }
  if (command === "token") {
    return terminal.line(await makeToken(args, env, Math.floor(Date.now() / 1000)));
  }
  const config = await configOf(env);
  if (config === "help") return terminal.line(helpOfLocal(command) ?? HELP);
  if (config === "version") return terminal.line(`fanfare ${denoJson.version}`);
  startLogging(config.logLevel);
  switch (config.command.name) {
    case "backup":
      return await runBackup(logPath(config.data), config.command.file, terminal);
    case "check":
      return Deno.exit(await runCheck(logPath(config.data), terminal));
    case "serve":
      return await runServer(config);
  }
}

// Flags before the environment, that before the file.
async function configOf(
  env: (name: string) => string | undefined,
): Promise<ReturnType<typeof readConfig>> {
  const file = settingsFile(ARGS, env);
  const settings = file === undefined
    ? new Map<string, string>()
    : readSettings(await readNamed(file, "settings"), file);
  return readConfig(ARGS, (name) => env(name) || settings.get(name));
}

// What only a start can change.
const FIXED = ["host", "port", "unix", "data", "pages", "workers"] as const;

async function renew(running: Running, started: Config): Promise<void> {
  try {
    const config = await configOf((name) => Deno.env.get(name));
    if (typeof config === "string") return;
    await running.renew(config);
    const restart = FIXED.filter((name) => config[name] !== started[name]).join(", ");
    log.info("settings.read", { logLevel: config.logLevel, ...(restart && { restart }) });
  } catch (error) {
    // What was read before goes on.
    const sentence = error instanceof Error ? error.message : String(error);
    log.error("settings.refused", { error: sentence });
  }
}

const TRACING_ADVICE = "compile the program with OTEL_DENO=true";

async function runServer(config: Config): Promise<void> {
  // Beyond a limit on the size of files a write shall fail like one on a full disk, not end the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  if (config.tracing && !isTraced()) log.warning("tracing.none", { advice: TRACING_ADVICE });
  const starting = serve(config);
  // From the start on: whoever finds that it listens may send a signal at once.
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => void end(starting, signal));
  }
  if (Deno.build.os !== "windows") {
    // One after the other: each may replace edges. Where it doesn't start at all that is told below.
    let last: Promise<unknown> = starting;
    Deno.addSignalListener("SIGHUP", () => {
      last = last.then(async () => await renew(await starting, config)).catch(() => {});
    });
  }
  const { url } = await starting;
  try {
    terminal.report(`Fanfare listens on ${url} ${startFacts(config)}`);
  } catch (error) {
    // A full disk behind standard output is no reason not to serve.
    log.warning("server.unheard", { url, error: String(error) });
  }
}

// Who may push, and where data and token are: it stands behind the address, which programs read out of this line.
function startFacts(config: Config): string {
  const { data } = config;
  const who = {
    anyone: "open: anyone may push",
    local: "open: anyone on this machine may push",
    closed: "closed: pushing needs the admin token",
  }[opennessOf(config)];
  return `(${who}; data in "${data}", admin token in "${tokenPath(config)}")`;
}

// Ctrl-C reaches the whole process group, and `deno task` passes it on once more: that echo is no second signal.
const ECHO = 500;
let endingSince: number | undefined;

async function end(starting: Promise<Running>, signal: string): Promise<void> {
  if (endingSince !== undefined) {
    // A second signal is somebody who doesn't want to wait.
    if (performance.now() - endingSince > ECHO) Deno.exit(1);
    return;
  }
  endingSince = performance.now();
  log.info("server.leaving", { signal });
  setTimeout(() => Deno.exit(0), END_DEADLINE);
  try {
    const running = await starting;
    await running.stop();
  } catch (error) {
    log.error("server.end", { error: String(error) });
    Deno.exit(1);
  }
  Deno.exit(0);
}

const terminal = new Terminal(Deno.env.get("NO_COLOR"), Deno.env.get("TERM"));
try {
  await main();
} catch (error) {
  const sentence = error instanceof Error ? error.message : String(error);
  terminal.tell(sentence.split("\n")[0] ?? "");
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}
