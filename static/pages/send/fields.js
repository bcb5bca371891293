// @ts-check
/** What goes with a push beside its text. */
import { html } from "../../ui/preact.js";
import { t } from "../../ui/i18n.js";
import { priorityKey } from "../../ui/push/card.js";

/** Nothing typed yet. */
export const empty = { text: "", title: "", priority: 3, tags: "", click: "" };

/**
 * Title, priority, tags and link.
 *
 * @param {{typed: typeof empty, change: (some: Partial<typeof empty>) => void, badLink: boolean}} props What was typed, what changes it, and whether
 *   the link is none.
 * @returns {unknown} The part.
 */
export function Fields({ typed, change, badLink }) {
  const set = (/** @type {"title" | "tags" | "click"} */ name) => (/** @type {any} */ event) =>
    change({ [name]: event.currentTarget.value });
  return html`
    <label class="field">${t("title")}
      <input value=${typed.title} dir="auto" maxlength="250" autocomplete="off" onInput=${set(
        "title",
      )} /></label>
    <label class="field">${t("priority")}
      <select value=${String(typed.priority)} onChange=${(/** @type {any} */ event) =>
        change({ priority: Number(event.currentTarget.value) })}>
        ${[5, 4, 3, 2, 1].map((priority) =>
          html`<option key=${priority} value=${String(priority)}>${
            t(priorityKey(priority))
          }</option>`
        )}
      </select></label>
    <label class="field">${t("tags")}
      <input value=${typed.tags} dir="auto" autocomplete="off" placeholder=${t(
        "tagsHint",
      )} onInput=${set("tags")} /></label>
    <div class="field wide"><label for="link">${t("link")}</label>
      <input id="link" value=${typed
        .click} type="url" inputmode="url" autocomplete="off" placeholder="https://"
        aria-invalid=${badLink ? "true" : undefined} aria-describedby="link-hint" onInput=${set(
          "click",
        )} />
      <small id="link-hint" class=${badLink ? "wrong" : "hint"}>${t(
        badLink ? "badLink" : "linkHint",
      )}</small></div>
  `;
}
