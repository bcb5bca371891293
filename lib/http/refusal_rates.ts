/** Refused requests have a rate of their own; over it the next one is refused before any work (threats.md M13). */
import { countedAs, isLoopback } from "../config/address.ts";
import { isProbe } from "./request_head.ts";
import { problem } from "../web/responses.ts";
import type { EdgeContext } from "../sessions/edge_context.ts";

// Refusals that have rates of their own, or aren't the client's fault, aren't counted.
const TOO_MANY = 429;
const OURS = 500;

/** The refused requests of an edge, by account and by address. */
export class RefusedRequests {
  readonly #edge: Pick<EdgeContext, "rates" | "hub">;
  readonly #names = new WeakMap<Request, string>();

  /** @param edge The context of the edge. */
  constructor(edge: Pick<EdgeContext, "rates" | "hub">) {
    this.#edge = edge;
  }

  /**
   * Refuses a request whose sender had too many refused.
   *
   * @param request The request.
   * @param address From where.
   * @param account Whose it is; null where it is nobody's, undefined where that isn't known yet.
   * @returns The answer; undefined where it may go on.
   */
  refusal(request: Request, address: string, account?: string | null): Response | undefined {
    const { headers } = request;
    const bare = account === null || !(headers.has("cookie") || headers.has("authorization"));
    // Where there is no account the address has the rate of one, unless it is this machine.
    const name = account ?? (bare && !isLoopback(address) ? `@${countedAs(address)}` : undefined);
    if (name !== undefined) this.#names.set(request, name);
    const refusal = this.#edge.rates.refusals.refusal(name, address, this.#edge.hub.now());
    return refusal === undefined || isWatched(request) ? undefined : problem(refusal);
  }

  /**
   * Counts a request that was refused.
   *
   * @param request The request.
   * @param address From where.
   * @param status How it was answered.
   */
  count(request: Request, address: string, status: number): void {
    if (status < 400 || status === TOO_MANY || status >= OURS) return;
    this.#edge.rates.refusals.take(this.#names.get(request), address, this.#edge.hub.now());
  }
}

// Probes and scrapers share the addresses of others, and shall see how the server is when those are refused.
function isWatched(request: Request): boolean {
  return isProbe(request) ||
    URL.canParse(request.url) && new URL(request.url).pathname === "/metrics";
}
