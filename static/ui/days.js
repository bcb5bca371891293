// @ts-check
/** Which day it is: what is drawn with it is drawn anew after midnight, though nothing else happens. */
import { signal } from "./preact.js";
import { machineClock } from "../client/time.js";

/** How long a timer runs at most, in milliseconds: timers stand still while a machine sleeps, and somebody may set the clock. */
const LONGEST = 60_000;
/** When a page may have been asleep. */
const WAKING = /** @type {const} */ (["focus", "pageshow", "resume", "visibilitychange"]);

/** @typedef {Pick<import("../client/time.js").Clock, "now" | "after">} Clock */

/**
 * The beginning of a day.
 *
 * @param {number} time Milliseconds since 1970.
 * @returns {number} When its day began here; on a day without a midnight (where summer time begins at midnight) its first moment.
 */
export function startOfDay(time) {
  return new Date(time).setHours(0, 0, 0, 0);
}

/**
 * Follows the days of a clock.
 *
 * @param {Clock} clock What tells the time, and wakes up.
 * @param {readonly EventTarget[]} [places] Where events tell that the page may have been asleep.
 * @returns {{today: import("@preact/signals").Signal<number>, stop: () => void}} When the current day began, in milliseconds since 1970, and what ends this.
 */
export function followDays(clock, places = []) {
  const today = signal(startOfDay(clock.now()));
  let stopTimer = () => {};
  const look = () => {
    stopTimer();
    const now = clock.now();
    today.value = startOfDay(now);
    const date = new Date(now);
    // Not a number of hours: a day of the year has 23, another one 25.
    const next = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1).getTime();
    stopTimer = clock.after(Math.min(next - now, LONGEST), look);
  };
  look();
  const each = (/** @type {"addEventListener" | "removeEventListener"} */ change) => {
    for (const place of places) for (const event of WAKING) place[change](event, look);
  };
  each("addEventListener");
  return {
    today,
    stop: () => {
      stopTimer();
      each("removeEventListener");
    },
  };
}

/** When the current day began, in milliseconds since 1970. Outside of a page it is the day on which this was loaded. */
export const today = globalThis.document === undefined
  ? signal(startOfDay(Date.now()))
  : followDays(machineClock, [globalThis, document]).today;
