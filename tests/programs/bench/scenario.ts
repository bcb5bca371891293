/** What a scenario is, and how its runs become a table. */
import { percentile, table } from "../../helpers/load/figures.ts";

/** What was measured of one case in one run. */
export type Figures = Readonly<Record<string, number>>;

/** How it is run. */
export interface Setting {
  readonly quick: boolean;
  /** More of our server's command line. */
  readonly flags: readonly string[];
  /** A file for samples of our server's stacks. */
  readonly profile?: string;
}

/** A ratio, or a figure of its own, held against what is wanted. */
export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly target: number;
  readonly atLeast: boolean;
}

/** One of the benches. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** What is measured side by side in each run: contestants, or sizes. */
  readonly cases: readonly string[];
  /** What is measured with `--quick`; all cases where it isn't given. */
  readonly quickCases?: readonly string[];
  /** The case that is run when our server is profiled. */
  readonly profiled?: string;
  measure(name: string, setting: Setting): Promise<Figures>;
  /** What one run says about the targets. */
  verdicts(run: ReadonlyMap<string, Figures>): readonly Verdict[];
}

/** All that came of a scenario. */
export interface Outcome {
  readonly scenario: string;
  readonly runs: readonly Readonly<Record<string, Figures>>[];
  readonly medians: Readonly<Record<string, Figures>>;
  readonly verdicts: readonly (Verdict & { readonly met: boolean })[];
}

/**
 * Runs a scenario.
 *
 * @param scenario Which.
 * @param runs How often.
 * @param setting How.
 * @returns The outcome.
 */
export async function perform(
  scenario: Scenario,
  runs: number,
  setting: Setting,
): Promise<Outcome> {
  const done: Map<string, Figures>[] = [];
  const cases = setting.quick ? scenario.quickCases ?? scenario.cases : scenario.cases;
  for (let run = 0; run < runs; run++) {
    const figures = new Map<string, Figures>();
    // Turned round with each run, so that nobody is always first.
    const turn = run % cases.length;
    for (const name of [...cases.slice(turn), ...cases.slice(0, turn)]) {
      figures.set(name, await scenario.measure(name, setting));
    }
    done.push(figures);
  }
  const medians = Object.fromEntries(cases.map((name) => [
    name,
    medianFigures(done.map((run) => run.get(name) ?? {})),
  ]));
  const said = done.map((run) => scenario.verdicts(run));
  const verdicts = (said[0] ?? []).map((first, i) => {
    const value = percentile(said.map((run) => run[i]?.value ?? NaN), 0.5);
    const met = first.atLeast ? value >= first.target : value <= first.target;
    return { ...first, value, met };
  });
  return {
    scenario: scenario.name,
    runs: done.map((run) => Object.fromEntries(run)),
    medians,
    verdicts,
  };
}

/**
 * Draws the outcome.
 *
 * @param scenario What was run.
 * @param outcome What came of it.
 * @returns Lines for a terminal.
 */
export function drawn(scenario: Scenario, outcome: Outcome): string {
  const columns = [...new Set(Object.values(outcome.medians).flatMap((all) => Object.keys(all)))];
  const rows = Object.keys(outcome.medians).map((name) => [
    name,
    ...columns.map((column) => short(outcome.medians[name]?.[column])),
  ]);
  const verdicts = outcome.verdicts.map(({ what, value, target, atLeast, met }) =>
    `  ${met ? "pass" : "MISS"}  ${what}: ${short(value)}, ${
      atLeast ? "at least" : "at most"
    } ${target}`
  );
  const title = `${scenario.name}: ${scenario.about} (medians of ${outcome.runs.length})`;
  return [title, table([["", ...columns], ...rows]), ...verdicts, ""].join("\n");
}

function medianFigures(all: readonly Figures[]): Figures {
  const columns = Object.keys(all[0] ?? {});
  return Object.fromEntries(columns.map((column) => [
    column,
    percentile(all.map((figures) => figures[column] ?? NaN), 0.5),
  ]));
}

function short(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Math.round(value * 1000) / 1000);
}
