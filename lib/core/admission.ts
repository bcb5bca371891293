/** Proposals: which may be written, and what is known of those that are on their way into the log. */
import { SESSION_ENDED } from "../auth/access.ts";
import type { Origin } from "../bus/bus.ts";
import { type Limits, MOST_MUTES } from "../config/limits.ts";
import type { Log } from "../store/writer.ts";
import { parseChannel } from "../protocol/channel.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Proposal } from "../protocol/message.ts";
import type { Quotas } from "./quotas.ts";
import { stampOf } from "./retention.ts";

// Accounts that are known to exist, so that not every message asks the log.
const KNOWN_ACCOUNTS = 10_000;

/** What proposals are judged by. */
export interface ProposalsParts {
  readonly log: Log;
  readonly limits: Limits;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** Judges proposals by what the log has, and by what it is about to have: a batch is written after the next has come. */
export class Proposals {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #clock: () => number;
  readonly #quotas: Quotas;
  #limits: Limits;
  readonly #known = new Set<string>();
  // On their way: keys of messages, accounts whose day is written, and those that are muted and weren't.
  readonly #keys = new Set<string>();
  readonly #stamping = new Set<string>();
  readonly #muting = new Set<string>();

  /**
   * @param parts What they are judged by.
   * @param quotas What counts them.
   */
  constructor({ log, limits, now, clock = Date.now }: ProposalsParts, quotas: Quotas) {
    [this.#log, this.#limits, this.#now, this.#clock] = [log, limits, now, clock];
    this.#quotas = quotas;
  }

  /**
   * Goes by other limits from now on.
   *
   * @param limits What bounds clients.
   */
  renew(limits: Limits): void {
    this.#limits = limits;
  }

  /**
   * Tells why some may not be written, and counts those that may.
   *
   * @param edge Where they come from.
   * @param proposals One, or messages that are published together: they are refused and counted as a whole.
   * @param origin Whose they are; nothing is counted for those of the server itself.
   * @returns Why not; undefined where they may.
   */
  refusal(edge: number, proposals: readonly Proposal[], origin?: Origin): Refusal | undefined {
    const { connection } = origin ?? {};
    if (connection !== undefined && this.#quotas.sessionEnded(edge, connection)) {
      return SESSION_ENDED;
    }
    for (const proposal of proposals) {
      const refusal = this.#check(proposal);
      if (refusal !== undefined) return refusal;
    }
    return origin === undefined ? undefined : this.#count(edge, proposals, origin);
  }

  /**
   * Tells whether one says anything new: an account that is known to be here isn't made again, and a place that was reached
   * isn't written.
   *
   * @param proposal It.
   * @returns Whether to write it.
   */
  needed(proposal: Proposal): boolean {
    if (proposal.kind === "account") {
      const { account } = proposal;
      return this.#log.account(account) === undefined || this.stamp(account) !== undefined;
    }
    if (proposal.kind !== "place") return true;
    const { account, feed, received } = proposal;
    return this.#log.account(account) !== undefined &&
      this.#log.places.received(account, feed) < received;
  }

  /**
   * Makes what writes down that an account is here today, for those that would be forgotten else; once, however many of its
   * connections come before it is written.
   *
   * @param account Whose connection came.
   * @returns What is to be written; undefined where nothing is.
   */
  stamp(account: string): Proposal | undefined {
    if (this.#stamping.has(account)) return undefined;
    const proposal = stampOf(this.#log, account, this.#clock());
    if (proposal !== undefined) this.#stamping.add(account);
    return proposal;
  }

  /**
   * One is on its way from now on.
   *
   * @param proposal It.
   */
  begin(proposal: Proposal): void {
    const key = keyOf(proposal);
    if (key !== undefined) this.#keys.add(key);
    if (proposal.kind === "mute" && !this.#isMuted(proposal.account)) {
      this.#muting.add(proposal.account);
    }
  }

  /**
   * One was written, or won't be.
   *
   * @param proposal It.
   */
  end(proposal: Proposal): void {
    const key = keyOf(proposal);
    if (key !== undefined) this.#keys.delete(key);
    if (proposal.kind === "account") this.#stamping.delete(proposal.account);
    if (proposal.kind === "mute") this.#muting.delete(proposal.account);
    if (proposal.kind === "forget") {
      for (const account of proposal.accounts) this.#known.delete(account);
    }
  }

  #check(proposal: Proposal): Refusal | undefined {
    if (proposal.kind === "mute" || proposal.kind === "unmute") return this.#checkMute(proposal);
    if (proposal.kind !== "message") return undefined;
    const parties = parseChannel(proposal.channel)?.parties ?? [];
    const stranger = parties.find((party) =>
      party !== proposal.from && this.#log.account(party) === undefined
    );
    return stranger === undefined
      ? undefined
      : refuse("not_found", `There is no account "${stranger}"`);
  }

  #checkMute({ kind, account }: Proposal & { kind: "mute" | "unmute" }): Refusal | undefined {
    const muted = this.#isMuted(account);
    if (kind === "unmute") {
      return muted ? undefined : refuse("not_found", `The account "${account}" isn't muted`);
    }
    // Those that wait to be written count too: all that are decided at once would find the same room.
    const count = () => this.#log.mutes.count(this.#clock()) + this.#muting.size;
    return muted || this.#muting.has(account) || count() < MOST_MUTES
      ? undefined
      : refuse("unavailable", `At most ${MOST_MUTES} accounts are muted at once`);
  }

  #isMuted(account: string): boolean {
    return this.#log.mutes.has(account, this.#clock());
  }

