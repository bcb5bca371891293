// @ts-check
/** The chat's state: which conversations there are, what is on its way, who is here. A pure reducer. */
import { callsMe, mentionsOf } from "../parts/segments.js";
import { textOf } from "../parts/text.js";
import { isTalk, LOBBY, subscriptionOf } from "./channels.js";
import { replyOf, saidOf } from "./content.js";
import { add, addPage, count, emptyTalk, fill, find, KEPT, KEPT_ASIDE, trim } from "./talk.js";

/** How many rooms one may be in: a connection has at most 128 channels. */
export const MOST_ROOMS = 100;
/** How many direct conversations are listed. */
const MOST_DIRECT = 200;
const MOST_NAMES = 2000;
const MOST_QUOTES = 500;
const MOST_TYPING = 20;
/** How long somebody counts as typing, in milliseconds. */
export const TYPING_LASTS = 6000;

/**
 * @typedef {import("../fanfare.js").Message} Message
 * @typedef {import("../fanfare.js").Member} Member
 * @typedef {import("../fanfare.js").Item} Item
 * @typedef {import("./content.js").Said} Said
 * @typedef {import("./talk.js").Talk} Talk
 * @typedef {{id: string, key: string, channel: string, text: string, reply?: number, time: number, status: "pending" | "failed", error?: Item["error"]}} Outgoing
 * @typedef {{channel: string, account: string, until: number}} Typing
 * @typedef {import("./remember.js").Remembered} Remembered
 * @typedef {{account?: string, name?: string, connection: string, keeps: boolean, rooms: readonly string[], open: string, room: string, looking: boolean,
 *   talks: Readonly<Record<string, Talk>>, outgoing: readonly Outgoing[], rosters: Readonly<Record<string, {members: readonly Member[], count: number}>>,
 *   names: Readonly<Record<string, string>>, typing: readonly Typing[], jump?: {seq: number, id: number}, replyTo: Said | undefined,
 *   quotes: Readonly<Record<string, Said | null>>, mentions: import("../parts/segments.js").Mentions | undefined, refused: Readonly<Record<string, string>>}} ChatState
 *   `room` is the room that was open last; in `quotes` are messages that were looked up, by `CHANNEL SEQ`, null for one that isn't there.
 * @typedef {{type: "me", account: string, name?: string} | {type: "connection", state: string, keeps?: boolean}
 *   | {type: "messages", channel: string, messages: readonly Message[], gap: boolean, reset: boolean}
 *   | {type: "sent", item: Item, seq: number, time: number} | {type: "outbox", items: readonly Item[]}
 *   | {type: "roster", channel: string, members: readonly Member[], count: number} | {type: "refused", channel: string, why: string}
 *   | {type: "open", channel: string} | {type: "leave", channel: string} | {type: "look", looking: boolean} | {type: "jump", seq: number}
 *   | {type: "reply", to: Said | undefined} | {type: "quote", channel: string, seq: number, message: Message | undefined}
 *   | {type: "loading", channel: string, what: "older" | number | undefined}
 *   | {type: "page", channel: string, messages: readonly Message[], older?: boolean, newer?: boolean}
 *   | {type: "filled", channel: string, after: number, messages: readonly Message[], more: boolean}
 *   | {type: "typing", channel: string, account: string, now: number} | {type: "time", now: number}
 *   | {type: "remembered", kept: Remembered}} ChatAction
 */

/** Nothing is known yet. @type {ChatState} */
export const initial = {
  connection: "connecting",
  keeps: true,
  rooms: [LOBBY],
  open: LOBBY,
  room: LOBBY,
  looking: false,
  talks: { [LOBBY]: emptyTalk },
  outgoing: [],
  rosters: {},
  names: {},
  typing: [],
  replyTo: undefined,
  quotes: {},
  mentions: undefined,
  refused: {},
};

/**
 * Makes the next state.
 *
 * @param {ChatState} state The state.
 * @param {ChatAction} action What happened.
 * @returns {ChatState} The next one.
 */
export function reduce(state, action) {
  const next = step(state, action);
  const same = next.names === state.names && next.account === state.account &&
    next.name === state.name;
  return same ? next : { ...next, mentions: mentioned(next) };
}

