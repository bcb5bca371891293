/** The memory guard: what clients half send or never take can't use up the process, and nobody else loses anything. */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import {
  CALM,
  Guard,
  type GuardOptions,
  type Load,
  LOOK,
  PATIENCE,
  ROUND,
  STUCK_PAUSE,
  STUCK_TIME,
  worstOf,
} from "../../lib/isolates/memory_guard.ts";
import { Watch } from "../helpers/load/figures.ts";
import {
  type ChildServer,
  cookieFrom,
  type LogLine,
  pause,
  spawnServer,
  within,
} from "../helpers/child_server.ts";
import { ask, connect, HANDSHAKE, readAnswer, sendAll, written } from "../helpers/raw_http.ts";
import { RawWebSocket } from "../helpers/raw_websocket.ts";
import { NativeClient, startServer } from "../helpers/server.ts";
import { Wire, type WireEvents } from "../helpers/load/wire.ts";

// In MiB.
const LIMIT = 400;
const ATTACKERS = 8;
const PART = new Uint8Array(65_535).fill(97);
// All of them together bring about 100 MB a second.
const BURST = 10;
const BREATH = 50;

/** Sends one message that never ends, until its connection does. */
async function attack(port: number, cookie: string): Promise<void> {
  using socket = await RawWebSocket.open(port, cookie);
  try {
    for (let sent = 0;; sent++) {
      await socket.sendPart(PART, sent === 0);
      if (sent % BURST === 0) await pause(BREATH);
    }
  } catch (error) {
    assert(error instanceof Error && /reset|broken pipe/i.test(error.message), String(error));
  }
}

/** Asks for a stream, and sends on behind it what the runtime takes and nobody reads. */
async function crowd(port: number): Promise<void> {
  const host = `127.0.0.1:${port}`;
  using conn = await connect(host);
  const path = "/events?channel=push:all";
  const asked = new TextEncoder().encode(
    written(host, { path, headers: { connection: undefined } }),
  );
  const more = new Uint8Array(PART.length);
  for (let at = 0; at + asked.length <= more.length; at += asked.length) more.set(asked, at);
  try {
    await sendAll(conn, asked);
    for (let sent = 0;; sent++) {
      await sendAll(conn, more);
      if (sent % BURST === 0) await pause(BREATH);
    }
  } catch (error) {
    assert(error instanceof Error && /reset|broken pipe/i.test(error.message), String(error));
  }
}

const QUIET: WireEvents = { told: () => {}, stuck: () => {} };

/** Publishes one after the other, each again under its key until it is acknowledged. */
async function publish(url: string, cookie: string, signal: AbortSignal): Promise<number[]> {
  const seqs: number[] = [];
  const sockets = new Set<Promise<void>>();
  while (!signal.aborted) {
    const wire = await Wire.open(url, cookie, QUIET, sockets);
    while (wire?.open && !signal.aborted) {
      const key = `k${seqs.length}`;
      const answer = await wire.ask("publish", { channel: "room:a", data: key, key });
      if (answer?.publish === undefined) break;
      seqs.push(answer.publish.seq);
      await pause(5);
    }
    wire?.drop();
    await pause(20);
  }
  await Promise.all(sockets);
  return seqs;
}

/** Reads a room, and goes on from its place each time that it is cut. */
class Follower {
  readonly seqs: number[] = [];
  readonly #unrecovered: unknown[] = [];
  cuts = 0;
  /** Whether its first subscription stands. */
  get stands(): boolean {
    return this.#place !== undefined;
  }
  #place: { epoch: string; seq: number } | undefined;

  get unrecovered(): readonly unknown[] {
    return this.#unrecovered;
  }

  async run(url: string, cookie: string, signal: AbortSignal): Promise<void> {
    const sockets = new Set<Promise<void>>();
    while (!signal.aborted) {
      const told: WireEvents["told"] = ({ message }) => message && this.#take(message.seq);
      const wire = await Wire.open(url, cookie, { told, stuck: () => {} }, sockets);
      if (wire !== undefined) {
        const end = () => wire.drop();
        signal.addEventListener("abort", end);
        await this.#subscribe(wire);
        await wire.ended;
        signal.removeEventListener("abort", end);
        this.cuts += 1;
      }
      await pause(20);
    }
    await Promise.all(sockets);
  }

