// @ts-check
/** Which topic a push page is about, and the way to another. */
import { html, useState } from "../ui.js";
import { t } from "../parts/i18n.js";
import { topicName } from "./content.js";

/**
 * Where one types a topic.
 *
 * @param {{topic: string, path: string}} props The one of this page, and the page's path.
 * @returns {unknown} The part.
 */
export function Topic({ topic, path }) {
  const [typed, setTyped] = useState(topic);
  const name = topicName(typed);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (name !== undefined && name !== topic) {
      location.href = `${path}?topic=${encodeURIComponent(name)}`;
    }
  };
  return html`
    <form class="topic" onSubmit=${submit}>
      <label for="topic">${t("topic")}</label>
      <input id="topic" name="topic" value=${typed} dir="auto" autocomplete="off" autocapitalize="none"
        maxlength="128" aria-invalid=${name === undefined ? "true" : undefined}
        aria-describedby=${name === undefined ? "topic-wrong" : undefined}
        onInput=${(/** @type {any} */ event) => setTyped(event.currentTarget.value)} />
      <button type="submit" class="quiet" disabled=${name === undefined || name === topic}>${t(
        "switchTopic",
      )}</button>
      ${name === undefined &&
        html`<p class="wrong" id="topic-wrong" role="alert">${t("badTopic")}</p>`}
    </form>
  `;
}
