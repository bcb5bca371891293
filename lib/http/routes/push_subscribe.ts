/** PushFormat pushes with the habits of ntfy: `/push/NAME,NAME/json`, `/sse`, `/raw` and `/ws`, followed or polled, since when, which. */
import type { Who } from "../../auth/access.ts";
import { parseChannel } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { said, type Sayings } from "../../protocol/params.ts";
import type { Reader } from "../../store/reader.ts";
import type { Connection } from "../../delivery/connection.ts";
import type { Caller } from "../../auth/caller.ts";
import { type Filter, filtered, filterIn, passes } from "./push_filter.ts";
import { problem } from "../../web/responses.ts";
import { chooseCoding } from "../../web/text_responses.ts";
import { type Format, seqInId, toldEvent } from "../../codecs/ntfy.ts";
import type { Route } from "./route.ts";
import { mayNotRead, needsAccount } from "./guards.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import { type Sockets, STREAMING } from "../../transports/sockets.ts";

// Nobody on the way keeps what may be another answer a moment later.
const POLLED = { vary: "Accept-Encoding", "cache-control": "no-store" };

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How pushes are read at one address. */
export interface PushFormat {
  readonly edge: EdgeContext;
  readonly sockets: Sockets;
  readonly format: Format;
  /** That of JSON lines, which are filtered and written anew. */
  readonly lines: Format;
  /** Whether it is a WebSocket. */
  readonly frames: boolean;
}

/**
 * Makes the point where pushes are read in a format.
 *
 * @param reading How.
 * @param ending The last part of its address.
 * @returns The point.
 */
export function readingRoute(reading: PushFormat, ending: string): Route {
  return {
    path: `/push/:name/${ending}`,
    methods: reading.frames ? ["GET"] : ["GET", "HEAD"],
    handle: (request, who, caller, { name = "" }) =>
      follow(reading, request, who, caller, [...new Set(name.split(","))]),
  };
}

/** What a subscriber wants. */
interface Wish {
  readonly topics: readonly string[];
  /** Of each channel the place after which it is read. */
  readonly places: ReadonlyMap<string, number>;
  readonly filter: Filter | "none";
}

async function follow(
  reading: PushFormat,
  request: Request,
  who: Who,
  caller: Caller,
  topics: readonly string[],
): Promise<Response> {
  const { edge, format, frames } = reading;
  const channels = topics.map((topic) => `push:${topic}`);
  const stranger = channels.map((channel) => needsAccount(edge, who, "read", channel))
    .find(Boolean);
  if (stranger !== undefined) return stranger;
  const most = edge.limits.channels;
  if (channels.length > most) {
    return problem(refuse("bad_request", `A stream has at most ${most} channels`));
  }
  if (channels.some((channel) => parseChannel(channel) === undefined)) return problem(NO_NAME);
  const sayings = { headers: request.headers, query: new URL(request.url).searchParams };
  const poll = /^(?:1|true|yes)$/i.test(said(sayings, ["x-poll", "poll", "po"]) ?? "");
  const filter = filterIn(sayings);
  if (filter === undefined) return problem(NO_PRIORITY);
  const places = placesOf(
    edge,
    channels,
    sinceIn(sayings) ?? (poll ? "all" : "none"),
  );
  if (places === undefined) return problem(NO_SINCE);
  for (const channel of channels) {
    const foreign = mayNotRead(edge, who, channel);
    if (foreign !== undefined) return foreign;
  }
  const wish = { topics, places, filter };
  if (frames) return await upgrade(reading, request, who, caller, wish);
  if (request.method === "HEAD") {
    const kept = poll ? POLLED : STREAMING;
    return new Response(null, { headers: { "content-type": format.type, ...kept } });
  }
  return poll
    ? await polled(request, reading, who, caller, wish)
    : await stream(reading, who, caller, wish);
}

// All that is there: a stream that ends.
async function polled(
  request: Request,
  reading: PushFormat,
  who: Who,
  caller: Caller,
  wish: Wish,
): Promise<Response> {
  const response = await stream(reading, who, caller, wish, true);
  if (!response.ok) return response;
  for (const [name, value] of Object.entries(POLLED)) response.headers.set(name, value);
  const { body } = response;
  if (body === null || chooseCoding(request, "gzip") === undefined) return response;
  response.headers.set("content-encoding", "gzip");
  const { headers } = response;
  const pieces = body.pipeThrough(reading.edge.hub.slices.pieces<Uint8Array<ArrayBuffer>>());
  return new Response(pieces.pipeThrough(new CompressionStream("gzip")), { headers });
}

function sinceIn(sayings: Sayings): string | undefined {
  return said(sayings, ["x-since", "since", "si"]);
}

