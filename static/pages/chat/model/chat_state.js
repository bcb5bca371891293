// @ts-check
/** What the chat's state is, and what can be read off it. */
import { callsMe } from "../../../ui/text/segments.js";
import { isTalk, LOBBY } from "./channels.js";
import { emptyTalk, find } from "./talk.js";

/** How many direct conversations are listed. */
const MOST_DIRECT = 200;
const MOST_NAMES = 2000;

/**
 * @typedef {import("../../../client/client.js").Message} Message
 * @typedef {import("../../../client/client.js").Member} Member
 * @typedef {import("../../../client/client.js").Item} Item
 * @typedef {import("./content.js").Said} Said
 * @typedef {import("./talk.js").Talk} Talk
 * @typedef {{id: string, key: string, channel: string, text: string, reply?: number, time: number, status: "pending" | "failed", error?: Item["error"]}} Outgoing
 * @typedef {{channel: string, account: string, until: number}} Typing
 * @typedef {import("./remembered.js").Remembered} Remembered
 * @typedef {{account?: string, name?: string, epoch?: string, connection: string, keeps: boolean, rooms: readonly string[], open: string, room: string, looking: boolean,
 *   written: number, talks: Readonly<Record<string, Talk>>, outgoing: readonly Outgoing[], rosters: Readonly<Record<string, {members: readonly Member[], count: number}>>,
 *   names: Readonly<Record<string, string>>, typing: readonly Typing[], jump?: {seq: number, id: number},
 *   quotes: Readonly<Record<string, Said | null>>, mentions: import("../../../ui/text/segments.js").Mentions | undefined, refused: Readonly<Record<string, string>>}} ChatState
 *   `epoch` names the log that its seqs are of; `room` is the room that was open last; `written` rises with each message that is written; in `quotes` are messages that were looked up, by `CHANNEL SEQ`, null for one that isn't there.
 * @typedef {{type: "me", account: string, name?: string} | {type: "connection", state: string, keeps?: boolean, epoch?: string}
 *   | {type: "messages", channel: string, messages: readonly Message[], gap: boolean, reset: boolean}
 *   | {type: "sent", item: Item, seq: number, time: number} | {type: "outbox", items: readonly Item[]}
 *   | {type: "roster", channel: string, members: readonly Member[], count: number} | {type: "refused", channel: string, why: string}
 *   | {type: "written", channel: string} | {type: "open", channel: string} | {type: "leave", channel: string} | {type: "look", looking: boolean} | {type: "jump", seq: number}
 *   | {type: "quote", channel: string, seq: number, message: Message | undefined}
 *   | {type: "loading", channel: string, what: "older" | number | undefined}
 *   | {type: "page", channel: string, messages: readonly Message[], older?: boolean, newer?: boolean}
 *   | {type: "filled", channel: string, after: number, messages: readonly Message[], more: boolean}
 *   | {type: "typing", channel: string, account: string, now: number} | {type: "time", now: number}
 *   | {type: "remembered", kept: Remembered} | {type: "read", kept: Pick<Remembered, "account" | "epoch" | "read">} | {type: "ready", channel: string}} ChatAction
 */

/** Nothing is known yet. @type {ChatState} */
export const initial = {
  connection: "connecting",
  keeps: true,
  rooms: [LOBBY],
  open: LOBBY,
  room: LOBBY,
  looking: false,
  written: 0,
  talks: { [LOBBY]: emptyTalk },
  outgoing: [],
  rosters: {},
  names: {},
  typing: [],
  quotes: {},
  mentions: undefined,
  refused: {},
};

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
  // Nobody's but one's own: what another account of this browser wrote in private isn't listed.
  const isOwn = (/** @type {string} */ channel) =>
    channel.slice(3).split(".").includes(state.account ?? "");
  const unsent = new Set(state.outgoing.map(({ channel }) => channel).filter(isOwn));
  const channels = [...new Set([...Object.keys(state.talks), ...unsent])].filter((channel) =>
    channel.startsWith("dm:") &&
    (channel === state.open || unsent.has(channel) || talkOf(state, channel).last !== undefined)
  );
  const time = (/** @type {string} */ channel) => talkOf(state, channel).last?.seq ?? Infinity;
  return channels.sort((a, b) => time(b) - time(a)).slice(0, MOST_DIRECT);
}

/**
 * How many of one's own messages failed in a conversation.
 *
 * @param {ChatState} state The state.
 * @param {string} channel Which.
 * @returns {number} How many.
 */
export function failedIn({ outgoing }, channel) {
  return outgoing.filter((item) => item.channel === channel && item.status === "failed").length;
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

/**
 * Who wrote a message: as they were called then, else as they are now.
 *
 * @param {Pick<ChatState, "names">} state The state.
 * @param {{from: string | null, name?: string}} message The message.
 * @returns {string} The name.
 */
export function authorOf(state, { from, name }) {
  return name ?? (from === null ? "–" : nameOf(state, from));
}

/**
 * Changes one conversation.
 *
 * @param {ChatState} state The state.
 * @param {string} channel Which.
 * @param {(talk: Talk) => Talk} change What becomes of it.
 * @returns {ChatState} The next state.
 */
export function changed(state, channel, change) {
  if (!isTalk(channel)) return state;
  const next = change(talkOf(state, channel));
  // What is the same isn't drawn anew.
  if (next === state.talks[channel]) return state;
  return { ...state, talks: { ...state.talks, [channel]: next } };
}

/**
 * Learns names.
 *
 * @param {Readonly<Record<string, string>>} names Known so far.
 * @param {readonly {account: string, name?: string}[]} members Newer ones.
 * @returns {Readonly<Record<string, string>>} All; the same object where nothing is new.
 */
export function named(names, members) {
  const news = members.filter(({ account, name }) => name && nameOf({ names }, account) !== name);
  if (news.length === 0) return names;
  const all = {
    ...names,
    ...Object.fromEntries(news.map(({ account, name }) => [account, name ?? ""])),
  };
  return Object.fromEntries(Object.entries(all).slice(-MOST_NAMES));
}
