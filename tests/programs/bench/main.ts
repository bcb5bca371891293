/**
 * The benches: `deno task bench [SCENARIO…] [--runs 5] [--quick] [--json FILE] [--workers N]`; without a scenario, all.
 * `--profile` samples our server once in the scenarios of deliveries instead (Linux, perf, root). 10,000 readers need
 * `ulimit -n 10500`; the peers need npm, node and the registry at first.
 *
 * @module
 */
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { report } from "./profile.ts";
import { drawn, type Outcome, perform, type Scenario } from "./scenario.ts";
import { bystander } from "./scenarios/bystander.ts";
import { cpu, grid, peers, quiet, saturation, sizes } from "./scenarios/deliveries.ts";
import { acknowledgements, isolates, startUp } from "./scenarios/server.ts";
import { joins, memory, recovery } from "./scenarios/storms.ts";

const SCENARIOS: readonly Scenario[] = [
  saturation,
  quiet,
  cpu,
  peers,
  sizes,
  memory,
  acknowledgements,
  recovery,
  joins,
  startUp,
  isolates,
  bystander,
  grid,
];

// For 10,000 connections, at either end.
const DESCRIPTORS = 10_500;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    json: { type: "string", default: join(tmpdir(), "fanfare-bench.json") },
    profile: { type: "boolean", default: false },
    workers: { type: "string" },
  },
});
const strangers = positionals.filter((name) => !SCENARIOS.some((one) => one.name === name));
const runs = Number(values.runs);
if (strangers.length > 0 || !(runs >= 1)) {
  const known = SCENARIOS.map(({ name }) => name).join(", ");
  console.error(
    `Not a scenario: ${strangers.join(", ") || "--runs " + values.runs}; there are: ${known}`,
  );
  Deno.exit(2);
}
const chosen = SCENARIOS.filter(({ name }) =>
  positionals.length === 0 || positionals.includes(name)
);
const setting = {
  quick: values.quick,
  flags: values.workers === undefined ? [] : ["--workers", values.workers],
};
const open = /Max open files\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1];
if (Number(open) < DESCRIPTORS) {
  console.log(
    `Only ${open} open files: scenarios with 10,000 readers fail; say ulimit -n ${DESCRIPTORS} first`,
  );
}
if (values.profile) {
  for (const scenario of chosen) {
    const profile = join(tmpdir(), `fanfare-bench-${scenario.name}.perf`);
    if (scenario.profiled === undefined) continue;
    const figures = await scenario.measure(scenario.profiled, { ...setting, profile });
    console.log(
      `${scenario.name}: ${JSON.stringify(figures)}\n${await report(profile)}\nSamples: ${profile}`,
    );
  }
  Deno.exit();
}
const outcomes: Outcome[] = [];
console.log(`${cpus().length} cores (${cpus()[0]?.model}), which the load generator shares\n`);
for (const scenario of chosen) {
  const outcome = await perform(scenario, runs, setting);
  outcomes.push(outcome);
  console.log(drawn(scenario, outcome));
  await Deno.writeTextFile(
    values.json,
    JSON.stringify({ cores: cpus().length, date: new Date(), ...setting, outcomes }, null, 2),
  );
}
console.log(`All runs: ${values.json}`);
