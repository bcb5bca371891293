/** `deno task fuzz`: mutations against a server for a given time. */
import { parseArgs } from "node:util";
import { runFuzz } from "./run.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    first: { type: "string", default: "0" },
    cases: { type: "string", default: "1000000000" },
  },
});
const seed = Number(values.seed);
console.log(`Seed ${seed}`);
const begun = performance.now();
const { cases, answers } = await runFuzz({
  seed,
  first: Number(values.first),
  cases: Number(values.cases),
  limit: 1000 * Number(values.seconds),
});
for (const [answer, count] of Object.entries(answers).sort()) {
  console.log(`${String(count).padStart(8)}  ${answer}`);
}
console.log(`${cases} cases in ${((performance.now() - begun) / 1000).toFixed(0)} s, no crash`);
