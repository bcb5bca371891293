/**
 * Starts and pages of a log with ten million messages: `deno run -A tests/programs/bench/history.ts [--messages N] [--data DIR]
 * [--starts N]`. Building the log takes minutes; where it is there it is used again, where it was left off it goes on.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Log } from "../../../lib/store/writer.ts";
import type { LogRecord } from "../../../lib/protocol/message.ts";
import { type ChildServer, cookieFrom, spawnServer } from "../../helpers/child_server.ts";
import { type Random, randomOf } from "../../helpers/random.ts";
import { Wire } from "../../helpers/load/wire.ts";
import { percentile, table } from "../../helpers/load/figures.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "10000000" },
    data: { type: "string", default: "/tmp/fanfare-history" },
    starts: { type: "string", default: "5" },
  },
});

const BATCH = 2000;
const CHANNELS = 1000;
const ACCOUNTS = 500;
/** Holds a tenth of all messages. */
const BUSY = "room:busy";
const SMALL = "room:small-500";
/** This share of the messages, the newest, has keys: a server forgets them after a day. */
const KEYED = 0.1;
const REPEATS = 200;
const EPOCH_START = 1_790_000_000_000;
const PAD = "x".repeat(85);

function build(path: string, messages: number): void {
  const log = new Log(path, () => crypto.randomUUID());
  const random = randomOf(1, "history");
  const begun = performance.now();
  const first = log.seq;
  while (log.seq < messages) {
    const size = Math.min(BATCH, messages - log.seq);
    const seq = log.seq;
    log.apply(Array.from({ length: size }, (_, i) => record(seq + 1 + i, messages, random)));
    if (log.seq % 1_000_000 < BATCH) {
      const rate = Math.round((log.seq - first) / (performance.now() - begun));
      console.log(`${log.seq} messages, ${rate},000 a second`);
    }
  }
  log.close();
}

function record(seq: number, messages: number, random: Random): LogRecord {
  const small = random.whole(1, CHANNELS - 1);
  return {
    kind: "message",
    seq,
    time: EPOCH_START + seq * 10,
    channel: random.chance(0.1) ? BUSY : `room:small-${small}`,
    from: random.whole(1, ACCOUNTS).toString(16).padStart(8, "0"),
    ...(seq > messages * (1 - KEYED) ? { key: `key-${seq}` } : {}),
    data: `{"text":"${PAD}"}`,
  };
}

/** Starts a server and tells how long it took until it listened, in milliseconds. */
async function start(data: string): Promise<{ child: ChildServer; port: number; ms: number }> {
  const begun = performance.now();
  const child = await spawnServer({ data });
  const port = await child.listening;
  return { child, port, ms: performance.now() - begun };
}

async function starts(data: string, count: number, end: Deno.Signal): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const { child, port, ms } = await start(data);
    await using _ = child;
    times.push(ms);
    // So that a killed one leaves something behind.
    const wire = await connect(port);
    await wire.ask("hello", { name: `Start ${i}` });
    wire.drop();
    child.signal(end);
    await child.ended;
  }
  return times;
}

async function connect(port: number): Promise<Wire> {
  const cookie = await cookieFrom(`http://127.0.0.1:${port}/`);
  const events = {
    told: () => {},
    stuck: (what: string) => {
      throw new Error(what);
    },
  };
  const wire = await Wire.open(`ws://127.0.0.1:${port}/ws`, cookie, events, new Set());
  if (wire === undefined) throw new Error("Cannot connect");
  return wire;
}

async function pages(
  wire: Wire,
  channel: string,
  limit: number,
  place: () => object,
): Promise<{ times: number[]; least: number }> {
  const times: number[] = [];
  let least = limit;
  for (let i = 0; i < REPEATS; i++) {
    const body = { channel, limit, ...place() };
    const begun = performance.now();
    const answer = await wire.ask("history", body);
    times.push(performance.now() - begun);
    const count = answer?.history?.messages.length ?? 0;
    if (count === 0) throw new Error(`No messages: ${JSON.stringify(answer)}`);
    least = Math.min(least, count);
  }
  return { times, least };
}

const messages = Number(values.messages);
await Deno.mkdir(values.data, { recursive: true, mode: 0o700 });
const path = join(values.data, "fanfare.db");
build(path, messages);
const { size } = await Deno.stat(path);
console.log(`${messages} messages in ${Math.round(size / 1_048_576)} MiB\n`);

const ms = (number: number) => number.toFixed(1);
const row = (name: string, times: readonly number[], ...more: (string | number)[]) => [
  name,
  ms(percentile(times, 0.5)),
  ms(percentile(times, 0.99)),
  ...more,
];
const count = Number(values.starts);
const empty = await Deno.makeTempDir({ prefix: "fanfare-empty-" });
await starts(empty, 1, "SIGTERM");
console.log(table([
  ["start, ms from the process to its address", "median", "slowest"],
  row("an empty log", await starts(empty, count, "SIGTERM")),
  row("this one", await starts(values.data, count, "SIGTERM")),
  row("an empty log, killed before", await starts(empty, count, "SIGKILL")),
  row("this one, killed before", await starts(values.data, count, "SIGKILL")),
]));
await Deno.remove(empty, { recursive: true });

const random = randomOf(2, "pages");
const middle = () => random.whole(Math.ceil(messages * 0.1), Math.floor(messages * 0.9));
const { child, port } = await start(values.data);
await using _child = child;
const wire = await connect(port);
const rows: (string | number)[][] = [["page, ms for the client", "median", "p99", "messages"]];
for (const channel of [BUSY, SMALL]) {
  for (const limit of [50, 200]) {
    for (
      const [name, place] of [
        ["newest", () => ({})],
        ["before", () => ({ before: middle() })],
        ["after", () => ({ after: middle() })],
      ] as const
    ) {
      const { times, least } = await pages(wire, channel, limit, place);
      rows.push(row(`${channel} ${name} ${limit}`, times, least));
    }
  }
}
wire.drop();
console.log(`\n${table(rows)}`);
