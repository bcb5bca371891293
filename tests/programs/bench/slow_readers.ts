/**
 * What a hundred readers that stop reading cost the other nine hundred (threats.md L1), and whether they recover:
 * `deno run -A tests/programs/bench/slow_readers.ts [--rounds 2] [--rate 400] [--seconds 20]`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { cookieFrom, pause, spawnServer, within } from "../../helpers/child_server.ts";
import { type Answer, Crowd, CrowdReader } from "../../helpers/load/crowd.ts";
import { table, Watch } from "../../helpers/load/figures.ts";
import { BenchPublisher } from "../../helpers/load/publisher.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "2" },
    rate: { type: "string", default: "400" },
    seconds: { type: "string", default: "20" },
  },
});
const RATE = Number(values.rate);
const SECONDS = Number(values.seconds);

const CHANNEL = "push:crowd";
/** Only the slow ones read it: it fills their sockets before anything is measured. */
const FILL = "push:fill";
const FILL_MESSAGES = 150;
const FILL_TEXT = "x".repeat(40_000);
const MANY = 900;
const SLOW = 100;
const THOROUGH = 50;
const ACCOUNTS = 20;
const WARM_UP = 3;
/** The rest of the 40 s without progress, at so low a rate that all stays within what a server recovers. */
const REST = 40;
const REST_RATE = 15;
/** Within this what they cost has to come back. */
const AFTERWARDS = 60_000;
const WAKE_LIMIT = 10_000;
const DELIVERY_LIMIT = 60_000;

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly row: readonly (string | number)[];
}