  async #subscribe(wire: Wire): Promise<void> {
    const since = this.#place;
    const body = { channel: "room:a", ...(since === undefined ? {} : { since }) };
    const answer = (await wire.ask("subscribe", body))?.subscribe;
    if (answer === undefined) return;
    if (since !== undefined && answer.recovered !== true) this.#unrecovered.push(answer);
    this.#place ??= { epoch: answer.epoch, seq: 0 };
    for (const { seq } of answer.messages) this.#take(seq);
    if (!answer.more) this.#place.seq = Math.max(this.#place.seq, answer.seq);
  }

  #take(seq: number): void {
    this.seqs.push(seq);
    if (this.#place !== undefined) this.#place.seq = Math.max(this.#place.seq, seq);
  }
}

/** Asks to come in, again and again, and tells how that was answered. */
async function knock(port: number, signal: AbortSignal): Promise<Map<number, string | null>> {
  const answers = new Map<number, string | null>();
  while (!signal.aborted) {
    const request = { path: "/ws", headers: HANDSHAKE };
    const answer = await ask(`127.0.0.1:${port}`, request).catch(() => undefined);
    if (answer !== undefined) answers.set(answer.status, answer.headers.get("retry-after"));
    await pause(50);
  }
  return answers;
}

/** What the guard told, and a wait until it is calm. */
function guardEvents(server: ChildServer): { seen: string[]; calm: () => Promise<void> } {
  const seen: string[] = [];
  server.onLog = ({ message = "" }) => {
    if (message.startsWith("memory.")) seen.push(message);
  };
  return {
    seen,
    async calm() {
      while (seen.at(-1) !== "memory.normal") await pause(10);
    },
  };
}

/** The most that a process had, in MiB. */
function peakOf(pid: number): number {
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Math.round(Number(kib) / 1024);
}

for (const workers of [2, 0]) {
  Deno.test(`messages that never end, and what comes behind a stream, fill the memory until the guard acts, and nobody else loses anything (--workers ${workers})`, async () => {
    const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
    try {
      const flags = ["--workers", String(workers), "--max-memory", `${LIMIT}M`];
      await using server = await spawnServer({ data, flags });
      const { seen, calm } = guardEvents(server);
      const port = await server.listening;
      using watch = new Watch(server.pid);
      const url = `ws://127.0.0.1:${port}/ws`;
      const cookie = () => cookieFrom(`http://127.0.0.1:${port}/`);
      const [writing, reading] = [new AbortController(), new AbortController()];
      const follower = new Follower();
      const followed = follower.run(url, await cookie(), reading.signal);
      while (!follower.stands) await pause(10);
      const published = publish(url, await cookie(), writing.signal);
      const knocked = knock(port, writing.signal);
      while (follower.seqs.length < 20) await pause(10);
      const before = watch.resident;

      const their = await cookie();
      const attacks = Array.from(
        { length: ATTACKERS },
        (_, i) => i % 2 === 0 ? attack(port, their) : crowd(port),
      );
      // Whichever isolate has them: each is cut in the end.
      await within(Promise.all(attacks), 25_000, "the guard to cut all attackers");
      await within(calm(), 10_000, "the memory to come back");
      await pause(500);
      writing.abort();
      const seqs = await within(published, 10_000, "the publisher's end");
      // One whose isolate went while it was asking must not be left hanging.
      const answers = await within(knocked, 20_000, "the last answer at the door");
      const whole = async () => {
        while (follower.seqs.length < seqs.length) await pause(10);
      };
      await within(whole(), 20_000, "the reader to have all");
      await pause(100);
      reading.abort();
      await followed;
      const after = watch.resident;
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

      assertEquals(follower.seqs, seqs);
      assertEquals(follower.unrecovered, []);
      assertGreater(follower.cuts, 1);
      assertGreater(seqs.length, 50);
      assertEquals(seen[0], "memory.high");
      assert(seen.includes("memory.replacing"));
      assertEquals([answers.has(101), answers.get(503)], [true, "2"]);
      const worst = peakOf(server.pid);
      assertGreater(worst, 0.85 * LIMIT);
      assertLess(worst, 1.5 * LIMIT);
      assertLess(after, before + 60);
      const number = (name: string) =>
        Number(new RegExp(`^fanfare_${name} (.*)$`, "m").exec(metrics)?.[1]);
      assertEquals(number("memory_limit_bytes"), LIMIT * 1_048_576);
      assertEquals(number("newcomers_refused"), 0);
      const acts = seen.filter((name) => name === "memory.replacing").length;
      assertEquals(number("guard_replacements_total"), acts);
      assertEquals(server.troubles, []);
    } finally {
      await Deno.remove(data, { recursive: true });
    }
  });
}

