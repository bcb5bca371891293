/** Moderation (only for the admin): who may read and not publish. */
import type { Who } from "../../auth/access.ts";
import { bodyLimit } from "../../config/limits.ts";
import { log } from "../../observability/logger.ts";
import { isAccount } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { toJson } from "../../protocol/json.ts";
import type { Mute, Proposal } from "../../protocol/message.ts";
import { BODIES, MOST_LISTED, QUERIES, readBodyAs, readQueryAs } from "../../protocol/request.ts";
import { propose, type Result } from "../../bus/requests.ts";
import type { Caller } from "../../auth/caller.ts";
import { json, problem, readBody, readJson } from "../../web/responses.ts";
import { tagged } from "../../web/text_responses.ts";
import type { Route } from "./route.ts";
import { mayNotAdmin, needsAdmin, valueOf } from "./guards.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";

/**
 * Lists the routes of moderation.
 *
 * @param edge The context of the edge.
 * @returns Its routes.
 */
export function moderationRoutes(edge: EdgeContext): Route[] {
  return [
    {
      path: "/api/accounts/:account/mute",
      methods: ["PUT", "DELETE"],
      handle: (request, who, caller, { account = "" }) =>
        needsAdmin(who) ??
          (request.method === "PUT" ? mute : unmute)(edge, request, who, caller, account),
    },
    {
      path: "/api/mutes",
      methods: ["GET", "HEAD"],
      handle: (request, who) => list(edge, request, who),
    },
  ];
}

async function mute(
  edge: EdgeContext,
  request: Request,
  who: Who,
  caller: Caller,
  account: string,
): Promise<Response> {
  const { until } = await wishIn(request, bodyLimit(edge.limits));
  if (!isAccount(account)) return problem(NO_ACCOUNT);
  if (until !== undefined && until <= edge.clock()) return problem(IS_OVER);
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  const proposal = { kind: "mute" as const, account, until: until ?? null };
  const result = await decide(edge, proposal, caller);
  if ("refusal" in result) return problem(result.refusal);
  const { time } = result.outcome;
  const told: Mute = { account, time, ...(until === undefined ? {} : { until }) };
  log.info("account.muted", { ...told, address: caller.address });
  return json(told);
}

async function unmute(
  edge: EdgeContext,
  _: Request,
  who: Who,
  caller: Caller,
  account: string,
): Promise<Response> {
  if (!isAccount(account)) return problem(NO_ACCOUNT);
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  const result = await decide(edge, { kind: "unmute", account }, caller);
  if ("refusal" in result) return problem(result.refusal);
  log.info("account.unmuted", { account, address: caller.address });
  return new Response(null, { status: 204, headers: { "cache-control": "no-store" } });
}

async function list(edge: EdgeContext, request: Request, who: Who): Promise<Response> {
  const refused = needsAdmin(who);
  if (refused !== undefined) return refused;
  const query = new URL(request.url).searchParams;
  const { after = "", limit = MOST_LISTED } = valueOf(readQueryAs(QUERIES.mutes, query));
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  const mutes = edge.hub.reader.mutes(edge.clock(), after, limit + 1);
  const told = { mutes: mutes.slice(0, limit), more: mutes.length > limit };
  return await tagged(request, toJson(told));
}

function decide(edge: EdgeContext, proposal: Proposal, { address }: Caller): Promise<Result> {
  return new Promise((resolve) => propose(edge.bus, proposal, { address }, resolve));
}

// Nothing at all is sent by whoever has no end in mind.
async function wishIn(request: Request, limit: number): Promise<{ until?: number | undefined }> {
  if (!request.headers.has("content-type")) {
    const { length } = await readBody(request, limit);
    if (length === 0) return {};
  }
  return valueOf(readBodyAs(BODIES.mute, await readJson(request, limit)));
}

const NO_ACCOUNT = refuse(
  "bad_request",
  'An account has 1 to 63 letters, digits, "_" or "-"',
);
const IS_OVER = refuse("bad_request", '"until" is wrong: expected a time that is to come');
