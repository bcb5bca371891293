/** The sessions of browsers: finds that of a cookie, and gives a new one. */
import type { Who } from "../auth/access.ts";
import { newToken, tokenHash } from "../auth/cookies.ts";
import type { Refusal } from "../protocol/refusals.ts";
import { recordSession } from "../channels/accounts.ts";
import type { Caller } from "../auth/caller.ts";
import type { EdgeContext } from "./edge_context.ts";

// How long after the exchange of a cookie of 0.1 it still stands for the session that took its place, in milliseconds: a page and
// its socket bring it at the same time.
const EXCHANGE_GRACE = 60_000;

/**
 * Finds out who a browser is by its cookies. The first whose session is recorded counts, else the first that may become one; one
 * whose session has ended counts as none.
 *
 * @param edge The context of the edge.
 * @param headers A request's.
 * @param caller Where it comes from.
 * @returns Who it is.
 * @throws {Error} If the log can't be read.
 */
export async function whoIn(edge: EdgeContext, headers: Headers, caller: Caller): Promise<Who> {
  if (!headers.has("cookie")) return { account: null, admin: false };
  const proof = await edge.access.proof(headers, caller.secure);
  const shown = proof === undefined ? { admin: false } : { admin: true, proof };
  return await find(edge, headers, caller, { ...shown, account: null });
}

async function find(
  edge: EdgeContext,
  headers: Headers,
  { secure, address }: Caller,
  base: Who,
): Promise<Who> {
  const { cookies } = edge.access;
  const { sessions } = edge.hub.reader;
  let unrecorded: string | undefined;
  for (const token of cookies.tokens(headers, secure)) {
    const session = tokenHash(token);
    const known = sessions.find(session);
    if (known === undefined) unrecorded ??= session;
    else if (known.account !== null) {
      const who = { ...base, account: known.account, session };
      if (sessions.isCurrent(known, edge.clock())) return who;
      // The day of its last use is written once a day.
      edge.bus.send({ op: "session", hash: session, origin: { address } });
      return { ...who, renew: token };
    }
  }
  const old = await cookies.old(headers, secure, edge.clock());
  const exchanged = old === undefined ? undefined : sessions.exchanged(old, edge.clock());
  if (old !== undefined && exchanged === true) return { ...base, exchange: old };
  if (
    old !== undefined && typeof exchanged === "number" && edge.clock() - exchanged < EXCHANGE_GRACE
  ) {
    const token = cookies.exchanged(old);
    const session = tokenHash(token);
    const account = sessions.find(session)?.account ?? null;
    if (account !== null) return { ...base, account, session, renew: token };
  }
  return unrecorded === undefined ? base : { ...base, session: unrecorded };
}

/**
 * Makes sure that a browser has a session when a page or a handshake is answered. A new one costs nothing until it is recorded.
 *
 * @param edge The context of the edge.
 * @param who Who it is by its cookies.
 * @param caller Where it comes from.
 * @param headers Of the answer; a cookie is added where it needs one.
 * @returns Who it is from now on, or the refusal where the log can't be written.
 */
export async function withSession(
  edge: EdgeContext,
  who: Who,
  { address, secure }: Caller,
  headers: Headers,
): Promise<Who | Refusal> {
  const { cookies } = edge.access;
  const { renew, exchange } = who;
  if (renew !== undefined) cookies.give(headers, renew, secure);
  if (who.session !== undefined) return who;
  if (exchange !== undefined) {
    const token = cookies.exchanged(exchange);
    const session = tokenHash(token);
    const found = await recordSession(edge, { hash: session, exchange, origin: { address } });
    if (typeof found === "string") {
      cookies.give(headers, token, secure);
      return { ...who, account: found, session };
    }
    // It goes on with its old cookie until the log takes records again.
    if (found.code !== "unauthorized") return found;
  }
  const token = newToken();
  cookies.give(headers, token, secure);
  return { ...who, session: tokenHash(token) };
}
