// @ts-check
/** Which topic a push page is about. */
import { html, useState } from "../preact.js";
import { t } from "../i18n.js";
import { topicName } from "./content.js";

/**
 * Where one types a topic.
 *
 * @param {{typed: string, change: (typed: string) => void, done?: () => void, enter?: () => void}} props What is typed, what changes it, and what is done when it was changed, and in place of sending at Enter.
 * @returns {unknown} The field, with what is wrong with it.
 */
export function TopicField({ typed, change, done, enter }) {
  const wrong = topicName(typed) === undefined;
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (enter === undefined || event.key !== "Enter") return;
    event.preventDefault();
    done?.();
    enter();
  };
  return html`
    <label for="topic">${t("topic")}</label>
    <input id="topic" name="topic" value=${typed} dir="auto" autocomplete="off" autocapitalize="none"
      spellcheck="false" maxlength="128" aria-invalid=${wrong ? "true" : undefined}
      aria-describedby=${wrong ? "topic-wrong" : undefined} onChange=${done} onKeyDown=${keys}
      onInput=${(/** @type {any} */ event) => change(event.currentTarget.value)} />
    ${wrong && html`<p class="wrong" id="topic-wrong" role="alert">${t("badTopic")}</p>`}
  `;
}

/**
 * The way to another topic.
 *
 * @param {{topic: string | undefined, asked: string, path: string}} props The one of this page, what stands in its address, and its path.
 * @returns {unknown} The part.
 */
export function Topic({ topic, asked, path }) {
  const [typed, setTyped] = useState(asked);
  const name = topicName(typed);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (name !== undefined && name !== topic) {
      location.href = `${path}?topic=${encodeURIComponent(name)}`;
    }
  };
  return html`
    <form class="topic" onSubmit=${submit}>
      <${TopicField} typed=${typed} change=${setTyped} />
      ${name !== undefined && name !== topic &&
        html`<button type="submit" class="quiet">${t("switchTopic")}</button>`}
    </form>
  `;
}
