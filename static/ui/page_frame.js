// @ts-check
/** What all pages have around them: the header, the state of the connection, and short notes. */
import { html, signal, useEffect, useState } from "./preact.js";
import { State } from "../client/client.js";
import { language, switchLanguage, t } from "./i18n.js";

const TOAST_TIME = 4000;
const BANNER_AFTER = 2000;

/** The notes that are shown. @type {import("@preact/signals").Signal<{id: number, text: string, bad: boolean}[]>} */
const toasts = signal([]);
let lastToast = 0;

/**
 * Shows a note for a few seconds; read out by screen readers.
 *
 * @param {string} text What.
 * @param {boolean} [bad] Whether something went wrong.
 */
export function toast(text, bad = false) {
  const id = ++lastToast;
  toasts.value = [...toasts.value.slice(-2), { id, text, bad }];
  setTimeout(() => void (toasts.value = toasts.value.filter((note) => note.id !== id)), TOAST_TIME);
}

/** Where the notes appear. @returns {unknown} The part. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${
    toasts.value.map(({ id, text, bad }) =>
      html`<p key=${id} class=${bad ? "toast bad" : "toast"}>${text}</p>`
    )
  }
  </div>`;
}

/**
 * The header.
 *
 * @param {{page: "home" | "chat" | "receive" | "send" | "docs", unread?: number}} props The page, for marking it, and how much was missed there.
 * @returns {unknown} The part.
 */
export function Header({ page, unread = 0 }) {
  const heading = /** @type {const} */ ({
    home: undefined,
    chat: "chatTitle",
    receive: "receiveTitle",
    send: "sendTitle",
    docs: "docsTitle",
  })[page];
  const name = heading === undefined ? "Fanfare" : `${t(heading)} · Fanfare`;
  const title = unread === 0 ? name : `(${unread > 99 ? "99+" : unread}) ${name}`;
  useEffect(() => void (document.title = title), [title]);
  const links = /** @type {const} */ ([
    ["/to_chat/", "chatTitle", "chat"],
    ["/to_recmsg/", "receiveTitle", "receive"],
    ["/to_sendmsg/", "sendTitle", "send"],
  ]);
  return html`
    <header class="top">
      <a class="brand" href="/" aria-label=${`Fanfare, ${t("home")}`}>
          <img src="/static/ui/icon.svg" alt="" width="26" height="26" /><span>Fanfare</span>
        </a>
      <nav>${links.map(([href, text, name]) =>
        html`<a key=${href} href=${href} aria-current=${name === page ? "page" : undefined}>${
          t(text)
        }</a>`
      )}</nav>
      <div class="right">
        <button class="quiet" type="button" lang=${language.value === "zh" ? "en" : "zh-CN"}
          aria-label=${t("languageLabel")} onClick=${switchLanguage}>${t("language")}</button>
      </div>
    </header>
  `;
}

/** Whether the browser says that it has no network. */
const offline = signal(globalThis.navigator?.onLine === false);
for (const event of ["online", "offline"]) {
  globalThis.addEventListener?.(event, () => void (offline.value = event === "offline"));
}

/**
 * Tells that the connection is gone, once it is for two seconds: a short break is nobody's concern.
 *
 * @param {{state: string, writes?: boolean, keeps?: boolean}} props The client's state, whether one writes on this page, and whether what one writes outlives it.
 * @returns {unknown} The part.
 */
export function Connection({ state, writes, keeps = true }) {
  const [shown, show] = useState(false);
  const broken = state !== State.open;
  useEffect(() => {
    if (!broken) return void show(false);
    const timer = setTimeout(() => show(true), BANNER_AFTER);
    return () => clearTimeout(timer);
  }, [broken]);
  const why = state === State.closed ? "closed" : offline.value ? "offline" : "lost";
  const waits = writes && state !== State.closed;
  return html`<div class="banner-place" role="status">
    ${
    shown &&
    html`<p class="banner"><span>${t(why)}</span>${
      waits && html`<span>${t(keeps ? "kept" : "keptHere")}</span>`
    }</p>`
  }
  </div>`;
}