async function phase(name: string, slow: boolean): Promise<Figures> {
  const data = await Deno.makeTempDir({ prefix: "fanfare-bench-" });
  try {
    await using server = await spawnServer({
      data,
      flags: ["--workers", "0"],
    });
    const port = await server.listening;
    using watch = new Watch(server.pid);
    return await measure(name, slow, port, watch);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

async function measure(
  name: string,
  slow: boolean,
  port: number,
  watch: Watch,
): Promise<Figures> {
  const cookies = await Promise.all(
    Array.from({ length: ACCOUNTS }, () => cookieFrom(`http://127.0.0.1:${port}/`)),
  );
  const crowd = new Crowd(CHANNEL);
  const many = await enter(port, cookies, crowd, MANY, [CHANNEL]);
  // They never read again.
  const rest = slow ? await enter(port, cookies, new Crowd(CHANNEL), SLOW, [CHANNEL, FILL]) : [];
  const running = many.map(({ reader }) => reader.run());
  using publisher = await BenchPublisher.open(port, cookies[0] ?? "");
  const start = watch.resident;
  if (slow) await publisher.fill(FILL, FILL_MESSAGES, FILL_TEXT);

  await publisher.publish(CHANNEL, RATE, WARM_UP);
  crowd.measuring = true;
  const before = watch.cpu;
  await publisher.publish(CHANNEL, RATE, SECONDS);
  const cpu = watch.cpu - before;
  await settled(many, publisher.published);
  crowd.measuring = false;
  if (slow) await publisher.publish(CHANNEL, REST_RATE, REST);
  await settled(many, publisher.published);
  const [most, end, sockets] = [Math.max(...watch.memory), watch.resident, watch.descriptors];

  for (const { reader } of many) crowd.close(reader.last, publisher.published);
  if (slow) await wakeUp(rest);
  if (slow) await recover(port, cookies, rest, publisher.published);
  for (const { reader } of [...many, ...rest]) reader.socket[Symbol.dispose]();
  await within(Promise.all(running), DELIVERY_LIMIT, "the readers' end");
  await pause(slow ? AFTERWARDS : 0);
  console.log(`${name}: MiB each second: ${watch.memory.join(" ")}`);
  const memory = `${start}/${most}/${end}/${watch.resident}`;
  const costs = [memory, `${sockets}/${watch.descriptors}`, cpu.toFixed(1)];
  return figures(name, crowd, publisher.published * MANY, costs);
}

function figures(
  name: string,
  { latencies, delivered, faults }: Crowd,
  expected: number,
  more: readonly string[],
): Figures {
  const [p50, p99] = [latencies.at(0.5), latencies.at(0.99)];
  const { lost, repeated, reordered, damaged } = faults;
  const wrong = [lost, repeated, reordered, damaged].join("/");
  return { p50, p99, row: [name, p50, p99, expected, delivered, wrong, ...more] };
}

interface Entered {
  readonly reader: CrowdReader;
  readonly answers: readonly Answer[];
}

async function enter(
  port: number,
  cookies: readonly string[],
  crowd: Crowd,
  count: number,
  channels: readonly string[],
): Promise<Entered[]> {
  const entered: Entered[] = [];
  const bodies = channels.map((channel) => ({ channel }));
  while (entered.length < count) {
    const group = Array.from({ length: Math.min(50, count - entered.length) }, (_, i) => {
      const cookie = cookies[i % cookies.length] ?? "";
      return CrowdReader.enter(port, cookie, crowd, bodies, entered.length + i < THOROUGH);
    });
    entered.push(...await Promise.all(group));
  }
  return entered;
}

async function settled(readers: readonly Entered[], published: number): Promise<void> {
  const deadline = performance.now() + DELIVERY_LIMIT;
  const behind = () => readers.filter(({ reader }) => reader.last < published - 1).length;
  while (behind() > 0 && performance.now() < deadline) await pause(10);
  if (behind() > 0) console.error(`${behind()} readers still lack something`);
}

// They come back, each with the place that it had when it stopped.
async function recover(
  port: number,
  cookies: readonly string[],
  slow: readonly Entered[],
  published: number,
): Promise<void> {
  const crowd = new Crowd(CHANNEL);
  let recovered = 0;
  const begun = performance.now();
  const back = await Promise.all(slow.map(async ({ reader, answers }, i) => {
    reader.socket[Symbol.dispose]();
    const bodies = answers.map(({ channel, epoch, seq }) => ({ channel, since: { epoch, seq } }));
    const cookie = cookies[i % cookies.length] ?? "";
    const again = await CrowdReader.enter(port, cookie, crowd, bodies.slice(0, 1));
    if (again.answers.every((answer) => answer.recovered)) recovered += 1;
    return again;
  }));
  const running = back.map(({ reader }) => reader.run());
  await settled(back, published);
  const ms = Math.round(performance.now() - begun);
  for (const { reader } of back) {
    crowd.close(reader.last, published);
    reader.socket[Symbol.dispose]();
  }
  await within(Promise.all(running), DELIVERY_LIMIT, "the end of those who came back");
  const got = `${crowd.delivered} of ${published * slow.length} messages in ${ms} ms`;
  console.log(`  ${recovered} recovered ${got}, faults ${JSON.stringify(crowd.faults)}`);
}

// A server can't get rid of a socket that nobody reads: its close frame waits behind what is unsent, and the descriptor
// stays. So they read on now, to see how they were ended.
async function wakeUp(slow: readonly Entered[]): Promise<void> {
  const ends = slow.map(async ({ reader: { socket } }) => {
    const late = setTimeout(() => socket[Symbol.dispose](), WAKE_LIMIT);
    while (await socket.read(() => {}));
    clearTimeout(late);
    return socket.closeCode === undefined ? "no close frame" : `code ${socket.closeCode}`;
  });
  console.log(`  those that stopped read on, and end with ${summary(await Promise.all(ends))}`);
}

function summary(lines: readonly string[]): string {
  const counts = Map.groupBy(lines, (line) => line);
  return [...counts].map(([line, all]) => `${line} (${all.length})`).join(", ");
}

const rounds = Number(values.rounds);
const rows: (readonly (string | number)[])[] = [[
  "phase",
  "p50 ms",
  "p99 ms",
  "expected",
  "delivered",
  "lost/rep/ord/dam",
  "MiB start/max/end/after",
  "fds end/after",
  "cpu s",
]];
const ratios: string[] = [];
for (let round = 1; round <= rounds; round++) {
  const without = await phase(`A${round} 900 alone`, false);
  const withSlow = await phase(`B${round} 100 more, stopped`, true);
  rows.push(without.row, withSlow.row);
  const ratio = (a: number, b: number) => (b / a).toFixed(2);
  ratios.push(`p50 ${ratio(without.p50, withSlow.p50)}, p99 ${ratio(without.p99, withSlow.p99)}`);
}
console.log(`\n${table(rows)}\n`);
ratios.forEach((line, i) => console.log(`B${i + 1} to A${i + 1}: ${line}`));
