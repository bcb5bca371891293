/** What many connections cost that do nothing, that join, or that come back. */
import { installPeers, start } from "../contestants.ts";
import { type Broadcast, type Broadcasted, runLoad } from "../load/main.ts";
import { pause } from "../../../helpers/child_server.ts";
import { percentile } from "../../../helpers/load/figures.ts";
import type { Idle, Joined, Recovered, Storm } from "../load/storms.ts";
import type { Scenario } from "../scenario.ts";

const MANY = 10_000;

/** Memory of a connection that only is there. */
export const memory: Scenario = {
  name: "memory",
  about: "KiB for each of 10,000 idle connections, each with a subscription",
  cases: ["fanfare", "bun", "uwebsockets", "ws"],
  async measure(name, { flags }) {
    await installPeers();
    await using server = await start(name, flags);
    const { pid, port, speech } = server;
    const storm: Storm = { pid, port, speech, clients: MANY };
    const { resident, heap, anonymous } = await runLoad<Idle>("idle", storm);
    return { "KiB": resident, "of it malloc's heap": heap, "other anonymous": anonymous };
  },
  verdicts: (run) => [{
    what: "KiB for each idle connection",
    value: run.get("fanfare")?.["KiB"] ?? NaN,
    target: 25,
    atLeast: false,
  }],
};

/** Everyone comes into one room at once and wants to be told who comes. */
export const joins: Scenario = {
  name: "joins",
  about: "all join one room at once and are told who comes",
  cases: ["500", "5000"],
  async measure(name, { flags }) {
    await using server = await start("fanfare", flags);
    const { pid, port, speech } = server;
    const storm: Storm = { pid, port, speech, clients: Number(name) };
    const { cpuPerJoin, seconds, bytesPerJoin } = await runLoad<Joined>("join", storm);
    return { "CPU µs/join": cpuPerJoin, "seconds": seconds, "bytes sent/join": bytesPerJoin };
  },
  verdicts: (run) => [{
    what: "cost of a join among 5,000 to one among 500",
    value: (run.get("5000")?.["CPU µs/join"] ?? NaN) / (run.get("500")?.["CPU µs/join"] ?? NaN),
    target: 2,
    atLeast: false,
  }],
};

const BACK = 5000;
const BEHIND = 200;
const STEADY = 40;
const LEAD = 4000;

/** Everyone comes back at once while others talk. */
export const recovery: Scenario = {
  name: "recovery",
  about: "5,000 clients come back at once, each 200 messages behind; 10 others read 30 msg/s",
  cases: ["fanfare"],
  async measure(name, { flags }) {
    await using server = await start(name, flags);
    const { pid, port, speech } = server;
    const job: Broadcast = {
      speech,
      port,
      pid,
      readers: 10,
      publishers: 1,
      rate: 30,
      textBytes: 100,
      seconds: STEADY,
      measured: STEADY - 1,
      patience: 10_000,
      trace: true,
    };
    const steady = runLoad<Broadcasted>("broadcast", job);
    await pause(LEAD);
    const storm: Storm = { pid, port, speech, clients: BACK };
    const { begun, ended, messages } = await runLoad<Recovered>("recover", storm);
    const { trace = [], lost, wrong } = await steady;
    const during = trace.filter(([at]) => at >= begun && at <= ended).map(([, late]) => late);
    const before = trace.filter(([at]) => at < begun).map(([, late]) => late);
    return {
      "seconds": (ended - begun) / 1e6,
      "messages": messages,
      "missing": BACK * BEHIND - messages,
      "others' p99 ms": percentile(during, 0.99),
      "their max": percentile(during, 1),
      "their p99 before": percentile(before, 0.99),
      "their deliveries": during.length,
      "theirs missing": lost,
      "wrong": wrong,
    };
  },
  verdicts: (run) => {
    const ours = run.get("fanfare");
    return [
      {
        what: "seconds until all had all",
        value: ours?.["seconds"] ?? NaN,
        target: 10,
        atLeast: false,
      },
      {
        what: "others' p99 ms meanwhile",
        value: ours?.["others' p99 ms"] ?? NaN,
        target: 250,
        atLeast: false,
      },
    ];
  },
};
