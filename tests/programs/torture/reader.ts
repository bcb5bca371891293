/** A client that reads several channels, keeps its place in each, and recovers with `since` (protocol.md, "Recovery"). */
import { pause } from "../../helpers/child_server.ts";
import type { Random } from "../../helpers/random.ts";
import { messageChecksum } from "./ledger.ts";
import type { Account, Shared } from "./publisher.ts";
import { type Line, Wire, type WireMessage } from "../../helpers/load/wire.ts";

/** What a reader saw of one subscription. */
export interface Stream {
  readonly reader: string;
  readonly channel: string;
  /** Where its first subscription began; undefined before it stood. */
  begun?: number;
  /** Seqs in the order in which they came, and the messages' checksums. */
  readonly seqs: number[];
  readonly sums: number[];
}

interface Subscription extends Stream {
  /** Up to here it has everything. */
  place?: number;
  /** The last answer's seq: what is above is live. */
  answered: number;
  /** Whether the connection may send its messages now. */
  stands: boolean;
  /** Whether it was asked to end it. */
  leaving: boolean;
  more: boolean;
}

/** How often it thinks of leaving a channel for a moment, or the server, in milliseconds. */
const RESTLESS = 40;

/** A reader. */
export class ReaderClient {
  /** What it is waiting for, for whoever asks why a run stands still. */
  state = "nothing yet";
  /** The greatest seq that it heard of. */
  newest = 0;
  readonly #who: Account;
  readonly #shared: Shared;
  readonly #random: Random;
  readonly #subscriptions: Subscription[];
  #live = 0;
  #wire: Wire | undefined;
  #stopping = false;

