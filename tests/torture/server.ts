/** The server under torture: killed at bad moments, and started again on the same port and data. */
import { type ChildServer, pause, spawnServer, within } from "../helpers/child_server.ts";
import type { Random } from "../helpers/random.ts";
import type { Ledger } from "./ledger.ts";

/** How long the run waits for the acknowledgements that a kill is to follow, in milliseconds. */
const ACK_LIMIT = 30_000;
const END_LIMIT = 10_000;
const PORT_TRIES = 20;

/** The server, whichever process it is at the moment. */
export class Victim implements AsyncDisposable {
  /** Where it listens, always. */
  readonly port: number;
  readonly #data: string;
  readonly #flags: readonly string[];
  readonly #ledger: Ledger;
  #child: ChildServer;

  private constructor(
    child: ChildServer,
    port: number,
    data: string,
    flags: readonly string[],
    ledger: Ledger,
  ) {
    this.#child = child;
    this.port = port;
    this.#data = data;
    this.#flags = flags;
    this.#ledger = ledger;
  }

  /**
   * Starts it on a free port.
   *
   * @param data The data folder.
   * @param flags More of its command line.
   * @param ledger Where its troubles are written down.
   * @returns The server, listening.
   */
  static async start(data: string, flags: readonly string[], ledger: Ledger): Promise<Victim> {
    const child = await spawnServer({ data, flags });
    return new Victim(child, await child.listening, data, flags, ledger);
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
    this.#child = await spawnServer({ data: this.#data, flags: this.#flags, port: this.port });
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
