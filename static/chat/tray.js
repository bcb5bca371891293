// @ts-check
/** What is not sent yet, above the composer: messages on their way, messages that wait for a connection, and failed ones. */
import { html, useEffect, useRef, useState } from "../ui.js";
import { State } from "../fanfare.js";
import { counted, t } from "../parts/i18n.js";
import { Icon } from "../parts/icons.js";
import { mayHelp, reasonOf } from "../parts/message.js";
import { excerpt } from "../parts/text.js";
import { quoteOf } from "./known.js";

/** How long a message may be on its way before it is shown, in milliseconds: most are acknowledged before. */
export const SHOWN_AFTER = 400;
/** How many lines the tray has while it is collapsed. */
export const FEW = 3;

/** @typedef {import("./known.js").ChatState} ChatState */
/** @typedef {import("./known.js").Outgoing} Outgoing */
/** @typedef {import("./actions.js").Actions} Actions */

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

/**
 * Picks what is shown: what failed and what waits for a connection at once, the rest after a moment. Messages go in order, so
 * what stands behind one that is shown is shown too; and what was shown once stays until it is sent.
 *
 * @param {readonly Outgoing[]} items What is not sent yet, in order.
 * @param {{known: ReadonlyMap<string, number>, connected: boolean, now: number}} at By id since when each is known (-Infinity once it is shown), whether there
 *   is a connection, and the monotonic time in milliseconds.
 * @returns {{shown: readonly Outgoing[], known: ReadonlyMap<string, number>, wait: number | undefined}} What is shown, `known` for the next time, and after
 *   how many milliseconds more is to be shown.
 */
export function shownAfter(items, { known, connected, now }) {
  /** @type {Map<string, number>} */
  const next = new Map();
  let due = !connected;
  let wait = Infinity;
  const shown = items.filter(({ id, status }) => {
    const since = known.get(id) ?? now;
    const left = since + SHOWN_AFTER - now;
    const isShown = due || status === "failed" || left <= 0;
    if (isShown && status === "pending") due = true;
    if (!isShown) wait = Math.min(wait, left);
    next.set(id, isShown ? -Infinity : since);
    return isShown;
  });
  return { shown, known: next, wait: wait === Infinity ? undefined : wait };
}

/**
 * What the collapsed tray shows: what failed first, since that needs somebody; then what was written last.
 *
 * @param {readonly Outgoing[]} items What is shown while it is not collapsed, in order.
 * @returns {readonly Outgoing[]} At most {@linkcode FEW} of them, in order.
 */
export function collapsed(items) {
  if (items.length <= FEW) return items;
  const latest = items.toReversed();
  const first = [
    ...latest.filter(({ status }) => status === "failed"),
    ...latest.filter(({ status }) => status === "pending"),
  ].slice(0, FEW);
  return items.filter((item) => first.includes(item));
}
