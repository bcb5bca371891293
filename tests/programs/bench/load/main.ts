/**
 * The load generator: a process of its own that takes a job as JSON on its command line and writes what it found as JSON.
 *
 * @module
 */
import process from "node:process";
import { pause, within } from "../../../helpers/child_server.ts";
import { Watch } from "../../../helpers/load/figures.ts";
import { record } from "../profile.ts";
import { FrameSocket } from "../../../helpers/load/frames.ts";
import { publish, type Published, type Publishing } from "./publishers.ts";
import { Crowd, Reader } from "./readers.ts";
import { CHANNEL, SPEECHES } from "./speech.ts";
import { idle, join, recover } from "./storms.ts";

/** Readers of one channel while others publish in it. */
export interface Broadcast extends Publishing {
  readonly readers: number;
  /** The server's process. */
  readonly pid: number;
  /** How long it is waited for what is still under way. */
  readonly patience: number;
  /** Whether each latency is told, with its moment. */
  readonly trace?: boolean;
  /** A file for samples of the server's stacks, taken in the window. */
  readonly profile?: string;
}

/** What came of it. */
export interface Broadcasted {
  readonly deliveries: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Processor seconds of the server in the window. */
  readonly serverCpu: number;
  /** The server's memory at the end, in MiB. */
  readonly resident: number;
  /** How much of a core the readers took. */
  readonly readerShare: number;
  readonly megabytes: number;
  readonly published: Published;
  /** Deliveries that never came, within the patience. */
  readonly lost: number;
  readonly wrong: number;
  /** For each delivery of the window its moment, in microseconds since 1970, and milliseconds. */
  readonly trace?: readonly (readonly [number, number])[];
}

const AT_ONCE = 100;
const CONNECT_LIMIT = 60_000;

async function enter(job: Broadcast, crowd: Crowd): Promise<Reader[]> {
  const speech = SPEECHES[job.speech];
  const readers: Reader[] = [];
  while (readers.length < job.readers) {
    const group = Array.from(
      { length: Math.min(AT_ONCE, job.readers - readers.length) },
      async () => {
        const socket = await FrameSocket.open(job.port, speech.path, speech.headers);
        return socket;
      },
    );
    for (const socket of await within(Promise.all(group), CONNECT_LIMIT, "connections")) {
      readers.push(new Reader(crowd, socket, CHANNEL, readers.length === 0));
    }
    await within(
      Promise.all(readers.slice(-AT_ONCE).map(({ subscribed }) => subscribed)),
      CONNECT_LIMIT,
      "subscriptions",
    );
  }
  return readers;
}

async function broadcast(job: Broadcast): Promise<Broadcasted> {
  const most = Math.ceil(Math.max(job.rate, 200_000) * job.seconds);
  const crowd = new Crowd(SPEECHES[job.speech], most);
  if (job.trace) crowd.trace = [];
  using watch = new Watch(job.pid);
  const readers = await enter(job, crowd);
  const publishing: Promise<Published> = runLoad("publish", job);
  // It runs once it connected; the window is what the readers see of the last seconds.
  const starting = crowd.seen;
  while (crowd.seen === starting) await pause(5);
  await pause((job.seconds - job.measured) * 1000);
  const before = snapshot(crowd, watch);
  crowd.measuring = true;
  const sampling = job.profile && record(job.pid, job.measured, job.profile);
  await pause(job.measured * 1000);
  const after = snapshot(crowd, watch);
  crowd.measuring = false;
  const published = await publishing;
  await sampling;
  const end = performance.now() + job.patience;
  const all = (last: number) => readers.every((reader) => reader.last >= last);
  while (performance.now() < end && !(crowd.seen === published.sent && all(crowd.seen - 1))) {
    await pause(20);
  }
  const got = crowd.delivered;
  const seconds = (after.at - before.at) / 1000;
  const { repeated, reordered, damaged } = crowd.faults;
  const { latencies } = crowd;
  return {
    deliveries: after.delivered - before.delivered,
    seconds,
    p50: latencies.at(0.5),
    p99: latencies.at(0.99),
    max: latencies.at(1),
    serverCpu: after.server - before.server,
    resident: watch.resident,
    readerShare: (after.own - before.own) / seconds,
    megabytes: (after.bytes - before.bytes) / 1e6,
    published,
    lost: published.sent * job.readers - got,
    wrong: repeated + reordered + damaged,
    ...(crowd.trace === undefined ? {} : { trace: crowd.trace }),
  };
}

function snapshot(crowd: Crowd, watch: Watch) {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    delivered: crowd.delivered,
    bytes: crowd.bytes,
    server: watch.cpu,
    own: (user + system) / 1e6,
  };
}

const JOBS: Readonly<Record<string, (job: string) => Promise<object>>> = {
  broadcast: (job) => broadcast(JSON.parse(job)),
  publish: (job) => publish(JSON.parse(job)),
  idle: (job) => idle(JSON.parse(job)),
  join: (job) => join(JSON.parse(job)),
  recover: (job) => recover(JSON.parse(job)),
};

/**
 * Runs a job in a process of its own.
 *
 * @param name Which.
 * @param job What it is told.
 * @returns What it found.
 */
export async function runLoad<T>(
  name: "broadcast" | "publish" | "idle" | "join" | "recover",
  job: object,
): Promise<T> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, name, JSON.stringify(job)],
  }).output();
  if (code !== 0) {
    throw new Error(`The load generator (${name}) failed: ${new TextDecoder().decode(stderr)}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const [name = "", job = "{}"] = Deno.args;
  console.log(JSON.stringify(await JOBS[name]?.(job)));
  Deno.exit();
}
