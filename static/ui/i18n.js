// @ts-check
/** The language: the browser's, or the one that was chosen here before. */
import { effect, signal } from "./preact.js";
import { startOfDay } from "./days.js";
import { isolated } from "./text/text.js";
import { en } from "./strings/en.js";
import { zh } from "./strings/zh.js";

const STORED = "fanfare.language";

/**
 * Picks a language.
 *
 * @param {string | null} chosen What was chosen before.
 * @param {readonly string[]} wanted What the browser asks for, the best first.
 * @returns {"en" | "zh"} The one to use.
 */
export function pickLanguage(chosen, wanted) {
  if (chosen === "en" || chosen === "zh") return chosen;
  const first = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) =>
    tag === "zh" || tag === "en"
  );
  return first === "zh" ? "zh" : "en";
}

/** The language in use. */
export const language = signal(pickLanguage(stored(), globalThis.navigator?.languages ?? []));

/**
 * The text for a key, in the language in use.
 *
 * @param {keyof typeof en} key Which.
 * @param {Record<string, string | number>} [values] What stands for `{name}` in it; each isolated, so that it turns nothing around it.
 * @returns {string} The text.
 */
export function t(key, values) {
  const text = (language.value === "zh" ? zh : en)[key];
  return values === undefined ? text : text.replace(
    /\{(\w+)\}/g,
    (_, name) =>
      typeof values[name] === "number" ? `${values[name]}` : isolated(`${values[name] ?? ""}`),
  );
}

/**
 * A text that counts.
 *
 * @param {keyof typeof en} one For one.
 * @param {keyof typeof en} many For any other number, with `{n}`.
 * @param {number} n How many.
 * @returns {string} The text.
 */
export function counted(one, many, n) {
  return n === 1 ? t(one) : t(many, { n });
}

/** Switches to the other language, and remembers it. */
export function switchLanguage() {
  language.value = language.value === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(STORED, language.value);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

/** Making one costs more than using it a thousand times. @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {string} name Its name. @param {Intl.DateTimeFormatOptions} options How. @returns {Intl.DateTimeFormat} For the language in use. */
function format(name, options) {
  const tag = language.value === "zh" ? "zh-CN" : "en";
  const made = formats.get(`${tag} ${name}`) ?? new Intl.DateTimeFormat(tag, options);
  formats.set(`${tag} ${name}`, made);
  return made;
}

/**
 * A time of day as people of the language write it.
 *
 * @param {number} time Milliseconds since 1970.
 * @returns {{short: string, full: string, iso: string}} For the eye, on hover, for machines.
 */
export function timeTexts(time) {
  const date = new Date(time);
  return {
    short: format("short", { hour: "2-digit", minute: "2-digit" }).format(date),
    full: format("full", { dateStyle: "full", timeStyle: "medium" }).format(date),
    iso: date.toISOString(),
  };
}

/**
 * A day as people of the language write it.
 *
 * @param {number} time Milliseconds since 1970.
 * @param {number} now The same, of now.
 * @returns {string} "Today", "Yesterday", or the date.
 */
export function dayText(time, now) {
  const days = daysBetween(time, now);
  if (days === 0 || days === 1) return t(days === 0 ? "today" : "yesterday");
  const options = /** @type {const} */ ({ weekday: "long", month: "long", day: "numeric" });
  return isOtherYear(time, now)
    ? format("day and year", { ...options, year: "numeric" }).format(time)
    : format("day", options).format(time);
}

/**
 * When something was, in a word or two: for lists, where nobody needs more.
 *
 * @param {number} time Milliseconds since 1970.
 * @param {number} now The same, of now.
 * @returns {string} The time of a day that is today, the name of another one of the last week, else the date.
 */
export function whenText(time, now) {
  const days = daysBetween(time, now);
  if (days <= 0) return timeTexts(time).short;
  if (days < 7) return format("weekday", { weekday: "short" }).format(time);
  return isOtherYear(time, now)
    ? format("date and year", { dateStyle: "short" }).format(time)
    : format("date", { month: "short", day: "numeric" }).format(time);
}

/**
 * When something was, to the minute: with the day unless it is today.
 *
 * @param {number} time Milliseconds since 1970.
 * @param {number} now The same, of now.
 * @returns {string} The time of day, behind the date of another day.
 */
export function momentText(time, now) {
  if (daysBetween(time, now) === 0) return timeTexts(time).short;
  const day = /** @type {const} */ ({ month: "short", day: "numeric" });
  const minute = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit" });
  return isOtherYear(time, now)
    ? format("year and minute", { year: "numeric", ...day, ...minute }).format(time)
    : format("day and minute", { ...day, ...minute }).format(time);
}

/** @param {number} time A time. @param {number} now Another. @returns {number} How many midnights lie between. */
function daysBetween(time, now) {
  return Math.round((startOfDay(now) - startOfDay(time)) / 86_400_000);
}

/** @param {number} time A time. @param {number} now Another. @returns {boolean} Whether their years differ. */
function isOtherYear(time, now) {
  return new Date(time).getFullYear() !== new Date(now).getFullYear();
}

function stored() {
  try {
    return globalThis.localStorage?.getItem(STORED) ?? null;
  } catch {
    return null;
  }
}

if (globalThis.document !== undefined) {
  effect(() => void (document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en"));
}