  // Of what is found right: repeats of a key don't count.
  #count(edge: number, proposals: readonly Proposal[], origin: Origin): Refusal | undefined {
    const [first] = proposals;
    if (first?.kind === "account" || first?.kind === "rename") {
      return this.#meet(first.account, origin);
    }
    if (first?.kind !== "message") return undefined;
    const fresh = this.#fresh(proposals);
    const now = this.#now();
    const over = this.#quotas.repeat(origin, first.from, now, proposals.length - fresh);
    if (over !== undefined || fresh === 0) return over;
    return this.#quotas.publish(edge, origin, first.from, now, fresh) ??
      this.#meet(first.from, origin);
  }

  #fresh(proposals: readonly Proposal[]): number {
    const keys = new Set<string>();
    let fresh = 0;
    for (const proposal of proposals) {
      const key = keyOf(proposal);
      if (key !== undefined && (keys.has(key) || this.#repeats(proposal, key))) continue;
      if (key !== undefined) keys.add(key);
      fresh += 1;
    }
    return fresh;
  }

  #repeats(proposal: Proposal, key: string): boolean {
    if (proposal.kind !== "message" || proposal.key === undefined || !this.#limited()) {
      return false;
    }
    const { channel, from } = proposal;
    return this.#keys.has(key) || this.#log.knows(channel, from, proposal.key, this.#clock());
  }

  #limited(): boolean {
    return this.#limits.rate > 0 || this.#limits.repeats > 0;
  }

  #meet(account: string | null, { address }: Origin): Refusal | undefined {
    if (account === null || this.#exists(account)) return undefined;
    const refusal = this.#quotas.create(address, this.#now());
    if (refusal === undefined) this.#known.add(account);
    return refusal;
  }

  #exists(account: string): boolean {
    if (this.#known.has(account)) return true;
    if (this.#log.account(account) === undefined) return false;
    if (this.#known.size >= KNOWN_ACCOUNTS) this.#known.clear();
    this.#known.add(account);
    return true;
  }
}

function keyOf(proposal: Proposal): string | undefined {
  if (proposal.kind !== "message" || proposal.key === undefined) return undefined;
  return `${proposal.channel} ${proposal.from ?? ""} ${proposal.key}`;
}
