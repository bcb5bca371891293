/**
 * Kills the server in the middle of everything, again and again, and proves that nothing acknowledged is lost, repeated or
 * reordered: `deno run -A tests/torture/main.ts [--seed N] [--kills N] [--mishaps N] [--proxy]
 * [--seconds N] [-- server flags]`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const MISHAPS = ["replace", "throw", "exit", "replace", "reject", "heap", "hang"] as const;

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    kills: { type: "string", default: "20" },
    proxy: { type: "boolean", default: false },
    mishaps: { type: "string", default: "0" },
    seconds: { type: "string", default: "0" },
  },
});
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
console.log(`seed ${seed}`);
const { counts, violations } = await torture({
  seed,
  kills: Number(values.kills),
  mishaps: Array.from(
    { length: Number(values.mishaps) },
    (_, i) => MISHAPS[i % MISHAPS.length] ?? "throw",
  ),
  proxy: values.proxy,
  seconds: Number(values.seconds),
  flags: positionals,
  say: (line) => console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s ${line}`),
});
const { wrong, ...shown } = counts;
console.log(Object.entries(shown).map(([name, count]) => `${name} ${count}`).join(", "));
for (const violation of violations) console.error(violation);
if (wrong + counts.lost + counts.repeated + counts.reordered > 0) {
  console.error(`Violations, ${wrong} of another kind among them; again with --seed ${seed}`);
  Deno.exit(1);
}
