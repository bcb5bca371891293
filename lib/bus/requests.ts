/** What an edge asks of the core, and how the answers are read. */
import type { Access, Who } from "../auth/access.ts";
import type { Answer, EdgeEnd, Origin, Readers, Up } from "./bus.ts";
import { log } from "../observability/logger.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Outcome, Proposal } from "../protocol/message.ts";
import type { Roster } from "../protocol/presence.ts";

/** What became of something: the outcome, or why there is none. */
export type Result = { readonly outcome: Outcome } | { readonly refusal: Refusal };

/** What to say when the core gave an answer that doesn't fit. */
export const UNANSWERED: Refusal = refuse("internal", "The server couldn't answer");

/**
 * Sends a proposal up and sorts out the answer.
 *
 * @param bus The edge's end.
 * @param proposal What is to become a record.
 * @param origin Where it comes from.
 * @param told Called with the outcome, or why there is none.
 */
export function propose(
  bus: EdgeEnd,
  proposal: Proposal,
  origin: Origin,
  told: (result: Result) => void,
): void {
  bus.send({ op: "propose", proposal, origin }, (answer) => {
    const fits = answer !== null && ("outcome" in answer || "refusal" in answer);
    told(fits ? answer : { refusal: UNANSWERED });
  });
}

/**
 * Sends something up that is answered by nothing or a refusal.
 *
 * @param bus The edge's end.
 * @param up What.
 * @returns Why not; undefined where it was done.
 */
export function ask(bus: EdgeEnd, up: Up): Promise<Refusal | undefined> {
  return new Promise((resolve) => bus.send(up, (answer) => resolve(refusalIn(answer))));
}

/**
 * Asks who is in a channel.
 *
 * @param bus The edge's end.
 * @param channel The channel.
 * @returns The list.
 */
export function askRoster(bus: EdgeEnd, channel: string): Promise<Roster | undefined> {
  return new Promise((resolve) =>
    bus.send(
      { op: "roster", channel },
      (answer) => resolve(answer !== null && "roster" in answer ? answer.roster : undefined),
    )
  );
}

/**
 * Asks for a connection to be let in.
 *
 * @param bus The edge's end.
 * @param origin Which, and from where.
 * @param who Whose.
 * @returns Why not; undefined where it is in, and counted until it is dismissed.
 */
export function admit(
  bus: EdgeEnd,
  origin: Required<Origin>,
  { account, session }: Who,
): Promise<Refusal | undefined> {
  const by = session === undefined ? { account } : { account, session };
  return ask(bus, { op: "admit", origin, ...by });
}

/**
 * Asks how many connections read each channel, in all isolates.
 *
 * @param bus The edge's end.
 * @returns Channels with their readers.
 */
export function askReaders(bus: EdgeEnd): Promise<Readers | undefined> {
  return new Promise((resolve) =>
    bus.send(
      { op: "readers" },
      (answer) => resolve(answer !== null && "readers" in answer ? answer.readers : undefined),
    )
  );
}

/**
 * Looks at a token, unless too many wrong ones came from its address. One for the account of a browser is refused.
 *
 * @param access Who knows tokens.
 * @param bus The edge's end.
 * @param token The token.
 * @param address Where it comes from.
 * @returns Who it is, or why it isn't anybody.
 */
export async function showToken(
  access: Access,
  bus: EdgeEnd,
  token: string,
  address: string,
): Promise<{ readonly who: Who } | { readonly refusal: Refusal }> {
  const shown = await access.token(token);
  // Right or wrong, it takes the same way. One that only ended is no guess: its signature is right.
  const right = "who" in shown || !shown.guess;
  const { account, issued } = "who" in shown ? shown.who.grant ?? {} : {};
  const claimed = {
    ...(account === undefined ? {} : { account }),
    ...(issued === undefined ? {} : { issued }),
  };
  const refusal = await ask(bus, { op: "token", address, right, ...claimed });
  if (refusal !== undefined) return { refusal };
  if ("who" in shown) return shown;
  log.refused("token.wrong", { address });
  return { refusal: refuse("unauthorized", shown.fault) };
}

function refusalIn(answer: Answer): Refusal | undefined {
  return answer !== null && "refusal" in answer ? answer.refusal : undefined;
}