Deno.test("F4: sockets that we closed and whose clients never go have their isolate replaced when they are many", async () => {
  // Both wait for the same time.
  await Promise.all([2, 0].map(fillWithStuck));
});

async function fillWithStuck(workers: number): Promise<void> {
  await using server = await startServer({ workers, limits: { stuck: 5 } });
  const stays = await Promise.all(
    Array.from({ length: workers === 0 ? 5 : 10 }, () => stay(server.host)),
  );
  await using other = await NativeClient.open(server);
  await other.do("publish", { channel: "room:a", data: 1, key: "before" });
  const begun = performance.now();
  while (server.replacements() === 0) {
    assertLess(performance.now() - begun, STUCK_TIME + 5000);
    await pause(20);
  }
  assertGreater(performance.now() - begun, STUCK_TIME - 1500);
  // Whoever sat on them is cut; where another isolate has some too, those are fewer, or it isn't their turn yet.
  await within(Promise.any(stays.map(ended)), 20_000, "the stuck sockets to end");
  await using again = await come(server);
  const { messages } = await again.do("history", { channel: "room:a" });
  assertEquals(Array.isArray(messages) && messages.map(({ key }) => key), ["before"]);
  for (const conn of stays) conn.close();
}

Deno.test("a limit below what the server takes by itself is said as what it is, and who asks how it does is answered", async () => {
  const data = await Deno.makeTempDir({ prefix: "fanfare-test-" });
  await using server = await spawnServer({
    data,
    flags: ["--workers", "0", "--max-memory", "10M"],
  });
  const { promise: told, resolve } = Promise.withResolvers<LogLine>();
  server.onLog = (line) => line.message === "memory.high" && "advice" in line && resolve(line);
  const host = `127.0.0.1:${await server.listening}`;
  const { vain, limit, advice } = await within(told, 20_000, "the guard to say so");
  assertEquals([vain, limit], [1, 10 * 1024 ** 2]);
  assertMatch(String(advice), /raise --max-memory/);
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    assertEquals((await ask(host, { path })).status, 200, path);
  }
  const { status, headers } = await ask(host, { path: "/ws", headers: HANDSHAKE });
  assertEquals([status, headers.get("retry-after")], [503, "2"]);
  await server[Symbol.asyncDispose]();
  await Deno.remove(data, { recursive: true });
});

/** Has itself closed by a binary frame, and doesn't answer. */
async function stay(host: string): Promise<Deno.TcpConn> {
  const conn = await connect(host);
  const encoder = new TextEncoder();
  await sendAll(conn, encoder.encode(written(host, { path: "/ws", headers: HANDSHAKE })));
  assertEquals((await readAnswer(conn)).status, 101);
  await sendAll(conn, new Uint8Array([0x82, 0x81, 0, 0, 0, 0, 7]));
  return conn;
}

async function ended(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(1024);
  while (await conn.read(buffer).catch(() => null) !== null);
}

async function come(server: { host: string }): Promise<NativeClient> {
  for (;;) {
    const client = await NativeClient.open(server).catch(() => undefined);
    if (client !== undefined) return client;
    await pause(20);
  }
}

