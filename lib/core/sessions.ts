/** Records sessions: proposes an account for each, and answers with the one that the log gave it. */
import { SESSION_ENDED } from "../auth/access.ts";
import type { Answer, Origin } from "../bus/bus.ts";
import type { Log } from "../store/writer.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Outcome, Proposal } from "../protocol/message.ts";
import type { Quotas } from "./quotas.ts";

/** How many accounts are tried for one session before it is refused: with a billion of them in the log 20 fail once in 10^12. */
const MOST_TRIES = 20;

/** What is asked for. */
export interface SessionAsk {
  /** SHA-256 of the cookie's token, in hex. */
  readonly hash: string;
  /** The account whose cookie of version 0.1 it takes the place of. */
  readonly exchange?: string;
  readonly origin: Origin;
}

/** What it works with. */
export interface SessionParts {
  readonly log: Log;
  readonly quotas: Quotas;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Makes eight random lower-case hex digits. */
  readonly random: () => string;
  /** Why the log takes nothing now; undefined where it does. */
  readonly crowded: () => Refusal | undefined;
  /** Puts a record into the next batch; told undefined where the log refused it. */
  readonly propose: (proposal: Proposal, told: (outcome: Outcome | undefined) => void) => void;
}

type Told = (answer: Answer) => void;

/** Sessions on their way into the log. */
export class SessionRecords {
  readonly #parts: SessionParts;
  // Further requests for a session that is on its way get the same answer.
  readonly #waiting = new Map<string, Told[]>();
  // Accounts that are proposed and aren't in the log yet.
  readonly #proposed = new Set<string>();

  /** @param parts What it works with. */
  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /**
   * Records a session, or that it is used today.
   *
   * @param ask Which.
   * @param told Called with its account, as an outcome, or why it has none; at once where nothing has to be written.
   */
  record(ask: SessionAsk, told: Told): void {
    const { hash, exchange, origin } = ask;
    const waiting = this.#waiting.get(hash);
    if (waiting !== undefined) return void waiting.push(told);
    const { log, quotas, now, clock, crowded } = this.#parts;
    const known = log.sessions.find(hash);
    if (known?.account === null) return told({ refusal: SESSION_ENDED });
    if (known !== undefined && log.sessions.isCurrent(known, clock())) {
      const session = { account: known.account };
      return told({ outcome: { seq: log.seq, time: log.time, session } });
    }
    const isNew = known === undefined && exchange === undefined;
    const refusal = crowded() ?? (isNew ? quotas.create(origin.address, now()) : undefined);
    if (refusal !== undefined) return told({ refusal });
    this.#waiting.set(hash, [told]);
    this.#propose(ask, known?.account, MOST_TRIES);
  }

  /**
   * Tells whether an account is on its way as a browser's.
   *
   * @param account Which.
   * @returns Whether it is.
   */
  proposes(account: string): boolean {
    return this.#proposed.has(account);
  }

  #propose(ask: SessionAsk, known: string | undefined, tries: number): void {
    const { hash, exchange } = ask;
    const account = known ?? exchange ?? this.#newAccount(tries);
    if (account === undefined) return this.#tell(hash, { refusal: NO_ACCOUNT });
    this.#proposed.add(account);
    const proposal = { kind: "session", hash, account } as const;
    this.#parts.propose(
      exchange === undefined ? proposal : { ...proposal, exchange: true },
      (outcome) => {
        this.#proposed.delete(account);
        if (outcome?.session === "taken" && tries > 1) return this.#propose(ask, known, tries - 1);
        this.#tell(hash, answerOf(outcome));
      },
    );
  }

  // Free: nowhere in the log, not on its way there, and not the account of a token that only just connected.
  #newAccount(tries: number): string | undefined {
    const { log, quotas, random } = this.#parts;
    for (let i = 0; i < tries; i++) {
      const account = random();
      const free = !log.stands(account) && !this.#proposed.has(account) && !quotas.knows(account);
      if (free) return account;
    }
    return undefined;
  }

  #tell(hash: string, answer: Answer): void {
    const waiting = this.#waiting.get(hash) ?? [];
    this.#waiting.delete(hash);
    for (const told of waiting) told(answer);
  }
}

function answerOf(outcome: Outcome | undefined): Answer {
  if (outcome === undefined) return { refusal: UNWRITTEN };
  if (outcome.session === "ended") return { refusal: SESSION_ENDED };
  return outcome.session === "taken" ? { refusal: NO_ACCOUNT } : { outcome };
}

const NO_ACCOUNT = refuse("unavailable", "No free account was found, try again");
const UNWRITTEN = refuse("unavailable", "The log can't be written now, try again");

/**
 * Makes the name of an account that may be free.
 *
 * @returns Eight random lower-case hex digits.
 */
export function randomAccount(): string {
  return crypto.getRandomValues(new Uint8Array(4)).toHex();
}
