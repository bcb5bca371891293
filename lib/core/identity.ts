/** Admits connections, counts the tokens they show, and records their sessions. */
import { SESSION_ENDED } from "../auth/access.ts";
import type { Answer, Up } from "../bus/bus.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Proposal } from "../protocol/message.ts";
import { log as logger } from "../observability/logger.ts";
import type { Withdrawal } from "../auth/tokens.ts";
import type { Proposals } from "./admission.ts";
import { type SessionParts, SessionRecords } from "./sessions.ts";

// Accounts whose tokens come from a clock ahead of ours; only who signs tokens makes more of them.
const MOST_AHEAD = 10_000;

/** Requests of edges about connections, tokens and sessions. */
export type IdentityUp = Extract<Up, { readonly op: "admit" | "token" | "identify" | "session" }>;

/** What it works with. */
export interface IdentityParts extends SessionParts {
  readonly proposals: Proposals;
  /** Whether the log takes records. */
  readonly writable: () => boolean;
}

/** Answers the requests of edges about connections, tokens and sessions. */
export class Identity {
  readonly #parts: IdentityParts;
  readonly #sessions: SessionRecords;
  // The last `iat` that lay ahead of our clock when a token of the account was shown.
  readonly #ahead = new Map<string, number>();

  /** @param parts What it works with. */
  constructor(parts: IdentityParts) {
    this.#parts = parts;
    this.#sessions = new SessionRecords(parts);
  }

  /**
   * Answers a request.
   *
   * @param edge Which edge asks.
   * @param up The request.
   * @param told Called once with the answer: at once, or once a record is committed.
   */
  take(edge: number, up: IdentityUp, told: (answer: Answer) => void): void {
    const { quotas, now } = this.#parts;
    switch (up.op) {
      case "admit": {
        const { account, session, origin } = up;
        // It may have ended while its handshake was on the way.
        if (session !== undefined && this.#parts.log.sessions.find(session)?.account === null) {
          return told({ refusal: SESSION_ENDED });
        }
        const counted = account ?? (session === undefined ? null : `session ${session}`);
        const refusal = quotas.admit(edge, origin, counted, session);
        // A session's record says that its account is here.
        if (refusal === undefined && account !== null && session === undefined) {
          this.#welcome(account);
        }
        return told(answerOf(refusal));
      }
      case "token": {
        const { address, right, account } = up;
        const refusal = quotas.token(address, right, now()) ?? this.#otherKind(account);
        if (refusal === undefined) this.#remember(up);
        return told(answerOf(refusal));
      }
      case "identify": {
        const { connection } = up.origin;
        const refusal = quotas.identify(edge, connection, up.account);
        if (refusal === undefined) quotas.leaveSession(edge, connection);
        return told(answerOf(refusal));
      }
      case "session":
        return this.#record(edge, up, told);
    }
  }

  /**
   * Has a withdrawal of all tokens of an account take in those whose `iat` lay ahead when they were shown.
   *
   * @param tokens What is withdrawn.
   * @returns What is to be withdrawn.
   */
  whole(tokens: Withdrawal): Withdrawal {
    if ("jti" in tokens) return tokens;
    const { account, before, made = Infinity } = tokens;
    const last = this.#ahead.get(account);
    // One that names an earlier time is of that time alone.
    if (last === undefined || before < made) return tokens;
    return { ...tokens, before: Math.max(before, last + 1) };
  }

  #remember({ account, issued }: { readonly account?: string; readonly issued?: number }): void {
    const second = this.#parts.clock() / 1000;
    if (account === undefined || issued === undefined || issued <= second) return;
    this.#ahead.set(account, Math.max(issued, this.#ahead.get(account) ?? 0));
    if (this.#ahead.size <= MOST_AHEAD) return;
    for (const [other, last] of this.#ahead) if (last <= second) this.#ahead.delete(other);
    const [oldest] = this.#ahead.keys();
    if (this.#ahead.size > MOST_AHEAD && oldest !== undefined) this.#ahead.delete(oldest);
  }

  #record(
    edge: number,
    up: Extract<IdentityUp, { op: "session" }>,
    told: (answer: Answer) => void,
  ): void {
    const { connection } = up.origin;
    this.#sessions.record(up, (answer) => {
      const session = answer !== null && "outcome" in answer ? answer.outcome.session : undefined;
      if (connection === undefined || typeof session !== "object") return told(answer);
      const refusal = this.#parts.quotas.identify(edge, connection, session.account);
      told(refusal === undefined ? answer : { refusal });
    });
  }

  #otherKind(account: string | undefined): Refusal | undefined {
    if (account === undefined) return undefined;
    const isGuest = this.#parts.log.account(account)?.kind === "guest" ||
      this.#sessions.proposes(account);
    return isGuest ? OTHER_KIND : undefined;
  }

  // Records an account's first connection of a day: accounts that stay away for long are forgotten.
  #welcome(account: string): void {
    const { writable, proposals, propose } = this.#parts;
    try {
      const proposal: Proposal | undefined = writable() ? proposals.stamp(account) : undefined;
      if (proposal !== undefined) propose(proposal, () => {});
    } catch (error) {
      // A log that can't be read keeps no connection out.
      logger.error("log.unreadable", { error: String(error) });
    }
  }
}

function answerOf(refusal: Refusal | undefined): Answer {
  return refusal === undefined ? null : { refusal };
}

const OTHER_KIND = refuse(
  "forbidden",
  "The token's account belongs to a browser here: give the token another account",
);
