/** A whole run: a server that is killed again and again, clients that go on, and the books held against the log. */
import { pause, within } from "../../helpers/child_server.ts";
import { type Proxy, startProxy } from "../../helpers/proxy.ts";
import { type Random, randomOf } from "../../helpers/random.ts";
import { Cast, FINISH_LIMIT } from "./cast.ts";
import { Ledger } from "./ledger.ts";
import { type Mishap, Victim } from "./server.ts";

/** What is to be done. */
export interface TortureOptions {
  readonly seed: number;
  readonly kills: number;
  /** What happens to isolates, after the kills; where anything does, their bus loses a third of its posts all the time. */
  readonly mishaps: readonly Mishap[];
  /** Whether connections go through a proxy that treats them badly. */
  readonly proxy: boolean;
  /** How long it lasts at least, in seconds. */
  readonly seconds: number;
  /** More of the server's command line. */
  readonly flags: readonly string[];
  /** Takes what happens. */
  readonly say: (line: string) => void;
}

/**
 * Runs it.
 *
 * @param options What is to be done.
 * @returns The books, closed.
 */
export async function torture(options: TortureOptions): Promise<Ledger> {
  const ledger = new Ledger();
  const data = await Deno.makeTempDir({ prefix: "fanfare-torture-" });
  try {
    await new Run(options, ledger, data).run();
  } catch (error) {
    ledger.violate("wrong", error instanceof Error ? error.message : String(error));
  }
  if (ledger.violations.length === 0) await Deno.remove(data, { recursive: true });
  else options.say(`The data is kept in ${data}`);
  return ledger;
}

class Run {
  readonly #options: TortureOptions;
  readonly #ledger: Ledger;
  readonly #data: string;

  constructor(options: TortureOptions, ledger: Ledger, data: string) {
    this.#options = options;
    this.#ledger = ledger;
    this.#data = data;
  }

  async run(): Promise<void> {
    const { seed, flags, mishaps } = this.#options;
    const faulty = mishaps.length > 0;
    await using victim = await Victim.start({ data: this.#data, flags, faulty }, this.#ledger);
    const cast = new Cast({ seed, ledger: this.#ledger });
    await using proxy = this.#options.proxy ? await this.#between(victim.port) : undefined;
    await cast.begin(victim.port, `ws://127.0.0.1:${proxy?.port ?? victim.port}/ws`);
    try {
      await this.#act(victim, cast);
      proxy?.calm();
      await cast.finish();
      this.#options.say("all is acknowledged and read");
    } finally {
      cast.abort();
    }
    const { reset = 0, finished = 0, silenced = 0 } = proxy?.cuts ?? {};
    this.#ledger.counts.cut = reset + finished + silenced;
    await proxy?.[Symbol.asyncDispose]();
    // What is in the log now has to come from the disk.
    await victim.restart("SIGKILL");
    await victim.listen();
    this.#options.say("what is in the log now came from the disk");
    await cast.verify(victim.port);
    this.#options.say("the books are closed");
    const code = await victim.stop();
    if (code !== 0) this.#ledger.violate("wrong", `The server ended with ${code} on SIGTERM`);
    await cast.gone();
  }

  async #between(target: number): Promise<Proxy> {
    return await startProxy({ target, random: this.#random("proxy") });
  }

  async #act(victim: Victim, cast: Cast): Promise<void> {
    const { kills, seconds, say } = this.#options;
    const random = this.#random("kills");
    const end = performance.now() + seconds * 1000;
    for (let kill = 1; kill <= kills; kill++) {
      const share = (end - performance.now()) / (kills - kill + 1);
      if (share > 0) await pause(share * random.next());
      const moment = await victim.killAt(random);
      this.#ledger.counts.kills += 1;
      say(`kill ${kill} (${moment}) at seq ${this.#ledger.seq}`);
    }
    await victim.listen();
    for (const mishap of this.#options.mishaps) {
      const seen = await victim.upset(mishap, random);
      this.#ledger.counts.mishaps += 1;
      say(`an isolate: ${mishap} at seq ${this.#ledger.seq}: ${seen}`);
    }
    await within(
      this.#ledger.after(500),
      FINISH_LIMIT,
      `500 more acknowledgements; ${cast.states}`,
    );
    await pause(Math.max(0, end - performance.now()));
  }

  #random(label: string): Random {
    return randomOf(this.#options.seed, label);
  }
}
