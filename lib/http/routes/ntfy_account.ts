/** What clients of ntfy ask besides pushes, under `/push` as their server's root: who they are, and whether they may read. */
import type { Who } from "../../auth/access.ts";
import { parseChannel } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { bearerIn, json, problem, unauthorized, userIn } from "../../web/responses.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";
import type { Handle, Route } from "./route.ts";
import { NO_NAME } from "./push_subscribe.ts";
import { mayNotRead, needsAccount } from "./guards.ts";

// The user name that ntfy gives to clients without credentials.
const NOBODY = "*";

// Home Assistant's integration asks for these; nothing here is counted by the day.
const STATS = Object.fromEntries(
  ["messages", "emails", "calls", "reservations", "attachment_total_size"]
    .flatMap((name) => [[name, 0], [`${name}_remaining`, 0]]),
);

// Addresses at which only clients of ntfy ask; some take refusals in no other form than its own.
const OF_NTFY = /^\/push(?:\/?|\/v1\/.*|\/[^/]+\/auth)$/;

/**
 * Lists the routes that are for clients of ntfy alone.
 *
 * @param edge The context of the edge.
 * @returns Its routes.
 */
export function ntfyRoutes(edge: EdgeContext): Route[] {
  const read = ["GET", "HEAD"];
  return [
    {
      path: "/push/v1/health",
      methods: read,
      handle: () => json({ healthy: true }),
    },
    {
      path: "/push/v1/account",
      methods: read,
      handle: ({ headers }, who) => json(accountOf(headers, who)),
    },
    {
      path: "/push/v1/account/token",
      methods: ["POST"],
      handle: ({ headers }) => token(headers),
    },
    { path: "/push/:name/auth", methods: read, handle: mayRead(edge) },
  ];
}

/**
 * Writes a refusal as ntfy does where only its clients ask.
 *
 * @param request The request.
 * @param response Its answer.
 * @returns The answer, written anew where it is a refusal at such an address.
 */
export async function refusedAsNtfy(
  request: Request,
  response: Response,
): Promise<Response> {
  const { status, headers } = response;
  if (headers.get("content-type") !== "application/problem+json") {
    return response;
  }
  if (
    !URL.canParse(request.url) || !OF_NTFY.test(new URL(request.url).pathname)
  ) return response;
  const { detail } = await response.json();
  headers.set("content-type", "application/json");
  const code = 100 * status + (status === 400 ? 0 : 1);
  return new Response(JSON.stringify({ code, http: status, error: detail }), {
    status,
    headers,
  });
}

function accountOf(headers: Headers, { account, admin }: Who) {
  const name = admin || account !== null ? userIn(headers) ?? account ?? "admin" : NOBODY;
  const role = admin ? "admin" : name === NOBODY ? "anonymous" : "user";
  return { username: name, role, stats: STATS };
}

// A client that comes with a password asks for a token to keep in its place: that is the password.
function token(headers: Headers): Response {
  const shown = bearerIn(headers);
  return shown === undefined ? unauthorized("Show a token to keep") : json({ token: shown });
}

function mayRead(edge: EdgeContext): Handle {
  return (_, who, __, { name = "" }) => {
    const channels = [...new Set(name.split(","))].map((topic) => `push:${topic}`);
    const most = edge.limits.channels;
    if (channels.length > most) {
      return problem(refuse("bad_request", `At most ${most} topics are asked about at once`));
    }
    for (const channel of channels) {
      const stranger = needsAccount(edge, who, "read", channel);
      if (stranger !== undefined) return stranger;
      if (parseChannel(channel) === undefined) return problem(NO_NAME);
      const foreign = mayNotRead(edge, who, channel);
      if (foreign !== undefined) return foreign;
    }
    return json({ success: true });
  };
}
