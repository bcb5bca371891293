/** The first demo's two forms: `/send/` and `/msg_send/` (first-protocol.md). */
import type { Who } from "../access.ts";
import { bodyLimit } from "../limits.ts";
import { DEMO_PUSH, DEMO_ROOM, directChannel, isAccount } from "../protocol/channel.ts";
import { refuse } from "../protocol/codes.ts";
import { faultInText } from "../protocol/json.ts";
import { textData } from "../protocol/message.ts";
import { json, problem, readForm } from "./http.ts";
import { byteLength, type EdgeParts, propose } from "./session.ts";

/**
 * `POST /send/`: pushes the text in `msg` to everyone who listens.
 *
 * @param request The request.
 * @param who Who sends it.
 * @param edge The edge's parts.
 * @returns `{"msg":"success"}` once it is durable, or a refusal.
 */
export async function send(request: Request, who: Who, edge: EdgeParts): Promise<Response> {
  if (!edge.access.may(who, "publish", DEMO_PUSH)) {
    const sentence = "This server is closed: pushing needs the admin token";
    return problem(refuse("unauthorized", sentence), 401, { "www-authenticate": "Bearer" });
  }
  const form = await readForm(request, bodyLimit(edge.limits));
  const text = form.get("msg");
  if (text === null) return problem(refuse("bad_request", 'The form has no field "msg"'));
  return await publish(edge, DEMO_PUSH, who.account, text);
}

/**
 * `POST /msg_send/`: says something to the room or to one account.
 *
 * @param request The request.
 * @param who Who sends it.
 * @param edge The edge's parts.
 * @returns `{"msg":"success"}` once it is durable, or a refusal.
 */
export async function sendChat(request: Request, who: Who, edge: EdgeParts): Promise<Response> {
  if (who.account === null) {
    return problem(refuse("forbidden", "Open the chat page first: it gives you an account"));
  }
  const form = await readForm(request, bodyLimit(edge.limits));
  const [type, text, from, to] = ["type", "txt", "userfrom", "userto"].map((name) =>
    form.get(name)
  );
  if (from !== who.account) {
    return problem(refuse("forbidden", '"userfrom" must be your own account'));
  }
  if (type === null) return problem(refuse("bad_request", 'The form has no field "type"'));
  if (text === null || text === undefined) {
    return problem(refuse("bad_request", 'The form has no field "txt"'));
  }
  if (type === "1") return await publish(edge, DEMO_ROOM, who.account, text);
  if (to === null || to === undefined || to === "") {
    return problem(refuse("bad_request", 'The form has no field "userto"'));
  }
  if (!isAccount(to)) return problem(refuse("not_found", "There is no such account"));
  return await publish(edge, directChannel(who.account, to), who.account, text);
}

async function publish(
  edge: EdgeParts,
  channel: string,
  from: string | null,
  text: string,
): Promise<Response> {
  const fault = faultInText(text);
  if (fault !== undefined) return problem(refuse("bad_request", `The text ${fault}`));
  const data = textData(text);
  if (byteLength(data) > edge.limits.message) {
    return problem(refuse("too_large", `A message has at most ${edge.limits.message} bytes`));
  }
  const result = await new Promise<Parameters<Parameters<typeof propose>[2]>[0]>((resolve) =>
    propose(edge.bus, { kind: "message", channel, from, data }, resolve)
  );
  return "refusal" in result ? problem(result.refusal) : json({ msg: "success" });
}
