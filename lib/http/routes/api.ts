/** The JSON API (protocol.md, "HTTP"): publishing, pages, presence, channels, and who one is. */
import { Buffer } from "node:buffer";
import { isSomebody, type Who } from "../../auth/access.ts";
import { bodyLimit } from "../../config/limits.ts";
import { toJson } from "../../protocol/json.ts";
import { newestPage, pageAfter } from "../../store/pages.ts";
import type { Page } from "../../store/reader.ts";
import { ALL_DIRECT, DEMO_PUSH, directFeed, parseChannel } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { PAGE_DEFAULT } from "../../protocol/command.ts";
import { messageJson } from "../../protocol/message.ts";
import { rosterJson } from "../../protocol/presence.ts";
import { BODIES, MOST_CHANNELS, QUERIES, readBodyAs, readQueryAs } from "../../protocol/request.ts";
import { endSessions } from "./sessions.ts";
import { nameInToken } from "../../channels/accounts.ts";
import { ask, askReaders, askRoster, UNANSWERED } from "../../bus/requests.ts";
import { type Meter, tooMuchRead } from "../../delivery/byte_rates.ts";
import type { Caller } from "../../auth/caller.ts";
import { json, problem, readJson, unauthorized, workOf } from "../../web/responses.ts";
import { tagged } from "../../web/text_responses.ts";
import type { Handle, Route } from "./route.ts";
import {
  keyInHeader,
  mayNotAdmin,
  mayNotRead,
  NEEDS_ACCOUNT,
  needsAccount,
  needsAdmin,
  publishAs,
  valueOf,
  withRate,
} from "./guards.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import type { Sockets } from "../../transports/sockets.ts";

/**
 * Lists the routes of the JSON API.
 *
 * @param edge The context of the edge.
 * @param sockets Its sockets: answers that may be large are counted with them.
 * @returns Its routes.
 */
export function apiRoutes(edge: EdgeContext, sockets: Sockets): Route[] {
  const read = ["GET", "HEAD"];
  const messages = "/api/channels/:channel/messages";
  return [
    { path: messages, methods: [...read, "POST"], handle: messagesOf(edge, sockets) },
    {
      path: "/api/channels/:channel/presence",
      methods: read,
      handle: (request, who, caller, { channel = "" }) =>
        presence(edge, sockets, { request, who, caller }, channel),
    },
    {
      path: "/api/channels",
      methods: read,
      handle: (request, who, caller) => channels(edge, sockets, { request, who, caller }),
    },
    {
      path: "/api/messages",
      methods: ["POST"],
      handle: (request, who, caller) => publishMany(edge, request, who, caller),
    },
    { path: "/api/me", methods: read, handle: (request, who) => me(edge, request, who) },
    {
      path: "/api/withdrawals",
      methods: ["POST"],
      handle: (request, who, caller) => withdraw(edge, request, who, caller),
    },
  ];
}

interface Asked {
  readonly request: Request;
  readonly who: Who;
  readonly caller: Caller;
}

function messagesOf(edge: EdgeContext, sockets: Sockets): Handle {
  return (request, who, caller, { channel = "" }) =>
    request.method === "POST"
      ? publishOne(edge, request, who, caller, channel)
      : page(edge, sockets, { request, who, caller }, channel);
}

async function publishOne(
  edge: EdgeContext,
  request: Request,
  who: Who,
  caller: Caller,
  channel: string,
): Promise<Response> {
  const stranger = needsAccount(edge, who, "publish", channel);
  if (stranger !== undefined) return stranger;
  const body = await readJson(request, bodyLimit(edge.limits));
  if (parseChannel(channel) === undefined) return problem(NO_CHANNEL);
  const { key, data } = valueOf(readBodyAs(BODIES.publish, body));
  const header = keyInHeader(request.headers);
  if (key !== undefined && header !== undefined && key !== header) {
    return problem(refuse("bad_request", '"key" and Idempotency-Key are two different keys'));
  }
  const message = { channel, data, key: key ?? header };
  const published = await publishAs(edge, who, caller, [message]);
  if (published instanceof Response) return published;
  const [outcome] = published.outcomes;
  if (outcome === undefined) return problem(UNANSWERED);
  const status = outcome.duplicate ? 200 : 201;
  return withRate(json({ channel, ...outcome }, status), edge.limits, published.left);
}

async function publishMany(
  edge: EdgeContext,
  request: Request,
  who: Who,
  caller: Caller,
): Promise<Response> {
  // Whoever may publish nowhere needn't send the rest.
  const stranger = needsAccount(edge, who, "publish", DEMO_PUSH);
  if (stranger !== undefined) return stranger;
  // Whoever sends one counts on it: that nothing comes twice isn't to be believed in vain.
  if (request.headers.has("idempotency-key")) return problem(ONE_KEY);
  const wanted = valueOf(
    readBodyAs(BODIES.publishAll, await readJson(request, bodyLimit(edge.limits))),
  );
  for (const { channel } of wanted) {
    const stranger = needsAccount(edge, who, "publish", channel);
    if (stranger !== undefined) return stranger;
  }
  const requests = wanted.length === 1
    ? wanted
    : wanted.map((message, i) => ({ ...message, field: `${i}.data` }));
  const published = await publishAs(edge, who, caller, requests);
  if (published instanceof Response) return published;
  const { outcomes, left } = published;
  const told = outcomes.map((outcome, i) => ({ channel: wanted[i]?.channel, ...outcome }));
  const status = outcomes.every(({ duplicate }) => duplicate) ? 200 : 201;
  return withRate(json(told, status), edge.limits, left);
}

