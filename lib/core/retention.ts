/** Decides what the log has to let go: messages by age and by size, accounts that are gone; a small step at a time. */
import type { RetentionPolicy } from "../config/limits.ts";
import { ACCOUNTS_STEP, dayOf } from "../store/accounts.ts";
import type { Log } from "../store/writer.ts";
import { SESSION_DAYS } from "../store/sessions.ts";
import type { Proposal } from "../protocol/message.ts";

/**
 * Makes the next `trim` record.
 *
 * @param log What is there.
 * @param policy What is to stay.
 * @param now Milliseconds since 1970.
 * @returns The proposal, or undefined where nothing has to go.
 */
export function nextTrim(log: Log, policy: RetentionPolicy, now: number): Proposal | undefined {
  const { keep, keepPush, keepBytes } = policy;
  const trim = (scope: "all" | "push", before: number): Proposal | undefined => {
    const upTo = log.trimPoint(scope, before, now);
    return upTo === undefined ? undefined : { kind: "trim", scope, upTo };
  };
  return (keepBytes > 0 && log.bytes > keepBytes ? trim("all", Infinity) : undefined) ??
    (keep > 0 ? trim("all", now - keep) : undefined) ??
    (keepPush > 0 ? trim("push", now - keepPush) : undefined);
}

/**
 * Makes the next record that forgets sessions whose cookies are over.
 *
 * @param log What is there.
 * @param now Milliseconds since 1970.
 * @returns The proposal, or undefined where there are none.
 */
export function nextSessionTrim(log: Log, now: number): Proposal | undefined {
  const before = dayOf(now) - SESSION_DAYS;
  return log.sessions.idle(before) ? { kind: "trim_sessions", before } : undefined;
}

/**
 * Makes the next record that removes the rows of feeds in which nothing is kept.
 *
 * @param log What is there.
 * @returns The proposal, or undefined where this step found none.
 */
export function nextFeedTrim(log: Log): Proposal | undefined {
  const feeds = log.feeds.empty();
  return feeds.length === 0 ? undefined : { kind: "trim_feeds", feeds };
}

/**
 * How many whole days an account isn't here until it is forgotten, if it left nothing behind. Days are what is known of it, so
 * it may be one more.
 */
export const ABSENCE = 30;

/**
 * Makes the record that says that an account is here today.
 *
 * @param log What is known of it.
 * @param account The account.
 * @param now Milliseconds since 1970.
 * @returns The proposal; undefined where the log says so already, doesn't know it, or never forgets it anyway.
 */
export function stampOf(log: Log, account: string, now: number): Proposal | undefined {
  const known = log.account(account);
  if (known === undefined || known.kept || known.name !== null) return undefined;
  return known.here < dayOf(now) ? { kind: "account", account } : undefined;
}

/** Calls the roll once a day: who is connected is here, and who isn't for too long is forgotten. */
export class Roll {
  #day = -1;
  #uncalled: Iterator<string> | undefined;

  /** Whether there is more to do at once. */
  get calling(): boolean {
    return this.#uncalled !== undefined;
  }

  /**
   * Makes the records of the next step.
   *
   * @param log What is there.
   * @param connected The accounts that are connected, whatever becomes of them meanwhile.
   * @param now Milliseconds since 1970.
   * @returns The proposals.
   */
  next(log: Log, connected: Iterable<string>, now: number): Proposal[] {
    const today = dayOf(now);
    if (today !== this.#day) this.#uncalled = connected[Symbol.iterator]();
    this.#day = today;
    const stamps: Proposal[] = [];
    for (let called = 0; called < ACCOUNTS_STEP && this.#uncalled !== undefined; called++) {
      const { done, value } = this.#uncalled.next();
      if (done) this.#uncalled = undefined;
      const stamp = done ? undefined : stampOf(log, value, now);
      if (stamp !== undefined) stamps.push(stamp);
    }
    // First all are called: nobody who is connected is among those who are gone.
    if (this.calling || stamps.length > 0) return stamps;
    const before = today - ABSENCE;
    const accounts = log.gone(before);
    return accounts.length === 0 ? [] : [{ kind: "forget", accounts, before }];
  }
}
