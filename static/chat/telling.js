// @ts-check
/** Tells of messages: reads them out to who hears the page, and alerts who doesn't look. */
import { effect, signal } from "../ui.js";
import { t } from "../parts/i18n.js";
import { alertOf, settle } from "./alerts.js";
import { hashOf, partner } from "./channels.js";
import { authorOf, isForMe, talkOf } from "./known.js";
import { excerpt } from "./line.js";

/** How often something is read out, in milliseconds: what comes meanwhile is counted. */
const ANNOUNCE_EVERY = 2000;
/** How long an alert waits, in milliseconds: another tab may be showing the message just now. */
const ALERT_AFTER = 700;
/** Of how many conversations at once one is alerted. */
const MOST_ALERTS = 5;

/** @typedef {import("./content.js").Said} Said */
/** @typedef {import("./known.js").ChatState} ChatState */

/**
 * Makes what tells.
 *
 * @param {import("@preact/signals").Signal<ChatState>} state The state.
 * @param {import("./actions.js").Actions} act What can be done.
 * @returns What tells of new messages, and what is to be read out: each time a new object, though the words be the same.
 */
export function makeTelling(state, act) {
  const announced = signal({ text: "" });
  const announce = announcer((text) => announced.value = { text });
  // What was read, in whichever tab, needs no alert any more.
  effect(() => {
    const { talks } = state.value;
    settle((channel, seq) => (talks[channel]?.read ?? 0) >= seq);
  });
  /** @param {Said} message For oneself. */
  const alert = (message) => {
    const { channel, seq } = message;
    setTimeout(() => {
      if ((talkOf(state.value, channel).read ?? 0) >= seq) return;
      const title = titleOf(state.value, message);
      if (document.hasFocus()) announced.value = { text: title };
      alertOf({
        ...{ title, body: excerpt(message.text), channel, seq },
        ...{ hash: hashOf(channel, state.value.account), open: () => act.open(channel) },
      });
    }, ALERT_AFTER);
  };
  /** @param {Said[]} messages New ones. */
  const tell = (messages) => {
    const { account, open, looking } = state.value;
    const others = messages.filter(({ from }) => from !== null && from !== account);
    const here = looking ? others.filter(({ channel }) => channel === open) : [];
    for (const message of here) announce(authorOf(state.value, message), excerpt(message.text));
    const mine = others.filter((message) =>
      !here.includes(message) && (talkOf(state.value, message.channel).read ?? 0) < message.seq &&
      isForMe(state.value, message)
    );
    // The newest of each conversation; one who was long away isn't told of all.
    const newest = new Map(mine.map((message) => [message.channel, message]));
    for (const message of [...newest.values()].slice(-MOST_ALERTS)) alert(message);
  };
  return { tell, announced };
}

/** @param {ChatState} state The state. @param {Said} message For oneself. @returns {string} Who wrote, and where. */
function titleOf(state, message) {
  const { channel } = message;
  const name = authorOf(state, message);
  return partner(channel, state.account) === undefined
    ? t("mentioned", { name, room: channel.slice(5) })
    : t("wrote", { name });
}

/**
 * @param {(text: string) => void} say What reads out.
 * @returns {(name: string, text: string) => void} What takes each message: one alone is read out, of many the last and how many.
 */
function announcer(say) {
  let waiting = 0;
  let last = { name: "", text: "" };
  let rests = false;
  const next = () => {
    rests = waiting > 0;
    if (!rests) return;
    say(waiting === 1 ? t("newFrom", last) : t("newFromMany", { ...last, n: waiting }));
    waiting = 0;
    setTimeout(next, ANNOUNCE_EVERY);
  };
  return (name, text) => {
    waiting += 1;
    last = { name, text };
    // Once those that came with it are counted.
    if (!rests && (rests = true)) queueMicrotask(next);
  };
}
