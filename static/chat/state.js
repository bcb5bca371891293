// @ts-check
/** The chat's state: what was said, what is on its way, who is here. */
import { textOf } from "../parts/text.js";

/** How many messages stay on the page. */
export const KEPT = 500;

/**
 * @typedef {import("../fanfare.js").Message} Message
 * @typedef {import("../fanfare.js").Member} Member
 * @typedef {Message & {gap?: true}} Said
 * @typedef {import("../fanfare.js").Item} Item
 * @typedef {{id: string, key: string, channel: string, text: string, time: number, status: "pending" | "failed", error?: Item["error"]}} Outgoing
 * @typedef {{account?: string, name?: string, connection: string, said: Said[], missed: string[], outgoing: Outgoing[], members: Member[],
 *   count: number, to: string, names: Record<string, string>}} ChatState
 *   In `missed` are the subscriptions whose next message is marked as one before which some are missing.
 * @typedef {{type: "me", account: string, name?: string} | {type: "connection", state: string}
 *   | {type: "messages", channel: string, messages: Message[], gap: boolean, reset: boolean} | {type: "roster", members: Member[], count: number}
 *   | {type: "to", account: string} | {type: "outbox", items: readonly Item[]}
 *   | {type: "sent", item: Item, seq: number, time: number}} ChatAction
 */

/** Nothing is known yet. @type {ChatState} */
export const initial = {
  connection: "connecting",
  said: [],
  missed: [],
  outgoing: [],
  members: [],
  count: 0,
  to: "",
  names: {},
};

/**
 * Makes the next state.
 *
 * @param {ChatState} state The state.
 * @param {ChatAction} action What happened.
 * @returns {ChatState} The next one.
 */
export function reduce(state, action) {
  switch (action.type) {
    case "me":
      return isMe(state, action.account, action.name);
    case "connection":
      return { ...state, connection: action.state };
    case "messages":
      return addMessages(
        action.reset ? forget(state, action.channel) : state,
        action.channel,
        action.messages,
        action.gap,
      );
    case "sent": {
      const { item, seq, time } = action;
      if (!isHere(item.channel) || state.account === undefined) return state;
      const { channel, key, data } = item;
      const name = state.name === undefined ? {} : { name: state.name };
      const message = { channel, seq, time, from: state.account, ...name, key, data };
      return addMessages(state, channel.startsWith("dm:") ? "dm:*" : channel, [message], false);
    }
    case "roster":
      return {
        ...state,
        members: action.members,
        count: action.count,
        names: named(state.names, action.members),
      };
    case "to":
      return { ...state, to: action.account };
    case "outbox": {
      // A message may be here before its acknowledgement.
      const arrived = new Set(
        state.said.flatMap(({ from, key }) => from === state.account ? key : []),
      );
      const items = action.items.filter(({ channel, key }) => isHere(channel) && !arrived.has(key));
      return { ...state, outgoing: items.map(toOutgoing) };
    }
  }
}

/**
 * The other one of a direct channel.
 *
 * @param {string} channel `dm:A.B`.
 * @param {string | undefined} own One's own account.
 * @returns {string | undefined} The other account, one's own for notes, undefined for a room.
 */
export function partner(channel, own) {
  if (!channel.startsWith("dm:")) return undefined;
  const [first, second] = channel.slice(3).split(".");
  return first === own ? second : first;
}

/**
 * The channel of a choice in the list of receivers.
 *
 * @param {string} to An account, or empty for everyone.
 * @param {string} own One's own account.
 * @returns {string} The channel.
 */
export function channelTo(to, own) {
  if (to === "") return "room:lobby";
  return to < own ? `dm:${to}.${own}` : `dm:${own}.${to}`;
}

/**
 * Whether this page shows a channel.
 *
 * @param {string} channel Any.
 * @returns {boolean} Whether it does.
 */
export function isHere(channel) {
  return channel === "room:lobby" || channel.startsWith("dm:");
}

/** @param {Item} item Of the outbox. @returns {Outgoing} What is shown of it. */
function toOutgoing({ id, key, channel, data, time, status, error }) {
  return { id, key, channel, text: textOf(data), time, status, error };
}

/** @param {ChatState} state The state. @param {string} account One's own. @param {string} [name] One's own. @returns {ChatState} The next. */
function isMe(state, account, name) {
  const other = state.account !== undefined && state.account !== account;
  // What was said to another account in private isn't this one's to read.
  const said = other ? state.said.filter(({ channel }) => !channel.startsWith("dm:")) : state.said;
  return { ...state, account, name, said };
}

/** @param {string} subscription One of this page's. @param {string} channel A message's. @returns {boolean} Whether it comes by it. */
function reads(subscription, channel) {
  return subscription === channel || (subscription === "dm:*" && channel.startsWith("dm:"));
}

/** @param {ChatState} state The state. @param {string} subscription Whose log is another. @returns {ChatState} The next. */
function forget(state, subscription) {
  return {
    ...state,
    said: state.said.filter(({ channel }) => !reads(subscription, channel)),
    missed: state.missed.filter((missed) => missed !== subscription),
  };
}

/**
 * @param {ChatState} state The state.
 * @param {string} subscription By which they came.
 * @param {Message[]} messages Of one subscription, in order.
 * @param {boolean} gap Whether some before them are missing.
 * @returns {ChatState} The next one.
 */
function addMessages(state, subscription, messages, gap) {
  // While one subscription has another log already, the other's seqs are of the one before.
  const known = new Set(state.said.map(({ channel, seq }) => `${channel} ${seq}`));
  /** @type {Said[]} */
  const fresh = messages.filter(({ channel, seq }) => !known.has(`${channel} ${seq}`));
  const [first, ...rest] = fresh;
  const hole = state.missed.includes(subscription) ||
    (gap && state.said.some(({ channel }) => reads(subscription, channel)));
  const missed = state.missed.filter((missed) => missed !== subscription);
  const marked = first !== undefined && hole
    ? [/** @type {Said} */ ({ ...first, gap: true }), ...rest]
    : fresh;
  const said = [...state.said, ...marked].sort((a, b) => a.seq - b.seq).slice(-KEPT);
  const own = new Set(messages.filter(({ from }) => from === state.account).map(({ key }) => key));
  const senders = fresh.flatMap(({ from, name }) => from === null ? [] : [{ account: from, name }]);
  return {
    ...state,
    said,
    missed: hole && first === undefined ? [...missed, subscription] : missed,
    outgoing: state.outgoing.filter(({ key }) => !own.has(key)),
    names: named(state.names, senders),
  };
}

/**
 * @param {Record<string, string>} names Known so far.
 * @param {{account: string, name?: string}[]} members Newer ones.
 * @returns {Record<string, string>} All.
 */
function named(names, members) {
  return {
    ...names,
    ...Object.fromEntries(members.flatMap(({ account, name }) => name ? [[account, name]] : [])),
  };
}
