// @ts-check
/** What all pages have around them: the header, the state of the connection, and short notes. */
import { html, signal, useEffect, useState } from "../ui.js";
import { State } from "../fanfare.js";
import { language, switchLanguage, t, timeTexts } from "./i18n.js";

const TOAST_TIME = 4000;
const BANNER_AFTER = 2000;

/** @type {Map<string, Parameters<typeof t>[0]>} */
const REASONS = new Map([
  ["closed", "whyClosed"],
  ["full", "whyFull"],
  ["other_account", "whyOther"],
  ["uncertain", "whyUncertain"],
  ["expired", "whyExpired"],
  ["too_large", "whyTooLarge"],
  ["forbidden", "whyForbidden"],
  ["not_found", "whyNotFound"],
  ["rate_limited", "whyRate"],
]);

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
 * @param {{page: "home" | "chat" | "receive" | "send", children?: unknown}} props The page, for marking it, and what stands at the right.
 * @returns {unknown} The part.
 */
export function Header({ page, children }) {
  const heading = /** @type {const} */ ({
    home: undefined,
    chat: "chatTitle",
    receive: "receiveTitle",
    send: "sendTitle",
  })[page];
  const title = heading === undefined ? "Fanfare" : `${t(heading)} · Fanfare`;
  useEffect(() => void (document.title = title), [title]);
  const links = /** @type {const} */ ([
    ["/to_chat/", "chatTitle", "chat"],
    ["/to_recmsg/", "receiveTitle", "receive"],
    ["/to_sendmsg/", "sendTitle", "send"],
  ]);
  return html`
    <header class="top">
      <a class="brand" href="/" aria-label=${`Fanfare, ${t("home")}`}>
          <img src="/static/icon.svg" alt="" width="26" height="26" /><span>Fanfare</span>
        </a>
      <nav>${links.map(([href, text, name]) =>
        html`<a key=${href} href=${href} aria-current=${name === page ? "page" : undefined}>${
          t(text)
        }</a>`
      )}</nav>
      <div class="right">${children}
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
 * @param {{state: string, writes?: boolean}} props The client's state, and whether one writes on this page.
 * @returns {unknown} The part.
 */
export function Connection({ state, writes }) {
  const [shown, show] = useState(false);
  const broken = state !== State.open;
  useEffect(() => {
    if (!broken) return void show(false);
    const timer = setTimeout(() => show(true), BANNER_AFTER);
    return () => clearTimeout(timer);
  }, [broken]);
  const why = state === State.closed ? "closed" : offline.value ? "offline" : "lost";
  const kept = writes && state !== State.closed;
  return html`<div class="banner-place" role="status">
    ${
    shown &&
    html`<p class="banner"><span>${t(why)}</span>${kept && html`<span>${t("kept")}</span>`}</p>`
  }
  </div>`;
}

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

/**
 * Why a message wasn't sent, and what may be done.
 *
 * @param {{error?: {code: string, message: string}, retry: () => void, discard: () => void, why?: string}} props The reason, and what is done.
 * @returns {unknown} The part.
 */
export function Failed({ error, retry, discard, why = error && reasonOf(error) }) {
  return html`
    <div class="status">
      <span>${t("notSent")}: ${why}</span>
      <span class="choices">
        <button type="button" onClick=${retry}>${t("again")}</button>
        <button type="button" class="quiet" onClick=${discard}>${t("discard")}</button>
      </span>
    </div>
  `;
}

/**
 * When a message was said; while it is on its way, and has been for a moment, that it is. Both have the same place, so that
 * nothing moves when it arrives.
 *
 * @param {{time: number, status?: string, connection: string}} props The time, "pending" while it is on its way, and the client's state.
 * @returns {unknown} The part.
 */
export function When({ time, status, connection }) {
  return html`<span class="when"><${Time} time=${time} />${
    status === "pending" &&
    html`<span class="status">${t(connection === State.open ? "sending" : "waiting")}</span>`
  }</span>`;
}

/**
 * A time of day.
 *
 * @param {{time: number}} props Milliseconds since 1970.
 * @returns {unknown} The part.
 */
export function Time({ time }) {
  const { short, full, iso } = timeTexts(time);
  return html`<time datetime=${iso} title=${full}>${short}</time>`;
}

/**
 * A text as a person typed it: isolated in its direction, its lines kept.
 *
 * @param {{text: string}} props The text.
 * @returns {unknown} The part.
 */
export function Text({ text }) {
  return html`<p class="text" dir="auto">${text.replace(/(?![\t\n])\p{Cc}/gu, "\ufffd")}</p>`;
}
