// @ts-check
/** Who somebody is, for the eye. */
import { html } from "../ui.js";

const HUES = 12;
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * The letters on somebody's picture.
 *
 * @param {string} name A name, or an account.
 * @returns {string} One letter, or two of a name of several words.
 */
export function initialsOf(name) {
  const words = name.split(/[\s_.-]+/u).filter((word) => word !== "");
  const [first = "?", ...rest] = words;
  const letter = (/** @type {string} */ word) => [...segmenter.segment(word)][0]?.segment ?? "";
  const last = rest.at(-1);
  // Two letters of Latin words are read at a glance, two Chinese characters don't fit.
  const two = last !== undefined && /^\p{sc=Latin}/u.test(first) && /^\p{sc=Latin}/u.test(last);
  return (letter(first) + (two ? letter(last) : "")).toUpperCase();
}

/**
 * A circle in a colour of the account's own.
 *
 * @param {{account: string, name?: string}} props Whose.
 * @returns {unknown} The part.
 */
export function Avatar({ account, name }) {
  // FNV-1a: neighbours among accounts are none among colours.
  const mix = (/** @type {number} */ sum, /** @type {string} */ char) =>
    Math.imul(sum ^ char.charCodeAt(0), 16777619) >>> 0;
  const hue = ([...account].reduce(mix, 2166136261) >>> 8) % HUES;
  return html`<span class=${`avatar hue-${hue}`} aria-hidden="true">${
    initialsOf(name ?? account)
  }</span>`;
}

/**
 * Picture, name, and the account beside a name.
 *
 * @param {{account: string, name?: string}} props Who.
 * @returns {unknown} The part.
 */
export function Person({ account, name }) {
  return html`<span class="person"><${Avatar} account=${account} name=${name} />
    <span class="who"><bdi class="name">${name ?? account}</bdi>${
    name && html`<small class="account">${account}</small>`
  }</span></span>`;
}
