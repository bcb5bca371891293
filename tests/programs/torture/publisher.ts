/** An account that publishes as fast as its window allows, and sends again what wasn't acknowledged. */
import { pause } from "../../helpers/child_server.ts";
import type { Random } from "../../helpers/random.ts";
import { checksum, type Ledger, type Publication } from "./ledger.ts";
import { type Line, Wire } from "../../helpers/load/wire.ts";

/** What all clients of a run share. */
export interface Shared {
  readonly ledger: Ledger;
  /** `ws://…/ws`, the proxy's where there is one. */
  readonly url: string;
  readonly sockets: Set<Promise<void>>;
  /** Whether there is room for more: readers must not fall behind by more than the server recovers. */
  readonly hasRoom: () => boolean;
  /** Ends what a client is waiting for. */
  readonly signal: AbortSignal;
}

/** An account. */
export interface Account {
  readonly account: string;
  readonly cookie: string;
  readonly name: string;
}

/** How many may be unacknowledged: it changes between these, so that commits are of all sizes. */
const WINDOWS = [1, 4, 32, 32, 32] as const;

/** How often it looks whether there is room again, in milliseconds. */
const LOOK = 20;

/** A publisher. */
export class Publisher {
  /** What it is waiting for, for whoever asks why a run stands still. */
  state = "nothing yet";
  readonly who: Account;
  readonly #channels: readonly [string, ...string[]];
  readonly #shared: Shared;
  readonly #random: Random;
  readonly #unacknowledged = new Map<string, Publication>();
  readonly #done: Publication[] = [];
  #count = 0;
  #window = 32;
  #stopping = false;

  /**
   * @param who The account.
   * @param channels Where it publishes; those named more than once get more.
   * @param shared What all clients share.
   * @param random Its choices.
   */
  constructor(
    who: Account,
    channels: readonly [string, ...string[]],
    shared: Shared,
    random: Random,
  ) {
    this.who = who;
    this.#channels = channels;
    this.#shared = shared;
    this.#random = random;
  }

  /** Makes no new messages any more; {@linkcode run} ends when all is acknowledged. */
  stop(): void {
    this.#stopping = true;
  }

  /** Publishes, until it was stopped and everything is acknowledged. */
  async run(): Promise<void> {
    const { signal, ledger, url, sockets } = this.#shared;
    while (!signal.aborted && !this.#finished()) {
      this.state = "a connection";
      const wire = await Wire.open(url, this.who.cookie, {
        told: (line) => this.#told(line),
        stuck: (what) => ledger.violate("wrong", `${this.who.name}: ${what}`),
      }, sockets);
      if (wire !== undefined) await this.#publish(wire);
      ledger.counts.reconnects += 1;
      await pause(this.#random.whole(0, 100));
    }
    this.state = "nothing, it is done";
  }

  #finished(): boolean {
    return this.#stopping && this.#unacknowledged.size === 0;
  }

  async #publish(wire: Wire): Promise<void> {
    const abort = () => wire.drop();
    this.#shared.signal.addEventListener("abort", abort);
    this.state = "the answer to hello";
    const hello = (await wire.ask("hello", {}))?.hello;
    if (hello !== undefined) {
      this.#greet(hello);
      this.#resend(wire);
      const timer = setInterval(() => {
        if (this.#random.chance(0.1)) this.#window = this.#random.pick(WINDOWS);
        this.#pump(wire);
      }, LOOK);
      this.#pump(wire);
      await wire.ended;
      clearInterval(timer);
    }
    wire.drop();
    this.#shared.signal.removeEventListener("abort", abort);
  }

  #greet({ account, name, epoch }: Line["hello"] & object): void {
    const { ledger } = this.#shared;
    ledger.check(epoch);
    if (account !== this.who.account || name !== this.who.name) {
      const was = `${this.who.account} (${this.who.name})`;
      ledger.violate("wrong", `The cookie of ${was} is now ${account} (${name})`);
    }
  }

  #resend(wire: Wire): void {
    const again = [...this.#unacknowledged.values()];
    this.#shared.ledger.counts.resends += again.length;
    for (let from = 0; from < again.length;) {
      const upTo = from + this.#random.whole(1, 16);
      wire.send(again.slice(from, upTo).map((one) => this.#command(wire, one, one.data)));
      from = upTo;
    }
  }

  #pump(wire: Wire): void {
    this.state = `the acknowledgement of ${[...this.#unacknowledged.keys()].slice(0, 3)}`;
    if (this.#finished()) return wire.drop();
    if (this.#stopping) return;
    const lines: string[] = [];
    const size = this.#random.whole(1, 8);
    while (this.#unacknowledged.size < this.#window && this.#shared.hasRoom() && wire.open) {
      lines.push(this.#command(wire, ...this.#next()));
      if (lines.length >= size) wire.send(lines.splice(0));
    }
    wire.send(lines);
  }

  // Mostly something new; now and then a key that was acknowledged long ago, with other data.
  #next(): [Publication, unknown] {
    const old = this.#done[this.#random.whole(0, this.#done.length)];
    if (old !== undefined && this.#random.chance(0.01)) {
      this.#shared.ledger.counts.resends += 1;
      return [old, "sent again with other data"];
    }
    const nth = this.#count++;
    const data = { text: this.#text(), nth };
    const publication: Publication = {
      key: `${this.who.account}-${nth}`,
      publisher: this.who.account,
      nth,
      channel: this.#random.pick(this.#channels),
      data,
      crc: checksum(data),
    };
    this.#shared.ledger.add(publication);
    this.#unacknowledged.set(publication.key, publication);
    return [publication, data];
  }

  // Mostly short; some so long that rings overflow and frames and pages are cut.
  #text(): string {
    const length = this.#random.chance(0.02)
      ? this.#random.whole(1000, 20_000)
      : this.#random.whole(0, 120);
    return (this.#random.chance(0.1) ? "añ消" : "text").repeat(length / 4);
  }

  #command(wire: Wire, publication: Publication, data: unknown): string {
    const { channel, key } = publication;
    return wire.command("publish", { channel, key, data }, ({ publish, error }) => {
      if (publish === undefined) return this.#refused(wire, key, error);
      this.#shared.ledger.acknowledge(publication, publish);
      if (this.#unacknowledged.delete(key)) this.#done.push(publication);
      this.#pump(wire);
    });
  }

  // What was sent behind it may have been taken.
  #refused(wire: Wire, key: string, error: Line["error"]): void {
    const { ledger } = this.#shared;
    ledger.counts.refused += 1;
    for (const one of this.#unacknowledged.values()) one.unordered = true;
    if (error?.code !== "unavailable" && error?.code !== "rate_limited") {
      ledger.violate("wrong", `${key} was refused: ${error?.code} ${error?.message}`);
    }
    wire.drop();
  }

  #told(line: Line): void {
    if ("closing" in line) return;
    this.#shared.ledger.violate("wrong", `A publisher was told ${JSON.stringify(line)}`);
  }
}
