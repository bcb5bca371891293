// @ts-check
/** One row of a timeline. */
import { html, useEffect } from "../../../ui/preact.js";
import { today } from "../../../ui/days.js";
import { dayText, t } from "../../../ui/i18n.js";
import { Icon } from "../../../ui/icons.js";
import { Text, Time } from "../../../ui/message.js";
import { excerpt } from "../../../ui/text/text.js";
import { callsMe } from "../../../ui/text/segments.js";
import { Avatar } from "./person.js";

/** @typedef {import("../model/content.js").Said} Said */
/** @typedef {import("../effects/actions.js").Actions} Actions */

/**
 * A message.
 *
 * @param {{message: Said, head: boolean, own: boolean, mentions?: import("../../../ui/text/segments.js").Mentions, act: Actions,
 *   author: string, quote?: Said | null, quoted?: string}} props The message; whether its author stands above it and it is one's own; what its author is
 *   called; what it replies to, where it does (null: it isn't there), and who said that.
 * @returns {unknown} The part.
 */
export function Line({ message, head, own, mentions, act, author, quote, quoted }) {
  const { channel, from, time, text, reply } = message;
  const me = !own && callsMe(text, mentions);
  const kind = [
    ...["message", head && "head", own && "own", me && "calls-me"],
    channel.startsWith("dm:") && "private",
    isEmoji(text) && "emoji",
  ].filter((word) => word).join(" ");
  return html`<article class=${kind} tabindex="-1" data-seq=${message.seq}>
    ${head && html`<${Avatar} account=${from ?? "–"} name=${author} />`}
    <header><bdi class=${
    head ? "name" : "name sr"
  }>${author}</bdi> <${Time} time=${time} /></header>
    ${
    reply !== undefined &&
    html`
      <${Quote} channel=${channel} seq=${reply} quote=${quote} author=${quoted}
        act=${act} />
    `
  }
    <${Text} text=${text} mentions=${mentions} />
    <button type="button" class="quiet act-reply" tabindex="-1"
      title=${t("reply")} aria-label=${t("replyTo", { name: author })}
      onClick=${() => act.reply(message)}><${Icon} name="reply" /></button>
  </article>`;
}

/**
 * What a message replies to, as it stands in the log.
 *
 * @param {{channel: string, seq: number, quote?: Said | null, author?: string, act: Actions}} props Where it is; undefined until it is found; and who said it.
 * @returns {unknown} The part.
 */
function Quote({ channel, seq, quote, author, act }) {
  useEffect(() => {
    if (quote !== undefined) return;
    return act.quote(channel, seq);
  }, [quote === undefined, channel, seq]);
  if (quote === undefined) return html`<p class="quote gone">${t("quoteLoading")}</p>`;
  if (quote === null) return html`<p class="quote gone">${t("quoteGone")}</p>`;
  return html`<button type="button" class="quote" onClick=${() => act.jump(channel, seq)}>
    <${Icon} name="reply" /><bdi class="name">${author}</bdi>
    <span class="excerpt" dir="auto">${excerpt(quote.text)}</span>
  </button>`;
}

/**
 * Whether a text is a few emoji and nothing else.
 *
 * @param {string} text A text.
 * @returns {boolean} Whether.
 */
export function isEmoji(text) {
  return text.length < 60 && /^(?:\p{RGI_Emoji}\s?){1,5}$/v.test(text);
}

/**
 * What stands between messages.
 *
 * @param {{row: Exclude<import("../model/rows.js").Row, {kind: "message"}>, loading: boolean, load: (after: number) => void}} props Which, whether
 *   it is being loaded, and what loads it.
 * @returns {unknown} The part.
 */
export function Between({ row, loading, load }) {
  if (row.kind === "day") {
    return html`<p class="day"><span>${dayText(row.time, today.value)}</span></p>`;
  }
  if (row.kind === "line") return html`<p class="new"><span>${t("newLine")}</span></p>`;
  return html`<p class="gap"><span>${
    t("gap")
  }</span> <button type="button" class="quiet" disabled=${loading}
    onClick=${() => load(row.after)}>${t(loading ? "loading" : "load")}</button></p>`;
}
