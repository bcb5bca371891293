// @ts-check
/** What is on its way from the send page, what waits and why, and what failed and what can be done about it. */
import { html, useEffect, useState } from "../../ui/preact.js";
import { t } from "../../ui/i18n.js";
import { mayHelp, reasonOf, When } from "../../ui/message.js";
import { Card } from "../../ui/push/card.js";
import { pushOf } from "../../ui/push/content.js";

/** @typedef {import("../../client/client.js").Item} Item */

/** What is sent at once isn't shown on its way. */
const SHOWN_AFTER = 400;

/** What this page knows better words for. @type {ReadonlyMap<string, Parameters<typeof t>[0]>} */
const WORDS = new Map([
  ["forbidden", "closedServer"],
  ["rate_limited", "pushRate"],
  ["unavailable", "pushUnavailable"],
  ["too_large", "pushTooLarge"],
  ["internal", "pushInternal"],
]);

/**
 * Why a push isn't there, and what to do.
 *
 * @param {{code: string, message: string}} error What was said.
 * @returns {string} The reason.
 */
export function why(error) {
  const key = WORDS.get(error.code);
  return key === undefined ? reasonOf(error) : t(key);
}

/**
 * The list.
 *
 * @param {{items: readonly Item[], connection: string, topic: string | undefined, free: boolean, retry: (id: string) => void, edit: (item: Item) => void, discard: (id: string) => void}} props
 *   What is on its way or failed, the client's state, the topic in the form, whether that has room for another, and what is done.
 * @returns {unknown} The part.
 */
export function Outgoing({ items, connection, topic, free, retry, edit, discard }) {
  const [late, setLate] = useState(false);
  const waiting = items.length > 0;
  useEffect(() => {
    const timer = waiting ? setTimeout(() => setLate(true), SHOWN_AFTER) : undefined;
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [waiting]);
  const shown = items.filter(({ status }) => late || status === "failed");
  const then = (/** @type {() => void} */ run) => () => {
    run();
    // The button that was pressed is gone.
    document.getElementById("msg")?.focus();
  };
  return html`
    <div role="log" aria-label=${t("outbox")}>
      <ol class="pushes outgoing">
        ${shown.map((item) => {
          const { id, channel, data, time, status, error } = item;
          const to = channel.slice("push:".length);
          return html`
            <li key=${id} class=${`push ${status}`} tabindex="-1">
              <${Card} push=${pushOf(data)}>
                <${When} time=${time} status=${status} connection=${connection} />
                ${to !== topic && html`<bdi class="to">${to}</bdi>`}
              <//>
              ${error !== undefined && html`
                <div class="status">
                  <span>${status === "failed" && `${t("notSent")}: `}${why(error)}</span>
                  ${status === "failed" && html`<span class="choices">
                    ${
                    mayHelp(error) && html`
                      <button type="button" onClick=${then(() => retry(id))}>${t("again")}</button>
                    `
                  }
                    <button type="button" disabled=${!free} class=${mayHelp(error) ? "quiet" : ""}
                      onClick=${then(() => edit(item))}>${t("edit")}</button>
                    <button type="button" class="quiet"
                      onClick=${then(() => discard(id))}>${t("discard")}</button>
                  </span>`}
                </div>
              `}
            </li>
          `;
        })}
      </ol>
    </div>
  `;
}
