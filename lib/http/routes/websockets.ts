/** Where sockets are: the native protocol's, and the two of the first one. */
import type { Who } from "../../auth/access.ts";
import { DEMO_PUSH, DEMO_ROOM } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { withSession } from "../../sessions/browser_sessions.ts";
import type { Caller } from "../../auth/caller.ts";
import { firstChat } from "../../codecs/demo_chat.ts";
import { firstPush } from "../../codecs/demo_push.ts";
import { FirstChatSession, firstPushSession, OnlineList } from "../../sessions/demo.ts";
import { DirectPlaces } from "../../sessions/demo_receipts.ts";
import { bearerIn, problem } from "../../web/responses.ts";
import { native } from "../../codecs/native.ts";
import type { Route } from "./route.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import { NativeSession } from "../../sessions/native.ts";
import type { Sockets } from "../../transports/sockets.ts";

/** The native subprotocol. */
export const SUBPROTOCOL = "fanfare.v1";

/**
 * Lists the routes that are WebSockets.
 *
 * @param edge The context of the edge.
 * @param sockets What upgrades.
 * @returns The routes.
 */
export function socketRoutes(edge: EdgeContext, sockets: Sockets): Route[] {
  const online = new OnlineList(edge);
  const places = new DirectPlaces(edge);
  const methods = ["GET"];
  return [
    {
      path: "/ws{/}?",
      methods,
      handle: (request, who, caller) => upgradeNative(edge, sockets, request, who, caller),
    },
    {
      path: "/link{/}?",
      methods,
      async handle(request, who, caller) {
        if (!edge.access.may(who, "read", DEMO_PUSH)) return mayNot(DEMO_PUSH);
        return await sockets.upgrade(request, caller, {
          codec: firstPush,
          who,
          headers: new Headers(),
          begin: (connection) => firstPushSession(connection, edge),
        });
      },
    },
    {
      path: "/chat{/}?",
      methods,
      async handle(request, who, caller) {
        const headers = new Headers();
        const given = who.grant === undefined ? await withSession(edge, who, caller, headers) : who;
        if ("code" in given) return problem(given);
        if (!edge.access.may(given, "read", DEMO_ROOM)) return mayNot(DEMO_ROOM);
        return await sockets.upgrade(request, caller, {
          codec: firstChat,
          who: given,
          headers,
          begin: (connection) => new FirstChatSession(connection, given, edge, online, places),
        });
      },
    },
  ];
}

async function upgradeNative(
  edge: EdgeContext,
  sockets: Sockets,
  request: Request,
  who: Who,
  caller: Caller,
): Promise<Response> {
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) =>
    name.trim()
  );
  if (offered !== undefined && !offered.includes(SUBPROTOCOL)) {
    return problem(
      refuse("bad_request", `Of the subprotocols only ${SUBPROTOCOL} is spoken here`),
    );
  }
  const headers = new Headers();
  // A program that shows a token has no account but what the token says.
  const given = bearerIn(request.headers) !== undefined
    ? who
    : await withSession(edge, who, caller, headers);
  if ("code" in given) return problem(given);
  return await sockets.upgrade(request, caller, {
    codec: native,
    who: given,
    ...(offered === undefined ? {} : { protocol: SUBPROTOCOL }),
    headers,
    begin: (connection) => new NativeSession(connection, given, edge),
  });
}

function mayNot(channel: string): Response {
  return problem(refuse("forbidden", `You may not read ${channel}`));
}
