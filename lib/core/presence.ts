/** Who is in which channel: pure state and deltas. It knows no clock: time is a parameter, in milliseconds, never going down. */
import { toJson } from "../protocol/json.ts";
import type { Member, PresenceDelta, Roster } from "../protocol/presence.ts";
import { ROSTER_SIZE } from "../protocol/presence.ts";

/** How long an account stays after its last subscription ended, in milliseconds, so that a reload is no leave and join. */
export const LINGER = 2000;

/**
 * How long a channel is quiet after a delta, in milliseconds; what changes meanwhile is the next one. Each delta goes to
 * everyone who watches, so it grows with the members: a storm of joins costs what the joins cost, not joins times members.
 *
 * @param members How many there are.
 * @returns 100 ms, and 0.1 ms for each member beyond a thousand; 5 s at most.
 */
export function quietFor(members: number): number {
  return Math.min(5000, Math.max(100, members / 10));
}

interface Presences {
  name: string | null;
  /** Each connection with the edge that holds it. */
  readonly connections: Map<string, number>;
  /** When it is taken from the list; set while no connection is left. */
  leaves?: number;
  /** Whether a delta has told of it. */
  told: boolean;
}

interface State {
  version: number;
  readonly members: Map<string, Presences>;
  /** Accounts whose coming, going or renaming wasn't told yet. */
  readonly changed: Set<string>;
  /** From when on the next delta may be told. */
  from: number;
  /** The list as JSON, until it changes. */
  list: string | undefined;
}

/** The rosters of all channels with members. */
export class Presence {
  readonly #channels = new Map<string, State>();
  readonly #of = new Map<string, Set<string>>();
  // Ordered by time, since every wait is as long.
  readonly #leaving = new Set<{ channel: string; account: string; at: number }>();
  // Channels with something to tell, and when the first of them may.
  readonly #untold = new Set<string>();
  #next = Infinity;
  // A roster that is made anew goes on above all that were dropped: nobody takes it for one that they know.
  #dropped = 0;

  /**
   * A connection subscribed.
   *
   * @param channel The channel.
   * @param account Whose connection.
   * @param name The account's display name.
   * @param connection The connection.
   * @param edge Which edge holds it.
   */
  join(
    channel: string,
    account: string,
    name: string | null,
    connection: string,
    edge: number,
  ): void {
    let state = this.#channels.get(channel);
    if (state === undefined) {
      state = {
        version: this.#dropped,
        members: new Map(),
        changed: new Set(),
        from: -Infinity,
        list: undefined,
      };
      this.#channels.set(channel, state);
    }
    const known = state.members.get(account);
    if (known !== undefined) {
      known.connections.set(connection, edge);
      delete known.leaves;
      return;
    }
    // Whoever went and whose going isn't told yet is still known to those who watch.
    const told = state.changed.has(account);
    state.members.set(account, { name, connections: new Map([[connection, edge]]), told });
    const channels = this.#of.get(account);
    if (channels === undefined) this.#of.set(account, new Set([channel]));
    else channels.add(channel);
    // Beyond the cap the newest isn't listed, and the list stays what it is.
    if (state.members.size <= ROSTER_SIZE) state.list = undefined;
    this.#change(channel, state, account);
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
    if (member === undefined || !member.connections.delete(connection)) return;
    if (member.connections.size === 0) this.#linger(channel, account, member, now);
  }

  /**
   * An edge is gone, and with it all connections that it held.
   *
   * @param edge Which.
   * @param now The time.
   */
  drop(edge: number, now: number): void {
    for (const [channel, { members }] of this.#channels) {
      for (const [account, member] of members) {
        const before = member.connections.size;
        for (const [connection, held] of member.connections) {
          if (held === edge) member.connections.delete(connection);
        }
        if (before > 0 && member.connections.size === 0) {
          this.#linger(channel, account, member, now);
        }
      }
    }
  }

  /**
   * An account has another name now.
   *
   * @param account The account.
   * @param name Its display name.
   */
  rename(account: string, name: string | null): void {
    for (const channel of this.#of.get(account) ?? []) {
      const state = this.#channels.get(channel);
      const member = state?.members.get(account);
      if (state === undefined || member === undefined || member.name === name) continue;
      member.name = name;
      state.list = undefined;
      this.#change(channel, state, account);
    }
  }

