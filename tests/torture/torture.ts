/** A whole run: a server that is killed again and again, clients that go on, and the books held against the log. */
import { cookieFrom, pause, within } from "../helpers/child_server.ts";
import { type Proxy, startProxy } from "../helpers/proxy.ts";
import { type Random, randomOf } from "../helpers/random.ts";
import { Ledger } from "./ledger.ts";
import { type Account, Publisher, type Shared } from "./publisher.ts";
import { ReaderClient } from "./reader.ts";
import { type Mishap, Victim } from "./server.ts";
import { readHistory, verifyHistory, verifyStream } from "./verify.ts";
import { Wire, type WireMessage } from "./wire.ts";

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

/** The most that a reader may be behind; a server recovers 10,000. */
const BEHIND = 5000;
/** How long the rest may take once nothing new is made, in milliseconds. */
const FINISH_LIMIT = 60_000;

const PUBLIC = ["room:one", "room:two", "push:news"] as const;

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
  readonly #sockets = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #publishers: readonly Publisher[] = [];
  #readers: readonly ReaderClient[] = [];

  constructor(options: TortureOptions, ledger: Ledger, data: string) {
    this.#options = options;
    this.#ledger = ledger;
    this.#data = data;
  }

  async run(): Promise<void> {
    const { flags, mishaps } = this.#options;
    const faulty = mishaps.length > 0;
    await using victim = await Victim.start({ data: this.#data, flags, faulty }, this.#ledger);
    const accounts = await this.#enter(victim.port, ["Ada", "Bob", "Cyd", "Dan", "Eve"]);
    await using proxy = this.#options.proxy ? await this.#between(victim.port) : undefined;
    this.#cast(accounts, `ws://127.0.0.1:${proxy?.port ?? victim.port}/ws`);
    const actors = [...this.#publishers, ...this.#readers].map((actor) => actor.run());
    try {
      await this.#act(victim);
      proxy?.calm();
      await this.#finish(actors);
      this.#options.say("all is acknowledged and read");
    } finally {
      this.#abort.abort();
    }
    const { reset = 0, finished = 0, silenced = 0 } = proxy?.cuts ?? {};
    this.#ledger.counts.cut = reset + finished + silenced;
    await proxy?.[Symbol.asyncDispose]();
    // What is in the log now has to come from the disk.
    await victim.restart("SIGKILL");
    await victim.listen();
    this.#options.say("what is in the log now came from the disk");
    await this.#verify(victim.port, accounts);
    this.#options.say("the books are closed");
    const code = await victim.stop();
    if (code !== 0) this.#ledger.violate("wrong", `The server ended with ${code} on SIGTERM`);
    await within(Promise.all(this.#sockets), 10_000, "the last sockets to go");
  }

  async #between(target: number): Promise<Proxy> {
    return await startProxy({ target, random: this.#random("proxy") });
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

  #cast(accounts: readonly Account[], url: string): void {
    const [ada, bob, , , eve] = accounts;
    if (ada === undefined || bob === undefined || eve === undefined) return;
    const shared: Shared = {
      ledger: this.#ledger,
      url,
      sockets: this.#sockets,
      hasRoom: () => this.#readers.every(({ newest }) => this.#ledger.seq - newest < BEHIND),
      signal: this.#abort.signal,
    };
    const writers = accounts.slice(0, 4);
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

  async #act(victim: Victim): Promise<void> {
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
      `500 more acknowledgements; ${this.#states()}`,
    );
    await pause(Math.max(0, end - performance.now()));
  }

  async #finish(actors: readonly Promise<void>[]): Promise<void> {
    for (const publisher of this.#publishers) publisher.stop();
    const written = actors.slice(0, this.#publishers.length);
    await within(Promise.all(written), FINISH_LIMIT, "all acknowledgements").catch((error) => {
      throw new Error(`${error.message}; ${this.#states()}`);
    });
    const last = this.#lastSeqs();
    const deadline = performance.now() + FINISH_LIMIT;
    for (;;) {
      const lacking = this.#readers.map((reader) => reader.lacks(last)).filter((what) => what);
      if (lacking.length === 0) break;
      if (performance.now() > deadline) {
        this.#ledger.violate(
          "wrong",
          `Readers still lack ${lacking.join("; ")}; ${this.#states()}`,
        );
        break;
      }
      await pause(20);
    }
    // Whatever comes twice comes now.
    await pause(200);
    for (const reader of this.#readers) reader.stop();
    await within(Promise.all(actors), FINISH_LIMIT, "the readers' end");
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

  async #verify(port: number, accounts: readonly Account[]): Promise<void> {
    const random = this.#random("pages");
    const history = new Map<string, WireMessage[]>();
    for (const { account, cookie } of accounts) {
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
    verifyHistory(this.#ledger, history, accounts);
    const ada = accounts[0]?.account ?? "";
    for (const stream of this.#readers.flatMap(({ streams }) => streams)) {
      const messages = stream.channel === "dm:*"
        ? [...history].filter(([channel]) => isOf(channel, ada)).flatMap(([, all]) => all)
        : history.get(stream.channel) ?? [];
      verifyStream(this.#ledger, stream, messages.toSorted((a, b) => a.seq - b.seq));
    }
  }

  async #connect(port: number, cookie: string): Promise<Wire> {
    const wire = await Wire.open(`ws://127.0.0.1:${port}/ws`, cookie, {
      told: (line) => this.#ledger.violate("wrong", `Told without asking ${JSON.stringify(line)}`),
      stuck: (what) => this.#ledger.violate("wrong", what),
    }, this.#sockets);
    if (wire === undefined) throw new Error(`Cannot connect to port ${port}`);
    return wire;
  }

  #states(): string {
    const publishers = this.#publishers.map(({ who, state }) => `${who.name} waits for ${state}`);
    return [...publishers, ...this.#readers.map(({ state }, i) => `reader ${i + 1} for ${state}`)]
      .join(", ");
  }

  #random(label: string): Random {
    return randomOf(this.#options.seed, label);
  }
}

function directChannel({ account: one }: Account, { account: other }: Account): string {
  return one <= other ? `dm:${one}.${other}` : `dm:${other}.${one}`;
}

function isOf(channel: string, account: string): boolean {
  return channel.startsWith("dm:") && channel.slice("dm:".length).split(".").includes(account);
}
