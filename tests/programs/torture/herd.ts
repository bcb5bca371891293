/**
 * Thousands of clients of one channel, in a process of its own: they come, are cut, come back and go.
 *
 * @module
 */
import { percentile } from "../../helpers/load/figures.ts";
import { pause } from "../../helpers/child_server.ts";
import { type Random, randomOf } from "../../helpers/random.ts";
import { CHANNEL, Client, type HerdCounts } from "./herd_client.ts";
import { answerCalls } from "./process.ts";
import { Stuck } from "./stuck.ts";
import { type Talk, Talker } from "./talker.ts";

const FLOOD = "push:flood";
/** How many connections are being made at once while it grows. */
const AT_ONCE = 100;
const LOOK = 50;

/** How a cut was mended. */
export interface Mended {
  readonly clients: number;
  /** How many were cut. */
  readonly cut: number;
  /** Milliseconds from the cut until the last was back with what it had missed. */
  readonly last: number;
  readonly p50: number;
  readonly p99: number;
  /** Those that weren't back within the limit. */
  readonly missing: number;
}

/** What the herd is called with. */
interface Call {
  readonly clients: number;
  /** Comings and goings a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly limit: number;
  readonly talk: Talk;
  readonly stuck: number;
  readonly closing: number;
  readonly direct: number;
}

class Herd {
  readonly #port: number;
  readonly #random: Random;
  readonly #talker: Talker;
  readonly #flood: Talker;
  readonly #stuck: Stuck;
  #clients: Client[] = [];
  #cutAt = 0;
  #churn: ReturnType<typeof setInterval> | undefined;
  readonly counts: HerdCounts = {
    ...{ clients: 0, standing: 0, delivered: 0, lost: 0, repeated: 0, reordered: 0 },
    ...{ unrecovered: 0, breaks: 0, refusals: {}, troubles: [] },
  };

  constructor(port: number, seed: number) {
    this.#port = port;
    this.#random = randomOf(seed, "herd");
    this.#talker = new Talker(port, CHANNEL);
    this.#flood = new Talker(port, FLOOD);
    this.#stuck = new Stuck(port, FLOOD);
  }

  /** Grows or shrinks to so many; ends once all stand, or with those that do at the limit. */
  async grow({ clients, limit }: Call): Promise<number> {
    for (const client of this.#clients.splice(clients)) client.leave();
    const end = performance.now() + limit;
    const waiting = new Set<Promise<void>>();
    while (this.#clients.length < clients && performance.now() < end) {
      const client = new Client(this.#port, this.counts, this.#random);
      this.#clients.push(client);
      const entered: Promise<void> = client.enter().then(() => void waiting.delete(entered));
      waiting.add(entered);
      if (waiting.size >= AT_ONCE) await Promise.race(waiting);
    }
    while (this.counts.standing !== this.#clients.length && performance.now() < end) {
      await pause(LOOK);
    }
    return this.counts.standing;
  }

  /** Notes that all are cut now; with `cut` it is this side that cuts. */
  mark(): void {
    this.#cutAt = performance.now();
    for (const client of this.#clients) client.back = 0;
  }

  cut(): void {
    this.mark();
    for (const client of this.#clients) client.cut();
  }

  async mended({ limit }: Call): Promise<Mended> {
    const end = this.#cutAt + limit;
    const missing = () => this.#clients.filter((client) => client.back === 0).length;
    while (missing() > 0 && performance.now() < end) await pause(LOOK);
    const times = this.#clients.map(({ back }) => back).filter((back) => back > 0)
      .map((back) => Math.round(back - this.#cutAt));
    return {
      clients: this.#clients.length,
      cut: times.length + missing(),
      last: percentile(times, 1),
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      missing: missing(),
    };
  }

  /** From now on some go and others come in their place, so many a second. */
  churn({ rate }: Call): void {
    clearInterval(this.#churn);
    if (rate === 0) return;
    this.#churn = setInterval(() => {
      const at = this.#random.whole(0, this.#clients.length - 1);
      this.#clients[at]?.leave();
      const client = new Client(this.#port, this.counts, this.#random);
      this.#clients[at] = client;
      void client.enter();
    }, 1000 / rate);
  }

  look(): HerdCounts {
    const troubles = [...this.#talker.troubles, ...this.#flood.troubles];
    return { ...this.counts, clients: this.#clients.length, troubles };
  }

  readonly calls = {
    grow: (call: Call) => this.grow(call),
    mark: () => this.mark(),
    cut: () => this.cut(),
    mended: (call: Call) => this.mended(call),
    churn: (call: Call) => this.churn(call),
    talk: ({ talk }: Call) => void (this.#talker.talk = talk),
    flood: ({ talk }: Call) => void (this.#flood.talk = talk),
    stick: ({ stuck, closing, direct }: Call) => this.#stuck.stick(stuck, closing, direct),
    unstick: () => this.#stuck.leave(),
    look: () => this.look(),
  };
}

if (import.meta.main) await answerCalls(new Herd(Number(Deno.args[0]), Number(Deno.args[1])).calls);
