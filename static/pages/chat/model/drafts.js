// @ts-check
/** What was typed and not sent, and what it replies to: it belongs to its conversation, and outlives a reload. A pure reducer. */
import { saidList } from "./remembered.js";
import { isTalk } from "./channels.js";
import { fieldsOf } from "../../../ui/text/text.js";

/** How many conversations have one, and how many characters all may have, over a reload. */
export const MOST_DRAFTS = 50;
/** Characters of all that are kept: many times what a message may have, a tenth of what a tab may keep. */
const MOST_TEXT = 500_000;

/**
 * @typedef {import("./content.js").Said} Said
 * @typedef {{text: string, to?: Said, epoch?: string}} Draft `epoch` names the log in which `to` is.
 * @typedef {Readonly<Record<string, Draft>>} Drafts By conversation, the one that was changed last at the end.
 * @typedef {{type: "typed", channel: string, text: string} | {type: "reply", channel: string, to: Said | undefined, epoch?: string}
 *   | {type: "sent", channel: string} | {type: "back" | "edit", channel: string, draft: Draft}
 *   | {type: "account", account: string} | {type: "log", epoch: string} | {type: "remembered", kept: unknown}} DraftAction
 */

const NONE = Object.freeze({ text: "" });

/**
 * What stands in the box of a conversation.
 *
 * @param {Drafts} drafts All.
 * @param {string} channel Which conversation.
 * @returns {Draft} Its draft; an empty one where there is none.
 */
export function draftOf(drafts, channel) {
  return Object.hasOwn(drafts, channel) ? drafts[channel] ?? NONE : NONE;
}

/**
 * Makes the next drafts.
 *
 * @param {Drafts} drafts All.
 * @param {DraftAction} action What happened.
 * @returns {Drafts} The next.
 */
export function reduceDrafts(drafts, action) {
  switch (action.type) {
    case "typed":
      return put(drafts, action.channel, { ...draftOf(drafts, action.channel), text: action.text });
    case "reply": {
      const { text } = draftOf(drafts, action.channel);
      return put(
        drafts,
        action.channel,
        action.to === undefined ? { text } : { text, ...replyTo(action.to, action.epoch) },
      );
    }
    case "sent":
      return put(drafts, action.channel, NONE);
    case "back": {
      // What wasn't taken; unless something else was begun meanwhile.
      const { text, to } = draftOf(drafts, action.channel);
      const free = text === "" && to === undefined;
      return free ? put(drafts, action.channel, action.draft) : drafts;
    }
    case "edit": {
      // What was begun meanwhile stays, behind it.
      const { text, ...reply } = draftOf(drafts, action.channel);
      const whole = [action.draft.text, text].filter((part) => part !== "").join("\n");
      return put(drafts, action.channel, { ...action.draft, ...reply, text: whole });
    }
    case "account": {
      // What was begun to be said to somebody in private is the account's that said it.
      const { account } = action;
      const entries = Object.entries(drafts).filter(([channel]) =>
        !channel.startsWith("dm:") || channel.slice(3).split(".").includes(account)
      );
      return entries.length === Object.keys(drafts).length ? drafts : Object.fromEntries(entries);
    }
    case "log": {
      // In another log the message that was meant isn't there, and its seq is another's.
      const { epoch } = action;
      const right = (/** @type {Draft} */ { to, epoch: of }) => to === undefined || of === epoch;
      if (Object.values(drafts).every(right)) return drafts;
      const entries = Object.entries(drafts).filter(([, draft]) => right(draft) || draft.text);
      return Object.fromEntries(
        entries.map(([channel, draft]) => [channel, right(draft) ? draft : { text: draft.text }]),
      );
    }
    case "remembered":
      return { ...draftsOf(action.kept), ...drafts };
  }
}

/**
 * What is kept of drafts over a reload: the newest, as many as fit.
 *
 * @param {Drafts} drafts All.
 * @returns {Drafts} Those.
 */
export function draftsToKeep(drafts) {
  let room = MOST_TEXT;
  const fitting = Object.entries(drafts).reverse().filter(([, { text, to }]) => {
    const size = text.length + (to?.text.length ?? 0);
    if (size > room) return false;
    room -= size;
    return true;
  });
  return Object.fromEntries(fitting.reverse());
}

/** @param {Drafts} drafts All. @param {string} channel Which. @param {Draft} draft Its draft from now on. @returns {Drafts} The next. */
function put(drafts, channel, draft) {
  if (!isTalk(channel)) return drafts;
  const { [channel]: before, ...others } = drafts;
  const empty = draft.text === "" && draft.to === undefined;
  if (empty) return before === undefined ? drafts : others;
  return Object.fromEntries([...Object.entries(others), [channel, draft]].slice(-MOST_DRAFTS));
}

/** @param {Said} to A message. @param {string} [epoch] The log that it is in. @returns {Omit<Draft, "text">} What a draft has of it. */
function replyTo(to, epoch) {
  return { to, ...(epoch === undefined ? {} : { epoch }) };
}

/** @param {unknown} kept Anything. @returns {Drafts} What is right in it. */
function draftsOf(kept) {
  const entries = Object.entries(fieldsOf(kept)).slice(-MOST_DRAFTS).flatMap(([channel, one]) => {
    const { text, to, epoch } = fieldsOf(one);
    if (!isTalk(channel) || typeof text !== "string" || text.length > MOST_TEXT) return [];
    const [said] = saidList([to]) ?? [];
    const reply = said?.channel === channel
      ? replyTo(said, typeof epoch === "string" ? epoch : undefined)
      : {};
    return text === "" && reply.to === undefined ? [] : [[channel, { text, ...reply }]];
  });
  return Object.fromEntries(entries);
}