  /**
   * @param who Whose cookie it has.
   * @param channels What it subscribes to.
   * @param shared What all clients share.
   * @param random Its choices.
   */
  constructor(who: Account, channels: readonly string[], shared: Shared, random: Random) {
    this.#who = who;
    this.#shared = shared;
    this.#random = random;
    this.#subscriptions = channels.map((channel) => ({
      reader: who.name,
      channel,
      seqs: [],
      sums: [],
      answered: 0,
      stands: false,
      leaving: false,
      more: false,
    }));
  }

  /** What it saw. */
  get streams(): readonly Stream[] {
    return this.#subscriptions;
  }

  /**
   * Tells whether it has everything.
   *
   * @param last The last seq of a channel; for `dm:*` that of its direct messages.
   * @returns What it lacks, or undefined.
   */
  lacks(last: (channel: string) => number): string | undefined {
    const behind = this.#subscriptions.find(({ channel, place = 0 }) => place < last(channel));
    if (behind === undefined) return undefined;
    return `${behind.channel} above ${behind.place}, up to ${last(behind.channel)}`;
  }

  /** Ends {@linkcode run}. */
  stop(): void {
    this.#stopping = true;
    this.#wire?.drop();
  }

  /** Reads, until it is stopped. */
  async run(): Promise<void> {
    const { signal, ledger, url, sockets } = this.#shared;
    const abort = () => this.stop();
    signal.addEventListener("abort", abort);
    while (!this.#stopping) {
      this.state = "a connection";
      this.#wire = await Wire.open(url, this.#who.cookie, {
        told: (line) => this.#told(line),
        stuck: (what) => ledger.violate("wrong", `${this.#who.name}: ${what}`),
      }, sockets);
      if (this.#wire !== undefined) await this.#read(this.#wire);
      ledger.counts.reconnects += 1;
      if (!this.#stopping) await pause(this.#random.whole(0, 100));
    }
    signal.removeEventListener("abort", abort);
    this.state = "nothing, it is done";
  }

  async #read(wire: Wire): Promise<void> {
    for (const one of this.#subscriptions) one.leaving = one.stands = false;
    this.#live = 0;
    this.state = "the answer to hello";
    // Some begin without a hello: it is optional.
    if (this.#random.chance(0.5)) {
      const hello = (await wire.ask("hello", {}))?.hello;
      if (hello !== undefined) this.#shared.ledger.check(hello.epoch);
    }
    const commands = this.#subscriptions.map((one) => this.#subscribe(wire, one));
    if (this.#random.chance(0.5)) wire.send(commands);
    else for (const command of commands) wire.send([command]);
    this.state = "messages";
    const restless = setInterval(() => {
      const one = this.#subscriptions[this.#random.whole(0, this.#subscriptions.length - 1)];
      if (one?.stands && !one.leaving && this.#random.chance(0.5)) this.#leaveAndReturn(wire, one);
      if (this.#random.chance(0.02)) wire.drop();
    }, RESTLESS);
    await wire.ended;
    clearInterval(restless);
  }

  // What was sent before the answer counts; from then on nothing comes until it is back.
  #leaveAndReturn(wire: Wire, subscription: Subscription): void {
    const { channel } = subscription;
    subscription.leaving = true;
    wire.send([wire.command("unsubscribe", { channel }, () => {
      subscription.leaving = subscription.stands = false;
      wire.send([this.#subscribe(wire, subscription)]);
    })]);
  }

  #subscribe(wire: Wire, subscription: Subscription): string {
    const { epoch } = this.#shared.ledger;
    const { channel, place } = subscription;
    const since = place === undefined || epoch === undefined
      ? {}
      : { since: { epoch, seq: place } };
    const presence = channel.startsWith("room:") && this.#random.chance(0.2);
    const body = { channel, ...since, ...(presence ? { presence } : {}) };
    return wire.command("subscribe", body, (line) => {
      if (line.subscribe === undefined) this.#violate("wrong", JSON.stringify(line));
      else this.#subscribed(subscription, line.subscribe);
    });
  }

  #subscribed(subscription: Subscription, answer: Line["subscribe"] & object): void {
    const { channel, place } = subscription;
    const { epoch, seq, recovered, more = false, messages } = answer;
    this.#shared.ledger.check(epoch);
    subscription.answered = seq;
    subscription.more = more;
    subscription.stands = true;
    if (place === undefined) subscription.begun = seq;
    else if (recovered !== true) this.#violate("lost", `${channel} wasn't recovered from ${place}`);
    if (more && (recovered !== true || messages.length === 0)) {
      this.#violate("wrong", `${channel} has more, but nothing to go on from`);
    }
    for (const message of messages) this.#take(subscription, message);
    if (messages.some((message) => message.seq > seq)) {
      this.#violate("wrong", `The answer for ${channel} has messages above its seq ${seq}`);
    }
    if (!more) subscription.place = Math.max(subscription.place ?? 0, seq);
    this.newest = Math.max(this.newest, seq);
  }

  #told({ message, error, ...rest }: Line): void {
    if (error !== undefined) return this.#violate("wrong", `Told ${error.code} ${error.message}`);
    if (message === undefined) {
      if (!("closing" in rest) && !("presence" in rest)) {
        this.#violate("wrong", `Told ${JSON.stringify(rest)}`);
      }
      return;
    }
    const { channel, seq } = message;
    const one = this.#subscriptions.find((subscription) =>
      subscription.channel === channel ||
      (subscription.channel === "dm:*" && channel.startsWith("dm:"))
    );
    if (one === undefined || !one.stands) {
      return this.#violate("wrong", `${channel} ${seq} came without a subscription`);
    }
    if (seq > one.answered) {
      if (seq <= this.#live) {
        this.#violate("reordered", `Live ${channel} ${seq} came behind ${this.#live}`);
      }
      this.#live = seq;
    } else if (!one.more) {
      this.#violate("repeated", `${channel} ${seq} is below the answer's seq ${one.answered}`);
    }
    this.#take(one, message);
  }

  #take(subscription: Subscription, message: WireMessage): void {
    const { channel, seq } = message;
    const { place = 0, seqs, sums } = subscription;
    if (seq <= place && subscription.begun !== undefined) {
      const again = seqs.includes(seq);
      this.#violate(again ? "repeated" : "reordered", `${channel} ${seq} came at place ${place}`);
    }
    seqs.push(seq);
    sums.push(messageChecksum(message));
    subscription.place = seq;
    this.newest = Math.max(this.newest, seq);
    this.#shared.ledger.counts.delivered += 1;
  }

  #violate(fault: "lost" | "repeated" | "reordered" | "wrong", sentence: string): void {
    this.#shared.ledger.violate(fault, `${this.#who.name}: ${sentence}`);
  }
}
