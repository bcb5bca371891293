/** The server under torture: killed at bad moments, and started again on the same port and data. */
import {
  type ChildOptions,
  type ChildServer,
  pause,
  spawnServer,
  within,
} from "../../helpers/child_server.ts";
import { join } from "node:path";
import type { Fault } from "../../helpers/faulty_worker.ts";
import type { Random } from "../../helpers/random.ts";
import type { Ledger } from "./ledger.ts";

/** How long the run waits for the acknowledgements that a kill is to follow, in milliseconds. */
const ACK_LIMIT = 30_000;
const END_LIMIT = 10_000;
const PORT_TRIES = 20;
/** Within what an isolate that hangs has to end the process (threats.md L7), in milliseconds. */
const HANG_LIMIT = 7000;
const EXIT_HUNG = 70;

/** What can happen to an isolate: a fault of its own, or that another takes its place. */
export type Mishap = Fault | "replace";

/** How it is started. */
export interface VictimOptions {
  readonly data: string;
  /** More of its command line. */
  readonly flags: readonly string[];
  /** Whether its isolates go wrong when they are told, and lose posts. */
  readonly faulty: boolean;
  /** The compiled program, in the place of the source. */
  readonly binary?: string | undefined;
  /** What it is started by. */
  readonly by?: readonly string[];
  /** Where it listens; a free port where it isn't said. */
  readonly port?: number;
  /** Lines of its log that are no violation though they are errors. */
  readonly expected?: RegExp;
}

function asChild({ faulty, binary, by, ...rest }: VictimOptions): ChildOptions {
  return {
    ...rest,
    program: faulty ? "tests/helpers/faulty_server.ts" : "main.ts",
    ...binary === undefined ? {} : { binary },
    ...by === undefined ? {} : { by },
  };
}

