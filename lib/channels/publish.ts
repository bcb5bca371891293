/** Publishes messages, for all wires: checks size, fields and access, and hands them to the core. */
import { Buffer } from "node:buffer";
import type { Who } from "../auth/access.ts";
import type { Origin } from "../bus/bus.ts";
import { propose, type Result, UNANSWERED } from "../bus/requests.ts";
import type { Limits } from "../config/limits.ts";
import type { Outcome } from "../protocol/message.ts";
import { faultInPush } from "../protocol/push.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { EdgeContext } from "../sessions/edge_context.ts";
import { recordAuthor } from "./accounts.ts";

/** A message that a client wants to publish. */
export interface PublishRequest {
  /** The channel's name. */
  readonly channel: string;
  /** Any JSON value, as `JSON.parse` returns it. */
  readonly data: unknown;
  /** The client's idempotency key, 1 to 128 characters. */
  readonly key?: string | undefined;
  /** The client's name for `data`, for error messages; "data" if absent. */
  readonly field?: string;
}

/** The outcomes of messages that were published together, or the one refusal. */
export type Published =
  | {
    /** One for each message, in the order of the requests. */
    readonly outcomes: readonly Outcome[];
    /** How many more the sender may publish at once; undefined where no limit holds. */
    readonly left: number | undefined;
  }
  | { readonly refusal: Refusal };

/**
 * Publishes one message of a sender whose account is recorded.
 *
 * @param context The context of the edge.
 * @param who The sender.
 * @param origin The sender's connection and address.
 * @param request The message.
 * @param answered Called once: with the outcome when the message is durable and this edge has it, or with the refusal.
 */
export function publish(
  context: EdgeContext,
  who: Who,
  origin: Origin,
  request: PublishRequest,
  answered: (result: Result) => void,
): void {
  const { channel, key } = request;
  const data = contentOf(context.limits, request);
  if (typeof data !== "string") return answered({ refusal: data });
  const forbidden = context.access.refusal(who, "publish", channel);
  if (forbidden !== undefined) return answered({ refusal: forbidden });
  const named = key === undefined ? {} : { key };
  const message = { kind: "message" as const, channel, from: who.account, ...named, data };
  propose(context.bus, message, origin, answered);
}

/**
 * Publishes messages together, all or none. Records the sender's account first.
 *
 * @param context The context of the edge.
 * @param who The sender.
 * @param origin The sender's connection and address.
 * @param requests The messages, at least one.
 * @returns Their outcomes once they are durable and this edge has them, or the refusal.
 * @throws {Error} If the log can't be read.
 */
export async function publishAll(
  context: EdgeContext,
  who: Who,
  origin: Origin,
  requests: readonly PublishRequest[],
): Promise<Published> {
  const contents: string[] = [];
  for (const request of requests) {
    const data = contentOf(context.limits, request);
    if (typeof data !== "string") return { refusal: data };
    contents.push(data);
  }
  for (const { channel } of requests) {
    const forbidden = context.access.refusal(who, "publish", channel);
    if (forbidden !== undefined) return { refusal: forbidden };
  }
  const author = await recordAuthor(context, who, origin);
  if ("code" in author) return { refusal: author };
  const proposals = requests.map(({ channel, key }, i) => ({
    ...{ kind: "message" as const, channel, from: author.account, data: contents[i] ?? "" },
    ...(key === undefined ? {} : { key }),
  }));
  return await new Promise((resolve) =>
    context.bus.send({ op: "publish", proposals, origin }, (answer) => {
      const fits = answer !== null && ("outcomes" in answer || "refusal" in answer);
      resolve(fits ? answer : { refusal: UNANSWERED });
    })
  );
}

/**
 * Writes the data of a message or signal as JSON, the form in which the log keeps it.
 *
 * @param limits The limits in force.
 * @param request The message or signal.
 * @returns JSON text; or the refusal: `too_large` over `--max-message` bytes, `bad_request` for a push with control characters in
 * its title, tags or link.
 */
export function contentOf(
  { message: most }: Limits,
  { channel, data, field = "data" }: PublishRequest,
): string | Refusal {
  const json = JSON.stringify(data);
  if (Buffer.byteLength(json) > most) {
    return refuse("too_large", `"${field}" has at most ${most} bytes as JSON`);
  }
  const fault = channel.startsWith("push:") ? faultInPush(data) : undefined;
  return fault === undefined ? json : refuse("bad_request", `In "${field}", ${fault}`);
}
