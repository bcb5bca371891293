/** What an edge asks of the core, and how the answers are read. */
import type { Access, Who } from "../access.ts";
import type { Answer, EdgeEnd, Origin } from "../bus.ts";
import { log } from "../logger.ts";
import { type Refusal, refuse } from "../protocol/codes.ts";
import type { Outcome, Proposal } from "../protocol/message.ts";

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
    told(answer === null || "roster" in answer ? { refusal: UNANSWERED } : answer);
  });
}

/**
 * Asks for a connection to be let in.
 *
 * @param bus The edge's end.
 * @param origin Which, and from where.
 * @param account Whose; null for one without an account.
 * @returns Why not; undefined where it is in, and counted until it is dismissed.
 */
export function admit(
  bus: EdgeEnd,
  origin: Required<Origin>,
  account: string | null,
): Promise<Refusal | undefined> {
  return new Promise((resolve) =>
    bus.send({ op: "admit", origin, account }, (answer) => resolve(refusalIn(answer)))
  );
}

/**
 * Looks at a token, unless too many wrong ones came from its address.
 *
 * @param access Who knows tokens.
 * @param bus The edge's end.
 * @param token The token.
 * @param address Where it comes from.
 * @param told Called with who it is, or why it isn't anybody.
 */
export function showToken(
  access: Access,
  bus: EdgeEnd,
  token: string,
  address: string,
  told: (result: { readonly who: Who } | { readonly refusal: Refusal }) => void,
): void {
  const who = access.token(token);
  // Right or wrong, it takes the same way.
  bus.send({ op: "token", address, right: who !== undefined }, (answer) => {
    const refusal = refusalIn(answer);
    if (refusal !== undefined) return told({ refusal });
    if (who !== undefined) return told({ who });
    log.info("token.wrong", { address });
    told({ refusal: WRONG_TOKEN });
  });
}

const WRONG_TOKEN = refuse(
  "unauthorized",
  "The token isn't valid; over HTTP it comes in the Authorization header alone",
);

function refusalIn(answer: Answer): Refusal | undefined {
  return answer !== null && "refusal" in answer ? answer.refusal : undefined;
}
