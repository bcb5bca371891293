/** The clients that keep the books: who publishes, who reads, and how their books are closed and held against the log. */
import { cookieFrom, pause, within } from "../../helpers/child_server.ts";
import { type Random, randomOf } from "../../helpers/random.ts";
import type { Ledger } from "./ledger.ts";
import { type Account, Publisher, type Shared } from "./publisher.ts";
import { ReaderClient } from "./reader.ts";
import { readHistory, verifyHistory, verifyStream } from "./verify.ts";
import { Wire, type WireMessage } from "../../helpers/load/wire.ts";

/** The most that a reader may be behind; a server recovers 10,000. */
const BEHIND = 5000;
/** How long the rest may take once nothing new is made, in milliseconds. */
export const FINISH_LIMIT = 60_000;

const PUBLIC = ["room:one", "room:two", "push:news"] as const;

/** How a cast is made. */
export interface CastOptions {
  readonly seed: number;
  readonly ledger: Ledger;
  /** Whether one more may be published now; where it isn't given, as many as the windows take. */
  readonly pace?: () => boolean;
}

/** Four publishers and three readers. */
export class Cast {
  readonly #seed: number;
  readonly #ledger: Ledger;
  readonly #pace: () => boolean;
  readonly #sockets = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #accounts: readonly Account[] = [];
  #publishers: readonly Publisher[] = [];
  #readers: readonly ReaderClient[] = [];
  #running: readonly Promise<void>[] = [];

  /** @param options How it is made. */
  constructor({ seed, ledger, pace = () => true }: CastOptions) {
    this.#seed = seed;
    this.#ledger = ledger;
    this.#pace = pace;
  }

  /**
   * Has all of them begin.
   *
   * @param port Where accounts are made.
   * @param url Where they connect, `ws://…/ws`.
   */
  async begin(port: number, url: string): Promise<void> {
    this.#accounts = await this.#enter(port, ["Ada", "Bob", "Cyd", "Dan", "Eve"]);
    this.#assign(url);
    this.#running = [...this.#publishers, ...this.#readers].map((actor) => actor.run());
  }

  /** Ends what they are waiting for. */
  abort(): void {
    this.#abort.abort();
  }

