/** What all that speaks to clients in an edge shares: its parts, and what is said of accounts and sizes everywhere. */
import { Buffer } from "node:buffer";
import type { Access, Who } from "../auth/access.ts";
import type { EdgeEnd } from "../bus/bus.ts";
import type { Counters } from "../observability/counters.ts";
import { type EdgeRates, type Limits, toldLimits } from "../config/limits.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";
import type { Proposal } from "../protocol/message.ts";
import { faultInPush } from "../protocol/push.ts";
import type { CredentialExpiry } from "./credential_expiry.ts";
import type { Hub } from "../delivery/hub.ts";

/** What the parts of an edge work with. */
export interface EdgeContext {
  readonly hub: Hub;
  readonly bus: EdgeEnd;
  readonly access: Access;
  readonly expiry: CredentialExpiry;
  readonly limits: Limits;
  readonly rates: EdgeRates;
  readonly counters: Counters;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Milliseconds between two pings. */
  readonly ping: number;
}

/** What handles the frames of one connection. */
export interface Session {
  /**
   * @param frame A text frame.
   */
  receive(frame: string): void;
}

/**
 * A number in bytes.
 *
 * @param text A text.
 * @returns Its length in UTF-8.
 */
export function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

/**
 * Writes a publication's data as the JSON that is kept, or refuses it.
 *
 * @param limits The limits in force.
 * @param channel Where it is published.
 * @param data A value out of JSON.parse.
 * @param name What the field is called to whoever sent it.
 * @returns JSON text, or the refusal.
 */
export function dataJson(
  { message }: Limits,
  channel: string,
  data: unknown,
  name = "data",
): { readonly json: string } | { readonly refusal: Refusal } {
  const json = JSON.stringify(data);
  if (byteLength(json) > message) {
    return { refusal: refuse("too_large", `"${name}" has at most ${message} bytes as JSON`) };
  }
  const fault = channel.startsWith("push:") ? faultInPush(data) : undefined;
  return fault === undefined
    ? { json }
    : { refusal: refuse("bad_request", `In "${name}", ${fault}`) };
}

/**
 * Finds the name that a token gives its account.
 *
 * @param edge The context of the edge.
 * @param who Whoever showed it.
 * @returns The name; undefined where there is none, or it is longer than names may be here.
 */
export function nameIn({ limits }: EdgeContext, { grant }: Who): string | undefined {
  const name = grant?.name;
  return name === undefined || [...name].length > limits.name ? undefined : name;
}

/**
 * Lists what the answer to `hello` tells.
 *
 * @param edge The context of the edge.
 * @param account The client's; null for the admin.
 * @param name Its display name; null where it has none.
 * @param connection The connection's id.
 * @returns The answer's fields (protocol.md, "WebSocket").
 */
export function greeting(
  { hub, limits, ping, clock }: EdgeContext,
  account: string | null,
  name: string | null,
  connection: string,
): Record<string, unknown> {
  return {
    account,
    ...(name === null ? {} : { name }),
    connection,
    epoch: hub.reader.epoch,
    seq: hub.seq,
    time: clock(),
    ping,
    limits: toldLimits(limits),
  };
}

/**
 * Makes the record that brings an account into being, with the name that its token says.
 *
 * @param edge The context of the edge.
 * @param account The account.
 * @param name What the token says, if it says one.
 * @returns The proposal; nothing is written where it says nothing new.
 */
export function meeting({ hub }: EdgeContext, account: string, name?: string): Proposal {
  if (name === undefined || hub.reader.account(account)?.name === name) {
    return { kind: "account", account };
  }
  return { kind: "rename", account, name };
}

/**
 * Decides whether a client can be given all that it missed in a feed.
 *
 * @param edge The context of the edge.
 * @param feed The feed.
 * @param since Its place: the epoch and seq that it had last.
 * @param upTo Up to which seq it is given.
 * @returns Whether it can: the place is of this log, nothing after it was removed, and it isn't too much.
 * @throws {Error} If the log can't be read.
 */
export function recovers(
  { hub: { reader, seq }, limits: { recovery } }: EdgeContext,
  feed: string,
  since: { readonly epoch: string; readonly seq: number },
  upTo: number,
): boolean {
  if (since.epoch !== reader.epoch || since.seq > seq) return false;
  if (since.seq < reader.trimmed(feed)) return false;
  // A feed has no more messages than the log has records.
  return upTo - since.seq <= recovery ||
    reader.count(feed, since.seq, upTo, recovery + 1) <= recovery;
}