async function page(
  edge: EdgeContext,
  sockets: Sockets,
  { request, who, caller }: Asked,
  channel: string,
): Promise<Response> {
  if (channel !== ALL_DIRECT && parseChannel(channel) === undefined) return problem(NO_CHANNEL);
  const stranger = needsAccount(edge, who, "read", channel);
  if (stranger !== undefined) return stranger;
  const query = new URL(request.url).searchParams;
  const { before, after, limit = PAGE_DEFAULT } = valueOf(readQueryAs(QUERIES.messages, query));
  if (before !== undefined && after !== undefined) {
    return problem(refuse("bad_request", 'A page is "before" or "after" a place, not both'));
  }
  const foreign = mayNotRead(edge, who, channel);
  if (foreign !== undefined) return foreign;
  const { meter } = workOf(request);
  const wait = meter?.wait() ?? 0;
  if (wait > 0) return problem(tooMuchRead(wait));
  const { hub } = edge;
  return await sockets.answer(caller, who, async () => {
    hub.catchUp();
    const feed = channel === ALL_DIRECT ? directFeed(who.account ?? "") : channel;
    const size = { limit, bytes: hub.budget.of(hub.now(), { largest: 0 }).page };
    const read = after === undefined
      ? newestPage(hub.reader, feed, Math.min(hub.seq, (before ?? hub.seq + 1) - 1), size)
      : pageAfter(hub.reader, feed, { after, upTo: hub.seq }, size);
    return await tagged(request, await hub.slices.all(pageJson(read, meter)));
  });
}

function* pageJson(read: Generator<void, Page>, meter: Meter | undefined): Generator<void, string> {
  const { messages, more, bytes } = yield* read;
  meter?.spend(bytes);
  yield;
  return `{"messages":[${messages.map(messageJson).join(",")}],"more":${more}}`;
}

async function presence(
  edge: EdgeContext,
  sockets: Sockets,
  { request, who, caller }: Asked,
  channel: string,
): Promise<Response> {
  if (parseChannel(channel) === undefined) return problem(NO_CHANNEL);
  const refused = needsAccount(edge, who, "read", channel) ?? mayNotRead(edge, who, channel);
  if (refused !== undefined) return refused;
  return await sockets.answer(caller, who, async () => {
    const roster = await askRoster(edge.bus, channel);
    if (roster === undefined) return problem(UNANSWERED);
    return await tagged(request, rosterJson(roster, true));
  });
}

async function channels(
  edge: EdgeContext,
  sockets: Sockets,
  { request, who, caller }: Asked,
): Promise<Response> {
  const refused = needsAdmin(who);
  if (refused !== undefined) return refused;
  const query = new URL(request.url).searchParams;
  const { after = "", limit = MOST_CHANNELS } = valueOf(readQueryAs(QUERIES.channels, query));
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  return await sockets.answer(caller, who, () => listChannels(edge, request, after, limit));
}

async function listChannels(
  edge: EdgeContext,
  request: Request,
  after: string,
  limit: number,
): Promise<Response> {
  const readers = await askReaders(edge.bus);
  if (readers === undefined) return problem(UNANSWERED);
  edge.hub.catchUp();
  const { reader } = edge.hub;
  const kept = reader.channels(after, limit + 1);
  const rates = reader.rates(edge.clock());
  const seqs = new Map(kept.map(({ channel, seq }) => [channel, seq]));
  // Those that someone listens to and nobody ever published in are channels too; who writes to whom is nobody's business.
  for (const [channel] of readers) {
    if (parseChannel(channel)?.kind === "dm" || inBytes(channel, after) <= 0) continue;
    if (!seqs.has(channel)) seqs.set(channel, reader.newestSeq(channel));
  }
  const counts = new Map(readers);
  const list = [...seqs].sort(([a], [b]) => inBytes(a, b)).map(([channel, seq]) => ({
    channel,
    subscribers: counts.get(channel) ?? 0,
    seq,
    rate: rates.get(channel) ?? 0,
  }));
  const told = { channels: list.slice(0, limit), more: list.length > limit };
  return await tagged(request, toJson(told));
}

// The log's order, which pages go by: that of UTF-16 is another where a letter has two halves.
function inBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

async function me(edge: EdgeContext, request: Request, who: Who): Promise<Response> {
  const { account, admin } = who;
  if (!isSomebody(who) && !admin) return unauthorized(NEEDS_ACCOUNT);
  edge.hub.catchUp();
  const known = account === null ? undefined : edge.hub.reader.account(account)?.name;
  const name = known ?? nameInToken(edge, who);
  return await tagged(
    request,
    toJson({ account, ...(name === undefined ? {} : { name }) }),
  );
}

async function withdraw(
  edge: EdgeContext,
  request: Request,
  who: Who,
  caller: Caller,
): Promise<Response> {
  const refused = needsAdmin(who);
  if (refused !== undefined) return refused;
  const body = valueOf(
    readBodyAs(BODIES.withdraw, await readJson(request, bodyLimit(edge.limits))),
  );
  const foreign = mayNotAdmin(who);
  if (foreign !== undefined) return foreign;
  // Those that are made in this second are withdrawn too: `iat` knows no parts of one.
  const made = Math.floor(edge.clock() / 1000);
  const told = "jti" in body ? body : { account: body.account, before: body.before ?? made + 1 };
  const tokens = "account" in told ? { ...told, made } : told;
  const refusal = await ask(edge.bus, { op: "withdraw", tokens }) ??
    ("account" in told ? await endSessions(edge, { account: told.account }, caller) : undefined);
  return refusal === undefined ? json(told, 201) : problem(refusal);
}

const ONE_KEY = refuse(
  "bad_request",
  'Idempotency-Key is for one message: here each has its "key"',
);
const NO_CHANNEL = refuse("bad_request", "A channel is push:NAME, room:NAME or dm:A.B");