/** @param {ChatState} state The state. @param {ChatAction} action What happened. @returns {ChatState} The next one. */
function step(state, action) {
  switch (action.type) {
    case "me":
      return isMe(state, action.account, action.name);
    case "connection":
      return { ...state, connection: action.state, keeps: action.keeps ?? state.keeps };
    case "messages":
      return addMessages(action.reset ? forget(state, action.channel) : state, action);
    case "sent":
      return isSent(state, action);
    case "outbox":
      return setOutbox(state, action.items);
    case "roster":
      return setRoster(state, action);
    case "refused":
      return { ...state, refused: { ...state.refused, [action.channel]: action.why } };
    case "open":
      return openTalk(state, action.channel);
    case "leave":
      return leaveRoom(state, action.channel);
    case "look":
      return look(state, action.looking);
    case "jump":
      return { ...state, jump: { seq: action.seq, id: (state.jump?.id ?? 0) + 1 } };
    case "reply":
      return { ...state, replyTo: action.to };
    case "quote":
      return addQuote(state, action);
    case "loading":
      return changed(state, action.channel, (talk) => ({ ...talk, loading: action.what }));
    case "page":
      return changed(
        state,
        action.channel,
        (talk) => addPage(talk, action.messages.map(saidOf), action),
      );
    case "filled": {
      const page = action.messages.map(saidOf);
      return changed(state, action.channel, (talk) => fill(talk, action.after, page, action.more));
    }
    case "typing":
      return isTyping(state, action);
    case "time":
      return { ...state, typing: state.typing.filter(({ until }) => until > action.now) };
    case "remembered":
      return remember(state, action.kept);
  }
}

/**
 * A conversation.
 *
 * @param {ChatState} state The state.
 * @param {string} channel Which.
 * @returns {Talk} It; an empty one where nothing is known.
 */
export function talkOf(state, channel) {
  return state.talks[channel] ?? emptyTalk;
}

/**
 * The direct conversations, that with the newest message first.
 *
 * @param {ChatState} state The state.
 * @returns {string[]} Their channels.
 */
export function directs(state) {
  const channels = Object.keys(state.talks).filter((channel) =>
    channel.startsWith("dm:") &&
    (channel === state.open || talkOf(state, channel).last !== undefined)
  );
  const time = (/** @type {string} */ channel) => talkOf(state, channel).last?.seq ?? Infinity;
  return channels.sort((a, b) => time(b) - time(a)).slice(0, MOST_DIRECT);
}

/**
 * Whether a message is for oneself: it mentions one, or is private.
 *
 * @param {ChatState} state The state.
 * @param {Said} message Of another.
 * @returns {boolean} Whether.
 */
export function isForMe(state, message) {
  return message.channel.startsWith("dm:") || callsMe(message.text, state.mentions);
}

/**
 * What a message replies to, as far as it is known.
 *
 * @param {ChatState} state The state.
 * @param {string} channel Where.
 * @param {number} seq Its seq.
 * @returns {Said | null | undefined} The message; null where there is none, undefined where nobody looked yet.
 */
export function quoteOf(state, channel, seq) {
  return find(talkOf(state, channel).said, seq) ?? state.quotes[`${channel} ${seq}`];
}

/**
 * How somebody is called.
 *
 * @param {Pick<ChatState, "names">} state The state.
 * @param {string} account Who.
 * @returns {string} The name, or the account where none is known; accounts may be words that every object knows.
 */
export function nameOf({ names }, account) {
  return Object.hasOwn(names, account) ? names[account] ?? account : account;
}

/** @param {ChatState} state The state. @param {string} channel Which. @param {(talk: Talk) => Talk} change What becomes of it. @returns {ChatState} The next. */
function changed(state, channel, change) {
  if (!isTalk(channel)) return state;
  return { ...state, talks: { ...state.talks, [channel]: change(talkOf(state, channel)) } };
}

