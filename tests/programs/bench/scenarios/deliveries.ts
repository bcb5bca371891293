/** Messages from a few publishers to many readers of one channel. */
import { installPeers, start } from "../contestants.ts";
import { type Broadcast, type Broadcasted, runLoad } from "../load/main.ts";
import { PROFILED_BY } from "../profile.ts";
import type { Figures, Scenario, Setting, Verdict } from "../scenario.ts";

/** A load. */
export interface Load {
  readonly readers: number;
  readonly rate: number;
  readonly textBytes: number;
  readonly warm?: number;
  readonly measured?: number;
}

const PEERS = ["bun", "uwebsockets"];

/**
 * Runs one.
 *
 * @param contestant Who.
 * @param load Of what.
 * @param setting How.
 * @returns The figures.
 */
export async function deliver(contestant: string, load: Load, setting: Setting): Promise<Figures> {
  await installPeers();
  await using server = await start(
    contestant,
    setting.flags,
    setting.profile === undefined ? [] : PROFILED_BY,
  );
  const sender = contestant.startsWith("sender");
  const measured = setting.quick ? 3 : load.measured ?? 8;
  const job: Broadcast = {
    ...load,
    speech: server.speech,
    port: server.port,
    pid: server.pid,
    // Each may have so many unanswered: with one that would bound the rate, and not the server.
    publishers: load.rate >= 4000 ? 8 : 1,
    seconds: measured + (setting.quick ? 2 : load.warm ?? 3),
    measured,
    ...(setting.profile === undefined ? {} : { profile: setting.profile }),
    patience: sender ? 0 : 10_000,
  };
  const found = await runLoad<Broadcasted>("broadcast", job);
  return {
    "in/s": found.published.rate,
    "deliveries/s": found.deliveries / found.seconds,
    "MB/s": found.megabytes / found.seconds,
    "p50 ms": found.p50,
    "p99 ms": found.p99,
    "max ms": found.max,
    "CPU µs/delivery": found.serverCpu * 1e6 / found.deliveries,
    "server cores": found.serverCpu / found.seconds,
    "reader cores": found.readerShare,
    "MiB": found.resident,
    // What didn't come within ten seconds, be it lost or late; a sender sends what it likes.
    ...(sender ? {} : { "missing": found.lost }),
    "wrong": found.wrong,
  };
}

function best(
  run: ReadonlyMap<string, Figures>,
  names: readonly string[],
  column: string,
  pick: (...numbers: number[]) => number,
): number {
  return pick(...names.map((name) => run.get(name)?.[column] ?? NaN));
}

function ratio(
  run: ReadonlyMap<string, Figures>,
  column: string,
  target: number,
  atLeast: boolean,
): Verdict {
  const theirs = best(run, PEERS, column, atLeast ? Math.max : Math.min);
  const value = (run.get("fanfare")?.[column] ?? NaN) / theirs;
  return { what: `${column} to the best peer's`, value, target, atLeast };
}

/** As fast as anything goes. */
export const saturation: Scenario = {
  name: "saturation",
  about: "8,000 msg/s in, 1,000 subscribers, 100 B of text",
  cases: ["fanfare", ...PEERS, "sender, joined", "sender, single"],
  profiled: "fanfare",
  measure: (name, setting) => deliver(name, { readers: 1000, rate: 8000, textBytes: 100 }, setting),
  verdicts: (run) => [
    ratio(run, "deliveries/s", 1, true),
    ratio(run, "p99 ms", 1, false),
    { what: "missing or wrong", value: wrongs(run), target: 0, atLeast: false },
  ],
};

