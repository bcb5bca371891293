/** Measures a bystander's ping while others read, unpack and say as much as they can. */
import { DEFAULT_LIMITS } from "../../../lib/config/limits.ts";
import { join } from "node:path";
import { Log } from "../../../lib/store/writer.ts";
import { pause, spawnServer, within } from "../child_server.ts";
import { type AttackJob, topics } from "./attacks.ts";
import { Histogram, Watch } from "./figures.ts";

const CHANNELS = 128;
/** Each channel holds more than a page of 1 MiB. */
const MESSAGES = 220;
const TEXT = "x".repeat(5000);

// Servers of tests bound no rates; this one does as it comes. The bystander and the attackers are all on the loopback.
const DEFAULTS = {
  FANFARE_RATE: String(DEFAULT_LIMITS.rate),
  FANFARE_MAX_SIGNALS: String(DEFAULT_LIMITS.signals),
  FANFARE_MAX_REPEATS: String(DEFAULT_LIMITS.repeats),
  FANFARE_MAX_REFUSALS: String(DEFAULT_LIMITS.refusals),
};

const BYSTANDERS = 4;
/** Between the pings of one of them, in milliseconds. */
const PAUSE = 20;
const WARM_UP = 500;
const SECONDS = 1.5;
const NICE = ["-n", "10"];
const LOAD = new URL("./attacks.ts", import.meta.url);

/**
 * Makes a log with 128 full channels.
 *
 * @param folder Where.
 * @param count How many messages of 5 KB each of them has.
 */
export function fillLog(folder: string, count = MESSAGES): void {
  const log = new Log(join(folder, "fanfare.db"), () => crypto.randomUUID());
  const time = Date.now();
  for (let i = 0; i < count; i++) {
    const first = log.seq + 1;
    log.apply(
      topics(CHANNELS).map((topic, j) => ({
        kind: "message",
        seq: first + j,
        time: time + i,
        channel: `push:${topic}`,
        from: null,
        data: JSON.stringify({ text: `${i} ${TEXT}` }),
      })),
    );
  }
  log.close();
}

let filled: Promise<string> | undefined;

// One for all cases: nothing that is measured depends on what is added to it.
async function fullFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fanfare-bench-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  fillLog(folder);
  return folder;
}

/** Connects a bystander. */
async function greet(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const { promise, resolve } = Promise.withResolvers<void>();
  // The first command records an account, on the disk: that is no ping.
  socket.onopen = () => socket.send(JSON.stringify({ id: 1, hello: {} }));
  socket.onmessage = () => resolve();
  await within(promise, 10_000, "a bystander's greeting");
  return socket;
}

/** Pings as long as it is told to, once at least. */
async function ping(socket: WebSocket, latencies: Histogram, signal: AbortSignal): Promise<void> {
  for (let id = 2; id === 2 || !signal.aborted; id++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onmessage = () => resolve();
    const begun = performance.now();
    socket.send(JSON.stringify({ id, ping: {} }));
    await Promise.race([promise, pause(5000)]);
    latencies.add(performance.now() - begun);
    await pause(PAUSE);
  }
  socket.close();
}

/**
 * Measures one case.
 *
 * @param job The attack; without its port.
 * @param workers Isolates.
 * @returns What the bystander felt, and what it cost.
 */
export async function measure(
  job: Omit<AttackJob, "port">,
  workers: number,
): Promise<Readonly<Record<string, number>>> {
  const data = await (filled ??= fullFolder());
  const flags = ["--workers", String(workers), "--log-level", "error"];
  await using server = await spawnServer({ data, flags, env: DEFAULTS });
  const port = await server.listening;
  const latencies = new Histogram();
  const stop = new AbortController();
  using watch = new Watch(server.pid);
  const quiet = new Histogram();
  const calm = new AbortController();
  const calming = ping(await greet(port), quiet, calm.signal);
  await pause(WARM_UP);
  calm.abort();
  await calming;
  const before = watch.resident;
  // What is measured is the server: its attackers have the processors that it and the bystander leave.
  const attackers = new Deno.Command("nice", {
    args: [
      ...NICE,
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      LOAD.href,
      JSON.stringify({ ...job, port }),
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = attackers.stdout.getReader();
  await output.read();
  await pause(WARM_UP);
  const sockets = await Promise.all(Array.from({ length: BYSTANDERS }, () => greet(port)));
  const bystanders = sockets.map((socket) => ping(socket, latencies, stop.signal));
  const [begun, cpu] = [performance.now(), watch.cpu];
  let most = 0;
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end;) {
    await pause(100);
    most = Math.max(most, server.troubles.length === 0 ? watch.resident : most);
  }
  const hung = await Promise.race([server.ended.then(() => 1), pause(0).then(() => 0)]);
  stop.abort();
  const cores = (watch.cpu - cpu) / ((performance.now() - begun) / 1000);
  end(attackers);
  await output.cancel();
  await attackers.status;
  await Promise.allSettled(bystanders);
  return {
    "p50 ms": latencies.at(0.5),
    "p99 ms": latencies.at(0.99),
    "worst ms": latencies.at(1),
    "quiet p99 ms": quiet.at(0.99),
    "+MB": most - before,
    "server cores": cores,
    "ended": hung,
    "errors": server.troubles.length,
  };
}

function end(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch (error) {
    // All its connections were closed: it ended by itself.
    if (!(error instanceof TypeError)) throw error;
  }
}
