/** What a native client asks about channels: to be subscribed or not, what was said, who is there. */
import type { Who } from "../auth/access.ts";
import type { Answer } from "../bus/bus.ts";
import { newestPage, pageAfter } from "../store/pages.ts";
import { ALL_DIRECT, directFeed } from "../protocol/channel.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import { type Body, type Command, PAGE_DEFAULT } from "../protocol/command.ts";
import type { Roster } from "../protocol/presence.ts";
import type { Making } from "../delivery/answers.ts";
import { UNANSWERED } from "../bus/requests.ts";
import { tooMuchRead } from "../delivery/byte_rates.ts";
import type { Connection } from "../delivery/connection.ts";
import { answerLine, answerPage, answerRoster, listOf } from "../codecs/native.ts";
import { type EdgeContext, recovers } from "./edge_context.ts";
import { KeyedQueue } from "./keyed_queue.ts";

/** A command about one channel; those of the same channel are answered in order. */
export type ChannelCommand = Extract<
  Command,
  { verb: "subscribe" | "unsubscribe" | "history" | "presence" }
>;

/** Who asks, and is answered. */
export interface Asker {
  /** Who it is now. */
  readonly who: Who;
  may(id: number, action: "read", channel: string): boolean;
  done(id: number, line: () => string | Making): void;
  /** Answers nothing to a command that wasn't begun: the connection is being closed. */
  skip(): void;
  fail(id: number, refusal: Refusal): void;
  /** Refuses a command whose answer is being made: writes the line. */
  refused(id: number, refusal: Refusal): string;
}

/** What is recovered for a subscription. */
interface Recovery {
  readonly channel: string;
  readonly feed: string;
  /** Up to which seq. */
  readonly at: number;
  readonly since: { readonly epoch: string; readonly seq: number };
}

/** The commands of one client about channels. */
export class ChannelCommands {
  readonly #connection: Connection;
  readonly #edge: EdgeContext;
  readonly #asker: Asker;
  readonly #wanted = new Set<string>();
  readonly #queue = new KeyedQueue();

  /**
   * @param connection The client's.
   * @param edge The context of the edge.
   * @param asker Who asks.
   */
  constructor(connection: Connection, edge: EdgeContext, asker: Asker) {
    this.#connection = connection;
    this.#edge = edge;
    this.#asker = asker;
  }

  /** The channels that the client wants to be subscribed to. */
  get wanted(): Iterable<string> {
    return this.#wanted;
  }

