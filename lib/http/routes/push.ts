/** `/push/NAME`: publishing in one line (protocol.md, "HTTP"), and by the addresses that are ntfy's alone. */
import type { Who } from "../../auth/access.ts";
import { bodyLimit } from "../../config/limits.ts";
import { DEMO_PUSH, parseChannel } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { toJson } from "../../protocol/json.ts";
import { type Message, messageJson, type Outcome } from "../../protocol/message.ts";
import { type Push, type PushRead, readPush, readPushJson } from "../../protocol/push.ts";
import { BODIES, readBodyAs } from "../../protocol/request.ts";
import { UNANSWERED } from "../../bus/requests.ts";
import type { Caller } from "../../auth/caller.ts";
import { json, problem, readText } from "../../web/responses.ts";
import { formatsOf, toldOf, toldPlace } from "../../codecs/ntfy.ts";
import { ntfyRoutes } from "./ntfy_account.ts";
import type { Handle, Route } from "./route.ts";
import { NO_NAME, readingRoute } from "./push_subscribe.ts";
import { keyInHeader, needsAccount, publishAs, valueOf, withRate } from "./guards.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import type { Sockets } from "../../transports/sockets.ts";

/**
 * Lists the routes under `/push/`.
 *
 * @param edge The context of the edge.
 * @param sockets Its sockets.
 * @returns Its routes.
 */
export function pushRoutes(edge: EdgeContext, sockets: Sockets): Route[] {
  const methods = ["POST", "PUT"];
  const { epoch } = edge.hub.reader;
  const formats = formatsOf(epoch);
  const asNtfy: Answer = (channel, { seq, time }, message) =>
    // Its own client takes everything but 200 for a refusal.
    json(
      message === undefined ? toldPlace(epoch, channel, seq, time) : toldOf(epoch, message),
    );
  const publishing = (answer: Answer): Handle => (request, who, caller, { name = "" }) =>
    publishText({ edge, request, who, caller, answer }, `push:${name}`);
  return [
    { path: "/push/:name{/}?", methods, handle: publishing(ours) },
    { path: "/push/:name/publish", methods, handle: publishing(asNtfy) },
    {
      path: "/push{/}?",
      methods,
      handle: (request, who, caller) => publishJson({ edge, request, who, caller, answer: asNtfy }),
    },
    ...Object.entries(formats).map(([ending, format]) =>
      readingRoute({
        edge,
        sockets,
        format,
        lines: formats.json,
        frames: ending === "ws",
      }, ending)
    ),
    ...ntfyRoutes(edge),
  ];
}

interface Asked {
  readonly edge: EdgeContext;
  readonly request: Request;
  readonly who: Who;
  readonly caller: Caller;
  readonly answer: Answer;
}

/** Answers with what was published; of a repeat that retention has taken its place alone is known. */
type Answer = (channel: string, outcome: Outcome, message: Message | undefined) => Response;

const ours: Answer = (channel, outcome, message) => {
  const told = message === undefined
    ? toJson({ channel, ...outcome })
    : withDuplicate(messageJson(message), outcome.duplicate);
  return json(told, outcome.duplicate ? 200 : 201);
};

async function publishText(asked: Asked, channel: string): Promise<Response> {
  const { edge, request, who } = asked;
  const stranger = needsAccount(edge, who, "publish", channel);
  if (stranger !== undefined) return stranger;
  const body = await readText(request, bodyLimit(edge.limits));
  if (parseChannel(channel) === undefined) return problem(NO_NAME);
  const { headers, url } = request;
  return await publish(
    asked,
    channel,
    readPush(body, { headers, query: new URL(url).searchParams }),
  );
}

// Its type isn't looked at: ntfy's clients send this as whatever their libraries call a text.
async function publishJson(asked: Asked): Promise<Response> {
  const { edge, request, who } = asked;
  const { headers, url } = request;
  const stranger = needsAccount(edge, who, "publish", DEMO_PUSH);
  if (stranger !== undefined) return stranger;
  const { topic, ...said } = valueOf(
    readBodyAs(BODIES.push, await readText(request, bodyLimit(edge.limits))),
  );
  const channel = `push:${topic}`;
  const unknown = needsAccount(edge, who, "publish", channel);
  if (unknown !== undefined) return unknown;
  if (parseChannel(channel) === undefined) return problem(NO_NAME);
  const sayings = { headers, query: new URL(url).searchParams };
  return await publish(asked, channel, readPushJson(said, sayings));
}

async function publish(
  { edge, request: { headers }, who, caller, answer }: Asked,
  channel: string,
  read: PushRead,
): Promise<Response> {
  const key = keyInHeader(headers);
  if ("fault" in read) return problem(refuse("bad_request", read.fault));
  const request = { channel, data: read.push satisfies Push, key, field: "message" };
  const published = await publishAs(edge, who, caller, [request]);
  if (published instanceof Response) return published;
  const [outcome] = published.outcomes;
  if (outcome === undefined) return problem(UNANSWERED);
  const { seq } = outcome;
  const [kept] = edge.hub.reader.after(channel, seq - 1, seq, 1).messages;
  return withRate(answer(channel, outcome, kept), edge.limits, published.left);
}

function withDuplicate(message: string, duplicate: true | undefined): string {
  return duplicate ? `${message.slice(0, -1)},"duplicate":true}` : message;
}
