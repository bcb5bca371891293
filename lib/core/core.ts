/** The core: one for each process. It alone orders, writes and knows who is here. */
import { setImmediate } from "node:timers";
import type { Answer, CoreEnd, Post, Sent } from "../bus.ts";
import type { Log } from "../log/log.ts";
import { type Refusal, refuse } from "../protocol/codes.ts";
import { parseChannel } from "../protocol/channel.ts";
import type { Message, Proposal } from "../protocol/message.ts";
import type { PresenceDelta } from "../protocol/presence.ts";
import { Presence } from "./presence.ts";
import type { Sequencer } from "./sequencer.ts";
import { log as logger } from "../logger.ts";

/** What a core is made of. */
export interface CoreParts {
  readonly bus: CoreEnd;
  readonly log: Log;
  readonly sequencer: Sequencer;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

// Enough for a second of the fastest disk; what comes on top is refused, so that the queue has an end.
const MAX_WAITING = 50_000;

interface Waiting {
  readonly proposal: Proposal;
  readonly answer: Sent["answer"];
}

/** Takes what edges send, commits it in batches, and tells every edge. */
export class Core {
  readonly #parts: CoreParts;
  readonly #presence = new Presence();
  #waiting: Waiting[] = [];
  #deltas: PresenceDelta[] = [];
  #signals: Post["signals"][number][] = [];
  // What needs no commit is answered after the post that carries what it changed.
  #asked: (() => void)[] = [];
  #turn: Promise<void> | undefined;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  /** @param parts What it works with; it listens at once. */
  constructor(parts: CoreParts) {
    this.#parts = parts;
    parts.bus.listen((sent) => this.#take(sent));
  }

  /** Waits until all that was taken is committed and told. */
  async settle(): Promise<void> {
    while (this.#turn !== undefined) await this.#turn;
  }

  /** Stops its timers; it takes nothing more in. */
  close(): void {
    clearTimeout(this.#expiry);
    this.#parts.bus.listen(({ answer }) => answer({ refusal: LEAVING }));
  }

  #take({ up, answer }: Sent): void {
    switch (up.op) {
      case "propose": {
        const refusal = this.#check(up.proposal);
        if (refusal !== undefined) this.#asked.push(() => answer({ refusal }));
        else if (this.#needed(up.proposal)) this.#waiting.push({ proposal: up.proposal, answer });
        else this.#asked.push(() => answer(null));
        break;
      }
      case "join": {
        const name = this.#parts.log.account(up.account)?.name ?? null;
        const delta = this.#presence.join(up.channel, up.account, name, up.connection);
        if (delta !== undefined) this.#deltas.push(delta);
        // The list is made when it is told: it has everything that was posted before.
        this.#asked.push(() =>
          answer(up.watch ? { roster: this.#presence.roster(up.channel) } : null)
        );
        break;
      }
      case "leave":
        this.#presence.leave(up.channel, up.account, up.connection, this.#parts.now());
        this.#watchExpiry();
        this.#asked.push(() => answer(null));
        break;
      case "roster":
        this.#asked.push(() => answer({ roster: this.#presence.roster(up.channel) }));
        break;
      case "signal":
        this.#signals.push({ signal: up.signal, connection: up.connection });
        this.#asked.push(() => answer(null));
    }
    this.#schedule();
  }

  #check(proposal: Proposal): Refusal | undefined {
    if (this.#waiting.length >= MAX_WAITING) {
      return {
        ...refuse("unavailable", "Too much is waiting to be written, try again"),
        retry: 1000,
      };
    }
    if (proposal.kind !== "message") return undefined;
    const parties = parseChannel(proposal.channel)?.parties ?? [];
    const stranger = parties.find((party) =>
      party !== proposal.from && this.#parts.log.account(party) === undefined
    );
    return stranger === undefined
      ? undefined
      : refuse("not_found", `There is no account "${stranger}"`);
  }

  // An account that exists isn't made again, and a place that says nothing new isn't written.
  #needed(proposal: Proposal): boolean {
    if (proposal.kind === "account") return this.#parts.log.account(proposal.account) === undefined;
    if (proposal.kind !== "seen") return true;
    const known = this.#parts.log.account(proposal.account);
    return known !== undefined && known.seen < proposal.upTo;
  }

  // Batches form by themselves: what came while the last one was being written is the next one.
  #schedule(): void {
    this.#turn ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#commit());
  }

  async #commit(): Promise<void> {
    const batch = this.#waiting;
    const [deltas, signals, asked] = [this.#deltas, this.#signals, this.#asked];
    this.#waiting = [];
    [this.#deltas, this.#signals, this.#asked] = [[], [], []];
    let messages: readonly Message[] = [];
    let answers: Answer[] = [];
    try {
      if (batch.length > 0) {
        const applied = await this.#parts.sequencer.sequence(batch.map(({ proposal }) => proposal));
        messages = applied.messages;
        answers = applied.outcomes.map((outcome) => ({ outcome }));
        for (const { proposal } of batch) {
          if (proposal.kind === "rename") {
            deltas.push(...this.#presence.rename(proposal.account, proposal.name));
          }
        }
      }
    } catch (error) {
      logger.error("log.refused", { error: String(error), batch: batch.length });
      const refusal = refuse("unavailable", "The log can't be written now, try again");
      answers = batch.map(() => ({ refusal }));
    }
    this.#parts.bus.post({ seq: this.#parts.log.seq, messages, presence: deltas, signals });
    for (const told of asked) told();
    batch.forEach(({ answer }, i) => answer(answers[i] ?? null));
    this.#turn = undefined;
    if (this.#waiting.length > 0 || this.#asked.length > 0) this.#schedule();
  }

  #watchExpiry(): void {
    const next = this.#presence.nextExpiry();
    if (next === undefined || this.#expiry !== undefined) return;
    const wait = Math.max(1, next - this.#parts.now());
    this.#expiry = setTimeout(() => {
      this.#expiry = undefined;
      const deltas = this.#presence.expire(this.#parts.now());
      this.#deltas.push(...deltas);
      if (deltas.length > 0) this.#schedule();
      this.#watchExpiry();
    }, wait);
  }
}

const LEAVING = refuse("unavailable", "The server is about to end");
