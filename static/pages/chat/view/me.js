// @ts-check
/** One's own account and name, and how one is told. */
import { html, useLayoutEffect, useRef, useState } from "../../../ui/preact.js";
import { Icon } from "../../../ui/icons.js";
import { t } from "../../../ui/i18n.js";
import { alerts, toggleNotifications, toggleSound } from "../effects/alerts.js";
import { Person } from "./person.js";

/**
 * Oneself; the name is edited in place.
 *
 * @param {{account?: string, name?: string, rename: (name: string | null) => Promise<boolean>}} props Who, and what takes a name.
 * @returns {unknown} The part.
 */
export function Me({ account, name, rename }) {
  const [draft, setDraft] = useState(/** @type {string | undefined} */ (undefined));
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const editing = draft !== undefined;
  const edited = useRef(false);
  // Before the next key: what is typed at once is the name.
  useLayoutEffect(() => {
    if (editing) box.current?.select();
    // The box that had the focus is gone; who went on elsewhere while the name was on its way stays there.
    else if (edited.current && document.activeElement === document.body) button.current?.focus();
    edited.current = editing;
  }, [editing]);
  if (account === undefined) {
    return html`
      <section class="me">
        <p class="hint">…</p>
      </section>
    `;
  }
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (await rename(draft?.trim() || null)) setDraft(undefined);
  };
  const typed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape" && !event.isComposing) setDraft(undefined);
  };
  return html`<section class="me" aria-label=${t("you")}>
    ${
    editing
      ? html`
        <form onSubmit=${save}>
          <input ref=${box} aria-label=${t("yourName")} maxlength="40" dir="auto" value=${draft}
            placeholder=${t("yourName")} autocomplete="nickname"
            onInput=${(/** @type {any} */ event) => setDraft(event.currentTarget.value)}
            onKeyDown=${typed} />
          <button type="submit">${t("save")}</button>
        </form>
      `
      : html`
        <${Person} account=${account} name=${name} />
        <button type="button" class="quiet rename" ref=${button} title=${t("changeName")}
          onClick=${() => setDraft(name ?? "")}><${Icon} name="pen" /><span class=${name
            ? "sr"
            : "word"}>${name ? t("changeName") : t("noName")}</span></button>
        <${Alerts} />
      `
  }
  </section>`;
}

/** Whether one is notified, and whether that makes a sound. @returns {unknown} The part. */
function Alerts() {
  const { notify, sound } = alerts.value;
  return html`
    <span class="alerts">
      <button type="button" class="quiet toggle" aria-pressed=${notify} aria-label=${t("notifyOn")}
        title=${t(
          notify ? "notifyOff" : "notifyOn",
        )} onClick=${toggleNotifications}><${Icon} name="bell" /></button>
      <button type="button" class="quiet toggle" aria-pressed=${sound} aria-label=${t("soundOn")}
        title=${t(
          sound ? "soundOff" : "soundOn",
        )} onClick=${toggleSound}><${Icon} name="sound" /></button>
    </span>
  `;
}
