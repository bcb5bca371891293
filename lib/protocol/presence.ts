/** The words for who is in a channel. */

/** The most members that are listed; beyond that the count alone (protocol.md section 2). */
export const ROSTER_SIZE = 1000;

/** An account that is in a channel. */
export interface Member {
  readonly account: string;
  readonly name?: string;
}

/** The list of a channel at one version. */
export interface Roster {
  readonly channel: string;
  readonly version: number;
  readonly count: number;
  /** At most {@linkcode ROSTER_SIZE}. */
  readonly members: readonly Member[];
}

/** What changed in a channel from one version to the next; without lists where there are too many members. */
export interface PresenceDelta {
  readonly channel: string;
  readonly version: number;
  readonly count: number;
  readonly joined?: readonly Member[];
  readonly left?: readonly string[];
}

/** A word to who is subscribed now; not kept. */
export interface Signal {
  readonly channel: string;
  readonly from: string | null;
  /** JSON text. */
  readonly data: string;
}
