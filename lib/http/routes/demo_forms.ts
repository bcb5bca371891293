/** The first demo's two forms, `/send/` and `/msg_send/` (demo-protocol.md), and that of the send page for the admin token. */
import { isSomebody, type Who } from "../../auth/access.ts";
import { bodyLimit } from "../../config/limits.ts";
import { DEMO_PUSH, DEMO_ROOM, directChannel, isAccount } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { faultInText } from "../../protocol/json.ts";
import { textData } from "../../protocol/message.ts";
import { propose, type Result, showToken } from "../../bus/requests.ts";
import { recorded } from "../../sessions/browser_sessions.ts";
import type { Caller } from "../../auth/caller.ts";
import { json, problem, readForm } from "../../web/responses.ts";
import { byteLength, type EdgeContext } from "../../sessions/edge_context.ts";

const NO_TOKEN = "This server is closed: pushing needs the admin token";

/**
 * `POST /send/`: pushes the text in `msg` to everyone who listens.
 *
 * @param request The request.
 * @param who Who sends it.
 * @param caller Where it comes from.
 * @param edge The context of the edge.
 * @returns `{"msg":"success"}` once it is durable, or a refusal.
 */
export async function send(
  request: Request,
  who: Who,
  caller: Caller,
  edge: EdgeContext,
): Promise<Response> {
  const refusal = edge.access.refusal(who, "publish", DEMO_PUSH);
  const muted = edge.access.muted(who) !== undefined;
  if (refusal !== undefined && !muted) {
    return problem(refuse("unauthorized", NO_TOKEN), 401, { "www-authenticate": "Bearer" });
  }
  const form = await readForm(request, bodyLimit(edge.limits));
  const text = form.get("msg");
  if (text === null) return problem(refuse("bad_request", 'The form has no field "msg"'));
  if (refusal !== undefined) return problem(refusal);
  return await publish(edge, caller, DEMO_PUSH, who, text);
}

/**
 * `POST /msg_send/`: says something to the room or to one account.
 *
 * @param request The request.
 * @param who Who sends it.
 * @param caller Where it comes from.
 * @param edge The context of the edge.
 * @returns `{"msg":"success"}` once it is durable, or a refusal.
 */
export async function sendChat(
  request: Request,
  who: Who,
  caller: Caller,
  edge: EdgeContext,
): Promise<Response> {
  if (!isSomebody(who)) {
    return problem(refuse("forbidden", "Open the chat page first: it gives you an account"));
  }
  const form = await readForm(request, bodyLimit(edge.limits));
  const [type, text, from, to] = ["type", "txt", "userfrom", "userto"].map((name) =>
    form.get(name)
  );
  if (who.account === null || from !== who.account) {
    return problem(refuse("forbidden", '"userfrom" must be your own account'));
  }
  if (type === null) return problem(refuse("bad_request", 'The form has no field "type"'));
  if (text === null || text === undefined) {
    return problem(refuse("bad_request", 'The form has no field "txt"'));
  }
  if (type === "1") return await say(edge, who, caller, DEMO_ROOM, text);
  if (to === null || to === undefined || to === "") {
    return problem(refuse("bad_request", 'The form has no field "userto"'));
  }
  if (!isAccount(to)) return problem(refuse("not_found", "There is no such account"));
  return await say(edge, who, caller, directChannel(who.account, to), text);
}

/**
 * `POST /token/`: a browser shows the admin token, once, and may push from then on.
 *
 * @param request The request, with the form's field `token`.
 * @param caller Where it comes from.
 * @param edge The context of the edge.
 * @returns `{"msg":"success"}` with a cookie, or a refusal.
 */
export async function takeToken(
  request: Request,
  caller: Caller,
  { access, bus, limits }: EdgeContext,
): Promise<Response> {
  const token = (await readForm(request, bodyLimit(limits))).get("token");
  if (token === null) return problem(refuse("bad_request", 'The form has no field "token"'));
  const shown = await showToken(access, bus, token.trim(), caller.address);
  if ("refusal" in shown) return problem(shown.refusal);
  if (!shown.who.admin) return problem(refuse("unauthorized", "This isn't the admin token"));
  const response = json({ msg: "success" });
  await access.giveAdmin(response.headers, caller.secure);
  return response;
}

async function say(
  edge: EdgeContext,
  who: Who,
  caller: Caller,
  channel: string,
  text: string,
): Promise<Response> {
  const refusal = edge.access.refusal(who, "publish", channel);
  if (refusal !== undefined) return problem(refusal);
  return await publish(edge, caller, channel, who, text);
}

async function publish(
  edge: EdgeContext,
  { address }: Caller,
  channel: string,
  who: Who,
  text: string,
): Promise<Response> {
  const fault = faultInText(text);
  if (fault !== undefined) return problem(refuse("bad_request", `The text ${fault}`));
  const data = textData(text);
  if (byteLength(data) > edge.limits.message) {
    return problem(refuse("too_large", `A message has at most ${edge.limits.message} bytes`));
  }
  const author = await recorded(edge, who, { address });
  if ("code" in author) return problem(author);
  const proposal = { kind: "message" as const, channel, from: author.account, data };
  const result = await new Promise<Result>((resolve) =>
    propose(edge.bus, proposal, { address }, resolve)
  );
  return "refusal" in result ? problem(result.refusal) : json({ msg: "success" });
}