// What a faulty one says of its isolates; the runtime says it too, in lines that aren't JSON.
const OF_ISOLATES = /^(?!\{)|"edge\.(?:ended|hung)"/;

/** The server, whichever process it is at the moment. */
export class Victim implements AsyncDisposable {
  /** Where it listens, always. */
  readonly port: number;
  /** How often its log told each event, over all of its processes. */
  readonly events = new Map<string, number>();
  readonly #options: VictimOptions;
  readonly #ledger: Ledger;
  readonly #hearing = new Map<string, () => void>();
  #child: ChildServer;

  private constructor(child: ChildServer, port: number, options: VictimOptions, ledger: Ledger) {
    this.#child = child;
    this.port = port;
    this.#options = options;
    this.#ledger = ledger;
    this.#follow();
  }

  /**
   * Starts it on a free port.
   *
   * @param options How.
   * @param ledger Where its troubles are written down.
   * @returns The server, listening.
   */
  static async start(options: VictimOptions, ledger: Ledger): Promise<Victim> {
    const child = await spawnServer(asChild(options));
    return new Victim(child, await child.listening, options, ledger);
  }

  /**
   * Has an isolate go wrong in the middle of work, and waits until work goes on.
   *
   * @param mishap What happens to it.
   * @param random Chooses the moment.
   * @returns What was seen of it.
   */
  async upset(mishap: Mishap, random: Random): Promise<string> {
    const [before, after] = [random.whole(1, 1000), 200];
    await within(this.#ledger.after(before), ACK_LIMIT, `${before} acknowledgements`);
    const begun = performance.now();
    const seen = mishap === "replace" ? this.#heard("edges.replaced") : this.#replacement();
    if (mishap === "replace") this.#child.signal("SIGHUP");
    else {
      const fault = join(this.#options.data, "fault");
      await Deno.writeTextFile(`${fault}-new`, mishap);
      await Deno.rename(`${fault}-new`, fault);
    }
    let how = "the process ended and was started again";
    if (mishap === "hang") await this.#outliveHang();
    else how = await within(seen, ACK_LIMIT, `another isolate after ${mishap}`);
    await within(this.#ledger.after(after), ACK_LIMIT, `${after} acknowledgements after ${mishap}`);
    return `${how}, on its way after ${Math.round(performance.now() - begun)} ms`;
  }

  /** Its process at the moment. */
  get pid(): number {
    return this.#child.pid;
  }

  /**
   * Sends a signal, and waits until its log tells an event.
   *
   * @param name The signal.
   * @param event The event.
   */
  async tell(name: Deno.Signal, event: string): Promise<void> {
    const heard = this.#heard(event);
    this.#child.signal(name);
    await within(heard, ACK_LIMIT, `${event} after ${name}`);
  }

  #follow(): void {
    this.#child.onLog = ({ message = "" }) => {
      this.events.set(message, (this.events.get(message) ?? 0) + 1);
      this.#hearing.get(message)?.();
    };
  }

  async #heard(event: string): Promise<string> {
    await new Promise<void>((resolve) => this.#hearing.set(event, resolve));
    return event;
  }

  // What the log says of an isolate that ended, and of the next one that serves.
  async #replacement(): Promise<string> {
    await this.#heard("edge.ended");
    const at = performance.now();
    await this.#heard("edge.serving");
    return `another served ${Math.round(performance.now() - at)} ms after it ended`;
  }

  async #outliveHang(): Promise<void> {
    const { code } = await within(this.#child.ended, HANG_LIMIT, "the end of a server that hangs");
    if (code !== EXIT_HUNG) {
      this.#ledger.violate("wrong", `A server that hung ended with ${code}`);
    }
    await this.restart("SIGKILL");
    await this.listen();
  }

  /**
   * Kills it at a moment of the given stream, and starts it again.
   *
   * @param random Chooses the moment.
   * @returns What moment it was.
   */
  async killAt(random: Random): Promise<string> {
    const moment = random.pick(["starting", "young", "busy", "busy", "busy", "late"]);
    if (moment === "starting") await pause(random.whole(0, 250));
    else await this.#child.listening;
    if (moment === "young") await pause(random.whole(0, 120));
    if (moment === "late") await pause(random.whole(200, 1500));
    if (moment === "busy") {
      const more = random.whole(1, 2500);
      await within(this.#ledger.after(more), ACK_LIMIT, `${more} acknowledgements`);
      // At once, or while the next batch is on its way or being written.
      if (random.chance(0.7)) await pause(random.whole(0, 4));
    }
    await this.restart("SIGKILL", random.chance(0.3) ? random.whole(0, 300) : 0);
    return moment;
  }

  /**
   * Ends it, and starts it again.
   *
   * @param signal How it ends.
   * @param down How long it stays away, in milliseconds.
   */
  async restart(signal: Deno.Signal, down = 0): Promise<void> {
    await this.#end(signal);
    await pause(down);
    this.#child = await spawnServer({ ...asChild(this.#options), port: this.port });
    this.#follow();
  }

  /** Waits until it listens; another process may have taken the port for a connection of its own, for a while. */
  async listen(): Promise<void> {
    for (let i = 0;; i++) {
      try {
        await this.#child.listening;
        return;
      } catch (error) {
        if (i === PORT_TRIES || !/address in use|AddrInUse/i.test(String(error))) throw error;
        await pause(250);
        await this.restart("SIGKILL");
      }
    }
  }

  /**
   * Ends it in order.
   *
   * @returns Its exit code.
   */
  async stop(): Promise<number> {
    await this.listen();
    return await this.#end("SIGTERM");
  }

  async #end(signal: Deno.Signal): Promise<number> {
    this.#child.signal(signal);
    const { code } = await within(this.#child.ended, END_LIMIT, `the server's end by ${signal}`);
    await this.#child[Symbol.asyncDispose]();
    for (const trouble of this.#child.troubles) {
      if (this.#options.faulty && OF_ISOLATES.test(trouble)) continue;
      if (this.#options.expected?.test(trouble)) continue;
      if (!/address in use|AddrInUse/i.test(trouble)) {
        this.#ledger.violate("wrong", `The server said: ${trouble}`);
      }
    }
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}