  /**
   * Answers one, behind what was asked about its channel before.
   *
   * @param command It.
   */
  take(command: ChannelCommand): void {
    this.#queue.take(
      command.body.channel,
      () => this.#connection.closing ? this.#asker.skip() : this.#answer(command),
    );
  }

  /** The client is gone: leaves all its channels, and answers nothing more. */
  end(): void {
    for (const channel of this.#wanted) this.#leave(channel);
    this.#wanted.clear();
    this.#queue.end();
  }

  #answer(command: ChannelCommand): void {
    switch (command.verb) {
      case "subscribe":
        return this.#subscribe(command.id, command.body);
      case "unsubscribe":
        return this.#unsubscribe(command.id, command.body.channel);
      case "history":
        return this.#history(command.id, command.body);
      case "presence":
        return this.#presence(command.id, command.body.channel);
    }
  }

  #subscribe(id: number, body: Body<"subscribe">): void {
    const { channel, presence: watch = false } = body;
    if (!this.#asker.may(id, "read", channel)) return;
    if (!this.#wanted.has(channel) && this.#wanted.size >= this.#edge.limits.channels) {
      const { channels } = this.#edge.limits;
      return this.#asker.fail(
        id,
        refuse("bad_request", `A connection has at most ${channels} channels`),
      );
    }
    if (watch && channel === ALL_DIRECT) {
      return this.#asker.fail(
        id,
        refuse("bad_request", `"subscribe.presence" is wrong: ${ALL_DIRECT} has none`),
      );
    }
    this.#wanted.add(channel);
    if (!watch) this.#connection.unwatch(channel);
    const finish = (roster?: Roster) =>
      this.#asker.done(id, () => this.#subscribed(id, body, roster));
    const { account } = this.#asker.who;
    const connection = this.#connection.id;
    const release = watch ? this.#queue.hold(channel) : undefined;
    const told = (answer: Answer) => {
      const roster = answer !== null && "roster" in answer ? answer.roster : undefined;
      // From the list on: what changes before the answer goes out is told behind it.
      if (roster !== undefined) this.#connection.watch(channel, roster.version);
      finish(roster);
      release?.();
    };
    if (channel !== ALL_DIRECT && account !== null) {
      this.#edge.bus.send(
        { op: "join", channel, account, connection, watch },
        watch ? told : undefined,
      );
    } else if (watch) {
      this.#edge.bus.send({ op: "roster", channel }, told);
    }
    if (!watch) finish();
  }

  // Made when it can be sent: what is live begins exactly where the answer's page ends. Until it is made nothing else is sent.
  *#subscribed(id: number, body: Body<"subscribe">, roster?: Roster): Making {
    const { channel, since, history } = body;
    const { hub, counters } = this.#edge;
    hub.catchUp();
    const feed = this.#feed(channel);
    const at = this.#connection.cursor.place(feed);
    if (since !== undefined) {
      const line = yield* this.#recovered(id, { channel, feed, at, since }, roster);
      if (line !== undefined) return line;
      counters.add("gaps_total");
    }
    const limit = history ?? (since === undefined ? 0 : PAGE_DEFAULT);
    const bytes = this.#connection.sizes.page;
    const { messages } = limit === 0
      ? { messages: [] }
      : yield* newestPage(hub.reader, feed, at, { limit, bytes });
    this.#begin(channel, feed, at);
    const told = { channel, epoch: hub.reader.epoch, seq: at };
    if (since === undefined) return answerPage(id, "subscribe", told, listOf(messages), roster);
    const oldest = hub.reader.oldest(feed);
    const gap = { ...told, recovered: false, ...(oldest === undefined ? {} : { oldest }) };
    return answerPage(id, "subscribe", gap, listOf(messages), roster);
  }

  // Nothing where recovery can't be had; retention may take it while it is read.
  *#recovered(
    id: number,
    { channel, feed, at, since }: Recovery,
    roster?: Roster,
  ): Generator<void, string | undefined> {
    const { hub } = this.#edge;
    const { reader } = hub;
    if (!recovers(this.#edge, feed, since, at)) return undefined;
    const upTo = Math.max(at, since.seq);
    const bytes = this.#connection.sizes.page;
    const { messages, more, list } = yield* hub.missed(feed, since.seq, upTo, bytes);
    if (since.seq < reader.trimmed(feed)) return undefined;
    this.#edge.counters.delivered(messages.length);
    const place = more ? messages.at(-1)?.seq ?? since.seq : upTo;
    this.#begin(channel, feed, place, upTo);
    const told = { channel, epoch: reader.epoch, seq: upTo, recovered: true };
    return answerPage(id, "subscribe", { ...told, ...(more ? { more } : {}) }, list, roster);
  }

  #begin(channel: string, feed: string, place: number, until = place): void {
    // It may have been left meanwhile.
    if (this.#wanted.has(channel)) this.#connection.cursor.subscribe(feed, place, until);
  }

  #unsubscribe(id: number, channel: string): void {
    if (this.#wanted.delete(channel)) {
      this.#connection.unwatch(channel);
      this.#leave(channel);
    }
    this.#asker.done(id, () => {
      // Also where a later command wants it again: that one begins anew.
      this.#connection.cursor.unsubscribe(this.#feed(channel));
      return answerLine(id, "unsubscribe", { channel });
    });
  }

  #history(id: number, { channel, before, after, limit = PAGE_DEFAULT }: Body<"history">): void {
    if (!this.#asker.may(id, "read", channel)) return;
    if (before !== undefined && after !== undefined) {
      return this.#asker.fail(
        id,
        refuse("bad_request", '"history" takes "before" or "after", not both'),
      );
    }
    const { meter } = this.#connection;
    this.#asker.done(id, () => {
      const wait = meter?.wait() ?? 0;
      if (wait === 0) return this.#page(id, { channel, before, after, limit });
      return this.#asker.refused(id, tooMuchRead(wait));
    });
  }

  *#page(
    id: number,
    { channel, before, after, limit }: Body<"history"> & { readonly limit: number },
  ): Making {
    const { hub } = this.#edge;
    hub.catchUp();
    const feed = this.#feed(channel);
    const size = { limit, bytes: this.#connection.sizes.page };
    const { messages, more } = after === undefined
      ? yield* newestPage(hub.reader, feed, Math.min(hub.seq, (before ?? hub.seq + 1) - 1), size)
      : yield* pageAfter(hub.reader, feed, { after, upTo: hub.seq }, size);
    yield;
    return answerPage(id, "history", { channel, more }, listOf(messages));
  }

  #presence(id: number, channel: string): void {
    if (!this.#asker.may(id, "read", channel)) return;
    const release = this.#queue.hold(channel);
    this.#edge.bus.send({ op: "roster", channel }, (answer) => {
      const roster = answer !== null && "roster" in answer ? answer.roster : undefined;
      if (roster === undefined) this.#asker.fail(id, UNANSWERED);
      else {
        if (this.#connection.watches(channel)) this.#connection.watch(channel, roster.version);
        this.#asker.done(id, () => answerRoster(id, roster));
      }
      release();
    });
  }

  #feed(channel: string): string {
    return channel === ALL_DIRECT ? directFeed(this.#asker.who.account ?? "") : channel;
  }

  #leave(channel: string): void {
    const { account } = this.#asker.who;
    if (account === null || channel === ALL_DIRECT) return;
    this.#edge.bus.send({ op: "leave", channel, account, connection: this.#connection.id });
  }
}
