/** Fanfare's command line: arguments in, exit code out. */
import process from "node:process";
import denoJson from "./deno.json" with { type: "json" };
import { type Config, ConfigError, HELP, readConfig } from "./lib/config.ts";
import { backup } from "./lib/log/backup.ts";
import { check } from "./lib/log/check.ts";
import { log, startLogging } from "./lib/logger.ts";
import { makeToken } from "./lib/token_command.ts";
import { logPath, type Running, serve, urlOf } from "./lib/serve.ts";

/** How long an orderly end may take, in milliseconds. */
const END_DEADLINE = 9500;

async function main(): Promise<void> {
  const env = (name: string) => Deno.env.get(name);
  if (Deno.args[0] === "token") {
    return console.log(await makeToken(Deno.args.slice(1), env, Math.floor(Date.now() / 1000)));
  }
  const config = readConfig(Deno.args, env);
  if (config === "help") return console.log(HELP);
  if (config === "version") return console.log(`fanfare ${denoJson.version}`);
  await startLogging(config.logLevel);
  switch (config.command.name) {
    case "backup":
      return await runBackup(config, config.command.file);
    case "check":
      return runCheck(config);
    case "serve":
      return await runServer(config);
  }
}

async function runBackup(config: Config, file: string): Promise<void> {
  const { seq, bytes } = await backup(logPath(config.data), file);
  console.log(`Copied all up to seq ${seq}, ${bytes} bytes, to "${file}"`);
}

function runCheck(config: Config): void {
  const { messages, faults } = check(logPath(config.data));
  for (const fault of faults) console.error(fault);
  const found = faults.length === 0 ? "no fault" : `${faults.length} faults`;
  console.log(`Read ${messages} messages, found ${found}`);
  if (faults.length > 0) Deno.exit(1);
}

async function runServer(config: Config): Promise<void> {
  // Beyond a limit on the size of files a write shall fail like one on a full disk, not end the process.
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGXFSZ", () => {});
  const running = await serve(config);
  // Before the line is out: whoever reads it may send a signal at once.
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => void end(running, signal));
  }
  console.log(`Fanfare listens on ${urlOf(running.address)}`);
}

// Ctrl-C reaches the whole process group, and `deno task` passes it on once more: that echo is no second signal.
const ECHO = 500;
let endingSince: number | undefined;

async function end(running: Running, signal: string): Promise<void> {
  if (endingSince !== undefined) {
    // A second signal is somebody who doesn't want to wait.
    if (performance.now() - endingSince > ECHO) Deno.exit(1);
    return;
  }
  endingSince = performance.now();
  log.info("server.leaving", { signal });
  setTimeout(() => Deno.exit(0), END_DEADLINE);
  try {
    await running.stop();
  } catch (error) {
    log.error("server.end", { error: String(error) });
    Deno.exit(1);
  }
  Deno.exit(0);
}

try {
  await main();
} catch (error) {
  const sentence = error instanceof Error ? error.message : String(error);
  process.stderr.write(`fanfare: ${sentence.split("\n")[0]}\n`);
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}
