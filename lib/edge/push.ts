/** `/push/NAME`: publishing in one line, and reading, with the habits of ntfy (protocol.md section 4). */
import type { Who } from "../access.ts";
import { bodyLimit } from "../limits.ts";
import { parseChannel } from "../protocol/channel.ts";
import { refuse } from "../protocol/codes.ts";
import { messageJson } from "../protocol/message.ts";
import { readPush } from "../protocol/push.ts";
import type { Reader } from "../log/reader.ts";
import { keyInHeader, mayNotRead, needsAccount, publishAs, withRate } from "./rules.ts";
import type { Connection } from "./connection.ts";
import type { Caller } from "./door.ts";
import { json, problem, readText } from "./http.ts";
import { type Format, FORMATS } from "./ntfy.ts";
import type { Point } from "./point.ts";
import { byteLength, type EdgeParts } from "./session.ts";
import type { Sockets } from "./sockets.ts";
import { UNANSWERED } from "./ask.ts";

// How often ntfy says that it is there, in milliseconds.
const KEEPALIVE = 45_000;

const PAGE = 200;

// Where a number is no seq of ours any more but a time in seconds: September 2001.
const FIRST_TIME = 1_000_000_000;

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Lists what there is under `/push/`.
 *
 * @param edge The edge's parts.
 * @param sockets Its sockets.
 * @returns Its points.
 */
export function pushPoints(edge: EdgeParts, sockets: Sockets): Point[] {
  const write: Point = {
    path: "/push/:name{/}?",
    methods: ["POST", "PUT"],
    handle: (request, who, caller, { name = "" }) => publish(edge, request, who, caller, name),
  };
  const read = Object.entries(FORMATS).map(([ending, format]): Point => ({
    path: `/push/:name/${ending}`,
    methods: ending === "ws" ? ["GET"] : ["GET", "HEAD"],
    handle: (request, who, caller, { name = "" }) =>
      follow({ edge, sockets, format, frames: ending === "ws" }, request, who, caller, name),
  }));
  return [write, ...read];
}

async function publish(
  edge: EdgeParts,
  request: Request,
  who: Who,
  caller: Caller,
  name: string,
): Promise<Response> {
  const channel = `push:${name}`;
  const stranger = needsAccount(edge, who, "publish", channel);
  if (stranger !== undefined) return stranger;
  if (parseChannel(channel) === undefined) return problem(NO_NAME);
  const key = keyInHeader(request.headers);
  const body = await readText(request, bodyLimit(edge.limits));
  const read = readPush(body, request.headers, new URL(request.url).searchParams);
  if ("fault" in read) return problem(refuse("bad_request", read.fault));
  const data = JSON.stringify(read.push);
  const { message: most } = edge.limits;
  if (byteLength(data) > most) {
    return problem(refuse("too_large", `A push has at most ${most} bytes as JSON`));
  }
  const named = key === undefined ? {} : { key };
  const proposal = { kind: "message" as const, channel, from: who.account, ...named, data };
  const published = await publishAs(edge, who, caller, [proposal]);
  if (published instanceof Response) return published;
  const [outcome] = published.outcomes;
  const seq = outcome?.seq ?? 0;
  const [message] = edge.hub.reader.after(channel, seq - 1, seq, 1).messages;
  if (outcome === undefined) return problem(UNANSWERED);
  // A repeat of something that retention has taken is known by its place alone.
  const told = message === undefined
    ? JSON.stringify({ channel, ...outcome })
    : withDuplicate(messageJson(message), outcome.duplicate);
  return withRate(json(told, outcome.duplicate ? 200 : 201), edge.limits, published.left);
}

interface Reading {
  readonly edge: EdgeParts;
  readonly sockets: Sockets;
  readonly format: Format;
  /** Whether it is a WebSocket. */
  readonly frames: boolean;
}

async function follow(
  { edge, sockets, format, frames }: Reading,
  request: Request,
  who: Who,
  caller: Caller,
  name: string,
): Promise<Response> {
  const channel = `push:${name}`;
  if (parseChannel(channel) === undefined) return problem(NO_NAME);
  const query = new URL(request.url).searchParams;
  const poll = /^(?:1|true|yes)$/i.test(query.get("poll") ?? "");
  const since = query.get("since") ?? (poll ? "all" : "none");
  const place = placeOf(edge, channel, since);
  if (place === undefined) return problem(NO_SINCE);
  const foreign = needsAccount(edge, who, "read", channel) ?? mayNotRead(edge, who, channel);
  if (foreign !== undefined) return foreign;
  const { codec, type } = format;
  const headers = { "content-type": type };
  const { clock } = edge;
  const begin = (connection: Connection) => {
    connection.rewind(Math.min(place, edge.hub.seq));
    connection.answer(() => format.open(name, clock()));
    connection.subscribe(channel, place);
  };
  if (frames) {
    return await sockets.upgrade(request, caller, {
      codec,
      who,
      headers: new Headers(),
      begin: (connection) => {
        begin(connection);
        return { receive: () => {} };
      },
    });
  }
  if (request.method === "HEAD") return new Response(null, { headers });
  if (poll) return new Response(pages(edge, format, channel, place), { headers });
  const idle = { word: () => format.keepalive(name, clock()), pause: KEEPALIVE };
  return await sockets.stream(caller, { codec, who, idle, headers, begin });
}

// All that is there, a page each time that the client has taken the last: nothing is kept for it.
function pages(
  { hub }: EdgeParts,
  { codec }: Format,
  channel: string,
  place: number,
): ReadableStream<Uint8Array> {
  const upTo = hub.seq;
  const encoder = new TextEncoder();
  let after = place;
  return new ReadableStream({
    pull(controller) {
      const { messages, more } = hub.reader.after(channel, after, upTo, PAGE);
      after = messages.at(-1)?.seq ?? upTo;
      const lines = messages.map((message) => `${codec.message(message)}\n`).join("");
      if (lines !== "") controller.enqueue(encoder.encode(lines));
      if (!more) controller.close();
    },
  }, { highWaterMark: 0 });
}

// What `since` may be: a duration, a time in seconds, a seq, `all`, `latest` or `none`.
function placeOf({ hub, clock }: EdgeParts, channel: string, since: string): number | undefined {
  hub.catchUp();
  const { reader, seq } = hub;
  if (since === "none") return seq;
  if (since === "all") return 0;
  if (since === "latest") return (reader.newest(channel, seq, 1).messages[0]?.seq ?? seq + 1) - 1;
  const [, count = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(since) ?? [];
  if (unit !== "") return before(reader, seq, clock() - Number(count) * (UNITS[unit] ?? 0));
  if (!/^\d{1,15}$/.test(since)) return undefined;
  const number = Number(since);
  return number < FIRST_TIME ? Math.min(number, seq) : before(reader, seq, 1000 * number);
}

// Times don't fall with seq: halved until the place is found before which everything is older.
function before(reader: Reader, seq: number, time: number): number {
  let [low, high] = [0, seq];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [next] = reader.between(middle, seq, 1).messages;
    if (next === undefined || next.time >= time) high = middle;
    else low = Math.max(middle + 1, Math.min(next.seq, high));
  }
  return low;
}

function withDuplicate(message: string, duplicate: true | undefined): string {
  return duplicate ? `${message.slice(0, -1)},"duplicate":true}` : message;
}

const NO_NAME = refuse(
  "bad_request",
  'The name of a push channel has 1 to 128 bytes: letters, digits, "_", "-", "."',
);
const NO_SINCE = refuse(
  "bad_request",
  '"since" is a duration like 10m, a time in seconds, a seq, all, latest or none',
);
