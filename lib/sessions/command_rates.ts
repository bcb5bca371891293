/** Rates of signals and refused commands, and when a client that ignores them is closed (threats.md M1, M9, M13). */
import type { EdgeRates } from "../config/limits.ts";
import { log } from "../observability/logger.ts";
import { CLOSE, type Refusal, type RefusalCode } from "../protocol/refusals.ts";
import type { Connection } from "../delivery/connection.ts";
import { FloodGuard } from "./flood_guard.ts";
import type { EdgeContext } from "./edge_context.ts";

/** How many `bad_request`s in a row close a connection. */
const BAD_IN_A_ROW = 100;

// Refusals that aren't the client's fault, or have rates of their own.
const UNCOUNTED: ReadonlySet<RefusalCode> = new Set(["rate_limited", "unavailable", "internal"]);

/** Counts the refusals of one connection, and closes it with 1008 when they go on. */
export class CommandRates {
  readonly #connection: Connection;
  readonly #edge: EdgeContext;
  #bad = 0;
  // Made at the first refusal, as most connections see none.
  #flood: FloodGuard | undefined;
  #excess: FloodGuard | undefined;

  /**
   * @param connection The client's.
   * @param edge The context of the edge.
   */
  constructor(connection: Connection, edge: EdgeContext) {
    this.#connection = connection;
    this.#edge = edge;
  }

  /**
   * Takes one from a rate: for the account on all its connections of this isolate, without an account for
   * the connection.
   *
   * @param what The rate.
   * @param account Whose connection it is now.
   * @param count How many.
   * @returns The refusal; undefined below the rate.
   */
  take(what: keyof EdgeRates, account: string | null, count = 1): Refusal | undefined {
    const { id, address } = this.#connection;
    const { hub, rates } = this.#edge;
    return rates[what].take(account ?? id, address, hub.now(), count);
  }

  /**
   * Looks at a rate without counting. Takes what {@linkcode take} takes.
   *
   * @returns The refusal that one more would get; undefined below the rate.
   */
  over(what: keyof EdgeRates, account: string | null): Refusal | undefined {
    const { id, address } = this.#connection;
    const { hub, rates } = this.#edge;
    return rates[what].refusal(account ?? id, address, hub.now());
  }

  /** A command succeeded: the row of bad requests ends. */
  done(): void {
    this.#bad = 0;
  }

  /**
   * Counts and logs a refused command.
   *
   * @param refused Why.
   * @param account Whose connection it is now.
   * @returns The refusal to send: over the rate of refusals `rate_limited`.
   */
  count(refused: Refusal, account: string | null): Refusal {
    if (refused.code === "bad_request") this.#bad += 1;
    const over = UNCOUNTED.has(refused.code) ? undefined : this.take("refusals", account);
    const { code } = over ?? refused;
    this.#edge.counters.refused("command", code);
    log.refused("command.refused", { ...this.#connection.origin, code });
    return over ?? refused;
  }

  /**
   * Closes the connection if its refusals have gone on for too long. Call it after the answer is queued.
   *
   * @param told What {@linkcode count} returned.
   */
  punish(told: Refusal): void {
    if (this.#bad >= BAD_IN_A_ROW) this.ban("Too many bad requests in a row");
    if (told.code !== "rate_limited") return;
    const now = this.#edge.hub.now();
    this.#flood ??= new FloodGuard(this.#edge.limits.rate);
    this.#excess ??= new FloodGuard(1, 0);
    const goesOn = told.excess === true && this.#excess.add(now);
    if (this.#flood.add(now) || goesOn) this.ban("Too much came in spite of all refusals");
  }

  /**
   * Closes the connection with 1008.
   *
   * @param reason Why, at most 123 bytes.
   */
  ban(reason: string): void {
    if (this.#connection.closing) return;
    this.#edge.counters.add("banned_total");
    log.refused("connection.banned", { ...this.#connection.origin, reason });
    this.#connection.close(CLOSE.policy, reason);
  }
}