/** Against those that send to each by itself. */
export const peers: Scenario = {
  name: "peers",
  about: "8,000 msg/s in, 1,000 subscribers, 100 B of text, against one send for each",
  cases: ["fanfare", "ws", "socket.io"],
  measure: (name, setting) => deliver(name, { readers: 1000, rate: 8000, textBytes: 100 }, setting),
  verdicts: (run) =>
    ["ws", "socket.io"].map((peer) => ({
      what: `deliveries/s to those of ${peer}`,
      value: (run.get("fanfare")?.["deliveries/s"] ?? NaN) / (run.get(peer)?.["deliveries/s"] ?? 0),
      target: 10,
      atLeast: true,
    })),
};

/** Hardly anything to do. */
export const quiet: Scenario = {
  name: "quiet",
  about: "30 msg/s in, 1,000 subscribers, 100 B of text",
  cases: ["fanfare", ...PEERS],
  profiled: "fanfare",
  measure: (name, setting) =>
    deliver(name, { readers: 1000, rate: 30, textBytes: 100, measured: 10 }, setting),
  verdicts: (run) => [
    ratio(run, "p50 ms", 1.5, false),
    ratio(run, "p99 ms", 1.3, false),
    { what: "missing or wrong", value: wrongs(run), target: 0, atLeast: false },
  ],
};

/** What a delivery costs. */
export const cpu: Scenario = {
  name: "cpu",
  about: "4,000 msg/s in, 1,000 subscribers, 100 B of text",
  cases: ["fanfare", ...PEERS],
  profiled: "fanfare",
  measure: (name, setting) => deliver(name, { readers: 1000, rate: 4000, textBytes: 100 }, setting),
  verdicts: (run) => [ratio(run, "CPU µs/delivery", 0.8, false)],
};

// What a delivery costs is what a `send` costs, shared by what it carries: so loads are compared that come to as many
// deliveries a second. The others show how it is with as many messages a second.
const ALIKE = {
  "400,000": ["100 at 4000/s", "1000 at 400/s", "10000 at 40/s"],
  "4,000,000": ["1000 at 4000/s", "10000 at 400/s"],
};

/** What a delivery costs with few readers and with many. */
export const sizes: Scenario = {
  name: "sizes",
  about: "100 to 10,000 subscribers, 100 B of text",
  cases: ["100 at 400/s", ...Object.values(ALIKE).flat(), "10000 at 4000/s"],
  measure: (name, setting) => {
    const [readers, rate] = [...name.matchAll(/\d+/g)].map(Number);
    if (readers === undefined || rate === undefined) throw new Error(`Not a size: ${name}`);
    return deliver("fanfare", { readers, rate, textBytes: 100 }, setting);
  },
  verdicts: (run) =>
    Object.entries(ALIKE).map(([deliveries, cases]) => {
      const costs = cases.map((name) => run.get(name)?.["CPU µs/delivery"] ?? NaN);
      return {
        what: `dearest delivery to the cheapest at ${deliveries} deliveries/s`,
        value: Math.max(...costs) / Math.min(...costs),
        target: 1.3,
        atLeast: false,
      };
    }),
};

const GRID = [100, 1000].flatMap((textBytes) =>
  [400, 4000, 8000].flatMap((rate) =>
    ["fanfare", ...PEERS].map((name) => ({ name, rate, textBytes }))
  )
);

/** All rates and lengths. */
export const grid: Scenario = {
  name: "grid",
  about: "1,000 subscribers, rates and lengths",
  cases: GRID.map(({ name, rate, textBytes }) => `${name} ${rate}/s ${textBytes} B`),
  measure: (name, setting) => {
    const cell = GRID.find((one) => name === `${one.name} ${one.rate}/s ${one.textBytes} B`);
    if (cell === undefined) throw new Error(`Not in the grid: ${name}`);
    const { rate, textBytes } = cell;
    return deliver(cell.name, { readers: 1000, rate, textBytes }, setting);
  },
  verdicts: () => [],
};

function wrongs(run: ReadonlyMap<string, Figures>): number {
  const ours = run.get("fanfare");
  return (ours?.["missing"] ?? NaN) + (ours?.["wrong"] ?? NaN);
}
