// @ts-check
/** The chat's state: which conversations there are, what is on its way, who is here. A pure reducer. */
import { mentionsOf } from "../../../ui/text/segments.js";
import { addMessages, forget, heard, isSent, setOutbox, setRoster } from "./arrivals.js";
import { isTalk, LOBBY } from "./channels.js";
import { saidOf } from "./content.js";
import { changed, talkOf } from "./chat_state.js";
import { addPage, fill, KEPT_ASIDE, thin, trim } from "./talk.js";

/** How many rooms one may be in: a connection has at most 128 channels. */
export const MOST_ROOMS = 100;
const MOST_QUOTES = 500;
const MOST_TYPING = 20;
/** How long somebody counts as typing, in milliseconds. */
export const TYPING_LASTS = 6000;

/**
 * @typedef {import("./chat_state.js").ChatState} ChatState
 * @typedef {import("./chat_state.js").ChatAction} ChatAction
 * @typedef {import("./chat_state.js").Message} Message
 * @typedef {import("./chat_state.js").Talk} Talk
 * @typedef {import("./chat_state.js").Remembered} Remembered
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
      return isConnected(state, action);
    case "messages":
      return addMessages(action.reset ? forget(state, action.channel) : state, action);
    case "sent":
      return isSent(state, action);
    case "outbox":
      return setOutbox(state, action.items);
    case "roster":
      return setRoster(state, action);
    case "written":
      // Who writes has read.
      return changed(
        { ...state, written: state.written + 1 },
        action.channel,
        (talk) => talk.line === undefined ? talk : { ...talk, line: undefined },
      );
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
    case "quote":
      return addQuote(state, action);
    case "loading":
      return changed(state, action.channel, (talk) => ({ ...talk, loading: action.what }));
    case "page":
      return changed(state, action.channel, (talk) => {
        const page = action.messages.map(saidOf);
        return thin(addPage(talk, page, action), page[0]?.seq ?? 0);
      });
    case "filled": {
      const page = action.messages.map(saidOf);
      return changed(
        state,
        action.channel,
        (talk) => thin(fill(talk, action.after, page, action.more), action.after),
      );
    }
    case "typing":
      return isTyping(state, action);
    case "time":
      return { ...state, typing: state.typing.filter(({ until }) => until > action.now) };
    case "ready":
      return heard(state, action.channel);
    case "remembered":
      return remember(state, action.kept);
    case "read":
      return readElsewhere(state, action.kept);
  }
}

/** @param {ChatState} state The state. @param {Extract<ChatAction, {type: "connection"}>} told Of the connection. @returns {ChatState} The next. */
function isConnected(state, { state: connection, keeps = state.keeps, epoch = state.epoch }) {
  const next = { ...state, connection, keeps, epoch };
  if (state.epoch === undefined || epoch === state.epoch) return next;
  // What was read of another log says nothing of this one.
  const talks = Object.entries(state.talks).map(([channel, talk]) => [
    channel,
    {
      ...talk,
      ...{ read: undefined, unread: 0, called: 0, line: undefined, last: undefined },
    },
  ]);
  return { ...next, talks: Object.fromEntries(talks) };
}

/** @param {ChatState} state The state. @param {string} account One's own. @param {string} [name] One's own. @returns {ChatState} The next. */
function isMe(state, account, name) {
  const mine = (/** @type {string} */ channel) =>
    !channel.startsWith("dm:") || channel.slice(3).split(".").includes(account);
  const talks = Object.entries(state.talks).filter(([channel]) => mine(channel));
  if (talks.length === Object.keys(state.talks).length) return { ...state, account, name };
  // What was said to another account in private isn't this one's to read.
  return {
    ...{ ...state, account, name, quotes: {} },
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
  const seen = !looking || end === undefined || ((talk.read ?? -1) >= end && talk.unread === 0);
  return seen ? next : changed(next, state.open, (talk) => ({
    ...talk,
    ...{ read: Math.max(end, talk.read ?? 0), unread: 0, called: 0 },
  }));
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
function remember(state, { account, epoch, rooms, read, last, said }) {
  const own = state.account ?? account;
  const wanted = [LOBBY, ...rooms].slice(0, MOST_ROOMS);
  // Rooms are the browser's, not the tab's: what was left in one tab is left in all.
  const left = state.rooms.filter((room) => !wanted.includes(room));
  /** @type {ChatState} */
  let next = { ...left.reduce(leaveRoom, state), rooms: wanted };
  if (isOther(state.epoch, epoch)) return next;
  next = { ...next, epoch: state.epoch ?? epoch };
  for (const channel of new Set([...wanted, ...Object.keys(read), ...Object.keys(last)])) {
    if (channel.startsWith("dm:") ? own !== account : !wanted.includes(channel)) continue;
    next = changed(next, channel, (talk) => {
      const known = recalled(talk, read[channel], own);
      const newest = (talk.last?.seq ?? 0) < (last[channel]?.seq ?? 0) ? last[channel] : talk.last;
      const kept = said[channel] ?? [];
      // Only where the server wasn't heard yet: what it says is newer.
      if (state.account === undefined && known.said.length === 0 && kept.length > 0) {
        return { ...known, last: newest, said: kept, stale: true };
      }
      return newest === known.last ? known : { ...known, last: newest };
    });
  }
  return next;
}

/** @param {ChatState} state The state. @param {Pick<Remembered, "account" | "epoch" | "read">} kept What somebody saw in another tab. @returns {ChatState} The next. */
function readElsewhere(state, { account, epoch, read }) {
  if (isOther(state.epoch, epoch)) return state;
  return Object.entries(read).reduce((next, [channel, seq]) => {
    const known = channel.startsWith("dm:")
      ? state.account === account
      : state.rooms.includes(channel);
    return known ? changed(next, channel, (talk) => recalled(talk, seq, state.account)) : next;
  }, state);
}

/** @param {string | undefined} a A log, if it is known. @param {string | undefined} b One. @returns {boolean} Whether they are two. */
function isOther(a, b) {
  return a !== undefined && b !== undefined && a !== b;
}

/**
 * @param {Talk} talk A conversation. @param {number | undefined} read Up to where it was read, in another tab or before.
 * @param {string | undefined} own One's own account.
 * @returns {Talk} The next.
 */
function recalled(talk, read, own) {
  if (read === undefined || read <= (talk.read ?? -1)) return talk;
  const unread = talk.said.filter(({ seq, from }) => seq > read && from !== own).length;
  const line = unread === 0 ? undefined : talk.line;
  return { ...talk, read, unread, called: Math.min(talk.called, unread), line };
}

/** @param {ChatState} state The state. @returns {ChatState["mentions"]} What finds mentions. */
function mentioned({ account, name, names }) {
  const own = [account, name].flatMap((text) => text ?? []);
  return account === undefined ? undefined : mentionsOf(Object.values(names), own);
}
