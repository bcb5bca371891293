/** Event streams (protocol.md, "Event streams"): a reader of several channels, in the order of seq over all of them. */
import type { Who } from "../../auth/access.ts";
import { ALL_DIRECT, directFeed, parseChannel } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { PAGE_DEFAULT } from "../../protocol/command.ts";
import { mayNotRead, needsAccount } from "./guards.ts";
import type { Connection } from "../../delivery/connection.ts";
import { problem } from "../../web/responses.ts";
import type { Handle, Route } from "./route.ts";
import { type EdgeContext, recovers } from "../../sessions/edge_context.ts";
import { type Sockets, STREAMING } from "../../transports/sockets.ts";
import { COMMENT, opening, type Place, placeIn, sse } from "../../codecs/event_stream.ts";

const HEADERS = { "content-type": "text/event-stream; charset=utf-8" };
const PARAMETERS = ["channel", "last_event_id"];

/**
 * Lists the route of event streams.
 *
 * @param edge The context of the edge.
 * @param sockets Its sockets, of which streams are a kind.
 * @returns Its routes.
 */
export function eventRoutes(edge: EdgeContext, sockets: Sockets): Route[] {
  const codec = sse(edge.hub.reader.epoch);
  const handle: Handle = async (request, who, caller) => {
    const query = new URL(request.url).searchParams;
    const channels = [...new Set(query.getAll("channel"))];
    const stranger = channels.map((channel) => needsAccount(edge, who, "read", channel))
      .find(Boolean);
    if (stranger !== undefined) return stranger;
    const wrong = faultIn(query, channels, edge.limits.channels);
    if (wrong !== undefined) return problem(refuse("bad_request", wrong));
    const last = request.headers.get("last-event-id") ?? query.get("last_event_id") ?? "";
    const since = placeIn(last);
    if (last !== "" && since === undefined) {
      return problem(refuse("bad_request", "Last-Event-ID is wrong: expected EPOCH:SEQ"));
    }
    for (const channel of channels) {
      const foreign = mayNotRead(edge, who, channel);
      if (foreign !== undefined) return foreign;
    }
    if (request.method === "HEAD") {
      return new Response(null, { headers: { ...STREAMING, ...HEADERS } });
    }
    return await sockets.stream(caller, {
      codec,
      who,
      keepalive: () => COMMENT,
      headers: HEADERS,
      begin: (connection) => begin(edge, connection, { channels, who, since }),
    });
  };
  return [{ path: "/events{/}?", methods: ["GET", "HEAD"], handle }];
}

function faultIn(
  query: URLSearchParams,
  channels: readonly string[],
  most: number,
): string | undefined {
  const unknown = [...query.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) return `"${unknown.slice(0, 64)}" is unknown`;
  if (query.getAll("last_event_id").length > 1) return '"last_event_id" comes twice';
  if (channels.length === 0) return "Name the channels: /events?channel=push:all&channel=…";
  if (channels.length > most) return `A stream has at most ${most} channels`;
  const wrong = channels.find((id) => id !== ALL_DIRECT && parseChannel(id) === undefined);
  return wrong === undefined
    ? undefined
    : `"channel" is wrong: expected push:NAME, room:NAME, dm:A.B or ${ALL_DIRECT}`;
}

interface Wish {
  readonly channels: readonly string[];
  readonly who: Who;
  readonly since: Place | undefined;
}

// Everything comes from one cursor, that of the live messages: so what is recovered is in the order of seq over all channels.
async function begin(
  edge: EdgeContext,
  connection: Connection,
  { channels, who, since }: Wish,
): Promise<void> {
  const { hub } = edge;
  hub.catchUp();
  const at = hub.seq;
  const names = new Map(
    channels.map((channel) =>
      [channel === ALL_DIRECT ? directFeed(who.account ?? "") : channel, channel] as const
    ),
  );
  const { places, gaps } = await hub.slices.all(placesIn(edge, [...names.keys()], at, since));
  // Many streams get their places in one turn; to subscribe one to 128 feeds takes milliseconds.
  await hub.slices.turn();
  edge.counters.add("gaps_total", gaps.length);
  // Where it can't begin with the place that it was given, it does so before the first message that follows.
  const first = gaps.length === 0 ? since?.seq ?? at : firstOwed(edge, places, at);
  // Its client may be gone by now.
  if (!connection.open) return;
  connection.cursor.rewind(first);
  const told = gaps.map((feed) => names.get(feed) ?? feed);
  connection.answer(opening({ epoch: hub.reader.epoch, seq: first }, told));
  for (const [feed, place] of places) connection.cursor.subscribe(feed, place);
}

// Learnt from the index. One feed is a slice: what is recovered of it may have ten thousand messages, which are counted.
function* placesIn(
  edge: EdgeContext,
  feeds: readonly string[],
  at: number,
  since: Place | undefined,
): Generator<void, { readonly places: ReadonlyMap<string, number>; readonly gaps: string[] }> {
  const places = new Map<string, number>();
  const gaps: string[] = [];
  for (const feed of feeds) {
    if (since === undefined) places.set(feed, at);
    else if (recovers(edge, feed, since, at)) places.set(feed, since.seq);
    else {
      gaps.push(feed);
      places.set(feed, edge.hub.reader.index.placeBefore(feed, at, PAGE_DEFAULT));
    }
    if (since !== undefined) yield;
  }
  return { places, gaps };
}

function firstOwed({ hub }: EdgeContext, places: ReadonlyMap<string, number>, at: number): number {
  const heads = hub.reader.index.heads(places, at);
  return heads.reduce((first, { seq = Infinity }) => Math.min(first, seq - 1), at);
}
