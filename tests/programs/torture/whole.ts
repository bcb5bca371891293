/** The whole run: every torture against the compiled program behind nginx, and one page of figures. */
import { pause } from "../../helpers/child_server.ts";
import type { Figures, PhaseFigures } from "./figures.ts";
import { descriptorLimit } from "./front.ts";
import type { Told } from "./gauges.ts";
import { Ledger } from "./ledger.ts";
import { type Phase, PHASES, SOAK } from "./phases.ts";
import type { Program } from "./program.ts";
import { Stage } from "./stage.ts";
import type { Seen } from "./witness.ts";

/** What is to be done. */
export interface WholeOptions {
  readonly seed: number;
  readonly minutes: number;
  /** How many clients a storm has; the soak has half. */
  readonly clients: number;
  /** The names of phases, where not all are run; the last is given what is left of the time. */
  readonly phases?: readonly string[] | undefined;
  readonly program: Program;
  /** More of the server's command line. */
  readonly flags: readonly string[];
  /** Takes what happens. */
  readonly say: (line: string) => void;
}

const SETTLE_LIMIT = 60_000;
const LOOK = 500;
/** Who is there to be told goodbye. */
const LAST_CLIENTS = 500;
/** Within what an orderly end has to be over (threats.md L8), in milliseconds. */
const END_LIMIT = 10_000;
const NOTHING: Seen = { messages: 0, p50: 0, p99: 0, max: 0, breaks: 0 };
const EVENTS = /^(?:edge|log|settings|connection\.(?:banned|slow|outrun|failed)|bus)\b/;

/**
 * Runs it.
 *
 * @param options What is to be done.
 * @returns What it came to.
 */
