/** What the routes of the HTTP interface have in common: who may, by which key, and what is left of the rate. */
import { isSomebody, type Who } from "../../auth/access.ts";
import type { Limits } from "../../config/limits.ts";
import { ALL_DIRECT, DEMO_PUSH, parseChannel } from "../../protocol/channel.ts";
import { type Refusal, refuse } from "../../protocol/refusals.ts";
import { faultInKey } from "../../protocol/command.ts";
import type { Read } from "../../protocol/request.ts";
import { fromBytes } from "../../protocol/params.ts";
import { publishAll, type Published, type PublishRequest } from "../../channels/publish.ts";
import type { Caller } from "../../auth/caller.ts";
import { HttpRefused, problem, unauthorized } from "../../web/responses.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";

/** What to say where an account is needed. */
export const NEEDS_ACCOUNT =
  "This needs an account: a token in the Authorization header, or the cookie of one of our pages";

const NEEDS_TOKEN =
  "This server is closed: pushing needs the admin token, or a token that lists the channel, in the Authorization header";

const NEEDS_ADMIN = "This needs the admin token";

/**
 * Publishes messages together, all or none. Records the sender's account first.
 *
 * @param edge The context of the edge.
 * @param who The sender.
 * @param caller Where the request comes from.
 * @param requests The messages.
 * @returns Their outcomes, or the answer that refuses them, with what is left of the rate.
 */
export async function publishAs(
  edge: EdgeContext,
  who: Who,
  { address }: Caller,
  requests: readonly PublishRequest[],
): Promise<Exclude<Published, { refusal: Refusal }> | Response> {
  const published = await publishAll(edge, who, { address }, requests);
  if (!("refusal" in published)) return published;
  const { refusal } = published;
  const response = problem(refusal);
  return refusal.code === "rate_limited"
    ? withRate(response, edge.limits, 0, refusal.retry)
    : response;
}

/**
 * Refuses whoever has no account where one is needed: what a token or a page would give.
 *
 * @param edge The context of the edge.
 * @param who Who asks.
 * @param action What for.
 * @param channel Where.
 * @returns The answer; undefined for whoever has an account, and where none is needed.
 */
export function needsAccount(
  { access }: EdgeContext,
  who: Who,
  action: "read" | "publish",
  channel: string,
): Response | undefined {
  // That something isn't a channel is said later, to whoever may do this in any.
  const isChannel = parseChannel(channel) !== undefined ||
    (channel === ALL_DIRECT && action === "read");
  const where = isChannel ? channel : DEMO_PUSH;
  // All of one's own direct messages are those of an account that is known.
  const known = channel === ALL_DIRECT ? who.account !== null : isSomebody(who);
  if (known || who.admin || access.may(who, action, where)) return undefined;
  // Anyone reads pushes, so this was publishing one: an account of a browser would not help.
  return unauthorized(channel.startsWith("push:") ? NEEDS_TOKEN : NEEDS_ACCOUNT);
}

/**
 * Refuses whoever may not read.
 *
 * @param edge The context of the edge.
 * @param who Who asks.
 * @param channel Where.
 * @returns The answer; undefined for whoever may.
 */
export function mayNotRead(
  { access }: EdgeContext,
  who: Who,
  channel: string,
): Response | undefined {
  const refusal = access.refusal(who, "read", channel);
  return refusal === undefined ? undefined : problem(refusal);
}

/**
 * Refuses whoever is nobody where the admin token is needed. Of others the form is looked at first.
 *
 * @param who Who asks.
 * @returns The answer; undefined for the admin, and for an account.
 */
export function needsAdmin(who: Who): Response | undefined {
  return who.admin || isSomebody(who) ? undefined : unauthorized(NEEDS_ADMIN);
}

/**
 * Refuses an account that isn't the admin's, once what it asks is of the right form.
 *
 * @param who Who asks.
 * @returns The answer; undefined for the admin.
 */
export function mayNotAdmin({ admin }: Who): Response | undefined {
  return admin ? undefined : problem(refuse("forbidden", NEEDS_ADMIN));
}

/**
 * Adds what is left of the rate (draft-ietf-httpapi-ratelimit-headers).
 *
 * @param response The answer.
 * @param limits The limits in force.
 * @param left How many may still be published at once.
 * @param retry Milliseconds until it is more, where it isn't known from the rate.
 * @returns The same answer.
 */
export function withRate(
  response: Response,
  { rate, burst }: Limits,
  left: number | undefined,
  retry?: number,
): Response {
  if (rate === 0 || left === undefined) return response;
  const full = Math.ceil((burst - left) / rate);
  const reset = retry === undefined ? full : Math.ceil(retry / 1000);
  response.headers.set("ratelimit-policy", `"publish";q=${burst};w=${Math.ceil(burst / rate)}`);
  response.headers.set("ratelimit", `"publish";r=${left};t=${reset}`);
  return response;
}

/**
 * Finds the key in a request's `Idempotency-Key`.
 *
 * @param headers The request's.
 * @returns The key: as it stands there, or what is in its quotes.
 * @throws {HttpRefused} If it is none.
 */
export function keyInHeader(headers: Headers): string | undefined {
  const header = headers.get("idempotency-key");
  if (header === null) return undefined;
  const text = fromBytes(header);
  const key = /^"([^"\\]*)"$/.exec(text)?.[1] ?? text;
  const fault = faultInKey(key);
  if (fault === undefined) return key;
  throw new HttpRefused(400, "bad_request", `Idempotency-Key is wrong: expected ${fault}`);
}

/**
 * Takes what was read, or refuses.
 *
 * @param read What was read.
 * @returns The value.
 * @throws {HttpRefused} If it is none.
 */
export function valueOf<T>(read: Read<T>): T {
  if ("value" in read) return read.value;
  throw new HttpRefused(400, read.refusal.code, read.refusal.message);
}
