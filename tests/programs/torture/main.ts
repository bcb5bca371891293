/**
 * Tortures the server, and proves that nothing acknowledged is lost, repeated or reordered.
 *
 * `deno task torture [--minutes 20] [--json FILE]`: everything, against the compiled program behind nginx, with one page of figures
 * at the end; `--soak MINUTES`: the soak alone; `--phases 'kill -9,storms'`: those alone; `--clients 10000` in storms.
 * `--program FILE` takes a binary that is there, `--source` the source.
 *
 * `deno task torture --kills N [--mishaps N] [--proxy] [--seconds N]`: only kills, mishaps of isolates and a bad network, against
 * the source. Both take `--seed N` and `-- server flags`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { pageOf } from "./figures.ts";
import { SOAK } from "./phases.ts";
import { findProgram } from "./program.ts";
import { torture } from "./torture.ts";
import { whole } from "./whole.ts";

const MISHAPS = ["replace", "throw", "exit", "replace", "reject", "heap", "hang"] as const;

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    minutes: { type: "string", default: "20" },
    soak: { type: "string" },
    phases: { type: "string" },
    clients: { type: "string", default: "10000" },
    json: { type: "string" },
    program: { type: "string" },
    source: { type: "boolean", default: false },
    kills: { type: "string" },
    mishaps: { type: "string" },
    seconds: { type: "string" },
    proxy: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const say = (line: string) =>
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s ${line}`);

async function killsAlone(): Promise<boolean> {
  const { counts, violations } = await torture({
    seed,
    kills: Number(values.kills ?? 20),
    mishaps: Array.from(
      { length: Number(values.mishaps ?? 0) },
      (_, i) => MISHAPS[i % MISHAPS.length] ?? "throw",
    ),
    proxy: values.proxy,
    seconds: Number(values.seconds ?? 0),
    flags: positionals,
    say,
  });
  const { wrong, ...shown } = counts;
  console.log(Object.entries(shown).map(([name, count]) => `${name} ${count}`).join(", "));
  for (const violation of violations) console.error(violation);
  return wrong + counts.lost + counts.repeated + counts.reordered === 0;
}

async function everything(): Promise<boolean> {
  using program = await findProgram(values);
  const { soak } = values;
  const figures = await whole({
    seed,
    minutes: Number(soak ?? values.minutes),
    clients: Number(values.clients),
    phases: soak === undefined ? values.phases?.split(",") : [SOAK],
    program,
    flags: positionals,
    say,
  });
  console.log(`\n${pageOf(figures)}`);
  if (values.json !== undefined) {
    await Deno.writeTextFile(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  }
  return figures.violations.length === 0;
}

console.log(`seed ${seed}`);
const { kills, mishaps, seconds, proxy } = values;
const some = proxy || [kills, mishaps, seconds].some((value) => value !== undefined);
try {
  if (!await (some ? killsAlone() : everything())) {
    console.error(`Violations; again with --seed ${seed}`);
    Deno.exit(1);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  Deno.exit(1);
}
Deno.exit(0);
