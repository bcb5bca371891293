/** Many clients that do the same at once: they are there, they join, they come back. */
import { Buffer } from "node:buffer";
import { pause, within } from "../../../helpers/child_server.ts";
import { Watch } from "../../../helpers/load/figures.ts";
import { backoff } from "../../../../static/client/time.js";
import { FrameSocket, type FrameTaker } from "../../../helpers/load/frames.ts";
import { CHANNEL, type Speech, SPEECHES, type SpeechName } from "./speech.ts";
import { micros } from "../../../helpers/load/stamp.ts";

/** Who does it, to whom. */
export interface Storm {
  readonly speech: SpeechName;
  readonly port: number;
  /** The server's process. */
  readonly pid: number;
  readonly clients: number;
}

/** Memory of idle connections. */
export interface Idle {
  /** KiB for each connection: resident, of it malloc's heap, of it other anonymous memory (V8's, and large blocks). */
  readonly resident: number;
  readonly heap: number;
  readonly anonymous: number;
}

/** What a join storm cost. */
export interface Joined {
  /** Of the server, in microseconds, until it was quiet again. */
  readonly cpuPerJoin: number;
  readonly seconds: number;
  readonly bytesPerJoin: number;
}

/** How long it took until everyone had everything; times in microseconds since 1970. */
export interface Recovered {
  readonly begun: number;
  readonly ended: number;
  readonly messages: number;
}

const AT_ONCE = 100;
const LIMIT = 120_000;
const FIRST = 100;
const SETTLE = 3000;
const LOOK = 500;
const BEHIND = 200;
/** So little of a core is quiet. */
const QUIET = 0.02;

/** Waits for one answer, and passes over everything else. */
class Asker implements FrameTaker {
  bytes = 0;
  readonly #begins: readonly Buffer[];
  #told: ((payload: Buffer) => void) | undefined;

  constructor(readonly socket: FrameSocket, begins: readonly string[]) {
    this.#begins = begins.map((text) => Buffer.from(text));
    socket.listen(this);
  }

  known(bytes: Buffer, start: number, size: number): boolean {
    this.bytes += size;
    return !this.#begins.some((begin) =>
      size >= begin.length && begin.equals(bytes.subarray(start, start + begin.length))
    );
  }

  arrived(): void {}

  whole(payload: Buffer): void {
    this.#told?.(payload);
  }

  async ask(text: string): Promise<Buffer> {
    const answer = new Promise<Buffer>((resolve) => this.#told = resolve);
    this.socket.send(text);
    return await within(answer, LIMIT, `the answer to ${text.slice(0, 80)}`);
  }
}

async function connect(
  { speech, port }: Storm,
  count: number,
  begins: readonly string[],
): Promise<Asker[]> {
  const { path, headers } = SPEECHES[speech];
  const askers: Asker[] = [];
  while (askers.length < count) {
    const group = Array.from(
      { length: Math.min(AT_ONCE, count - askers.length) },
      () => FrameSocket.open(port, path, headers),
    );
    const sockets = await within(Promise.all(group), LIMIT, "connections");
    askers.push(...sockets.map((socket) => new Asker(socket, begins)));
  }
  return askers;
}

async function subscribeAll(askers: readonly Asker[], speech: Speech): Promise<void> {
  if (speech.greeting !== undefined) {
    await Promise.all(askers.map(({ socket }) => socket.send("40")));
  }
  for (let i = 0; i < askers.length; i += AT_ONCE) {
    await Promise.all(
      askers.slice(i, i + AT_ONCE).map((one) => one.ask(speech.subscribe(CHANNEL))),
    );
  }
}

/**
 * Connects and subscribes, and then nothing happens.
 *
 * @param storm Who.
 * @returns What each connection costs in memory.
 */
export async function idle(storm: Storm): Promise<Idle> {
  const speech = SPEECHES[storm.speech];
  const begins = ['{"id":1,', '{"subscribed"', '42["subscribed"'];
  // What everything needs at its first use isn't one connection's.
  await subscribeAll(await connect(storm, FIRST, begins), speech);
  await pause(SETTLE);
  const before = memoryOf(storm.pid);
  await subscribeAll(await connect(storm, storm.clients - FIRST, begins), speech);
  await pause(SETTLE);
  const after = memoryOf(storm.pid);
  const each = (what: keyof Idle) => (after[what] - before[what]) / (storm.clients - FIRST);
  return { resident: each("resident"), heap: each("heap"), anonymous: each("anonymous") };
}

