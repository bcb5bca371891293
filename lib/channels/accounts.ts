/** Records the accounts of clients with their first operation, and renames them. */
import { isSomebody, SESSION_ENDED, type Who } from "../auth/access.ts";
import type { Origin } from "../bus/bus.ts";
import { propose, type Result, UNANSWERED } from "../bus/requests.ts";
import type { Limits } from "../config/limits.ts";
import type { Proposal } from "../protocol/message.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { EdgeContext } from "../sessions/edge_context.ts";

/**
 * Records the account of a client that writes: gives a browser's session its account, and creates the account of a token under
 * the name in the token. The core takes what is sent afterwards behind it.
 *
 * @param context The context of the edge.
 * @param who The client.
 * @param origin The client's connection and address.
 * @returns The client with its account, or the refusal.
 * @throws {Error} If the log can't be read.
 */
export async function recordAuthor(
  context: EdgeContext,
  who: Who,
  origin: Origin,
): Promise<Who | Refusal> {
  const { account, session, grant } = who;
  const { reader } = context.hub;
  if (session !== undefined) {
    const known = reader.sessions.find(session);
    if (known?.account === null) return SESSION_ENDED;
    if (known !== undefined) return { ...who, account: known.account };
    const found = await recordSession(context, { hash: session, origin });
    return typeof found === "string" ? { ...who, account: found } : found;
  }
  if (account === null || grant === undefined) return who;
  const proposal = accountRecord(context, account, who);
  if (proposal.kind === "account" && reader.account(account) !== undefined) return who;
  context.bus.send({ op: "propose", proposal, origin });
  return who;
}

/**
 * Records a browser's session.
 *
 * @param context The context of the edge.
 * @param session Its hash, the account whose old cookie it replaces if any, and where it comes from.
 * @returns Its account, or the refusal.
 */
export function recordSession(
  { bus }: EdgeContext,
  session: { readonly hash: string; readonly exchange?: string; readonly origin: Origin },
): Promise<string | Refusal> {
  return new Promise((resolve) =>
    bus.send({ op: "session", ...session }, (answer) => {
      if (answer !== null && "refusal" in answer) return resolve(answer.refusal);
      const outcome = answer !== null && "outcome" in answer ? answer.outcome.session : undefined;
      resolve(typeof outcome === "object" ? outcome.account : UNANSWERED);
    })
  );
}

/**
 * Makes the record that creates an account, or renames it where its token has another name.
 *
 * @param context The context of the edge.
 * @param account The account.
 * @param who The client that has it.
 * @returns The proposal.
 * @throws {Error} If the log can't be read.
 */
export function accountRecord(context: EdgeContext, account: string, who: Who): Proposal {
  const name = nameInToken(context, who);
  if (name === undefined || context.hub.reader.account(account)?.name === name) {
    return { kind: "account", account };
  }
  return { kind: "rename", account, name };
}

/**
 * Finds the display name in a client's token.
 *
 * @param context The context of the edge.
 * @param who The client.
 * @returns The name; undefined if there is none, or if it is longer than `--max-name`.
 */
export function nameInToken({ limits }: EdgeContext, { grant }: Who): string | undefined {
  const name = grant?.name;
  return name === undefined || isTooLong(name, limits) ? undefined : name;
}

/**
 * Checks a display name.
 *
 * @param context The context of the edge.
 * @param who The client that wants it.
 * @param name The name; null for none.
 * @returns The refusal: `forbidden` for the admin, `bad_request` for a name over `--max-name` characters; undefined if it is right.
 */
export function nameRefusal(
  { limits }: EdgeContext,
  who: Who,
  name: string | null,
): Refusal | undefined {
  if (!isSomebody(who)) return NO_NAME;
  return name === null || !isTooLong(name, limits)
    ? undefined
    : refuse("bad_request", `A name has at most ${limits.name} characters`);
}

/**
 * Renames a client's account, which everyone sees: so a muted one can't.
 *
 * @param context The context of the edge.
 * @param who The client.
 * @param origin The client's connection and address.
 * @param name The name; null for none.
 * @param answered Called once: with the outcome when it is durable, or with the refusal.
 */
export function rename(
  context: EdgeContext,
  who: Who,
  origin: Origin,
  name: string | null,
  answered: (result: Result) => void,
): void {
  const { account } = who;
  if (account === null) return answered({ refusal: NO_NAME });
  const refusal = nameRefusal(context, who, name) ?? context.access.muted(who);
  if (refusal !== undefined) return answered({ refusal });
  propose(context.bus, { kind: "rename", account, name }, origin, answered);
}

function isTooLong(name: string, { name: most }: Limits): boolean {
  return [...name].length > most;
}

const NO_NAME = refuse("forbidden", "The admin has no name");