/** @param {ChatState} state The state. @param {string} account One's own. @param {string} [name] One's own. @returns {ChatState} The next. */
function isMe(state, account, name) {
  const other = state.account !== undefined && state.account !== account;
  if (!other) return { ...state, account, name };
  // What was said to another account in private isn't this one's to read.
  const rooms = Object.entries(state.talks).filter(([channel]) => !channel.startsWith("dm:"));
  const open = state.open.startsWith("dm:") ? state.room : state.open;
  return {
    ...state,
    account,
    name,
    open,
    talks: Object.fromEntries(rooms),
    quotes: {},
    replyTo: undefined,
  };
}

/** @param {ChatState} state The state. @param {string} subscription Whose log is another. @returns {ChatState} The next. */
function forget(state, subscription) {
  const talks = Object.entries(state.talks).map(([channel, talk]) =>
    subscriptionOf(channel) === subscription ? [channel, emptyTalk] : [channel, talk]
  );
  return { ...state, talks: Object.fromEntries(talks), quotes: {} };
}

/** @param {ChatState} state The state. @param {{channel: string, messages: readonly Message[], gap: boolean}} told By which subscription, what. @returns {ChatState} The next. */
function addMessages(state, { channel: subscription, messages, gap }) {
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

/** @param {ChatState} state The state. @param {{item: Item, seq: number, time: number}} sent What has its place. @returns {ChatState} The next. */
function isSent(state, { item, seq, time }) {
  const { channel, key, data } = item;
  if (!isTalk(channel) || state.account === undefined) return state;
  const name = state.name === undefined ? {} : { name: state.name };
  const message = { channel, seq, time, from: state.account, ...name, key, data };
  return addMessages(state, { channel: subscriptionOf(channel), messages: [message], gap: false });
}

/** @param {ChatState} state The state. @param {readonly Item[]} items The outbox. @returns {ChatState} The next. */
function setOutbox(state, items) {
  // A message may be here before its acknowledgement.
  const arrived = (/** @type {Item} */ { channel, key }) =>
    talkOf(state, channel).said.slice(-KEPT_ASIDE).some((message) =>
      message.key === key && message.from === state.account
    );
  const outgoing = items.filter((item) => isTalk(item.channel) && !arrived(item)).map(toOutgoing);
  // Who writes has read.
  const wrote = outgoing.some(({ channel, status }) =>
    channel === state.open && status === "pending"
  );
  const next = { ...state, outgoing };
  return wrote ? changed(next, state.open, (talk) => ({ ...talk, line: undefined })) : next;
}

/** @param {Item} item Of the outbox. @returns {Outgoing} What is shown of it. */
function toOutgoing({ id, key, channel, data, time, status, error }) {
  const reply = replyOf(data);
  return { id, key, channel, text: textOf(data), ...(reply ? { reply } : {}), time, status, error };
}

/** @param {ChatState} state The state. @param {{channel: string, members: readonly Member[], count: number}} told Who is there. @returns {ChatState} The next. */
function setRoster(state, { channel, members, count }) {
  const next = {
    ...state,
    rosters: { ...state.rosters, [channel]: { members, count } },
    names: named(state.names, members),
  };
  // The list comes once the subscription stands: what isn't there by now is still to be said.
  return talkOf(state, channel).read === undefined
    ? changed(next, channel, (talk) => ({ ...talk, read: talk.said.at(-1)?.seq ?? 0 }))
    : next;
}

/** @param {ChatState} state The state. @param {string} channel Which. @returns {ChatState} The next. */
function openTalk(state, channel) {
  if (!isTalk(channel) || channel === state.open) return state;
  const room = channel.startsWith("room:");
  const joined = state.rooms.includes(channel);
  if (room && !joined && state.rooms.length >= MOST_ROOMS) return state;
  const { [channel]: _, ...refused } = state.refused;
  const next = {
    ...state,
    rooms: room && !joined ? [...state.rooms, channel] : state.rooms,
    open: channel,
    room: room ? channel : state.room,
    replyTo: undefined,
    jump: undefined,
    refused,
  };
  const left = changed(next, state.open, (talk) => trim({ ...talk, line: undefined }, KEPT_ASIDE));
  return look(changed(left, channel, (talk) => talk), state.looking);
}

/** @param {ChatState} state The state. @param {string} channel A room. @returns {ChatState} The next. */
function leaveRoom(state, channel) {
  if (channel === LOBBY || !state.rooms.includes(channel)) return state;
  const away = state.open === channel ? openTalk({ ...state, room: LOBBY }, LOBBY) : state;
  const { [channel]: _, ...talks } = away.talks;
  const { [channel]: __, ...rosters } = away.rosters;
  const rooms = away.rooms.filter((room) => room !== channel);
  return { ...away, rooms, talks, rosters, room: away.room === channel ? LOBBY : away.room };
}

/** @param {ChatState} state The state. @param {boolean} looking Whether somebody sees the newest message of what is open. @returns {ChatState} The next. */
function look(state, looking) {
  const talk = talkOf(state, state.open);
  const next = looking === state.looking ? state : { ...state, looking };
  const end = talk.said.at(-1)?.seq;
  const seen = !looking || end === undefined || (talk.read === end && talk.unread === 0);
  return seen
    ? next
    : changed(next, state.open, (talk) => ({ ...talk, read: end, unread: 0, called: 0 }));
}

/** @param {ChatState} state The state. @param {{channel: string, seq: number, message: Message | undefined}} found What was looked up. @returns {ChatState} The next. */
function addQuote(state, { channel, seq, message }) {
  const right = message?.seq === seq && message.channel === channel;
  const kept = Object.entries(state.quotes).slice(-MOST_QUOTES + 1);
  const quotes = Object.fromEntries([...kept, [
    `${channel} ${seq}`,
    right ? saidOf(message) : null,
  ]]);
  return { ...state, quotes };
}

/** @param {ChatState} state The state. @param {{channel: string, account: string, now: number}} told Who types. @returns {ChatState} The next. */
function isTyping(state, { channel, account, now }) {
  if (account === state.account || !isTalk(channel)) return state;
  const others = state.typing.filter((one) => one.account !== account || one.channel !== channel);
  const typing = [...others, { channel, account, until: now + TYPING_LASTS }].slice(-MOST_TYPING);
  return { ...state, typing };
}

/** @param {ChatState} state The state. @param {Remembered} kept What this browser, or another tab of it, knows. @returns {ChatState} The next. */
function remember(state, { account, rooms, read, last }) {
  const own = state.account ?? account;
  /** @type {ChatState} */
  let next = { ...state, rooms: [LOBBY, ...rooms].slice(0, MOST_ROOMS) };
  if (!next.rooms.includes(state.open) && state.open.startsWith("room:")) {
    next = { ...next, rooms: [...next.rooms, state.open] };
  }
  for (const channel of new Set([...next.rooms, ...Object.keys(read), ...Object.keys(last)])) {
    if (channel.startsWith("dm:") ? own !== account : !next.rooms.includes(channel)) continue;
    next = changed(next, channel, (talk) => recalled(talk, read[channel], last[channel], own));
  }
  return next;
}

/**
 * @param {Talk} talk A conversation. @param {number | undefined} read Up to where it was read, in another tab or before.
 * @param {Talk["last"]} last The newest message then. @param {string | undefined} own One's own account.
 * @returns {Talk} The next.
 */
function recalled(talk, read, last, own) {
  const newest = (talk.last?.seq ?? 0) < (last?.seq ?? 0) ? last : talk.last;
  if (read === undefined || read <= (talk.read ?? -1)) return { ...talk, last: newest };
  const unread = talk.said.filter(({ seq, from }) => seq > read && from !== own).length;
  return { ...talk, read, unread, called: Math.min(talk.called, unread), last: newest };
}

/** @param {Readonly<Record<string, string>>} names Known so far. @param {readonly {account: string, name?: string}[]} members Newer. @returns {Readonly<Record<string, string>>} All; the same where nothing is new. */
function named(names, members) {
  const news = members.filter(({ account, name }) => name && nameOf({ names }, account) !== name);
  if (news.length === 0) return names;
  const all = {
    ...names,
    ...Object.fromEntries(news.map(({ account, name }) => [account, name ?? ""])),
  };
  return Object.fromEntries(Object.entries(all).slice(-MOST_NAMES));
}

/** @param {ChatState} state The state. @returns {ChatState["mentions"]} What finds mentions. */
function mentioned({ account, name, names }) {
  const own = [account, name].flatMap((text) => text ?? []);
  return account === undefined ? undefined : mentionsOf(Object.values(names), own);
}
