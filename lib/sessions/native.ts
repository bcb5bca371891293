/** The session of a native client: who speaks, at which rate, and what of it goes up to the core. */
import { TOKEN_ENDED, type Who } from "../auth/access.ts";
import { Bucket, BURST_FACTOR } from "../config/limits.ts";
import { log } from "../observability/logger.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { BadCommand, Body, Command, Verb } from "../protocol/command.ts";
import type { Making } from "../delivery/answers.ts";
import { ask, showToken } from "../bus/requests.ts";
import { accountRecord, nameRefusal, recordSession, rename } from "../channels/accounts.ts";
import { contentOf, publish } from "../channels/publish.ts";
import { CommandRates } from "./command_rates.ts";
import type { Connection } from "../delivery/connection.ts";
import { InboundFrames } from "./inbound_frames.ts";
import { answerLine, errorLine, signalId } from "../codecs/native.ts";
import { SMALL_BODY } from "../web/responses.ts";
import { type EdgeContext, greeting, type Session } from "./edge_context.ts";
import { type Asker, ChannelCommands } from "./channel_commands.ts";

// A signal counts as one for each 4 KiB begun, in characters: a burst of the largest costs each reader no more than one of small ones.
const SIGNAL_UNIT = 4096;

// What can't be done without an account.
const WRITES: ReadonlySet<Verb> = new Set<Verb>(["publish", "signal", "rename"]);

/** The session of a native client. */
export class NativeSession implements Session, Asker {
  readonly #connection: Connection;
  readonly #edge: EdgeContext;
  #who: Who;
  #recorded = false;
  #commands = 0;
  #pending = 0;
  readonly #commandsLeft: Bucket;
  readonly #rates: CommandRates;
  // What came and isn't done, since it is being found out who speaks or others have their turn.
  readonly #frames: InboundFrames;
  #greeting = false;
  readonly #channels: ChannelCommands;

