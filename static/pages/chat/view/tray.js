// @ts-check
/** What is not sent yet, above the composer: messages on their way, messages that wait for a connection, and failed ones. */
import { html, useEffect, useRef, useState } from "../../../ui/preact.js";
import { State } from "../../../client/client.js";
import { counted, t } from "../../../ui/i18n.js";
import { Icon } from "../../../ui/icons.js";
import { mayHelp, reasonOf } from "../../../ui/message.js";
import { excerpt } from "../../../ui/text/text.js";
import { quoteOf } from "../model/chat_state.js";
import { collapsed, shownAfter } from "../model/unsent.js";

/** @typedef {import("../model/chat_state.js").ChatState} ChatState */
/** @typedef {import("../model/chat_state.js").Outgoing} Outgoing */
/** @typedef {import("../effects/actions.js").Actions} Actions */

/**
 * The tray of the conversation that is open. Made anew for each conversation.
 *
 * @param {{state: ChatState, act: Actions}} props The state, and what can be done.
 * @returns {unknown} The part; without items an empty status region, so that the first failure is read out too.
 */
export function Tray({ state, act }) {
  const { open, connection } = state;
  const items = useShown(state.outgoing.filter(({ channel }) => channel === open), connection);
  const [all, showAll] = useState(false);
  const few = collapsed(items);
  const more = items.length - few.length;
  const failed = items.findLast(({ status }) => status === "failed");
  return html`
    <div class="sr" role="status">${failed && html`<p key=${failed.id}>${
      t("notSentText", {
        why: failed.error ? reasonOf(failed.error) : "",
        text: excerpt(failed.text),
      })
    }</p>`}</div>
    ${items.length > 0 && html`
      <section class="tray" aria-label=${t("unsent")}>
        ${more > 0 && html`
          <button type="button" class="quiet more" aria-expanded=${all}
            onClick=${() => showAll(!all)}>${all
              ? t("showFewer")
              : counted("unsentOne", "unsentMore", more)}</button>
        `}
        <ul tabindex=${all && more > 0 ? "0" : undefined} aria-label=${t("unsent")}>
          ${(all ? items : few).map((item) =>
            html`
              <${Unsent} key=${item.id} item=${item} state=${state} act=${act} />
            `
          )}
        </ul>
      </section>
    `}
  `;
}

/**
 * @param {{item: Outgoing, state: ChatState, act: Actions}} props A message that is not sent, and what can be done.
 * @returns {unknown} Its line.
 */
function Unsent({ item, state, act }) {
  const { id, channel, text, reply, status, error } = item;
  const isFailed = status === "failed";
  return html`
    <li class=${`unsent ${status}`}>
      <${Icon} name=${isFailed ? "alert" : "clock"} />
      <span class="said" dir="auto" id=${`unsent-${id}`}>${excerpt(text)}</span>
      <span class="state">${stateOf(item, state.connection)}</span>
      ${isFailed && html`
        <span class="choices">
          ${mayHelp(error) && html`<${Choice} id=${id} name="again" run=${() => act.retry(id)} />`}
          <${Choice} id=${id} name="edit" run=${() =>
            act.edit(item, reply === undefined ? undefined : quoteOf(state, channel, reply))} />
          <${Choice} id=${id} name="discard" run=${() => act.discard(id)} />
        </span>
      `}
    </li>
  `;
}

/** The picture of each choice, for narrow pages. */
const PICTURES = /** @type {const} */ ({ again: "again", edit: "pen", discard: "close" });

/**
 * @param {{id: string, name: keyof typeof PICTURES, run: () => void}} props Of which message, what, and what does it.
 * @returns {unknown} The button.
 */
function Choice({ id, name, run }) {
  return html`
    <button type="button" class="quiet" title=${t(name)} aria-label=${t(name)}
      aria-describedby=${`unsent-${id}`}
      onClick=${run}><${Icon} name=${PICTURES[name]} /><span class="word">${t(name)}</span></button>
  `;
}

/** @param {Outgoing} item A message. @param {string} connection The client's state. @returns {string} Why it is not sent yet, in a few words. */
function stateOf({ status, error }, connection) {
  if (status === "failed") return `${t("notSent")}: ${error ? reasonOf(error) : ""}`;
  if (connection !== State.open) return t("waiting");
  return error === undefined ? t("sending") : reasonOf(error);
}

/**
 * Leaves out what is acknowledged within a moment, so that the tray doesn't flash with each message.
 *
 * @param {readonly Outgoing[]} items What is not sent yet. @param {string} connection The client's state.
 * @returns {readonly Outgoing[]} What of it is shown.
 */
function useShown(items, connection) {
  const since = useRef(/** @type {ReadonlyMap<string, number>} */ (new Map()));
  const [, drawAgain] = useState({});
  const { shown, known, wait } = shownAfter(items, {
    known: since.current,
    connected: connection === State.open,
    now: performance.now(),
  });
  since.current = known;
  useEffect(() => {
    if (wait === undefined) return;
    const timer = setTimeout(() => drawAgain({}), wait);
    return () => clearTimeout(timer);
  });
  return shown;
}
