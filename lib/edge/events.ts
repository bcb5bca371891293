/** Event streams (protocol.md section 3): a reader of several channels, in the order of seq over all of them. */
import type { Who } from "../access.ts";
import { ALL_DIRECT, directFeed, parseChannel } from "../protocol/channel.ts";
import { refuse } from "../protocol/codes.ts";
import { PAGE_DEFAULT } from "../protocol/command.ts";
import { mayNotRead, needsAccount } from "./rules.ts";
import type { Connection } from "./connection.ts";
import { problem } from "./http.ts";
import type { Handle, Point } from "./point.ts";
import type { EdgeParts } from "./parts.ts";
import { type Sockets, STREAMING } from "./sockets.ts";
import { COMMENT, opening, type Place, placeIn, sse } from "./sse.ts";

const HEADERS = { "content-type": "text/event-stream; charset=utf-8" };
const PARAMETERS = ["channel", "last_event_id"];

/**
 * Lists what event streams offer.
 *
 * @param edge The edge's parts.
 * @param sockets Its sockets, of which streams are a kind.
 * @returns Its points.
 */
export function eventPoints(edge: EdgeParts, sockets: Sockets): Point[] {
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
function begin(edge: EdgeParts, connection: Connection, { channels, who, since }: Wish): void {
  const { hub } = edge;
  hub.catchUp();
  const at = hub.seq;
  const places = new Map<string, number>();
  const gaps: string[] = [];
  for (const channel of channels) {
    const feed = channel === ALL_DIRECT ? directFeed(who.account ?? "") : channel;
    if (since === undefined || recovers(edge, feed, since)) {
      places.set(feed, since?.seq ?? at);
      continue;
    }
    gaps.push(channel);
    edge.counters.add("gaps_total");
    const { messages } = hub.reader.newest(feed, at, PAGE_DEFAULT);
    places.set(feed, (messages[0]?.seq ?? at + 1) - 1);
  }
  // Where it can't begin with the place that it was given, it does so before the first message that follows.
  const first = gaps.length > 0 ? firstOwed(edge, places, at) : since?.seq ?? at;
  connection.reading.rewind(first);
  connection.answer(opening({ epoch: hub.reader.epoch, seq: first }, gaps));
  for (const [feed, place] of places) connection.reading.subscribe(feed, place);
}

function recovers({ hub, limits }: EdgeParts, feed: string, since: Place): boolean {
  const { reader, seq } = hub;
  return since.epoch === reader.epoch && since.seq <= seq && since.seq >= reader.trimmed(feed) &&
    reader.count(feed, since.seq, seq, limits.recovery + 1) <= limits.recovery;
}

function firstOwed({ hub }: EdgeParts, places: ReadonlyMap<string, number>, at: number): number {
  let first = at;
  for (const [feed, place] of places) {
    const [next] = hub.reader.after(feed, place, at, 1).messages;
    if (next !== undefined) first = Math.min(first, next.seq - 1);
  }
  return first;
}
