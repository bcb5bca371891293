// @ts-check
/** The language: the browser's, or the one that was chosen here before. */
import { effect, signal } from "../ui.js";
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
 * @returns {string} The text.
 */
export function t(key) {
  return (language.value === "zh" ? zh : en)[key];
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

/**
 * A time of day as people of the language write it.
 *
 * @param {number} time Milliseconds since 1970.
 * @returns {{short: string, full: string, iso: string}} For the eye, on hover, for machines.
 */
export function timeTexts(time) {
  const date = new Date(time);
  const tag = language.value === "zh" ? "zh-CN" : "en";
  return {
    short: date.toLocaleTimeString(tag, { hour: "2-digit", minute: "2-digit" }),
    full: date.toLocaleString(tag, { dateStyle: "full", timeStyle: "medium" }),
    iso: date.toISOString(),
  };
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
