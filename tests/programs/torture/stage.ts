/** Everything that takes part in a whole run: the server behind nginx, who keeps the books, who storms, who watches. */
import { join } from "node:path";
import { Bucket } from "../../../lib/config/limits.ts";
import { newKey } from "../../../static/client/fanfare.js";
import { type Random, randomOf } from "../../helpers/random.ts";
import { Cast } from "./cast.ts";
import { Disk } from "./disk.ts";
import { capacity, freePorts, type Ports, startFront } from "./front.ts";
import { Fuzzing } from "./fuzzing.ts";
import { Gauges, type Sample, type Told, toldBy } from "./gauges.ts";
import type { HerdCounts } from "./herd_client.ts";
import type { Ledger } from "./ledger.ts";
import { Helper } from "./process.ts";
import type { Program } from "./program.ts";
import { Victim } from "./server.ts";
import type { Soak } from "./soak.ts";

/** Publications a second of those who keep the books, at full load. */
export const FULL_RATE = 300;
/** How it is set up. */
export interface StageOptions {
  readonly seed: number;
  readonly program: Program;
  /** More of the server's command line. */
  readonly flags: readonly string[];
  readonly ledger: Ledger;
  readonly say: (line: string) => void;
  /** How many clients a storm has, if so many may connect here. */
  readonly clients: number;
  /** Whether its disk can be filled up, and cases of fuzz run. */
  readonly hostile: boolean;
}

/** Who takes part. */
export interface StageParts {
  readonly victim: Victim;
  readonly cast: Cast;
  readonly herd: Helper;
  readonly witness: Helper;
  readonly gauges: Gauges;
  readonly fuzzing: Fuzzing | undefined;
  /** Undefined where none can be made. */
  readonly disk: Disk | undefined;
  /** The server's command line. */
  readonly flags: readonly string[];
}

// A full disk is one of the tortures.
const EXPECTED = /"log\.(?:refused|unwritable)"/;

/** The stage; disposing of it ends all processes. */
export class Stage implements AsyncDisposable {
  readonly random: Random;
  /** How many clients a storm has. */
  readonly clients: number;
  readonly ports: Ports = freePorts();
  /** What the server took before anyone came. */
  start: Sample | undefined;
  /** The most clients of the herd that had their subscriptions at once. */
  held = 0;
  /** What the soak showed. */
  soak: Soak | undefined;
  readonly #stack = new AsyncDisposableStack();
  readonly #options: StageOptions;
  readonly #admin = newKey();
  #bucket = bucketOf(FULL_RATE);
  #settings = "";
  #setting = 0;
  #parts: StageParts | undefined;

  private constructor(options: StageOptions) {
    this.#options = options;
    this.clients = capacity(options.clients);
    this.random = randomOf(options.seed, "stage");
  }

  /**
   * Sets it up.
   *
   * @param folder A folder of its own.
   * @param options How.
   * @returns The stage, with everyone on it.
   */
  static async open(folder: string, options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    try {
      await stage.#open(folder);
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #open(folder: string): Promise<void> {
    const { seed, program: { binary }, ledger, hostile } = this.#options;
    const stack = this.#stack;
    const data = join(folder, "data");
    await Deno.mkdir(data);
    const disk = hostile ? await Disk.make(data) : undefined;
    if (disk !== undefined) stack.use(disk);
    const [secret, secretFile] = [newKey(), join(folder, "secret")];
    const adminFile = join(folder, "admin");
    await Deno.writeTextFile(adminFile, this.#admin);
    this.#settings = join(folder, "settings");
    await Deno.writeTextFile(secretFile, secret);
    await this.#set();
    // Those who keep the books publish faster than people do.
    const own = ["--workers", "2", "--open", "--trust-proxy", "--rate", "1000"];
    own.push("--max-signals", "0", "--max-repeats", "0", "--max-refusals", "0");
    // Behind the proxy all clients have one address.
    own.push("--max-new-accounts", "0");
    const files = [
      "--jwt-secret-file",
      secretFile,
      "--settings",
      this.#settings,
      "--admin-token-file",
      adminFile,
    ];
    const flags = [...own, ...files, ...this.#options.flags];
    const { ports } = this;
    const victim = stack.use(
      await Victim.start({
        ...{ data, flags, binary, faulty: false, port: ports.server, expected: EXPECTED },
        ...disk === undefined ? {} : { by: disk.by },
      }, ledger),
    );
    const gauges = stack.use(new Gauges(() => victim.pid));
    this.start = gauges.look();
    stack.use(await startFront(join(folder, "nginx"), ports));
    const front = [String(ports.front)];
    const witness = stack.use(Helper.start(new URL("witness.ts", import.meta.url), front));
    const herd = stack.use(
      Helper.start(new URL("herd.ts", import.meta.url), [...front, String(seed)]),
    );
    const pace = () => this.#bucket.take(performance.now());
    const cast = stack.adopt(new Cast({ seed, ledger, pace }), (cast) => cast.abort());
    await cast.begin(ports.front, `ws://127.0.0.1:${ports.front}/ws`);
    const both = [ports.foreign, ports.server];
    const fuzzing = hostile ? new Fuzzing({ seed, ports: both, secret, ledger }) : undefined;
    this.#parts = { victim, cast, herd, witness, gauges, fuzzing, disk, flags };
  }

  /** What takes part. */
  get parts(): StageParts {
    if (this.#parts === undefined) throw new Error("Nobody is on the stage yet");
    return this.#parts;
  }

  /** Where violations are written down. */
  get ledger(): Ledger {
    return this.#options.ledger;
  }

  /** @param line What happens, for whoever looks on. */
  say(line: string): void {
    this.#options.say(line);
  }

  /** @param rate Publications a second from now on. */
  set rate(rate: number) {
    this.#bucket = bucketOf(rate);
  }

  /** Has the server replace all of its isolates: it reads another setting. */
  async replaceIsolates(): Promise<void> {
    await this.#set();
    await this.parts.victim.tell("SIGHUP", "settings.read");
    this.ledger.counts.mishaps += 1;
  }

  /** @returns What the server counts. */
  async told(): Promise<Told> {
    return await toldBy(this.ports.server, this.#admin);
  }

  /** @returns What the herd saw so far. */
  async herd(): Promise<HerdCounts> {
    return await this.parts.herd.call("look");
  }

  // One that nobody comes near to.
  async #set(): Promise<void> {
    const most = 5000 + this.#setting++ % 2;
    await Deno.writeTextFile(this.#settings, `FANFARE_MAX_CHANNELS=${most}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function bucketOf(rate: number): Bucket {
  return new Bucket({ rate, burst: Math.ceil(rate / 10) }, performance.now());
}
