/** The core: one for each process. It alone orders, writes and knows who is here. */
import { setImmediate } from "node:timers";
import { Backlog, charsOf } from "../bus/write_backpressure.ts";
import type { Answer, CoreEnd, Post, Readers, Sent, Up } from "../bus/bus.ts";
import { Bucket, type Limits, type RetentionPolicy } from "../config/limits.ts";
import type { Log } from "../store/writer.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Message, Outcome, Proposal } from "../protocol/message.ts";
import type { PresenceDelta } from "../protocol/presence.ts";
import { Identity } from "./identity.ts";
import { Presence } from "./presence.ts";
import { Proposals } from "./admission.ts";
import { Quotas } from "./quotas.ts";
import type { Sequencer } from "../sequencer/sequencer.ts";
import { randomAccount } from "./sessions.ts";
import { Tending } from "./maintenance.ts";
import { log as logger } from "../observability/logger.ts";
import type { Withdrawal } from "../auth/tokens.ts";

/** What a core is made of. */
export interface CoreParts {
  readonly bus: CoreEnd;
  readonly log: Log;
  readonly sequencer: Sequencer;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** What bounds clients. */
  readonly limits: Limits;
  /** What the log keeps; for ever where it isn't given. */
  readonly retention?: RetentionPolicy;
  /** Milliseconds since 1970, for retention. */
  readonly clock?: () => number;
  /** Counts who reads what, in all edges; nobody where it isn't given. */
  readonly readers?: () => Promise<Readers>;
  /** Makes the names of new accounts: eight lower-case hex digits, random unless a test says otherwise. */
  readonly newAccount?: () => string;
  /** Tells every edge that others are muted now. */
  readonly moderated?: () => void;
  /** Withdraws tokens, wherever they are; it isn't done where it isn't given. */
  readonly withdraw?: (tokens: Withdrawal) => Refusal | undefined;
}

// Signals aren't kept: more than edges could send, in characters, isn't posted to them either.
const SIGNALS = { rate: 8 * 1_048_576, burst: 1_048_576 };

// A commit holds up everything behind it: about 25 ms of the slowest records.
const BATCH_RECORDS = 2000;
const BATCH_CHARS = 4 * 1_048_576;

// How long after a write that failed the next is tried, in milliseconds; longer while it goes on failing.
const HEAL_PAUSE = 1000;
const LONGEST_HEAL_PAUSE = 10_000;

interface Waiting {
  readonly proposal: Proposal;
  readonly answer: Sent["answer"];
  /** It goes into the transaction of the one before it. */
  readonly joined?: boolean;
}

type Publish = Extract<Up, { readonly op: "publish" }>;

/** Takes what edges send, commits it in batches, and tells every edge. */
export class Core {
  #parts: CoreParts;
  readonly #presence = new Presence();
  readonly #backlog = new Backlog();
  readonly #quotas: Quotas;
  readonly #proposals: Proposals;
  readonly #identity: Identity;
  #waiting: Waiting[] = [];
  // Deltas that only raise a version: an edge lost posts that are no longer kept, so its clients ask for the whole roster.
  #restated: PresenceDelta[] = [];
  #signals: Post["signals"][number][] = [];
  // What needs no commit is answered after the post that carries what it changed.
  #asked: (() => void)[] = [];
  readonly #signalsLeft: Bucket;
  // Whether the log takes records; while it doesn't they are refused at once, and everything else goes on.
  #writable = true;
  #closed = false;
  #healPause = HEAL_PAUSE;
  #turn: Promise<void> | undefined;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #healing: ReturnType<typeof setTimeout> | undefined;
  readonly #tending: Tending | undefined;

