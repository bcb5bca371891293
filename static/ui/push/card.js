// @ts-check
/** What is shown of a push, on the page that receives it and on the one that sends it. */
import { html } from "../preact.js";
import { t } from "../i18n.js";
import { Text } from "../message.js";
import { excerpt } from "../text/text.js";
import { LONGEST_TITLE } from "./content.js";

/** Words that scripts use as tags for a picture, as in ntfy. @type {ReadonlyMap<string, string>} */
const PICTURES = new Map([
  ["warning", "⚠️"],
  ["rotating_light", "🚨"],
  ["white_check_mark", "✅"],
  ["heavy_check_mark", "✔️"],
  ["x", "❌"],
  ["no_entry", "⛔"],
  ["tada", "🎉"],
  ["rocket", "🚀"],
  ["fire", "🔥"],
  ["skull", "💀"],
  ["computer", "💻"],
  ["floppy_disk", "💾"],
  ["hourglass", "⌛"],
  ["bell", "🔔"],
  ["mailbox", "📬"],
  ["+1", "👍"],
  ["-1", "👎"],
]);

/** @param {number} priority 1 to 5. @returns {Parameters<typeof t>[0]} What it is called. */
export function priorityKey(priority) {
  return (/** @type {const} */ (["priority1", "priority2", "priority3", "priority4", "priority5"]))[
    priority - 1
  ] ??
    "priority3";
}

/**
 * A push; what is beside its text is given as children.
 *
 * @param {{push: import("./content.js").Push, children?: unknown}} props The push, and what stands beside it.
 * @returns {unknown} The part.
 */
export function Card({ push: { title, text, priority, tags, click }, children }) {
  const pictures = tags.flatMap((tag) => PICTURES.get(tag) ?? []).join(" ");
  const words = tags.filter((tag) => !PICTURES.has(tag));
  return html`
    <div class=${`card priority-${priority}`}>
      <div class="beside">${children}</div>
      <div class="said">
          ${(title !== undefined || priority !== 3 || pictures !== "") &&
            html`<p class="title">${
              pictures !== "" && html`<span class="pictures" aria-hidden="true">${pictures} </span>`
            }${
              title !== undefined &&
              html`<bdi class="name">${excerpt(title, LONGEST_TITLE)}</bdi>${"\u2002"}`
            }${
              priority !== 3 && html`
                <span class="priority">${t(priorityKey(priority))}</span>
              `
            }</p>`}
          ${text !== "" && html`<${Text} text=${text} />`}
          ${words.length > 0 &&
            html`<ul class="tags" aria-label=${t("tags")}>${
              words.map((tag, i) => html`<li key=${i}><bdi>${excerpt(tag)}</bdi></li>`)
            }</ul>`}
          ${click !== undefined && html`
            <a class="click" href=${click} rel="noopener noreferrer"
              target="_blank"><bdi>${t("open", { host: new URL(click).host })}</bdi></a>
          `}
        </div>
    </div>
  `;
}