  /** Waits for the last sockets to go. */
  async gone(): Promise<void> {
    await within(Promise.all(this.#sockets), 10_000, "the last sockets to go");
  }

  /** Has the publishers end, waits until all is acknowledged and read, and has the readers end. */
  async finish(): Promise<void> {
    for (const publisher of this.#publishers) publisher.stop();
    const written = this.#running.slice(0, this.#publishers.length);
    await within(Promise.all(written), FINISH_LIMIT, "all acknowledgements").catch((error) => {
      throw new Error(`${error.message}; ${this.states}`);
    });
    const last = this.#lastSeqs();
    const deadline = performance.now() + FINISH_LIMIT;
    for (;;) {
      const lacking = this.#readers.map((reader) => reader.lacks(last)).filter((what) => what);
      if (lacking.length === 0) break;
      if (performance.now() > deadline) {
        this.#ledger.violate(
          "wrong",
          `Readers still lack ${lacking.join("; ")}; ${this.states}`,
        );
        break;
      }
      await pause(20);
    }
    // Whatever comes twice comes now.
    await pause(200);
    for (const reader of this.#readers) reader.stop();
    await within(Promise.all(this.#running), FINISH_LIMIT, "the readers' end");
  }

  /**
   * Holds the books against what the server has now.
   *
   * @param port The server's.
   */
  async verify(port: number): Promise<void> {
    const random = this.#random("pages");
    const history = new Map<string, WireMessage[]>();
    for (const { account, cookie } of this.#accounts) {
      const wire = await this.#connect(port, cookie);
      const all = new Set([...this.#ledger.publications.values()].map(({ channel }) => channel));
      for (const channel of all) {
        if (history.has(channel) || (channel.startsWith("dm:") && !isOf(channel, account))) {
          continue;
        }
        history.set(channel, await readHistory(wire, channel, this.#ledger, random));
      }
      const direct = await readHistory(wire, "dm:*", this.#ledger, random);
      const known = [...history].filter(([channel]) => isOf(channel, account));
      const count = known.reduce((sum, [, messages]) => sum + messages.length, 0);
      if (direct.length !== count) {
        this.#ledger.violate("wrong", `dm:* of ${account} has ${direct.length}, not ${count}`);
      }
      wire.drop();
    }
    verifyHistory(this.#ledger, history, this.#accounts);
    const ada = this.#accounts[0]?.account ?? "";
    for (const stream of this.#readers.flatMap(({ streams }) => streams)) {
      const messages = stream.channel === "dm:*"
        ? [...history].filter(([channel]) => isOf(channel, ada)).flatMap(([, all]) => all)
        : history.get(stream.channel) ?? [];
      verifyStream(this.#ledger, stream, messages.toSorted((a, b) => a.seq - b.seq));
    }
  }

  /** What each is waiting for, for whoever asks why a run stands still. */
  get states(): string {
    const publishers = this.#publishers.map(({ who, state }) => `${who.name} waits for ${state}`);
    return [...publishers, ...this.#readers.map(({ state }, i) => `reader ${i + 1} for ${state}`)]
      .join(", ");
  }

  // Accounts exist, by name, before anyone writes to them.
  async #enter(port: number, names: readonly string[]): Promise<Account[]> {
    const accounts: Account[] = [];
    for (const name of names) {
      const cookie = await cookieFrom(`http://127.0.0.1:${port}/`);
      const wire = await this.#connect(port, cookie);
      const hello = (await wire.ask("hello", { name }))?.hello;
      if (hello === undefined) throw new Error(`${name} wasn't answered`);
      this.#ledger.check(hello.epoch);
      accounts.push({ cookie, name, account: hello.account });
      wire.drop();
    }
    return accounts;
  }

  #assign(url: string): void {
    const [ada, bob, , , eve] = this.#accounts;
    if (ada === undefined || bob === undefined || eve === undefined) return;
    const shared: Shared = {
      ledger: this.#ledger,
      url,
      sockets: this.#sockets,
      hasRoom: () =>
        this.#readers.every(({ newest }) => this.#ledger.seq - newest < BEHIND) && this.#pace(),
      signal: this.#abort.signal,
    };
    const writers = this.#accounts.slice(0, 4);
    this.#publishers = writers.map((who) => {
      const direct = writers.map((other) => directChannel(who, other));
      const channels = [...PUBLIC, ...PUBLIC, ...PUBLIC, ...direct] as const;
      const [first, ...rest] = channels;
      return new Publisher(who, [first, ...rest], shared, this.#random(who.name));
    });
    this.#readers = [
      new ReaderClient(ada, ["room:one", "push:news", "dm:*"], shared, this.#random("reader one")),
      new ReaderClient(
        bob,
        [directChannel(ada, bob), "room:two", directChannel(bob, bob)],
        shared,
        this.#random("reader two"),
      ),
      new ReaderClient(
        eve,
        ["push:news", "room:two", "room:one"],
        shared,
        this.#random("reader three"),
      ),
    ];
  }

  #lastSeqs(): (channel: string) => number {
    const last = new Map<string, number>();
    const ada = this.#publishers[0]?.who.account ?? "";
    for (const { channel, told } of this.#ledger.publications.values()) {
      const seq = told?.seq ?? 0;
      last.set(channel, Math.max(seq, last.get(channel) ?? 0));
      if (isOf(channel, ada)) last.set("dm:*", Math.max(seq, last.get("dm:*") ?? 0));
    }
    return (channel) => last.get(channel) ?? 0;
  }

  async #connect(port: number, cookie: string): Promise<Wire> {
    const wire = await Wire.open(`ws://127.0.0.1:${port}/ws`, cookie, {
      told: (line) => this.#ledger.violate("wrong", `Told without asking ${JSON.stringify(line)}`),
      stuck: (what) => this.#ledger.violate("wrong", what),
    }, this.#sockets);
    if (wire === undefined) throw new Error(`Cannot connect to port ${port}`);
    return wire;
  }

  #random(label: string): Random {
    return randomOf(this.#seed, label);
  }
}

function directChannel({ account: one }: Account, { account: other }: Account): string {
  return one <= other ? `dm:${one}.${other}` : `dm:${other}.${one}`;
}

function isOf(channel: string, account: string): boolean {
  return channel.startsWith("dm:") && channel.slice("dm:".length).split(".").includes(account);
}
