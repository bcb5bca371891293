/** The words for who is in a channel. */

/** The most members that are listed; beyond that the count alone (protocol.md, "Presence"). */
export const ROSTER_SIZE = 1000;

/** An account that is in a channel. */
export interface Member {
  /** The account. */
  readonly account: string;
  /** Its display name, absent if none. */
  readonly name?: string;
}

/** The list of a channel at one version. */
export interface Roster {
  /** Which channel. */
  readonly channel: string;
  /** Up by one with each change that is told. */
  readonly version: number;
  /** How many are there, listed or not. */
  readonly count: number;
  /** At most {@linkcode ROSTER_SIZE} {@linkcode Member}s as a JSON array: made once, however many are told. */
  readonly list: string;
}

/**
 * Writes a roster as the `presence` of an answer (protocol.md, "Presence").
 *
 * @param roster The roster.
 * @param named Whether its channel stands in it.
 * @returns The object as JSON text.
 */
export function rosterJson({ channel, version, count, list }: Roster, named: boolean): string {
  const name = named ? `"channel":${JSON.stringify(channel)},` : "";
  return `{${name}"version":${version},"count":${count},"members":${list}}`;
}

/** What changed in a channel from one version to the next; without lists where there are too many members. */
export interface PresenceDelta {
  /** Which channel. */
  readonly channel: string;
  /** Up by one with each change that is told. */
  readonly version: number;
  /** How many are there, listed or not. */
  readonly count: number;
  /** Who came, or has another name. */
  readonly joined?: readonly Member[];
  /** Who went. */
  readonly left?: readonly string[];
}

/** A word to who is subscribed now; not kept. */
export interface Signal {
  /** Which channel. */
  readonly channel: string;
  /** The account, or null for the admin. */
  readonly from: string | null;
  /** JSON text. */
  readonly data: string;
}
