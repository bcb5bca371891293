/** The sessions of browsers: finds that of a cookie, gives a new one, and has it recorded. */
import { SESSION_ENDED, type Who } from "../auth/access.ts";
import type { Origin } from "../bus/bus.ts";
import { newToken, tokenHash } from "../auth/cookies.ts";
import type { Refusal } from "../protocol/refusals.ts";
import { UNANSWERED } from "../bus/requests.ts";
import type { Caller } from "../auth/caller.ts";
import { type EdgeContext, meeting, nameIn } from "./edge_context.ts";

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
    const found = await record(edge, { hash: session, exchange, origin: { address } });
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

/**
 * Records who acts, at the first act: a browser's session is given its account, and a token's account exists from then on, by the
 * name in the token.
 *
 * @param edge The context of the edge.
 * @param who Who acts.
 * @param origin Where it comes from.
 * @returns Who it is, or why it may not act.
 */
export async function recorded(
  edge: EdgeContext,
  who: Who,
  origin: Origin,
): Promise<Who | Refusal> {
  const { account, session, grant } = who;
  if (session !== undefined) {
    const known = edge.hub.reader.sessions.find(session);
    if (known?.account === null) return SESSION_ENDED;
    if (known !== undefined) return { ...who, account: known.account };
    const found = await record(edge, { hash: session, origin });
    return typeof found === "string" ? { ...who, account: found } : found;
  }
  if (account === null || grant === undefined) return who;
  const known = edge.hub.reader.account(account);
  const name = nameIn(edge, who);
  if (known !== undefined && (name === undefined || known.name === name)) return who;
  // The core takes what follows behind it.
  edge.bus.send({ op: "propose", proposal: meeting(edge, account, name), origin });
  return who;
}

/**
 * Has a session recorded.
 *
 * @param edge The context of the edge.
 * @param session Which, and where it comes from.
 * @returns Its account, or why it has none.
 */
export function record(
  { bus }: EdgeContext,
  session: { readonly hash: string; readonly exchange?: string; readonly origin: Origin },
): Promise<string | Refusal> {
  return new Promise((resolve) =>
    bus.send({ op: "session", ...session }, (answer) => {
      if (answer !== null && "refusal" in answer) return resolve(answer.refusal);
      const outcome = answer !== null && "outcome" in answer ? answer.outcome.session : undefined;
      resolve(typeof outcome === "object" ? outcome.account : UNANSWERED);
    })
  );
}
