// @ts-check
/** How one is told while one doesn't look: a notification, a sound. Both are off until they are asked for by a click. */
import { signal } from "../ui.js";
import { t } from "../parts/i18n.js";
import { toast } from "../parts/frame.js";
import { fieldsOf, keep, recall } from "../parts/stored.js";

const STORED = "fanfare.alerts";
const SHOWN_FOR = 8000;

/** What was chosen. @type {import("@preact/signals").Signal<{notify: boolean, sound: boolean}>} */
export const alerts = signal(chosen());

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
 * Tells of a message.
 *
 * @param {{title: string, body: string, tag: string, open: () => void}} what What, under which tag (another of the same tag takes its place), and what a click does.
 */
export function alertOf({ title, body, tag, open }) {
  if (alerts.value.sound) chime();
  if (!alerts.value.notify || globalThis.Notification?.permission !== "granted") return;
  try {
    const note = new Notification(title, { body, tag, icon: "/static/icon.svg" });
    note.onclick = () => {
      globalThis.focus();
      note.close();
      open();
    };
    setTimeout(() => note.close(), SHOWN_FOR);
  } catch {
    // Browsers of phones have the constructor and refuse it: there a worker shows notifications, by web push.
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

// Two soft notes, made here: no file to load.
function chime() {
  if (globalThis.AudioContext === undefined) return;
  const context = audio ??= new AudioContext();
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
