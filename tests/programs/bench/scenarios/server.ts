/** What our server does by itself: acknowledges, starts, and uses cores. */
import { cpus } from "node:os";
import { start } from "../contestants.ts";
import { type Broadcast, type Broadcasted, runLoad } from "../load/main.ts";
import { percentile } from "../../../helpers/load/figures.ts";
import type { Scenario } from "../scenario.ts";
import { deliver } from "./deliveries.ts";

/** Durable publications, each acknowledged. */
export const acknowledgements: Scenario = {
  name: "acks",
  about:
    "durable publications as fast as they are acknowledged, 250 pipelined each, 10 subscribers, 100 B of text",
  cases: ["1 publisher", "100 publishers"],
  async measure(name, { flags, quick }) {
    await using server = await start("fanfare", flags);
    const { pid, port, speech } = server;
    const measured = quick ? 3 : 8;
    const job: Broadcast = {
      speech,
      port,
      pid,
      readers: 10,
      publishers: Number.parseInt(name),
      rate: 0,
      textBytes: 100,
      seconds: measured + 2,
      measured,
      patience: 10_000,
    };
    const found = await runLoad<Broadcasted>("broadcast", job);
    return {
      "acks/s": found.published.acknowledged,
      "CPU µs/ack": found.serverCpu * 1e6 / (found.published.acknowledged * found.seconds),
      "server cores": found.serverCpu / found.seconds,
      "delivery p50 ms": found.p50,
      "p99 ms": found.p99,
      "missing": found.lost,
      "wrong": found.wrong,
    };
  },
  verdicts: (run) => [{
    what: "acks/s from 100 publishers",
    value: run.get("100 publishers")?.["acks/s"] ?? NaN,
    target: 20_000,
    atLeast: true,
  }],
};

const STARTS = 5;

/** From the command to the first answer, on an empty data folder and with everything in caches. */
export const startUp: Scenario = {
  name: "start",
  about: "from the command to an answer of /readyz, warm cache",
  cases: ["fanfare"],
  async measure(name, { flags }) {
    const took: number[] = [];
    for (let i = 0; i <= STARTS; i++) {
      const begun = performance.now();
      await using server = await start(name, flags);
      const answer = await fetch(`http://127.0.0.1:${server.port}/readyz`);
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`Not ready: ${answer.status}`);
      // The first warms what isn't yet.
      if (i > 0) took.push(performance.now() - begun);
    }
    return { "median ms": percentile(took, 0.5), "slowest ms": Math.max(...took) };
  },
  verdicts: (run) => [{
    what: "ms from the command to serving",
    value: run.get("fanfare")?.["median ms"] ?? NaN,
    target: 400,
    atLeast: false,
  }],
};

const ENOUGH_CORES = 8;

/** What more isolates bring. */
export const isolates: Scenario = {
  name: "isolates",
  about:
    `8,000 msg/s in, 1,000 subscribers, --workers 1 and 3; says something from ${ENOUGH_CORES} cores on, here are ${cpus().length}`,
  cases: ["1", "3"],
  measure: (name, setting) =>
    deliver("fanfare", { readers: 1000, rate: 8000, textBytes: 100 }, {
      ...setting,
      flags: ["--workers", name],
    }),
  verdicts: (run) =>
    cpus().length < ENOUGH_CORES ? [] : [{
      what: "deliveries/s with 3 isolates to those with 1",
      value: (run.get("3")?.["deliveries/s"] ?? NaN) / (run.get("1")?.["deliveries/s"] ?? NaN),
      target: 2,
      atLeast: true,
    }],
};
