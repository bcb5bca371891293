/**
 * A client that does nobody any harm, in a process of its own: how late its messages are is what others make it feel.
 *
 * @module
 */
import { Histogram } from "../../helpers/load/figures.ts";
import { pause } from "../../helpers/child_server.ts";
import { answerCalls } from "./process.ts";
import { type Line, Wire } from "../../helpers/load/wire.ts";

const CHANNEL = "room:witness";
const PAUSE = 100;

/** What it saw of a phase. */
export interface Seen {
  /** Messages that came on a connection that was there when they were sent. */
  readonly messages: number;
  /** Milliseconds from `send` here to their arrival. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How often its connections broke. */
  readonly breaks: number;
}

class Witness {
  readonly #url: string;
  readonly #sockets = new Set<Promise<void>>();
  #latencies = new Histogram();
  #messages = 0;
  #breaks = 0;
  #listening = Infinity;
  #writer: Wire | undefined;

  constructor(port: number) {
    this.#url = `ws://127.0.0.1:${port}/ws`;
    void this.#stay((wire) => this.#listen(wire), (line) => this.#hear(line));
    void this.#stay((wire) => void (this.#writer = wire), () => {});
    setInterval(() => this.#say(), PAUSE);
  }

  phase(): Seen {
    const { at } = { at: (share: number) => this.#latencies.at(share) };
    const seen = {
      ...{ messages: this.#messages, breaks: this.#breaks },
      ...{ p50: at(0.5), p99: at(0.99), max: at(1) },
    };
    this.#latencies = new Histogram();
    this.#messages = this.#breaks = 0;
    return seen;
  }

  async #stay(begin: (wire: Wire) => void, told: (line: Line) => void): Promise<never> {
    for (;;) {
      const wire = await Wire.open(this.#url, "", { told, stuck: () => {} }, this.#sockets);
      if (wire === undefined) await pause(PAUSE);
      else {
        begin(wire);
        await wire.ended;
        this.#breaks += 1;
      }
    }
  }

  #listen(wire: Wire): void {
    this.#listening = Infinity;
    wire.send([wire.command("subscribe", { channel: CHANNEL }, () => {
      this.#listening = performance.now();
    })]);
  }

  #say(): void {
    const wire = this.#writer;
    if (!wire?.open) return;
    const body = { channel: CHANNEL, data: { at: performance.now() } };
    wire.send([wire.command("publish", body, () => {})]);
  }

  #hear({ message }: Line): void {
    const data = message?.data;
    if (typeof data !== "object" || data === null || !("at" in data)) return;
    const { at } = data;
    if (typeof at !== "number" || at < this.#listening) return;
    this.#messages += 1;
    this.#latencies.add(performance.now() - at);
  }
}

if (import.meta.main) {
  const witness = new Witness(Number(Deno.args[0]));
  await answerCalls({ phase: () => witness.phase() });
}
