/** Fanfare's command line: arguments in, exit code out. */
import process from "node:process";
import denoJson from "./deno.json" with { type: "json" };
import { ConfigError, HELP, readConfig } from "./lib/config.ts";
import { log, startLogging } from "./lib/logger.ts";
import { type Running, serve } from "./lib/serve.ts";

/** How long an orderly end may take, in milliseconds. */
const END_DEADLINE = 9500;

async function main(): Promise<void> {
  const config = readConfig(Deno.args, (name) => Deno.env.get(name));
  if (config === "help") return console.log(HELP);
  if (config === "version") return console.log(`fanfare ${denoJson.version}`);
  await startLogging(config.logLevel);
  const running = await serve(config);
  const { hostname, port } = running.address;
  console.log(
    `Fanfare listens on http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`,
  );
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => void end(running, signal));
  }
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
  await running.stop();
  Deno.exit(0);
}

try {
  await main();
} catch (error) {
  const sentence = error instanceof Error ? error.message : String(error);
  process.stderr.write(`fanfare: ${sentence.split("\n")[0]}\n`);
  Deno.exit(error instanceof ConfigError ? 2 : 1);
}