Deno.test("the worst edge is the one that accounts for what has to go, else the one that serves for longest", () => {
  const load = (edge: number, held: Partial<Load> = {}): Load => ({
    ...{ edge, unsent: 0, stuck: 0, heap: 0 },
    ...held,
  });
  const few = [load(3, { heap: 30 }), load(2, { unsent: 20 }), load(4)];
  assertEquals(worstOf(few, 100), 2);
  assertEquals(worstOf(few, 60), 3);
  assertEquals(worstOf([...few, load(5, { unsent: 30, heap: 20 })], 100), 5);
  assertEquals(worstOf([...few, load(6, { stuck: 3 })], 100_000), 6);
  assertEquals(worstOf([], 100), undefined);
});

/** A guard whose time, memory and edges are the test's. */
class Story implements Disposable {
  now = 0;
  resident = 100;
  edges: Load[] = [1, 2].map((edge) => ({ edge, unsent: 0, stuck: 0, heap: 0 }));
  readonly told: string[] = [];
  readonly guard: Guard;
  #newest = 2;

  constructor(changes: Partial<GuardOptions> = {}) {
    this.guard = new Guard({
      limit: 1000,
      stuck: 10,
      measure: () => this.resident,
      loads: () => this.edges,
      refuse: (refusing) => void this.told.push(refusing ? "refuse" : "let in"),
      now: () => this.now,
      replace: (edge) => {
        this.told.push(`replace ${edge} at ${this.now}`);
        const next = { edge: ++this.#newest, unsent: 0, stuck: 0, heap: 0 };
        this.edges = [...this.edges.filter((load) => load.edge !== edge), next];
        return Promise.resolve();
      },
      ...changes,
    });
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<string[]> {
    for (const end = this.now + ms; this.now < end;) {
      this.now += LOOK;
      this.guard.look();
      await new Promise<void>((resolve) => queueMicrotask(resolve));
      await Promise.resolve();
    }
    return this.told.splice(0);
  }

  [Symbol.dispose](): void {
    this.guard[Symbol.dispose]();
  }
}

Deno.test("near the limit newcomers are refused, then edges are replaced in turn with a pause, and a round in vain is followed by a long one", async () => {
  using story = new Story();
  assertEquals(await story.pass(1000), []);
  story.resident = 850;
  assertEquals(await story.pass(PATIENCE), ["refuse"]);
  assertEquals(await story.pass(LOOK), ["replace 1 at 3100"]);
  assertEquals(await story.pass(1000), ["replace 2 at 4100"]);
  assertEquals(await story.pass(ROUND), []);
  assertEquals(await story.pass(2000), ["replace 3 at 15100", "replace 4 at 16100"]);
  assertEquals(await story.pass(2 * ROUND), []);
  story.resident = 749;
  assertEquals(await story.pass(LOOK), ["let in"]);
  assertEquals(story.guard.totals, { guard_replacements_total: 4 });
});

Deno.test("beyond the limit nothing is waited for; between the marks newcomers come in after a while", async () => {
  using story = new Story();
  story.resident = 1000;
  assertEquals(await story.pass(LOOK), ["refuse", `replace 1 at ${LOOK}`]);
  story.resident = 800;
  assertEquals(await story.pass(CALM - LOOK), []);
  assertEquals(await story.pass(LOOK), ["let in"]);
  using free = new Story({ limit: 0 });
  free.resident = 1e12;
  assertEquals(await free.pass(10_000), []);
});

Deno.test("stuck sockets have to stay for a while, and don't set the pace", async () => {
  using story = new Story();
  story.edges = [{ edge: 1, unsent: 0, stuck: 9, heap: 0 }, {
    edge: 2,
    unsent: 0,
    stuck: 10,
    heap: 0,
  }];
  assertEquals(await story.pass(STUCK_TIME), []);
  assertEquals(await story.pass(LOOK), [`replace 2 at ${story.now}`]);
  story.edges = [{ edge: 1, unsent: 0, stuck: 10, heap: 0 }];
  assertEquals(await story.pass(STUCK_PAUSE - LOOK), []);
  assertEquals(await story.pass(LOOK), [`replace 1 at ${story.now}`]);
});
