// @ts-check
/** How one is told while one doesn't look: a notification, a sound. Both are off until they are asked for by a click. */
import { signal } from "../ui.js";
import { t } from "../parts/i18n.js";
import { toast } from "../parts/frame.js";
import { fieldsOf, granted, keep, recall } from "../parts/stored.js";

const STORED = "fanfare.alerts";
const CHAT = "/to_chat/";
const ALONE_FOR = 3000;
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
    const note = { title, open, options: { body, tag: channel, icon: "/static/icon.svg", data } };
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