  /**
   * Lets those go whose time is over, and takes what is to be told.
   *
   * @param now The time.
   * @returns A delta for each channel that changed and wasn't told of for long enough.
   */
  take(now: number): PresenceDelta[] {
    this.#expire(now);
    if (now < this.#next) return [];
    const deltas: PresenceDelta[] = [];
    this.#next = Infinity;
    for (const channel of this.#untold) {
      const state = this.#channels.get(channel);
      if (state !== undefined && state.from > now) {
        this.#next = Math.min(this.#next, state.from);
        continue;
      }
      this.#untold.delete(channel);
      if (state !== undefined) deltas.push(...this.#tell(channel, state, now));
    }
    return deltas;
  }

  /**
   * When {@linkcode take} has something to do.
   *
   * @returns The time, or undefined while nobody is leaving and all is told.
   */
  nextDue(): number | undefined {
    let next = this.#next;
    for (const { at } of this.#leaving) {
      next = Math.min(next, at);
      break;
    }
    return next === Infinity ? undefined : next;
  }

  /**
   * Makes all who watch a channel ask for the whole: to someone deltas were lost.
   *
   * @param channel The channel.
   * @returns A delta that shows a hole.
   */
  restate(channel: string): PresenceDelta | undefined {
    const state = this.#channels.get(channel);
    if (state === undefined) return undefined;
    state.version += 2;
    return { channel, version: state.version, count: state.members.size };
  }

  /**
   * The whole list of a channel. Whoever came since the last delta is in it, and is told once more.
   *
   * @param channel The channel.
   * @returns The roster; an empty one where nobody is.
   */
  roster(channel: string): Roster {
    const state = this.#channels.get(channel);
    if (state === undefined) return { channel, version: this.#dropped, count: 0, list: "[]" };
    state.list ??= toJson(listOf(state));
    return { channel, version: state.version, count: state.members.size, list: state.list };
  }

  #linger(channel: string, account: string, member: Presences, now: number): void {
    member.leaves = now + LINGER;
    this.#leaving.add({ channel, account, at: now + LINGER });
  }

  #expire(now: number): void {
    for (const entry of this.#leaving) {
      if (entry.at > now) break;
      this.#leaving.delete(entry);
      const { channel, account, at } = entry;
      const state = this.#channels.get(channel);
      const member = state?.members.get(account);
      if (state === undefined || member?.leaves !== at) continue;
      state.members.delete(account);
      state.list = undefined;
      const channels = this.#of.get(account);
      if (channels?.delete(channel) && channels.size === 0) this.#of.delete(account);
      // Whoever came and went between two deltas was never there.
      if (member.told) this.#change(channel, state, account);
      else state.changed.delete(account);
      this.#forget(channel, state);
    }
  }

  #change(channel: string, state: State, account: string): void {
    state.changed.add(account);
    this.#untold.add(channel);
    this.#next = Math.min(this.#next, state.from);
  }

  #tell(channel: string, state: State, now: number): PresenceDelta[] {
    const joined: Member[] = [];
    const left: string[] = [];
    for (const account of state.changed) {
      const member = state.members.get(account);
      if (member === undefined) left.push(account);
      else {
        member.told = true;
        joined.push(memberOf(account, member));
      }
    }
    if (state.changed.size === 0) return [];
    state.changed.clear();
    state.version += 1;
    state.from = now + quietFor(state.members.size);
    const { version, members: { size: count } } = state;
    this.#forget(channel, state);
    // Beyond the cap a client has no full list to change: the count alone is told, also where the cap is crossed.
    if (count + left.length > ROSTER_SIZE) return [{ channel, version, count }];
    return [{ channel, version, count, joined, left }];
  }

  // Told and empty: nothing is kept of it.
  #forget(channel: string, state: State): void {
    if (state.members.size > 0 || state.changed.size > 0) return;
    this.#channels.delete(channel);
    this.#untold.delete(channel);
    this.#dropped = Math.max(this.#dropped, state.version);
  }
}

function memberOf(account: string, { name }: Presences): Member {
  return { account, ...(name === null ? {} : { name }) };
}

function listOf({ members }: State): Member[] {
  const list: Member[] = [];
  for (const [account, member] of members) {
    if (list.length === ROSTER_SIZE) break;
    list.push(memberOf(account, member));
  }
  return list;
}