function memoryOf(pid: number): Idle {
  const sums = { resident: 0, heap: 0, anonymous: 0 };
  let heap = false;
  for (const line of Deno.readTextFileSync(`/proc/${pid}/smaps`).split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) heap = line.endsWith("[heap]");
    const [, name, kib] = /^(Rss|Anonymous):\s+(\d+) kB/.exec(line) ?? [];
    if (name === "Rss") sums.resident += Number(kib);
    if (name === "Anonymous") sums[heap ? "heap" : "anonymous"] += Number(kib);
  }
  return sums;
}

/**
 * Connects, each as an account of its own, and then all subscribe at once to one room whose presence they want to be told.
 *
 * @param storm Who.
 * @returns What it cost.
 */
export async function join(storm: Storm): Promise<Joined> {
  const askers = await connect(storm, storm.clients, ['{"id":1,']);
  using watch = new Watch(storm.pid);
  await quiet(watch);
  const before = watch.cpu;
  const begun = performance.now();
  const subscribe = { id: 1, subscribe: { channel: "room:storm", presence: true } };
  await Promise.all(askers.map((asker) => asker.ask(JSON.stringify(subscribe))));
  await quiet(watch);
  const bytes = askers.reduce((sum, asker) => sum + asker.bytes, 0);
  return {
    cpuPerJoin: (watch.cpu - before) * 1e6 / storm.clients,
    seconds: (performance.now() - begun - LOOK) / 1000,
    bytesPerJoin: bytes / storm.clients,
  };
}

async function quiet(watch: Watch): Promise<void> {
  const end = performance.now() + LIMIT;
  for (let before = watch.cpu; performance.now() < end; before = watch.cpu) {
    await pause(LOOK);
    if (watch.cpu - before < QUIET * LOOK / 1000) return;
  }
  throw new Error("The server doesn't come to rest");
}

/**
 * Publishes, and then all connect at once and ask for what they missed.
 *
 * @param storm Who.
 * @returns How long it took.
 */
export async function recover(storm: Storm): Promise<Recovered> {
  const { path, headers } = SPEECHES[storm.speech];
  const channel = "push:storm";
  const [first] = await connect(storm, 1, ['{"id":']);
  if (first === undefined) throw new Error("Nobody came");
  const ask = async (body: object) =>
    JSON.parse((await first.ask(JSON.stringify(body))).toString());
  const { subscribe: { epoch, seq } } = await ask({ id: 1, subscribe: { channel } });
  await ask({ id: 2, unsubscribe: { channel } });
  for (let i = 0; i < BEHIND; i++) {
    await ask({ id: 3 + i, publish: { channel, data: { text: `${i} `.padEnd(100, "x") } } });
  }
  const line = JSON.stringify({ id: 1, subscribe: { channel, since: { epoch, seq } } });
  const pages = new Set<string>();
  let messages = 0;
  const begun = micros();
  // Each is a client of its own: it connects, asks, and has its page. Whoever is told that too many come at once comes again
  // as the client library does.
  await Promise.all(Array.from({ length: storm.clients }, async () => {
    const socket = await comeBack(storm.port, path, headers);
    const page = await new Asker(socket, ['{"id":1,']).ask(line);
    messages += countIn(page, pages);
  }));
  return { begun, ended: micros(), messages };
}

// All pages are alike but for the seq that each was made at; each kind is parsed and looked through once.
function countIn(page: Buffer, known: Set<string>): number {
  const end = page.lastIndexOf("]");
  const kept = page.toString("latin1", 0, end);
  if (known.has(kept)) return BEHIND;
  const { subscribe } = JSON.parse(page.toString());
  const texts: string[] = subscribe.messages.map(({ data }: { data: { text: string } }) =>
    data.text
  );
  if (
    subscribe.recovered && texts.length === BEHIND && texts.every((t, i) => t.startsWith(`${i} `))
  ) {
    known.add(kept);
    return BEHIND;
  }
  throw new Error(`Not what was missed: ${page.toString().slice(0, 200)}`);
}

async function comeBack(...where: Parameters<typeof FrameSocket.open>): Promise<FrameSocket> {
  for (let attempt = 0;; attempt++) {
    try {
      return await FrameSocket.open(...where);
    } catch (error) {
      if (!String(error).includes(" 503 ")) throw error;
      await pause(backoff(attempt, Math.random()));
    }
  }
}
