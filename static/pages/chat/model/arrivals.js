// @ts-check
/** How the chat's state takes in what comes: messages, acknowledgements, who is there. Pure. */
import { textOf } from "../../../ui/text/text.js";
import { isTalk, subscriptionOf } from "./channels.js";
import { replyOf, saidOf } from "./content.js";
import { changed, isForMe, named, talkOf } from "./chat_state.js";
import { add, count, emptyTalk, KEPT, KEPT_ASIDE, trim } from "./talk.js";

/**
 * @typedef {import("./chat_state.js").ChatState} ChatState
 * @typedef {import("./chat_state.js").Message} Message
 * @typedef {import("./chat_state.js").Member} Member
 * @typedef {import("./chat_state.js").Item} Item
 * @typedef {import("./chat_state.js").Said} Said
 * @typedef {import("./chat_state.js").Outgoing} Outgoing
 */

/**
 * Another log: what came by a subscription has no place in it.
 *
 * @param {ChatState} state The state.
 * @param {string} subscription Whose log is another.
 * @returns {ChatState} The next.
 */
export function forget(state, subscription) {
  const talks = Object.entries(state.talks).map(([channel, talk]) =>
    subscriptionOf(channel) === subscription ? [channel, emptyTalk] : [channel, talk]
  );
  return { ...state, talks: Object.fromEntries(talks), quotes: {} };
}

/**
 * The server was heard: what this browser had kept gives way to what that tells.
 *
 * @param {ChatState} state The state.
 * @param {string} subscription By which it was heard.
 * @returns {ChatState} The next.
 */
export function heard(state, subscription) {
  const stale = Object.entries(state.talks).filter(([channel, { stale }]) =>
    stale === true && subscriptionOf(channel) === subscription
  );
  if (stale.length === 0) return state;
  const fresh = stale.map(([channel, talk]) => [channel, { ...talk, said: [], stale: false }]);
  return { ...state, talks: { ...state.talks, ...Object.fromEntries(fresh) } };
}

/**
 * Takes in what a subscription told.
 *
 * @param {ChatState} state The state.
 * @param {{channel: string, messages: readonly Message[], gap: boolean}} told By which subscription, what, and whether some before are missing.
 * @returns {ChatState} The next.
 */
export function addMessages(state, { channel: subscription, messages, gap }) {
  state = heard(state, subscription);
  const said = messages.filter(({ channel }) =>
    subscriptionOf(channel) === subscription && isTalk(channel)
  )
    .map(saidOf);
  const channels = new Set(said.map(({ channel }) => channel));
  // Where some are missing they may be of any conversation that comes this way.
  if (gap) {
    for (const [channel, { said }] of Object.entries(state.talks)) {
      if (subscriptionOf(channel) === subscription && said.length > 0) channels.add(channel);
    }
  }
  const names = named(
    state.names,
    said.flatMap(({ from, name }) => from && name ? [{ account: from, name }] : []),
  );
  let next = names === state.names ? state : { ...state, names };
  for (const channel of channels) {
    next = addTo(next, channel, said.filter((message) => message.channel === channel), gap);
  }
  const arrived = new Set(said.filter(({ from }) => from === state.account).map(({ key }) => key));
  const spoke = new Set(said.map(({ channel, from }) => `${channel} ${from}`));
  return {
    ...next,
    outgoing: state.outgoing.filter(({ key }) => !arrived.has(key)),
    typing: state.typing.filter(({ channel, account }) => !spoke.has(`${channel} ${account}`)),
  };
}

/** @param {ChatState} state The state. @param {string} channel Of these. @param {Said[]} said New, maybe. @param {boolean} gap Missing before. @returns {ChatState} The next. */
function addTo(state, channel, said, gap) {
  const open = channel === state.open;
  return changed(state, channel, (before) => {
    // Whoever wrote privately while nothing was known here wasn't read yet.
    const known = before.read === undefined && channel.startsWith("dm:")
      ? { ...before, read: 0 }
      : before;
    const { talk, fresh } = add(known, said, gap);
    const counted = count(talk, fresh, {
      own: state.account,
      looking: open && state.looking,
      first: known.said.length === 0,
      calls: (message) => isForMe(state, message),
    });
    return trim(counted, open ? KEPT : KEPT_ASIDE);
  });
}

/**
 * One's own message has its place, perhaps before the subscription tells it.
 *
 * @param {ChatState} state The state.
 * @param {{item: Item, seq: number, time: number}} sent What, and where.
 * @returns {ChatState} The next.
 */
export function isSent(state, { item, seq, time }) {
  const { channel, key, data } = item;
  if (!isTalk(channel) || state.account === undefined) return state;
  const name = state.name === undefined ? {} : { name: state.name };
  const message = { channel, seq, time, from: state.account, ...name, key, data };
  return addMessages(state, { channel: subscriptionOf(channel), messages: [message], gap: false });
}

/**
 * Shows what is on its way.
 *
 * @param {ChatState} state The state.
 * @param {readonly Item[]} items The outbox.
 * @returns {ChatState} The next.
 */
export function setOutbox(state, items) {
  // A message may be here before its acknowledgement.
  const arrived = (/** @type {Item} */ { channel, key }) =>
    talkOf(state, channel).said.slice(-KEPT_ASIDE).some((message) =>
      message.key === key && message.from === state.account
    );
  const outgoing = items.filter((item) => isTalk(item.channel) && !arrived(item)).map(toOutgoing);
  return { ...state, outgoing };
}

/** @param {Item} item Of the outbox. @returns {Outgoing} What is shown of it. */
function toOutgoing({ id, key, channel, data, time, status, error }) {
  const reply = replyOf(data);
  return { id, key, channel, text: textOf(data), ...(reply ? { reply } : {}), time, status, error };
}

/**
 * Learns who is in a room.
 *
 * @param {ChatState} state The state.
 * @param {{channel: string, members: readonly Member[], count: number}} told Who is there.
 * @returns {ChatState} The next.
 */
export function setRoster(state, { channel, members, count }) {
  const next = {
    ...{ ...state, ...renamed(state, channel, members) },
    rosters: { ...state.rosters, [channel]: { members, count } },
    names: named(state.names, members),
  };
  // The list comes once the subscription stands: what isn't there by now is still to be said.
  return talkOf(state, channel).read === undefined
    ? changed(next, channel, (talk) => ({ ...talk, read: talk.said.at(-1)?.seq ?? 0 }))
    : next;
}

/**
 * One's own name as another tab has changed it; what the list said before says nothing new.
 *
 * @param {ChatState} state The state. @param {string} channel Where. @param {readonly Member[]} members Who is there now.
 * @returns {{name?: string}} What is to be changed.
 */
function renamed({ account, rosters }, channel, members) {
  const isOwn = (/** @type {Member} */ member) => member.account === account;
  const [before, now] = [rosters[channel]?.members.find(isOwn), members.find(isOwn)];
  const same = before === undefined || now === undefined || before.name === now.name;
  return same ? {} : { name: now.name };
}