  /**
   * @param connection The client's.
   * @param who Who it was at the handshake.
   * @param edge The context of the edge.
   */
  constructor(connection: Connection, who: Who, edge: EdgeContext) {
    this.#connection = connection;
    this.#who = who;
    this.#edge = edge;
    const { commands: rate } = edge.limits;
    this.#commandsLeft = new Bucket({ rate, burst: BURST_FACTOR * rate }, edge.hub.now());
    this.#channels = new ChannelCommands(connection, edge, this);
    this.#rates = new CommandRates(connection, edge);
    this.#frames = new InboundFrames({
      ...{ connection, slices: edge.hub.slices, now: edge.hub.now, most: edge.limits.frame },
      ready: () => !this.#greeting,
      take: (command) => this.#takeUp(command),
    });
    connection.onEnd = () => this.#end();
    connection.owes = () => this.#pending > 0;
  }

  /** Who speaks now: a greeting or another token may change it. */
  get who(): Who {
    return this.#who;
  }

  /** @param frame Commands, one a line. */
  receive(frame: string): void {
    if (this.#greeting && this.#frames.held > this.#edge.limits.frame) {
      return this.#rates.ban("Too much came before the greeting");
    }
    const refused = frame.length > SMALL_BODY ? this.#refuseUnparsed(frame) : undefined;
    if (refused !== undefined) this.#takeUp(refused);
    else this.#frames.add(frame);
  }

  // Refuses a large signal over the rate by its first characters: parsing 64 KiB would cost more than sending them.
  #refuseUnparsed(frame: string): BadCommand | undefined {
    if (this.#commands === 0 || this.#greeting || this.#connection.closing) return undefined;
    const refusal = this.#rates.over("signals", this.#who.account);
    if (refusal === undefined) return undefined;
    const id = signalId(frame);
    return id === undefined ? undefined : { id, refusal };
  }

  #takeUp(command: Command | BadCommand): void {
    this.#pending += 1;
    if (this.#pending > 2 * this.#edge.limits.pending) {
      // This one isn't answered.
      this.#pending -= 1;
      return this.#rates.ban("Too many commands are unanswered");
    }
    if ("refusal" in command) return this.fail(command.id, command.refusal);
    this.#commands += 1;
    if (command.verb !== "hello" && command.verb !== "refresh") {
      if (this.#edge.access.ended(this.#who)) return this.#refuseEnded(command.id, TOKEN_ENDED);
    }
    // Publications have a rate of their own, which the core knows.
    const now = this.#edge.hub.now();
    if (command.verb !== "publish" && !this.#commandsLeft.take(now)) {
      const retry = Math.ceil(this.#commandsLeft.wait(1, now));
      return this.fail(command.id, { ...refuse("rate_limited", "Too many commands"), retry });
    }
    if (command.verb === "hello") this.#run(command);
    else this.#record(command.id, command.verb, () => this.#run(command));
  }

  #refuseEnded(id: number, refusal: Refusal): void {
    this.fail(id, refusal);
    const shown = refusal === TOKEN_ENDED ? "token" : "session";
    this.#connection.answer(() => {
      this.#edge.expiry.end(this.#connection, shown);
      return undefined;
    });
  }

  #run(command: Command): void {
    const { id } = command;
    switch (command.verb) {
      case "hello":
        return this.#hello(id, command.body);
      case "subscribe":
      case "unsubscribe":
      case "history":
      case "presence":
        return this.#channels.take(command);
      case "publish":
        return this.#publish(id, command.body);
      case "signal":
        return this.#signal(id, command.body);
      case "refresh":
        return this.#refresh(id, command.body.token);
      case "rename":
        return this.#rename(id, command.body.name, (renamed) => answerLine(id, "rename", renamed));
      case "ping":
        return this.done(id, () => answerLine(id, "ping", { time: this.#edge.clock() }));
    }
  }

  #hello(id: number, { token, name }: Body<"hello">): void {
    if (this.#commands > 1) {
      return this.fail(id, refuse("bad_request", '"hello" comes first and once'));
    }
    if (token === undefined) return this.#greet(id, this.#who, name);
    const { access, bus } = this.#edge;
    const { address, origin } = this.#connection;
    this.#hold(showToken(access, bus, token, address), (result) => {
      if ("refusal" in result) return this.fail(id, result.refusal);
      const { account } = result.who;
      if (account === null) return this.#greet(id, result.who, name);
      // It counts among that account's connections from now on.
      this.#hold(ask(bus, { op: "identify", origin, account }), (refusal) => {
        if (refusal !== undefined) this.fail(id, refusal);
        else this.#greet(id, result.who, name);
      });
    });
  }

  // What follows waits: it is said by whoever that turns out to be.
  #hold<T>(asked: Promise<T>, told: (result: T) => void): void {
    this.#greeting = true;
    void asked.then((result) => {
      this.#greeting = false;
      // Who went meanwhile is nobody: what was held for it now nothing would give up.
      if (!this.#connection.open || this.#connection.closing) return this.skip();
      told(result);
      this.#frames.proceed();
    }).catch((error) => this.#connection.fail(error));
  }

  #refresh(id: number, token: string): void {
    const { access, bus } = this.#edge;
    this.#hold(showToken(access, bus, token, this.#connection.address), (result) => {
      if ("refusal" in result) return this.fail(id, result.refusal);
      const { who } = result;
      if (who.account !== this.#who.account || who.admin !== this.#who.admin) {
        return this.fail(id, refuse("forbidden", "A token is renewed by one of the same account"));
      }
      const lost = [...this.#channels.wanted].find((channel) => !access.may(who, "read", channel));
      if (lost !== undefined) {
        const sentence = `The new token doesn't let you read ${lost}: unsubscribe first`;
        return this.fail(id, refuse("forbidden", sentence));
      }
      this.#become(who);
      const { account, grant } = who;
      const ends = grant?.ends === undefined ? {} : { ends: grant.ends };
      this.done(id, () => answerLine(id, "refresh", { account, ...ends }));
    });
  }

  #become(who: Who): void {
    this.#who = who;
    this.#edge.expiry.hold(this.#connection, who);
    this.#connection.meter = this.#edge.hub.rates.of(this.#connection.address, who.account);
  }

  #greet(id: number, who: Who, name: string | null | undefined): void {
    const refusal = name === undefined ? undefined : nameRefusal(this.#edge, who, name);
    if (refusal !== undefined) return this.fail(id, refusal);
    this.#become(who);
    // Whoever was greeted exists, so that others may write to it.
    this.#record(id, "hello", () => {
      const { account } = this.#who;
      // Whoever is muted comes in to read, by the name that it has.
      const muted = this.#edge.access.muted(this.#who) !== undefined;
      if (name !== undefined && account !== null && !muted) {
        return this.#rename(id, name, () => this.#welcome(id, name));
      }
      this.done(id, () => {
        const known = account === null ? undefined : this.#edge.hub.reader.account(account);
        return this.#welcome(id, known?.name ?? null);
      });
    });
  }

  #welcome(id: number, name: string | null): string {
    const { account } = this.#who;
    return answerLine(id, "hello", greeting(this.#edge, account, name, this.#connection.id));
  }

  #publish(id: number, body: Body<"publish">): void {
    publish(this.#edge, this.#who, this.#connection.origin, body, (result) => {
      if ("refusal" in result) return this.fail(id, result.refusal);
      const { channel } = body;
      this.done(id, () => answerLine(id, "publish", { channel, ...result.outcome }));
    });
  }

  #signal(id: number, { channel, data }: Body<"signal">): void {
    const { account } = this.#who;
    const over = this.#rates.over("signals", account);
    if (over !== undefined) return this.fail(id, over);
    if (!this.may(id, "publish", channel)) return;
    const json = contentOf(this.#edge.limits, { channel, data });
    if (typeof json !== "string") return this.fail(id, json);
    const large = this.#rates.take("signals", account, Math.ceil(json.length / SIGNAL_UNIT));
    if (large !== undefined) return this.fail(id, large);
    const signal = { channel, from: account, data: json };
    this.#edge.bus.send({ op: "signal", signal, connection: this.#connection.id }, (answer) => {
      if (answer !== null && "refusal" in answer) this.fail(id, answer.refusal);
      else this.done(id, () => answerLine(id, "signal", { channel }));
    });
  }

  #rename(
    id: number,
    name: string | null,
    line: (renamed: { account: string | null; name: string | null }) => string,
  ): void {
    const { account } = this.#who;
    rename(this.#edge, this.#who, this.#connection.origin, name, (result) => {
      if ("refusal" in result) this.fail(id, result.refusal);
      else this.done(id, () => line({ account, name }));
    });
  }

  /**
   * Tells whether this client may do something, and refuses it otherwise.
   *
   * @param id The command's.
   * @param action What.
   * @param channel Where.
   * @returns Whether it may.
   */
  may(id: number, action: "read" | "publish", channel: string): boolean {
    const refusal = this.#edge.access.refusal(this.#who, action, channel);
    if (refusal !== undefined) this.fail(id, refusal);
    return refusal === undefined;
  }

  /**
   * Answers a command.
   *
   * @param id The command's.
   * @param line Makes the answer when it can be sent.
   */
  done(id: number, line: () => string | Making): void {
    this.#rates.done();
    this.#connection.answer(() => {
      this.#pending -= 1;
      try {
        const made = line();
        return typeof made === "string" ? made : this.#whole(id, made);
      } catch (error) {
        return this.#unreadable(id, error);
      }
    });
  }

  *#whole(id: number, making: Making): Making {
    try {
      return yield* making;
    } catch (error) {
      return this.#unreadable(id, error);
    }
  }

  #unreadable(id: number, error: unknown): string {
    log.error("log.unreadable", { connection: this.#connection.id, error: String(error) });
    return errorLine(id, refuse("internal", "The log can't be read"));
  }

  /** Answers nothing to a command that wasn't begun: the connection is being closed. */
  skip(): void {
    this.#connection.answer(() => {
      this.#pending -= 1;
      return undefined;
    });
  }

  /**
   * Refuses a command.
   *
   * @param id The command's; undefined where it couldn't be read.
   * @param refusal Why.
   */
  fail(id: number | undefined, refusal: Refusal): void {
    const told = this.#rates.count(refusal, this.#who.account);
    this.#connection.answer(() => {
      this.#pending -= 1;
      return errorLine(id, told);
    });
    this.#rates.punish(told);
  }

  /**
   * Refuses a command whose answer is being made.
   *
   * @param id The command's.
   * @param refusal Why.
   * @returns The line.
   */
  refused(id: number, refusal: Refusal): string {
    const told = this.#rates.count(refusal, this.#who.account);
    this.#rates.punish(told);
    return errorLine(id, told);
  }

  // An account exists from its first command on, not from the handshake. A browser's session is given its account then: what
  // follows waits for it.
  #record(id: number, verb: Verb, then: () => void): void {
    const { account, session } = this.#who;
    const { origin } = this.#connection;
    if (account === null && session !== undefined) {
      return this.#hold(recordSession(this.#edge, { hash: session, origin }), (found) => {
        if (typeof found === "string") this.#become({ ...this.#who, account: found });
        else if (found.code === "unauthorized") return this.#refuseEnded(id, found);
        // On a full disk whoever only reads goes on without an account; the next command tries again.
        else if (WRITES.has(verb)) return this.fail(id, found);
        then();
      });
    }
    if (this.#recorded || account === null || session !== undefined) return then();
    this.#recorded = true;
    const proposal = accountRecord(this.#edge, account, this.#who);
    this.#edge.bus.send({ op: "propose", proposal, origin }, (answer) => {
      if (answer !== null && "refusal" in answer) this.#recorded = false;
      if (verb === "hello") then();
    });
    if (verb !== "hello") then();
  }

  #end(): void {
    this.#channels.end();
    this.#frames.clear();
  }
}
