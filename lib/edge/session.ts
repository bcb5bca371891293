/** What a client of each protocol does on its connection: native commands, and the first demo's two sockets. */
import { Buffer } from "node:buffer";
import type { Access, Who } from "../access.ts";
import type { Answer, EdgeEnd } from "../bus.ts";
import type { Counters } from "../counters.ts";
import { Bucket, BURST_FACTOR, type Limits, toldLimits } from "../limits.ts";
import { log } from "../logger.ts";
import { ALL_DIRECT, directFeed } from "../protocol/channel.ts";
import { CLOSE, type Refusal, refuse } from "../protocol/codes.ts";
import { type BadCommand, type Body, type Command, PAGE_DEFAULT } from "../protocol/command.ts";
import type { Proposal } from "../protocol/message.ts";
import type { Roster } from "../protocol/presence.ts";
import { propose, showToken, UNANSWERED } from "./ask.ts";
import type { Connection } from "./connection.ts";
import { Flood } from "./flood.ts";
import type { Grants } from "./grants.ts";
import type { Hub } from "./hub.ts";
import { answerLine, answerPage, answerRoster, decode, errorLine, listOf } from "./native.ts";
import { Turns } from "./turns.ts";

/** What the sessions of an edge share. */
export interface EdgeParts {
  readonly hub: Hub;
  readonly bus: EdgeEnd;
  readonly access: Access;
  readonly grants: Grants;
  readonly limits: Limits;
  readonly counters: Counters;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Milliseconds between two pings. */
  readonly ping: number;
}

/** What handles the frames of one connection. */
export interface Session {
  /**
   * @param frame A text frame.
   */
  receive(frame: string): void;
}

// What is asked about one channel, and answered in its order.
type Question = Extract<Command, { verb: "subscribe" | "unsubscribe" | "history" | "presence" }>;

/** How many `bad_request`s in a row close a connection. */
const BAD_IN_A_ROW = 100;

/**
 * A number in bytes.
 *
 * @param text A text.
 * @returns Its length in UTF-8.
 */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/**
 * Finds the name that a token gives its account.
 *
 * @param edge The edge's parts.
 * @param who Whoever showed it.
 * @returns The name; undefined where there is none, or it is longer than names may be here.
 */
export function nameIn({ limits }: EdgeParts, { grant }: Who): string | undefined {
  const name = grant?.name;
  return name === undefined || [...name].length > limits.name ? undefined : name;
}

/**
 * Makes the record that brings an account into being, with the name that its token says.
 *
 * @param edge The edge's parts.
 * @param account The account.
 * @param name What the token says, if it says one.
 * @returns The proposal; nothing is written where it says nothing new.
 */
export function meeting({ hub }: EdgeParts, account: string, name?: string): Proposal {
  if (name === undefined || hub.reader.account(account)?.name === name) {
    return { kind: "account", account };
  }
  return { kind: "rename", account, name };
}

/** The session of a native client. */
export class NativeSession implements Session {
  readonly #connection: Connection;
  readonly #edge: EdgeParts;
  #who: Who;
  #recorded = false;
  #commands = 0;
  #pending = 0;
  #bad = 0;
  #directFrom = 0;
  readonly #commandsLeft: Bucket;
  // Made at the first refusal, as most connections see none.
  #flood: Flood | undefined;
  // Refusals are told once for each code: a flood of them shall not fill a disk.
  #logged: Set<string> | undefined;
  // What came and isn't done, since it is being found out who speaks.
  #frames: { readonly commands: Iterator<Command | BadCommand>; readonly size: number }[] = [];
  #greeting = false;
  // What the client wants to be subscribed to.
  readonly #wanted = new Set<string>();
  readonly #turns = new Turns();

  /**
   * @param connection The client's.
   * @param who Who it was at the handshake.
   * @param edge The edge's parts.
   */
  constructor(connection: Connection, who: Who, edge: EdgeParts) {
    this.#connection = connection;
    this.#who = who;
    this.#edge = edge;
    const { commands: rate } = edge.limits;
    this.#commandsLeft = new Bucket({ rate, burst: BURST_FACTOR * rate }, edge.hub.now());
    connection.onEnd = () => this.#end();
    connection.owes = () => this.#pending > 0;
  }

