// @ts-check
/** What chat and push show of a message: its text, its time, what became of it. */
import { html, useState } from "./preact.js";
import { State } from "../client/client.js";
import { today } from "./days.js";
import { momentText, t, timeTexts } from "./i18n.js";
import { Icon } from "./icons.js";
import { segmentsOf } from "./text/segments.js";
import { withoutControls } from "./text/text.js";

/** Longer texts are shown in part first, so that one message doesn't fill the page. */
const LONG = 2000;
const MANY_LINES = 30;

/** @type {Map<string, Parameters<typeof t>[0]>} */
const REASONS = new Map([
  ["bad_request", "whyBad"],
  ["unauthorized", "whyUnknown"],
  ["unavailable", "whyUnavailable"],
  ["internal", "whyInternal"],
  ["closed", "whyClosed"],
  ["discarded", "whyDiscarded"],
  ["full", "whyFull"],
  ["other_account", "whyOther"],
  ["uncertain", "whyUncertain"],
  ["expired", "whyExpired"],
  ["too_large", "whyTooLarge"],
  ["forbidden", "whyForbidden"],
  ["not_found", "whyNotFound"],
  ["rate_limited", "whyRate"],
]);

/**
 * Why something couldn't be done, in words of the page's language where there are some.
 *
 * @param {{code: string, message: string}} error What went wrong.
 * @returns {string} A short reason.
 */
export function reasonOf({ code, message }) {
  const key = REASONS.get(code);
  return key === undefined ? message : t(key);
}

/** What stays wrong however often it is sent. */
const HOPELESS = new Set(["too_large", "bad_request"]);

/**
 * Whether something that was refused may be taken when it is sent again as it is.
 *
 * @param {{code: string}} [error] Why it was refused.
 * @returns {boolean} Whether.
 */
export function mayHelp(error) {
  return error === undefined || !HOPELESS.has(error.code);
}

/**
 * When a message was said; while it is on its way, and has been for a moment, that it is. Both have the same place, so that
 * nothing moves when it arrives.
 *
 * @param {{time: number, status?: string, connection: string}} props The time, "pending" while it is on its way, and the client's state.
 * @returns {unknown} The part.
 */
export function When({ time, status, connection }) {
  return html`<span class="when"><${Time} time=${time} dated />${
    status === "pending" &&
    html`<span class="status"><${Icon} name="clock" /><span class="word">${
      t(connection === State.open ? "sending" : "waiting")
    }</span></span>`
  }</span>`;
}

/**
 * A time of day; what stands below no day has its date with it, once that is not today's any more.
 *
 * @param {{time: number, dated?: boolean}} props Milliseconds since 1970, and whether it has a date.
 * @returns {unknown} The part.
 */
export function Time({ time, dated = false }) {
  const { short, full, iso } = timeTexts(time);
  return html`<time datetime=${iso} title=${full}>${
    dated ? momentText(time, today.value) : short
  }</time>`;
}

/**
 * A text as a person typed it: isolated in its direction, its lines kept, its links to be followed, who is mentioned marked.
 *
 * @param {{text: string, mentions?: import("./text/segments.js").Mentions}} props The text, and who may be mentioned.
 * @returns {unknown} The part.
 */
export function Text({ text, mentions }) {
  const [all, showAll] = useState(false);
  const short = all ? text : shortened(text);
  const shown = withoutControls(short);
  return html`<p class="text" dir="auto">${
    segmentsOf(shown, mentions).map(({ kind, text, href, own }) => {
      if (kind === "link") {
        return html`<a href=${href} dir="ltr" rel="noopener noreferrer" target="_blank">${text}</a>`;
      }
      if (kind === "mention") {
        return html`<bdi class=${own ? "mention own" : "mention"}>${text}</bdi>`;
      }
      return text;
    })
  }${
    short.length < text.length && html`… <button type="button" class="quiet" onClick=${(
      /** @type {any} */ event,
    ) => {
      // The button goes: who pressed it stays at the message.
      event.currentTarget.closest("article, .push")?.focus({ preventScroll: true });
      showAll(true);
    }}>${t("showAll")}</button>`
  }</p>`;
}

/** @param {string} text A text. @returns {string} As much of it as is shown at first. */
function shortened(text) {
  const lines = text.split("\n", MANY_LINES + 1);
  const some = lines.length > MANY_LINES ? lines.slice(0, MANY_LINES).join("\n") : text;
  return some.length > LONG ? [...some.slice(0, LONG + 1)].slice(0, -1).join("") : some;
}
