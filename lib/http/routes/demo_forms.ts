/** The first demo's two forms, `/send/` and `/msg_send/` (demo-protocol.md), and that of the send page for the admin token. */
import { isSomebody, type Who } from "../../auth/access.ts";
import { bodyLimit } from "../../config/limits.ts";
import { DEMO_PUSH, DEMO_ROOM, directChannel, isAccount } from "../../protocol/channel.ts";
import { refuse } from "../../protocol/refusals.ts";
import { plainText } from "../../protocol/message.ts";
import { showToken } from "../../bus/requests.ts";
import { publishAll } from "../../channels/publish.ts";
import type { Caller } from "../../auth/caller.ts";
import { json, problem, readForm } from "../../web/responses.ts";
import type { EdgeContext } from "../../sessions/edge_context.ts";

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
  const { access } = edge;
  // A muted account is refused once its form is right.
  if (!access.may(who, "publish", DEMO_PUSH) && access.muted(who) === undefined) {
    return problem(refuse("unauthorized", NO_TOKEN), 401, { "www-authenticate": "Bearer" });
  }
  const form = await readForm(request, bodyLimit(edge.limits));
  const text = form.get("msg");
  if (text === null) return problem(refuse("bad_request", 'The form has no field "msg"'));
  return await publish(edge, caller, who, DEMO_PUSH, ["msg", text]);
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
  if (type === "1") return await publish(edge, caller, who, DEMO_ROOM, ["txt", text]);
  if (to === null || to === undefined || to === "") {
    return problem(refuse("bad_request", 'The form has no field "userto"'));
  }
  if (!isAccount(to)) return problem(refuse("not_found", "There is no such account"));
  return await publish(edge, caller, who, directChannel(who.account, to), ["txt", text]);
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

async function publish(
  edge: EdgeContext,
  { address }: Caller,
  who: Who,
  channel: string,
  [field, text]: readonly [field: string, text: string],
): Promise<Response> {
  const data = plainText(text);
  if ("fault" in data) return problem(refuse("bad_request", data.fault));
  const published = await publishAll(edge, who, { address }, [{ channel, data, field }]);
  return "refusal" in published ? problem(published.refusal) : json({ msg: "success" });
}