  /** @param frame Commands, one a line. */
  receive(frame: string): void {
    const held = this.#frames.reduce((sum, { size }) => sum + size, 0);
    if (held > this.#edge.limits.frame) return this.#ban("Too much came before the greeting");
    this.#frames.push({ commands: decode(frame), size: frame.length + 1 });
    this.#proceed();
  }

  #proceed(): void {
    while (!this.#greeting && this.#connection.open) {
      const [frame] = this.#frames;
      if (frame === undefined) return;
      const { done, value } = frame.commands.next();
      if (!done) this.#takeUp(value);
      else if (this.#frames.length === 1) this.#frames = [];
      else this.#frames.shift();
    }
  }

  #takeUp(command: Command | BadCommand): void {
    this.#pending += 1;
    if (this.#pending > 2 * this.#edge.limits.pending) {
      return this.#ban("Too many commands are unanswered");
    }
    if ("refusal" in command) return this.#fail(command.id, command.refusal);
    this.#commands += 1;
    if (command.verb !== "hello" && command.verb !== "refresh") {
      if (this.#edge.access.ended(this.#who)) return this.#refuseEnded(command.id);
    }
    // Publications have a rate of their own, which the core knows.
    const now = this.#edge.hub.now();
    if (command.verb !== "publish" && !this.#commandsLeft.take(now)) {
      const retry = Math.ceil(this.#commandsLeft.wait(1, now));
      return this.#fail(command.id, { ...refuse("rate_limited", "Too many commands"), retry });
    }
    if (command.verb !== "hello") this.#record();
    this.#run(command);
  }

  #refuseEnded(id: number): void {
    this.#fail(id, refuse("unauthorized", "The token ended, come back with another"));
    this.#connection.answer(() => {
      this.#edge.grants.end(this.#connection);
      return undefined;
    });
  }

  #ban(reason: string): void {
    this.#edge.counters.add("banned_total");
    log.info("connection.banned", { ...this.#connection.origin, reason });
    this.#connection.close(CLOSE.policy, reason);
  }

  #run(command: Command): void {
    switch (command.verb) {
      case "hello":
        return this.#hello(command.id, command.body);
      case "subscribe":
      case "unsubscribe":
      case "history":
      case "presence":
        return this.#turns.take(command.body.channel, () => this.#ask(command));
      case "publish":
        return this.#publish(command.id, command.body);
      case "signal":
        return this.#signal(command.id, command.body);
      case "refresh":
        return this.#refresh(command.id, command.body.token);
      case "rename":
        return this.#rename(command.id, command.body.name);
      case "ping":
        return this.#done(
          command.id,
          () => answerLine(command.id, "ping", { time: this.#edge.clock() }),
        );
    }
  }

  #ask(command: Question): void {
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

  #hello(id: number, { token, name }: Body<"hello">): void {
    if (this.#commands > 1) {
      return this.#fail(id, refuse("bad_request", '"hello" comes first and once'));
    }
    if (token === undefined) return this.#greet(id, this.#who, name);
    this.#show(token, (result) => {
      if ("refusal" in result) this.#fail(id, result.refusal);
      else this.#greet(id, result.who, name);
    });
  }

  // What follows waits: it is said by whoever that turns out to be.
  #show(token: string, told: (result: Awaited<ReturnType<typeof showToken>>) => void): void {
    this.#greeting = true;
    const { access, bus } = this.#edge;
    void showToken(access, bus, token, this.#connection.address).then((result) => {
      this.#greeting = false;
      // Who went meanwhile is nobody: what was held for it now nothing would give up.
      if (!this.#connection.open) return;
      told(result);
      this.#proceed();
    });
  }

  #refresh(id: number, token: string): void {
    this.#show(token, (result) => {
      if ("refusal" in result) return this.#fail(id, result.refusal);
      const { who } = result;
      if (who.account !== this.#who.account || who.admin !== this.#who.admin) {
        return this.#fail(id, refuse("forbidden", "A token is renewed by one of the same account"));
      }
      const lost = [...this.#wanted].find((channel) =>
        !this.#edge.access.may(who, "read", channel)
      );
      if (lost !== undefined) {
        const sentence = `The new token doesn't let you read ${lost}: unsubscribe first`;
        return this.#fail(id, refuse("forbidden", sentence));
      }
      this.#become(who);
      const { account, grant } = who;
      const ends = grant?.ends === undefined ? {} : { ends: grant.ends };
      this.#done(id, () => answerLine(id, "refresh", { account, ...ends }));
    });
  }

  #become(who: Who): void {
    this.#who = who;
    this.#edge.grants.hold(this.#connection, who);
  }

  #greet(id: number, who: Who, name: string | null | undefined): void {
    if (name !== undefined && who.account === null) {
      return this.#fail(id, refuse("forbidden", "The admin has no name"));
    }
    if (name !== undefined && !this.#fits(id, name)) return;
    this.#become(who);
    const { account } = who;
    // Whoever is muted comes in to read, by the name that it has.
    const muted = this.#edge.access.muted(who) !== undefined;
    if (name === undefined || account === null || muted) {
      // Whoever was greeted exists, so that others may write to it.
      return this.#record(() =>
        this.#done(id, () => {
          const known = account === null ? undefined : this.#edge.hub.reader.account(account);
          return this.#welcome(id, known?.name ?? null);
        })
      );
    }
    this.#record();
    this.#propose(id, { kind: "rename", account, name }, () => this.#welcome(id, name));
  }

  #welcome(id: number, name: string | null): string {
    const { hub, limits, ping, clock } = this.#edge;
    return answerLine(id, "hello", {
      account: this.#who.account,
      ...(name === null ? {} : { name }),
      connection: this.#connection.id,
      epoch: hub.reader.epoch,
      seq: hub.seq,
      time: clock(),
      ping,
      limits: toldLimits(limits),
    });
  }

  #subscribe(id: number, body: Body<"subscribe">): void {
    const { channel, presence: watch = false } = body;
    if (!this.#may(id, "read", channel)) return;
    if (!this.#wanted.has(channel) && this.#wanted.size >= this.#edge.limits.channels) {
      const { channels } = this.#edge.limits;
      return this.#fail(id, refuse("bad_request", `A connection has at most ${channels} channels`));
    }
    if (watch && channel === ALL_DIRECT) {
      return this.#fail(
        id,
        refuse("bad_request", `"subscribe.presence" is wrong: ${ALL_DIRECT} has none`),
      );
    }
    this.#wanted.add(channel);
    if (!watch) this.#connection.unwatch(channel);
    const finish = (roster?: Roster) => this.#done(id, () => this.#subscribed(id, body, roster));
    const { account } = this.#who;
    const connection = this.#connection.id;
    const release = watch ? this.#turns.hold(channel) : undefined;
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

  // Made when it can be sent: what is live begins exactly where the answer's page ends.
  #subscribed(id: number, body: Body<"subscribe">, roster?: Roster): string {
    const { channel, since, history } = body;
    const { hub, limits } = this.#edge;
    hub.catchUp();
    const feed = this.#feed(channel);
    let at = this.#connection.reading.place(feed);
    const told = { channel, epoch: hub.reader.epoch };
    const stands = this.#wanted.has(channel);
    const recovers = since !== undefined && since.epoch === hub.reader.epoch &&
      since.seq <= hub.seq && since.seq >= hub.reader.trimmed(feed) &&
      hub.reader.count(feed, since.seq, at, limits.recovery + 1) <= limits.recovery;
    if (since !== undefined && recovers) {
      at = Math.max(at, since.seq);
      const { messages, more, list } = hub.missed(
        feed,
        since.seq,
        at,
        this.#connection.portion.page,
      );
      this.#edge.counters.delivered(messages.length);
      const place = more ? messages.at(-1)?.seq ?? since.seq : at;
      if (stands) this.#begin(feed, { from: since.seq, place, until: at });
      const answer = { ...told, seq: at, recovered: true, ...(more ? { more } : {}) };
      return answerPage(id, "subscribe", answer, list, roster);
    }
    if (since !== undefined) this.#edge.counters.add("gaps_total");
    const size = history ?? (since === undefined ? 0 : PAGE_DEFAULT);
    const { messages, more } = size === 0
      ? { messages: [], more: true }
      : hub.reader.newest(feed, at, size, this.#connection.portion.page);
    const from = more ? (messages[0]?.seq ?? at + 1) - 1 : 0;
    if (stands) this.#begin(feed, { from, place: at, until: at });
    if (since === undefined) {
      return answerPage(id, "subscribe", { ...told, seq: at }, listOf(messages), roster);
    }
    const oldest = hub.reader.oldest(feed);
    const gap = { ...told, seq: at, recovered: false, ...(oldest === undefined ? {} : { oldest }) };
    return answerPage(id, "subscribe", gap, listOf(messages), roster);
  }

  // From which seq on the client has everything, when it reads all its direct messages: `/chat/` needn't bring those.
  #begin(
    feed: string,
    { from, place, until }: { from: number; place: number; until: number },
  ): void {
    this.#connection.reading.subscribe(feed, place, until);
    if (feed !== directFeed(this.#who.account ?? "") || this.#connection.taken !== undefined) {
      return;
    }
    this.#directFrom = from;
    this.#connection.reading.track(feed, () => false);
  }

  #unsubscribe(id: number, channel: string): void {
    if (this.#wanted.delete(channel)) {
      this.#connection.unwatch(channel);
      this.#leave(channel);
    }
    this.#done(id, () => {
      // Also where a later command wants it again: that one begins anew.
      this.#connection.reading.unsubscribe(this.#feed(channel));
      return answerLine(id, "unsubscribe", { channel });
    });
  }

  #publish(id: number, { channel, data, key }: Body<"publish">): void {
    if (!this.#may(id, "publish", channel)) return;
    const json = this.#fit(id, data);
    if (json === undefined) return;
    const proposal = {
      kind: "message" as const,
      channel,
      from: this.#who.account,
      ...(key === undefined ? {} : { key }),
      data: json,
    };
    this.#propose(id, proposal, (outcome) => answerLine(id, "publish", { channel, ...outcome }));
  }

  #history(id: number, { channel, before, after, limit = PAGE_DEFAULT }: Body<"history">): void {
    if (!this.#may(id, "read", channel)) return;
    if (before !== undefined && after !== undefined) {
      return this.#fail(id, refuse("bad_request", '"history" takes "before" or "after", not both'));
    }
    this.#done(id, () => {
      this.#edge.hub.catchUp();
      const { reader, seq } = this.#edge.hub;
      const { page } = this.#connection.portion;
      const feed = this.#feed(channel);
      const { messages, more } = after === undefined
        ? reader.newest(feed, Math.min(seq, (before ?? seq + 1) - 1), limit, page)
        : reader.after(feed, after, seq, limit, page);
      return answerPage(id, "history", { channel, more }, listOf(messages));
    });
  }

  #presence(id: number, channel: string): void {
    if (!this.#may(id, "read", channel)) return;
    const release = this.#turns.hold(channel);
    this.#edge.bus.send({ op: "roster", channel }, (answer) => {
      const roster = answer !== null && "roster" in answer ? answer.roster : undefined;
      if (roster === undefined) this.#fail(id, UNANSWERED);
      else {
        if (this.#connection.watches(channel)) this.#connection.watch(channel, roster.version);
        this.#done(id, () => answerRoster(id, roster));
      }
      release();
    });
  }

  #signal(id: number, { channel, data }: Body<"signal">): void {
    if (!this.#may(id, "publish", channel)) return;
    const json = this.#fit(id, data);
    if (json === undefined) return;
    const signal = { channel, from: this.#who.account, data: json };
    this.#edge.bus.send({ op: "signal", signal, connection: this.#connection.id }, (answer) => {
      if (answer !== null && "refusal" in answer) this.#fail(id, answer.refusal);
      else this.#done(id, () => answerLine(id, "signal", { channel }));
    });
  }

  #rename(id: number, name: string | null): void {
    const { account } = this.#who;
    if (account === null) return this.#fail(id, refuse("forbidden", "The admin has no name"));
    if (!this.#fits(id, name)) return;
    // A name is said to everyone.
    const muted = this.#edge.access.muted(this.#who);
    if (muted !== undefined) return this.#fail(id, muted);
    this.#propose(
      id,
      { kind: "rename", account, name },
      () => answerLine(id, "rename", { account, name }),
    );
  }

  #propose(
    id: number,
    proposal: Proposal,
    line: (outcome: { seq: number; time: number }) => string,
  ): void {
    propose(this.#edge.bus, proposal, this.#connection.origin, (result) => {
      if ("refusal" in result) this.#fail(id, result.refusal);
      else this.#done(id, () => line(result.outcome));
    });
  }

  #fits(id: number, name: string | null): boolean {
    const { name: most } = this.#edge.limits;
    if (name === null || [...name].length <= most) return true;
    this.#fail(id, refuse("bad_request", `A name has at most ${most} characters`));
    return false;
  }

  #fit(id: number, data: unknown): string | undefined {
    const json = JSON.stringify(data);
    const { message } = this.#edge.limits;
    if (byteLength(json) <= message) return json;
    this.#fail(id, refuse("too_large", `"data" has at most ${message} bytes as JSON`));
    return undefined;
  }

  #may(id: number, action: "read" | "publish", channel: string): boolean {
    const refusal = this.#edge.access.refusal(this.#who, action, channel);
    if (refusal !== undefined) this.#fail(id, refusal);
    return refusal === undefined;
  }

  #done(id: number, line: () => string): void {
    this.#bad = 0;
    this.#connection.answer(() => {
      this.#pending -= 1;
      try {
        return line();
      } catch (error) {
        log.error("log.unreadable", { connection: this.#connection.id, error: String(error) });
        return errorLine(id, refuse("internal", "The log can't be read"));
      }
    });
  }

  #fail(id: number | undefined, refusal: Refusal): void {
    this.#connection.answer(() => {
      this.#pending -= 1;
      return errorLine(id, refusal);
    });
    this.#bad = refusal.code === "bad_request" ? this.#bad + 1 : this.#bad;
    this.#edge.counters.refused("command", refusal.code);
    this.#logged ??= new Set();
    if (!this.#logged.has(refusal.code)) {
      this.#logged.add(refusal.code);
      log.info("command.refused", { ...this.#connection.origin, code: refusal.code });
    }
    if (this.#bad >= BAD_IN_A_ROW) this.#ban("Too many bad requests in a row");
    if (refusal.code !== "rate_limited") return;
    this.#flood ??= new Flood(this.#edge.limits.rate);
    if (this.#flood.add(this.#edge.hub.now())) this.#ban("Too much came in spite of all refusals");
  }

  // An account exists from its first command on, not from the handshake.
  #record(then?: () => void): void {
    if (this.#recorded || this.#who.account === null) return then?.();
    this.#recorded = true;
    const { account } = this.#who;
    const { origin } = this.#connection;
    const proposal = meeting(this.#edge, account, nameIn(this.#edge, this.#who));
    this.#edge.bus.send({ op: "propose", proposal, origin }, (answer) => {
      // A full disk refuses it; the next command tries again.
      if (answer !== null && "refusal" in answer) this.#recorded = false;
      then?.();
    });
  }

  #feed(channel: string): string {
    return channel === ALL_DIRECT ? directFeed(this.#who.account ?? "") : channel;
  }

  #leave(channel: string): void {
    const { account } = this.#who;
    if (account === null || channel === ALL_DIRECT) return;
    this.#edge.bus.send({ op: "leave", channel, account, connection: this.#connection.id });
  }

  #end(): void {
    const { account } = this.#who;
    const { taken } = this.#connection;
    if (account !== null && taken !== undefined) {
      const proposal = { kind: "seen" as const, account, from: this.#directFrom, upTo: taken };
      this.#edge.bus.send({ op: "propose", proposal });
    }
    for (const channel of this.#wanted) this.#leave(channel);
    this.#wanted.clear();
    this.#turns.end();
    this.#frames = [];
  }
}
