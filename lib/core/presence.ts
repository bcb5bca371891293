/** Who is in which channel: pure state and deltas. It knows no clock: time is a parameter, in milliseconds, never going down. */
import type { Member, PresenceDelta, Roster } from "../protocol/presence.ts";
import { ROSTER_SIZE } from "../protocol/presence.ts";

/** How long an account stays after its last subscription ended, in milliseconds, so that a reload is no leave and join. */
export const LINGER = 2000;

interface Presences {
  name: string | null;
  readonly connections: Set<string>;
  /** When it is taken from the list; set while no connection is left. */
  leaves?: number;
}

interface State {
  version: number;
  readonly members: Map<string, Presences>;
}

/** The rosters of all channels with members. */
export class Presence {
  readonly #channels = new Map<string, State>();
  readonly #of = new Map<string, Set<string>>();
  // Ordered by time, since every wait is as long.
  readonly #leaving = new Set<{ channel: string; account: string; at: number }>();
  // A roster that is made anew goes on above all that were dropped: nobody takes it for one that they know.
  #dropped = 0;

  /**
   * A connection subscribed.
   *
   * @param channel The channel.
   * @param account Whose connection.
   * @param name The account's display name.
   * @param connection The connection.
   * @returns What to tell, if anything changed.
   */
  join(
    channel: string,
    account: string,
    name: string | null,
    connection: string,
  ): PresenceDelta | undefined {
    let state = this.#channels.get(channel);
    if (state === undefined) {
      state = { version: this.#dropped, members: new Map() };
      this.#channels.set(channel, state);
    }
    const known = state.members.get(account);
    if (known !== undefined) {
      known.connections.add(connection);
      delete known.leaves;
      return undefined;
    }
    state.members.set(account, { name, connections: new Set([connection]) });
    const channels = this.#of.get(account);
    if (channels === undefined) this.#of.set(account, new Set([channel]));
    else channels.add(channel);
    return this.#delta(channel, state, [{ account, ...(name === null ? {} : { name }) }], []);
  }

  /**
   * A connection's subscription ended. Its account leaves {@linkcode LINGER} later, if no other came.
   *
   * @param channel The channel.
   * @param account Whose connection.
   * @param connection The connection.
   * @param now The time.
   */
  leave(channel: string, account: string, connection: string, now: number): void {
    const member = this.#channels.get(channel)?.members.get(account);
    if (
      member === undefined || !member.connections.delete(connection) || member.connections.size > 0
    ) return;
    member.leaves = now + LINGER;
    this.#leaving.add({ channel, account, at: now + LINGER });
  }

  /**
   * Lets those go whose time is over.
   *
   * @param now The time.
   * @returns What to tell, a delta for each channel that lost members.
   */
  expire(now: number): PresenceDelta[] {
    const gone = new Map<string, string[]>();
    for (const entry of this.#leaving) {
      if (entry.at > now) break;
      this.#leaving.delete(entry);
      const { channel, account, at } = entry;
      const state = this.#channels.get(channel);
      if (state?.members.get(account)?.leaves !== at) continue;
      state.members.delete(account);
      const channels = this.#of.get(account);
      if (channels?.delete(channel) && channels.size === 0) this.#of.delete(account);
      const accounts = gone.get(channel);
      if (accounts === undefined) gone.set(channel, [account]);
      else accounts.push(account);
    }
    return [...gone].flatMap(([channel, left]) => {
      const state = this.#channels.get(channel);
      if (state === undefined) return [];
      const delta = this.#delta(channel, state, [], left);
      if (state.members.size === 0) {
        this.#channels.delete(channel);
        this.#dropped = Math.max(this.#dropped, state.version);
      }
      return [delta];
    });
  }

  /**
   * When the next one may have to go.
   *
   * @returns The time, or undefined while nobody is leaving.
   */
  nextExpiry(): number | undefined {
    for (const { at } of this.#leaving) return at;
    return undefined;
  }

  /**
   * An account has another name now.
   *
   * @param account The account.
   * @param name Its display name.
   * @returns What to tell, in each channel that it is in.
   */
  rename(account: string, name: string | null): PresenceDelta[] {
    const deltas: PresenceDelta[] = [];
    for (const channel of this.#of.get(account) ?? []) {
      const state = this.#channels.get(channel);
      const member = state?.members.get(account);
      if (state === undefined || member === undefined || member.name === name) continue;
      member.name = name;
      deltas.push(
        this.#delta(channel, state, [{ account, ...(name === null ? {} : { name }) }], []),
      );
    }
    return deltas;
  }

  /**
   * The whole list of a channel.
   *
   * @param channel The channel.
   * @returns The roster; an empty one where nobody is.
   */
  roster(channel: string): Roster {
    const state = this.#channels.get(channel);
    if (state === undefined) return { channel, version: this.#dropped, count: 0, members: [] };
    const members: Member[] = [];
    for (const [account, { name }] of state.members) {
      if (members.length === ROSTER_SIZE) break;
      members.push({ account, ...(name === null ? {} : { name }) });
    }
    return { channel, version: state.version, count: state.members.size, members };
  }

  #delta(channel: string, state: State, joined: Member[], left: string[]): PresenceDelta {
    state.version += 1;
    const count = state.members.size;
    // Beyond the cap a client has no full list to change: the count alone is told, also where the cap is crossed.
    if (count + left.length > ROSTER_SIZE) return { channel, version: state.version, count };
    return { channel, version: state.version, count, joined, left };
  }
}