async function stream(
  { edge, sockets, format, lines }: PushFormat,
  who: Who,
  caller: Caller,
  wish: Wish,
  ends = false,
): Promise<Response> {
  const { topics, filter } = wish;
  const { codec, write } = filter === "none" ? format : lines;
  const word = (event: "keepalive" | "open") => write(toldEvent(event, topics, edge.clock()));
  const response = await sockets.stream(caller, {
    codec,
    who,
    ...(ends ? {} : { keepalive: () => word("keepalive") }),
    headers: { "content-type": format.type },
    begin: (connection) => begin(edge, connection, wish, ends ? undefined : word("open")),
  });
  const { body, headers, ok } = response;
  if (filter === "none" || body === null || !ok) return response;
  const pieces = body.pipeThrough(edge.hub.slices.pieces<Uint8Array<ArrayBuffer>>());
  return new Response(pieces.pipeThrough(filtered(filter, format)), { headers });
}

async function upgrade(
  { edge, sockets, format }: PushFormat,
  request: Request,
  who: Who,
  caller: Caller,
  wish: Wish,
): Promise<Response> {
  const { filter } = wish;
  return await sockets.upgrade(request, caller, {
    codec: format.codec,
    who,
    headers: new Headers(),
    ...(filter === "none" ? {} : { passes: (frame: string) => passes(filter, frame) }),
    begin: (connection) => {
      begin(edge, connection, wish, format.write(toldEvent("open", wish.topics, edge.clock())));
      return { receive: () => {} };
    },
  });
}

// Without a word to open it, it ends with what is there now.
function begin(
  { hub }: EdgeContext,
  connection: Connection,
  { places }: Wish,
  open: string | undefined,
): void {
  const { cursor } = connection;
  cursor.rewind(Math.min(hub.seq, ...places.values()));
  if (open === undefined) {
    cursor.endAt(hub.seq);
    connection.owes = () => !cursor.ended;
  } else connection.answer(open);
  for (const [channel, place] of places) cursor.subscribe(channel, place);
}

// What `since` may be: durations, a time in seconds (ten digits or more, as since 2001), an id, `all`, `latest` or `none`.
function placesOf(
  { hub, clock }: EdgeContext,
  channels: readonly string[],
  since: string,
): ReadonlyMap<string, number> | undefined {
  hub.catchUp();
  const { reader, seq } = hub;
  if (since === "latest") {
    return new Map(
      channels.map((channel) => [channel, reader.index.placeBefore(channel, seq, 1)]),
    );
  }
  const place = placeOf(reader, seq, clock(), since);
  if (place === undefined) return undefined;
  // What retention took isn't owed to it: it asked for what there is.
  return new Map(channels.map((channel) => [channel, Math.max(place, reader.trimmed(channel))]));
}

function placeOf(reader: Reader, seq: number, now: number, since: string): number | undefined {
  if (since === "none") return seq;
  if (since === "all") return 0;
  const span = spanIn(since);
  if (span !== undefined) {
    const time = now - span;
    return Math.max(before(reader, seq, time), reader.ages.upTo(time, now));
  }
  const id = placeInId(reader.epoch, since);
  // Whoever has seen another log, or more than there is, has seen nothing of this one.
  if (id !== undefined) return id === "unknown" || id > seq ? 0 : id;
  return /^\d{1,15}$/.test(since) ? before(reader, seq, 1000 * Number(since)) : undefined;
}

// Ids were bare seqs once, which some clients have kept.
function placeInId(
  epoch: string,
  since: string,
): number | "unknown" | undefined {
  const bare = /^\d{1,9}$/.test(since) ? Number(since) : undefined;
  return bare ?? seqInId(epoch, since);
}

// As Go writes durations, 1h30m or 1.5h; days besides.
function spanIn(since: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[smhd])){1,6}$/.test(since)) return undefined;
  return [...since.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])/g)].reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (UNITS[unit] ?? 0),
    0,
  );
}

// Times don't fall with seq: halved until the place is found before which everything is older.
function before(reader: Reader, seq: number, time: number): number {
  let [low, high] = [0, seq];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const next = reader.index.timeAfter(middle, seq);
    if (next === undefined || next.time >= time) high = middle;
    else low = Math.max(middle + 1, Math.min(next.seq, high));
  }
  return low;
}

/** What is said where a name is none. */
export const NO_NAME = refuse(
  "bad_request",
  'The name of a push channel has 1 to 128 bytes: letters, digits, "_", "-", "."',
);
const NO_SINCE = refuse(
  "bad_request",
  '"since" is a duration like 10m or 1h30m, a time in seconds, an id, all, latest or none',
);
const NO_PRIORITY = refuse(
  "bad_request",
  '"priority" is a list of 1 to 5, min, low, default, high, max or urgent',
);
