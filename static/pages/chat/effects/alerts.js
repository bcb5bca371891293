// @ts-check
/**
 * How one is told of messages: they are read out to those who hear the page; who doesn't look is told by a notification or a sound,
 * both off until they are asked for by a click.
 *
 * @module
 */
import { effect, signal } from "../../../ui/preact.js";
import { t } from "../../../ui/i18n.js";
import { toast } from "../../../ui/page_frame.js";
import { granted, keep, recall } from "../../../ui/storage.js";
import { excerpt, fieldsOf } from "../../../ui/text/text.js";
import { hashOf, partner } from "../model/channels.js";
import { authorOf, isForMe, talkOf } from "../model/chat_state.js";

const STORED = "fanfare.alerts";
const CHAT = "/to_chat/";
const ALONE_FOR = 3000;
/** How often something is read out, in milliseconds: what comes meanwhile is counted. */
const ANNOUNCE_EVERY = 2000;
/** How long an alert waits, in milliseconds: another tab may be showing the message just now. */
const ALERT_AFTER = 700;
/** Of how many conversations at once one is alerted. */
const MOST_ALERTS = 5;

/** By conversation: the newest message that was alerted of, and what takes that away. @type {Map<string, {seq: number, close: () => void}>} */
const shown = new Map();

/** What was chosen. @type {import("@preact/signals").Signal<{notify: boolean, sound: boolean}>} */
export const alerts = signal(chosen());
globalThis.addEventListener?.("storage", ({ key }) => {
  if (key === STORED) alerts.value = chosen();
});

/** Asks for notifications, or does without from now on. */
export async function toggleNotifications() {
  if (alerts.value.notify) return choose({ ...alerts.value, notify: false });
  const { Notification } = globalThis;
  const permission = Notification === undefined ? "denied" : await Notification.requestPermission();
  if (permission === "granted") choose({ ...alerts.value, notify: true });
  else toast(t("notifyDenied"), true);
}

/** Turns the sound on, so that one hears it, or off. */
export function toggleSound() {
  const sound = !alerts.value.sound;
  choose({ ...alerts.value, sound });
  if (sound) chime();
}

/**
 * Alerts of a message; of several tabs one does.
 *
 * @param {{title: string, body: string, channel: string, seq: number, hash: string, open: () => void}} what What, of which message (the next of a
 *   conversation takes its place), what a click opens, and what opens it here.
 */
export async function alertOf({ title, body, channel, seq, hash, open }) {
  const { locks } = globalThis.navigator;
  const tell = async () => {
    if (alerts.value.sound) chime();
    if (!alerts.value.notify || globalThis.Notification?.permission !== "granted") return;
    const data = { path: CHAT, hash };
    const note = {
      title,
      open,
      options: { body, tag: channel, icon: "/static/ui/icon.svg", data },
    };
    const close = await byWorker(note).catch(() => undefined) ?? byPage(note);
    if (close !== undefined) shown.set(channel, { seq, close });
  };
  if (locks === undefined) return await tell();
  await locks.request(`fanfare-alert:${channel} ${seq}`, { ifAvailable: true }, async (lock) => {
    if (lock === null) return;
    await tell();
    // As long as another tab may still come to it.
    await new Promise((done) => setTimeout(done, ALONE_FOR));
  }).catch((error) => {
    // Where storage is blocked there are locks, but none is given.
    if (!(error instanceof DOMException)) throw error;
    return tell();
  });
}

/**
 * Takes away alerts that nobody needs any more.
 *
 * @param {(channel: string, seq: number) => boolean} isRead Whether somebody saw a message by now.
 */
export function settle(isRead) {
  for (const [channel, { seq, close }] of shown) {
    if (!isRead(channel, seq)) continue;
    shown.delete(channel);
    close();
  }
}

/**
 * Hears of clicks on notifications, where a worker shows them.
 *
 * @param {(hash: string) => void} open What opens a conversation.
 */
export function followWorker(open) {
  granted(() => globalThis.navigator.serviceWorker)?.addEventListener("message", ({ data }) => {
    const { hash } = fieldsOf(data);
    if (typeof hash === "string") open(hash);
  });
}

/** @typedef {{title: string, open: () => void, options: NotificationOptions & {tag: string}}} Note */

/**
 * The way that phones have too: it outlives the page, and a click comes back to it.
 *
 * @param {Note} note What is told.
 * @returns {Promise<(() => void) | undefined>} What takes it away; nothing where there is no worker.
 */
async function byWorker({ title, options }) {
  const worker = await granted(() => globalThis.navigator.serviceWorker)?.getRegistration();
  if (!worker?.active) return undefined;
  await worker.showNotification(title, options);
  return () => {
    worker.getNotifications({ tag: options.tag }).then((notes) => {
      for (const note of notes) note.close();
    }).catch(() => {});
  };
}

/** @param {Note} note What is told. @returns {(() => void) | undefined} What takes it away. */
function byPage({ title, options, open }) {
  try {
    const note = new Notification(title, options);
    note.onclick = () => {
      globalThis.focus();
      note.close();
      open();
    };
    return () => note.close();
  } catch {
    // Browsers of phones have the constructor and refuse it, and without https there is no worker.
    choose({ ...alerts.value, notify: false });
    toast(t("notifyDenied"), true);
  }
}

/** @param {{notify: boolean, sound: boolean}} next What was chosen. */
function choose(next) {
  alerts.value = next;
  keep(STORED, next);
}

function chosen() {
  const { notify, sound } = fieldsOf(recall(STORED));
  const granted = globalThis.Notification?.permission === "granted";
  return { notify: notify === true && granted, sound: sound === true };
}

/** @type {AudioContext | undefined} */
let audio;
/** By the context's clock. */
let silentUntil = 0;

// Two soft notes, made here: no file to load.
function chime() {
  if (globalThis.AudioContext === undefined) return;
  const context = audio ??= new AudioContext();
  // Several at once sound as one.
  if (context.currentTime < silentUntil) return;
  silentUntil = context.currentTime + 1;
  for (const [i, pitch] of [660, 880].entries()) {
    const start = context.currentTime + i * 0.12;
    const note = new OscillatorNode(context, { frequency: pitch });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.linearRampToValueAtTime(0.08, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.35);
    note.connect(volume).connect(context.destination);
    note.start(start);
    note.stop(start + 0.4);
  }
}

/** @typedef {import("../model/content.js").Said} Said */
/** @typedef {import("../model/chat_state.js").ChatState} ChatState */

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
