// @ts-check
/** The chat's state: which conversations there are, what is on its way, who is here. A pure reducer. */
import { mentionsOf } from "../parts/segments.js";
import { addMessages, forget, heard, isSent, setOutbox, setRoster } from "./arrivals.js";
import { isTalk, LOBBY } from "./channels.js";
import { saidOf } from "./content.js";
import { changed, talkOf } from "./known.js";
import { addPage, fill, KEPT_ASIDE, trim } from "./talk.js";

/** How many rooms one may be in: a connection has at most 128 channels. */
export const MOST_ROOMS = 100;
const MOST_QUOTES = 500;
const MOST_TYPING = 20;
/** How long somebody counts as typing, in milliseconds. */
export const TYPING_LASTS = 6000;

/**
 * @typedef {import("./known.js").ChatState} ChatState
 * @typedef {import("./known.js").ChatAction} ChatAction
 * @typedef {import("./known.js").Message} Message
 * @typedef {import("./known.js").Talk} Talk
 * @typedef {import("./known.js").Remembered} Remembered
 */

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
    case "ready":
      return heard(state, action.channel);
    case "remembered":
      return remember(state, action.kept);
  }
}

/** @param {ChatState} state The state. @param {string} account One's own. @param {string} [name] One's own. @returns {ChatState} The next. */
function isMe(state, account, name) {
  const mine = (/** @type {string} */ channel) =>
    !channel.startsWith("dm:") || channel.slice(3).split(".").includes(account);
  const talks = Object.entries(state.talks).filter(([channel]) => mine(channel));
  if (talks.length === Object.keys(state.talks).length) return { ...state, account, name };
  // What was said to another account in private isn't this one's to read.
  return {
    ...{ ...state, account, name, quotes: {}, replyTo: undefined },
    open: mine(state.open) ? state.open : state.room,
    talks: Object.fromEntries(talks),
  };
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
  // Where one begins to read there isn't known yet: perhaps at what is new.
  return { ...changed(left, channel, (talk) => talk), looking: false };
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
function remember(state, { account, rooms, read, last, said }) {
  const own = state.account ?? account;
  /** @type {ChatState} */
  let next = { ...state, rooms: [LOBBY, ...rooms].slice(0, MOST_ROOMS) };
  if (!next.rooms.includes(state.open) && state.open.startsWith("room:")) {
    next = { ...next, rooms: [...next.rooms, state.open] };
  }
  for (const channel of new Set([...next.rooms, ...Object.keys(read), ...Object.keys(last)])) {
    if (channel.startsWith("dm:") ? own !== account : !next.rooms.includes(channel)) continue;
    next = changed(next, channel, (talk) => {
      const known = recalled(talk, read[channel], last[channel], own);
      const kept = said[channel] ?? [];
      // Only where the server wasn't heard yet: what it says is newer.
      return state.account === undefined && known.said.length === 0 && kept.length > 0
        ? { ...known, said: kept, stale: true }
        : known;
    });
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

/** @param {ChatState} state The state. @returns {ChatState["mentions"]} What finds mentions. */
function mentioned({ account, name, names }) {
  const own = [account, name].flatMap((text) => text ?? []);
  return account === undefined ? undefined : mentionsOf(Object.values(names), own);
}
