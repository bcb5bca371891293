/** Admits connections, counts the tokens they show, and records their sessions. */
import { SESSION_ENDED } from "../access.ts";
import type { Answer, Up } from "../bus.ts";
import { type Refusal, refuse } from "../protocol/codes.ts";
import type { Proposal } from "../protocol/message.ts";
import { log as logger } from "../logger.ts";
import type { Proposals } from "./proposals.ts";
import { type SessionParts, SessionRecords } from "./sessions.ts";

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
        const refusal = quotas.token(address, right, now());
        return told(answerOf(refusal ?? this.#otherKind(account)));
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
