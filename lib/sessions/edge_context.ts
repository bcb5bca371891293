/** What all that speaks to clients in an edge shares: its parts, and what is said of accounts and sizes everywhere. */
import type { Access } from "../auth/access.ts";
import type { EdgeEnd } from "../bus/bus.ts";
import type { Counters } from "../observability/counters.ts";
import { type EdgeRates, type Limits, toldLimits } from "../config/limits.ts";
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