export async function whole(options: WholeOptions): Promise<Figures> {
  const folder = await Deno.makeTempDir({ prefix: "fanfare-torture-" });
  try {
    const run = new Whole(options, folder);
    return await run.run();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

class Whole {
  readonly #options: WholeOptions;
  readonly #folder: string;
  readonly #ledger = new Ledger();
  readonly #phases: PhaseFigures[] = [];
  #left: Told | undefined;
  #end = { code: -1, ms: 0, clients: 0 };
  #last = { resident: 0, descriptors: 0 };

  constructor(options: WholeOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<Figures> {
    const begun = performance.now();
    const { seed, program, flags, say, clients } = this.#options;
    // Nobody is hostile to the soak.
    const hostile = this.#wanted.some(({ name }) => name !== SOAK);
    await using stage = await Stage.open(this.#folder, {
      ...{ seed, program, flags, say, clients, hostile, ledger: this.#ledger },
    });
    try {
      await this.#act(stage);
      await this.#close(stage);
    } catch (error) {
      const sentence = error instanceof Error ? error.message : String(error);
      this.#ledger.violate("wrong", `${sentence}; ${stage.parts.cast.states}`);
      await this.#keep(stage);
    }
    return await this.#figures(stage, begun);
  }

  get #wanted(): readonly Phase[] {
    const { phases = PHASES.map(({ name }) => name) } = this.#options;
    return phases.map((wanted) => {
      const phase = PHASES.find(({ name }) => name === wanted);
      if (phase !== undefined) return phase;
      const names = PHASES.map(({ name }) => `"${name}"`).join(", ");
      throw new Error(`There is no phase "${wanted}", but ${names}`);
    });
  }

  async #act(stage: Stage): Promise<void> {
    const { minutes } = this.#options;
    const phases = this.#wanted;
    const end = performance.now() + minutes * 60_000;
    for (const [i, phase] of phases.entries()) {
      const begun = performance.now();
      const last = i === phases.length - 1;
      if (phase.name === SOAK) await stage.parts.fuzzing?.stop();
      // In no time each does what it does once.
      const least = minutes === 0 ? 0 : phase.least;
      const share = Math.max(least, phase.share * minutes * 60_000);
      const until = last ? Math.max(end, begun + least) : begun + share;
      stage.say(`${phase.name}: for ${((until - begun) / 1000).toFixed(0)} s`);
      const notes = await phase.run(stage, until);
      this.#phases.push({
        ...{ name: phase.name, seconds: (performance.now() - begun) / 1000, notes },
        most: stage.parts.gauges.most(begun),
        witness: await stage.parts.witness.call<Seen>("phase") ?? NOTHING,
      });
      for (const note of notes) stage.say(`${phase.name}: ${note}`);
    }
    await stage.parts.fuzzing?.stop();
  }

  async #close(stage: Stage): Promise<void> {
    const { cast, victim, herd, witness } = stage.parts;
    await cast.finish();
    cast.abort();
    await witness[Symbol.asyncDispose]();
    stage.say("all is acknowledged and read");
    await this.#settle(stage);
    // What is in the log now has to come from the disk.
    await victim.restart("SIGKILL");
    await victim.listen();
    await cast.verify(stage.ports.server);
    stage.say("the books are closed");
    const clients = await herd.call<number>("grow", { clients: LAST_CLIENTS, limit: 60_000 });
    const begun = performance.now();
    const code = await victim.stop();
    this.#end = { code, ms: performance.now() - begun, clients };
    if (code !== 0 || this.#end.ms > END_LIMIT) {
      this.#ledger.violate("wrong", `SIGTERM: exit ${code} after ${this.#end.ms.toFixed(0)} ms`);
    }
    await cast.gone();
    await this.#judge(stage);
  }

  // When all have left nothing of them is there.
  async #settle(stage: Stage): Promise<void> {
    const { gauges } = stage.parts;
    const end = performance.now() + SETTLE_LIMIT;
    for (;;) {
      this.#left = await stage.told();
      if (this.#left.connections + this.#left.stuck === 0 || performance.now() > end) break;
      await pause(LOOK);
    }
    this.#last = gauges.look() ?? this.#last;
    if (this.#left.connections + this.#left.stuck > 0) {
      this.#ledger.violate("wrong", `All left, and the server has ${JSON.stringify(this.#left)}`);
    }
  }

  async #judge(stage: Stage): Promise<void> {
    const { lost, repeated, reordered, unrecovered, troubles } = await stage.herd();
    for (const [fault, count] of Object.entries({ lost, repeated, reordered } as const)) {
      if (count > 0) this.#ledger.violate("wrong", `The herd: ${count} ${fault}`);
    }
    if (unrecovered > 0) this.#ledger.violate("wrong", `${unrecovered} of the herd not recovered`);
    for (const trouble of troubles.slice(0, 5)) this.#ledger.violate("wrong", trouble);
  }

  // For whoever looks for the cause.
  async #keep(stage: Stage): Promise<void> {
    const { disk } = stage.parts;
    const from = disk === undefined ? `${this.#folder}/data` : disk.outside;
    const kept = await Deno.makeTempDir({ prefix: "fanfare-torture-kept-" });
    await new Deno.Command("cp", { args: ["-r", `${from}/.`, kept] }).output();
    stage.say(`The data is kept in ${kept}`);
  }

  async #figures(stage: Stage, begun: number): Promise<Figures> {
    const { victim, gauges, fuzzing, flags } = stage.parts;
    const { seed, program } = this.#options;
    const { counts, acknowledged, violations } = this.#ledger;
    const files = new Set(flags.filter((flag) => flag.startsWith(this.#folder)));
    const events = [...victim.events].filter(([event]) => EVENTS.test(event));
    return {
      seed,
      minutes: (performance.now() - begun) / 60_000,
      program: program.what,
      flags: flags.map((flag) => files.has(flag) ? "FILE" : flag),
      machine: { cores: navigator.hardwareConcurrency, descriptors: descriptorLimit() },
      phases: this.#phases,
      books: { ...counts, acknowledged },
      herd: await stage.herd(),
      held: stage.held,
      fuzz: { cases: fuzzing?.cases ?? 0, answers: fuzzing?.answers ?? {} },
      events: Object.fromEntries(events),
      server: {
        start: stage.start ?? this.#last,
        most: gauges.most(0),
        end: this.#last,
        left: { connections: this.#left?.connections ?? -1, stuck: this.#left?.stuck ?? -1 },
      },
      soak: stage.soak,
      end: this.#end,
      violations,
    };
  }
}