  /** @param parts What it works with; it listens at once. */
  constructor(parts: CoreParts) {
    this.#parts = parts;
    this.#quotas = new Quotas(parts.limits);
    this.#signalsLeft = new Bucket(SIGNALS, parts.now());
    this.#proposals = new Proposals(parts, this.#quotas);
    const { log, retention, clock = Date.now, now } = parts;
    this.#identity = new Identity({
      ...{ log, clock, now, quotas: this.#quotas, proposals: this.#proposals },
      random: parts.newAccount ?? randomAccount,
      crowded: () => this.#crowded(),
      writable: () => this.#writable,
      propose: (proposal, told) => {
        this.#wait({
          proposal,
          answer: (answer) =>
            told(answer !== null && "outcome" in answer ? answer.outcome : undefined),
        });
        this.#schedule();
      },
    });
    parts.bus.listen((sent) => {
      try {
        this.#take(sent);
      } catch (error) {
        // Thrown into an edge it would end every connection there.
        logger.error("log.unreadable", { error: String(error) });
        sent.answer({ refusal: UNREADABLE });
      }
    }, (edge) => {
      this.#presence.drop(edge, parts.now());
      this.#quotas.drop(edge);
      this.#watchPresence();
    });
    if (retention !== undefined) {
      this.#tending = new Tending({
        ...{ log, retention, clock },
        accounts: () => this.#quotas.accounts,
        writable: () => this.#writable,
        commit: (proposals, done) => this.#propose(proposals, done),
        refused: (error) => this.#refuseWrites(error, 0),
      });
    }
    try {
      parts.log.heal();
    } catch (error) {
      // It begins on a full disk: it serves what it has.
      this.#refuseWrites(error, 0);
    }
  }

  /** Waits until all that was taken is committed and told. */
  async settle(): Promise<void> {
    while (this.#turn !== undefined) await this.#turn;
  }

  /**
   * Goes by other settings from now on.
   *
   * @param settings What bounds clients, and what the log keeps.
   */
  renew(settings: Pick<CoreParts, "limits" | "retention">): void {
    this.#parts = { ...this.#parts, ...settings };
    this.#quotas.renew(settings.limits);
    this.#proposals.renew(settings.limits);
    if (settings.retention !== undefined) this.#tending?.renew(settings.retention);
  }

  /**
   * Refuses new connections, or lets them in again; all else goes on.
   *
   * @param refusing Whether to refuse them.
   */
  refuseNew(refusing: boolean): void {
    this.#quotas.refuseNew(refusing);
  }

  /** Stops its timers; it takes nothing more in, and tells nothing more. */
  close(): void {
    this.#closed = true;
    for (const timer of [this.#telling, this.#healing]) clearTimeout(timer);
    this.#tending?.close();
    this.#parts.bus.listen(({ answer }) => answer({ refusal: LEAVING }), () => {});
  }

  #take({ edge, up, answer }: Sent): void {
    switch (up.op) {
      case "propose": {
        const { proposal, origin } = up;
        const refusal = this.#crowded() ?? this.#proposals.refusal(edge, [proposal], origin);
        if (refusal !== undefined) this.#asked.push(() => answer({ refusal }));
        else if (this.#proposals.needed(proposal)) this.#wait({ proposal, answer });
        else this.#asked.push(() => answer(null));
        break;
      }
      case "publish":
        this.#publish(edge, up, answer);
        break;
      case "join": {
        const name = this.#parts.log.account(up.account)?.name ?? null;
        this.#presence.join(up.channel, up.account, name, up.connection, edge);
        // The list is made when it is told: it has everything that was posted before.
        this.#asked.push(() =>
          answer(up.watch ? { roster: this.#presence.roster(up.channel) } : null)
        );
        break;
      }
      case "leave":
        this.#presence.leave(up.channel, up.account, up.connection, this.#parts.now());
        this.#asked.push(() => answer(null));
        break;
      case "admit":
      case "token":
      case "identify":
      case "session": {
        let atOnce = true;
        this.#identity.take(edge, up, (told) => {
          if (atOnce) this.#asked.push(() => answer(told));
          else answer(told);
        });
        atOnce = false;
        break;
      }
      case "dismiss":
        this.#quotas.dismiss(edge, up.connection);
        this.#asked.push(() => answer(null));
        break;
      case "ready":
        // As it is when it is told: behind whatever was refused before.
        this.#asked.push(() => answer(this.#writable ? null : { refusal: UNWRITABLE }));
        break;
      case "readers":
        void this.#countReaders(answer);
        break;
      case "withdraw": {
        const { withdraw = () => UNANSWERABLE } = this.#parts;
        const refusal = withdraw(this.#identity.whole(up.tokens));
        this.#asked.push(() => answer(refusal === undefined ? null : { refusal }));
        break;
      }
      case "roster":
        this.#asked.push(() => answer({ roster: this.#presence.roster(up.channel) }));
        break;
      case "restate": {
        const delta = this.#presence.restate(up.channel);
        if (delta !== undefined) this.#restated.push(delta);
        this.#asked.push(() => answer(null));
        break;
      }
      case "signal":
        if (!this.#signalsLeft.take(this.#parts.now(), up.signal.data.length)) {
          this.#asked.push(() => answer({ refusal: CROWDED }));
          break;
        }
        this.#signals.push({ signal: up.signal, connection: up.connection });
        this.#asked.push(() => answer(null));
    }
    this.#schedule();
  }

  async #countReaders(answer: Sent["answer"]): Promise<void> {
    const readers = await this.#parts.readers?.() ?? [];
    this.#asked.push(() => answer({ readers }));
    this.#schedule();
  }

  // What is published together is checked and counted as a whole, and is never in two transactions.
  #publish(edge: number, { proposals, origin }: Publish, answer: Sent["answer"]): void {
    const now = this.#parts.now();
    const account = proposals[0]?.from ?? null;
    const refusal = this.#crowded() ?? this.#proposals.refusal(edge, proposals, origin);
    const left = this.#quotas.left(origin.address, account, now);
    if (refusal !== undefined) return void this.#asked.push(() => answer({ refusal }));
    const outcomes: Outcome[] = [];
    for (const [i, proposal] of proposals.entries()) {
      const one = (own: Answer) => {
        if (own !== null && "outcome" in own) outcomes.push(own.outcome);
        if (i < proposals.length - 1) return;
        answer(outcomes.length === proposals.length ? { outcomes, left } : own);
      };
      this.#wait({ proposal, answer: one, joined: i > 0 });
    }
  }

  // Nobody gets ahead of who was refused: that one comes back after `retry`.
  #crowded(): Refusal | undefined {
    const now = this.#parts.now();
    if (this.#writable) return this.#backlog.refusal(now);
    this.#backlog.refuseFor(now, HEAL_PAUSE, UNWRITABLE);
    return UNWRITABLE;
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#proposals.begin(waiting.proposal);
    this.#backlog.add(waiting.proposal);
  }

  // Batches form by themselves: what came while the last one was being written is the next one.
  #schedule(): void {
    this.#turn ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#commit());
  }

  #takeBatch(): Waiting[] {
    let chars = 0;
    const end = this.#waiting.findIndex((waiting, i) => {
      if ((i >= BATCH_RECORDS || chars > BATCH_CHARS) && !waiting.joined) return true;
      chars += charsOf(waiting.proposal);
      return false;
    });
    const batch = end < 0 ? this.#waiting : this.#waiting.slice(0, end);
    this.#waiting = end < 0 ? [] : this.#waiting.slice(end);
    for (const { proposal } of batch) this.#backlog.remove(proposal);
    return batch;
  }

  async #commit(): Promise<void> {
    if (this.#closed) return;
    let batch = this.#takeBatch();
    const [asked, signals, restated] = [this.#asked, this.#signals, this.#restated];
    [this.#asked, this.#signals, this.#restated] = [[], [], []];
    let messages: readonly Message[] = [];
    let answers: Answer[] = [];
    let ended: readonly string[] = [];
    try {
      if (batch.length > 0) {
        const applied = await this.#parts.sequencer.sequence(batch.map(({ proposal }) => proposal));
        ({ messages, ended } = applied);
        if (ended.length > 0) this.#quotas.endSessions(ended);
        answers = applied.outcomes.map((outcome) => ({ outcome }));
        this.#healPause = HEAL_PAUSE;
      }
    } catch (error) {
      this.#refuseWrites(error, batch.length);
      // What waits behind it is refused too: it must not get ahead of what its client sends again.
      for (const { proposal } of this.#waiting) this.#backlog.remove(proposal);
      batch = batch.concat(this.#waiting);
      this.#waiting = [];
      answers = batch.map(() => ({ refusal: UNWRITABLE }));
    }
    for (const [i, { proposal }] of batch.entries()) {
      this.#proposals.end(proposal);
      if (proposal.kind === "rename" && "outcome" in (answers[i] ?? {})) {
        this.#presence.rename(proposal.account, proposal.name);
      }
    }
    const presence = restated.concat(this.#presence.take(this.#parts.now()));
    this.#watchPresence();
    const { seq } = this.#parts.log;
    const rest = { writable: this.#writable, ...(ended.length === 0 ? {} : { ended }) };
    this.#parts.bus.post({ seq, messages, presence, signals, ...rest });
    // Before the answer: where it is told all of that edge goes by it.
    if (batch.some(({ proposal: { kind } }) => kind === "mute" || kind === "unmute")) {
      this.#parts.moderated?.();
    }
    for (const told of asked) told();
    batch.forEach(({ answer }, i) => answer(answers[i] ?? null));
    this.#turn = undefined;
    this.#tending?.wrote(messages.reduce((sum, { data }) => sum + data.length, 0));
    if (this.#waiting.length > 0 || this.#asked.length > 0) this.#schedule();
  }

  #refuseWrites(error: unknown, batch: number): void {
    if (this.#writable) logger.error("log.refused", { error: String(error), batch });
    this.#writable = false;
    this.#healing ??= setTimeout(() => this.#heal(), this.#healPause);
    // The edges hear of it, also where no commit is under way.
    this.#schedule();
  }

  #heal(): void {
    this.#healing = undefined;
    // It holds until a batch is written: a disk that takes little and then refuses is asked less and less often.
    this.#healPause = Math.min(2 * this.#healPause, LONGEST_HEAL_PAUSE);
    try {
      this.#parts.log.heal();
    } catch (error) {
      logger.debug("log.unwritable", { error: String(error) });
      this.#healing = setTimeout(() => this.#heal(), HEAL_PAUSE);
      return;
    }
    logger.info("log.healed");
    this.#writable = true;
    this.#schedule();
  }

  // What the server itself has to say: nobody is asked for it, and no limit holds for it.
  #propose(proposals: readonly Proposal[], done: (written: boolean) => void): void {
    for (const [i, proposal] of proposals.entries()) {
      const last = i === proposals.length - 1;
      const told = (answer: Answer) => done(answer !== null && "outcome" in answer);
      this.#wait({ proposal, answer: last ? told : () => {} });
    }
    this.#schedule();
  }

  // One timer for all that presence waits for: who goes, and deltas of channels that were told of a moment ago.
  #watchPresence(): void {
    const next = this.#presence.nextDue();
    clearTimeout(this.#telling);
    if (next === undefined) return;
    const wait = Math.max(1, next - this.#parts.now());
    this.#telling = setTimeout(() => this.#schedule(), wait);
  }
}

const UNWRITABLE = {
  ...refuse("unavailable", "The log can't be written now, try again"),
  retry: HEAL_PAUSE,
};
const UNREADABLE = refuse("unavailable", "The log can't be read now, try again");
const UNANSWERABLE = refuse("internal", "Tokens aren't withdrawn here");
const CROWDED = refuse("unavailable", "Too much is said at once, try again");
const LEAVING = refuse("unavailable", "The server is about to end");
