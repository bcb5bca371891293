/** The sessions of an account (protocol.md, "Sessions"): listing them, and ending one, the others or all. */
import { isSomebody, type Who } from "../../auth/access.ts";
import { log } from "../../observability/logger.ts";
import type { ListedSession } from "../../store/reader.ts";
import { isAccount } from "../../protocol/channel.ts";
import { type Refusal, refuse } from "../../protocol/refusals.ts";
import type { Proposal } from "../../protocol/message.ts";
import { QUERIES, readQueryAs } from "../../protocol/request.ts";
import { propose } from "../../bus/requests.ts";
import type { Caller } from "../../auth/caller.ts";
import { problem, unauthorized } from "../../web/responses.ts";
import { tagged } from "../../web/text_responses.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import type { Handle, Route } from "./route.ts";
import { mayNotAdmin, NEEDS_ACCOUNT, needsAdmin, valueOf } from "./guards.ts";

/** The most sessions that one answer lists. */
const MOST_SESSIONS = 1000;

// As much of a hash as tells the sessions of one account apart.
const ID = 16;

/**
 * Lists the routes of sessions.
 *
 * @param edge The context of the edge.
 * @returns The routes, each with its methods and its handler.
 */
export function sessionRoutes(edge: EdgeContext): Route[] {
  const own = (handle: Handle): Handle => (request, who, caller, places) =>
    isSomebody(who) ? handle(request, who, caller, places) : unauthorized(NEEDS_ACCOUNT);
  return [
    {
      path: "/api/session",
      methods: ["DELETE"],
      handle: own((_, who, caller) => signOut(edge, who, caller)),
    },
    {
      path: "/api/me/sessions",
      methods: ["GET", "HEAD", "DELETE"],
      handle: own((request, who, caller) =>
        request.method === "DELETE"
          ? endOthers(edge, request, who, caller)
          : list(edge, request, who)
      ),
    },
    {
      path: "/api/me/sessions/:id",
      methods: ["DELETE"],
      handle: own((_, who, caller, { id = "" }) => endOne(edge, who, caller, id)),
    },
    {
      path: "/api/accounts/:account/sessions",
      methods: ["DELETE"],
      handle: (_, who, caller, { account = "" }) =>
        needsAdmin(who) ?? endAll(edge, who, caller, account),
    },
  ];
}

/**
 * Ends sessions of an account; what is open under them closes.
 *
 * @param edge The context of the edge.
 * @param which All of the account's, or one, or all but one, by their hashes.
 * @param caller Who ends them, for the log of the server.
 * @returns The refusal; undefined where they have ended.
 */
export function endSessions(
  edge: EdgeContext,
  { account, only, except }: { account: string; only?: string; except?: string },
  { address }: Caller,
): Promise<Refusal | undefined> {
  const proposal: Proposal = {
    kind: "end_sessions",
    account,
    ...(only === undefined ? {} : { only }),
    ...(except === undefined ? {} : { except }),
  };
  return new Promise((resolve) =>
    propose(edge.bus, proposal, { address }, (result) => {
      if ("refusal" in result) return resolve(result.refusal);
      log.info("sessions.ended", { account, address });
      resolve(undefined);
    })
  );
}

async function signOut(edge: EdgeContext, who: Who, caller: Caller): Promise<Response> {
  const { account, session } = who;
  if (session === undefined) return problem(NO_SESSION);
  // One that isn't recorded has nothing that could end.
  if (account === null) return done();
  return done(await endSessions(edge, { account, only: session }, caller));
}

function list(edge: EdgeContext, request: Request, who: Who): Promise<Response> {
  const sessions = sessionsOf(edge, who).map(({ hash, made, used }) => ({
    id: hash.slice(0, ID),
    made,
    used,
    current: hash === who.session,
  }));
  return tagged(request, JSON.stringify({ sessions }));
}

async function endOne(edge: EdgeContext, who: Who, caller: Caller, id: string): Promise<Response> {
  const found = sessionsOf(edge, who).find(({ hash }) => hash.slice(0, ID) === id);
  if (found === undefined || who.account === null) return problem(NO_SUCH_SESSION);
  return done(await endSessions(edge, { account: who.account, only: found.hash }, caller));
}

async function endOthers(
  edge: EdgeContext,
  request: Request,
  { account, session }: Who,
  caller: Caller,
): Promise<Response> {
  const { all } = valueOf(readQueryAs(QUERIES.endSessions, new URL(request.url).searchParams));
  if (account === null) return done();
  const except = session === undefined || all !== undefined ? {} : { except: session };
  return done(await endSessions(edge, { account, ...except }, caller));
}

async function endAll(
  edge: EdgeContext,
  who: Who,
  caller: Caller,
  account: string,
): Promise<Response> {
  if (!isAccount(account)) return problem(NO_ACCOUNT);
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  if (edge.hub.reader.account(account) === undefined) return problem(NO_SUCH_ACCOUNT);
  return done(await endSessions(edge, { account }, caller));
}

function sessionsOf({ hub }: EdgeContext, { account }: Who): ListedSession[] {
  return account === null ? [] : hub.reader.sessions.of(account, MOST_SESSIONS);
}

function done(refusal?: Refusal): Response {
  if (refusal !== undefined) return problem(refusal);
  return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
}

const NO_SESSION = refuse(
  "not_found",
  "The request came without a session cookie; a token is ended by POST /api/withdrawals",
);
const NO_SUCH_SESSION = refuse("not_found", "There is no such session of your account");
const NO_SUCH_ACCOUNT = refuse("not_found", "There is no such account");
const NO_ACCOUNT = refuse("bad_request", 'An account has 1 to 63 letters, digits, "_" or "-"');
