// @ts-check
/** Who somebody is, for the eye, and who is in the room. */
import { html } from "../../../ui/preact.js";
import { t } from "../../../ui/i18n.js";
import { directChannel, hashOf } from "../model/channels.js";

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

/** How many are listed; the rest is a number. */
const LISTED = 100;

/**
 * Who is online; each leads to a conversation of two.
 *
 * @param {{members: readonly import("../model/chat_state.js").Member[], count: number, own?: string}} props The list.
 * @returns {unknown} The part.
 */
export function Members({ members, count, own }) {
  const listed = members.slice(0, LISTED);
  const more = count - listed.length;
  return html`
    <section class="members" aria-labelledby="online">
      <h2 id="online">${t("online")} <span class="count">${count}</span></h2>
      <ul>${listed.map(({ account, name }) =>
        html`<li key=${account}><a href=${
          own === undefined ? "#" : hashOf(directChannel(account, own), own)
        }>
          <${Person} account=${account} name=${name} />${
          account === own && html`<small class="you">${t("you")}</small>`
        }</a></li>`
      )}</ul>
      ${more > 0 && html`<p class="hint">${t("andMore", { n: more })}</p>`}
    </section>
  `;
}
