/** Nothing acknowledged is lost, repeated or reordered: the short version of tests/programs/torture (threats.md L3, L10). */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { SEED } from "../helpers/random.ts";
import { pageOf } from "./torture/figures.ts";
import { findProgram } from "./torture/program.ts";
import { torture, type TortureOptions } from "./torture/torture.ts";
import { whole } from "./torture/whole.ts";

async function hold(
  options: Pick<TortureOptions, "kills" | "proxy"> & Partial<TortureOptions>,
): Promise<void> {
  const said: string[] = [`seed ${SEED}`];
  const say = (line: string) => void said.push(line);
  const { counts, violations } = await torture({
    seed: SEED,
    seconds: 3,
    flags: [],
    mishaps: [],
    say,
    ...options,
  });
  assertEquals(violations, [], said.join("\n"));
  assertEquals(counts.kills, options.kills);
  assertGreater(counts.delivered, counts.published / 2);
  if (options.proxy) assertGreater(counts.cut, 0);
  // Every run publishes again what was acknowledged long ago, whatever the kills leave.
  assert(counts.duplicates > 0);
}

Deno.test("a server killed three times keeps its word", async () => {
  await hold({ kills: 3, proxy: false });
});

Deno.test("so does one with two isolates killed twice behind a bad network", async () => {
  await hold({ kills: 2, proxy: true, flags: ["--workers", "2"] });
});

Deno.test("so does one with three isolates that lose posts, end, hang and are replaced under load (L7)", async () => {
  const mishaps = ["throw", "replace", "exit", "heap", "hang", "replace"] as const;
  const flags = ["--workers", "3"];
  await hold({ kills: 1, proxy: false, seconds: 0, flags, mishaps });
});

Deno.test("and behind nginx, with storms and a full disk, as the whole of `deno task torture` has them", async () => {
  using program = await findProgram({ source: true });
  const said: string[] = [];
  const figures = await whole({
    ...{
      seed: SEED,
      program,
      minutes: 0,
      clients: 100,
      phases: ["storms", "full disk"],
      flags: [],
    },
    say: (line) => void said.push(line),
  });
  assertEquals(figures.violations, [], [`seed ${SEED}`, ...said].join("\n"));
  assertEquals([figures.held, figures.end.code], [100, 0]);
  assertGreater(figures.herd.delivered, 0);
  assertGreater(figures.phases[0]?.witness.messages ?? 0, 0);
  assertMatch(pageOf(figures), /lost 0, repeated 0, reordered 0/);
});
