// @ts-check
/** What was said in the conversation that is open. */
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../../ui/preact.js";
import { counted, t } from "../../../ui/i18n.js";
import { Icon } from "../../../ui/icons.js";
import { Between, Line } from "./message_line.js";
import { MOST_ROWS, move, rowsOf, sliceOf, viewOf } from "../model/rows.js";
import { authorOf, quoteOf, talkOf } from "../model/chat_state.js";
import { indexOf } from "../model/talk.js";

const AT_END = 60;
/** How near to an end of what is drawn more is drawn. */
const NEAR = 500;

/**
 * The timeline. Stays at its end if it was there, else keeps what one reads in its place; draws only a part of what is loaded.
 *
 * @param {{state: import("../model/chat_state.js").ChatState, act: import("../effects/actions.js").Actions}} props The state, and what can be done.
 * @returns {unknown} The part.
 */
export function Timeline({ state, act }) {
  const { open: channel, connection, jump, written } = state;
  const talk = talkOf(state, channel);
  const { said } = talk;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [view, setView] = useState(() => beginning(talk));
  const slice = sliceOf(said, view);
  const rows = useMemo(() => rowsOf(talk, slice), [talk, slice.from, slice.to]);
  const target = useRef(/** @type {string | undefined} */ (view && ".new"));
  // What is seen now, before anything is drawn anew.
  const anchors = view === undefined ? [] : anchorsOf(box.current);

  // More is drawn before one gets there, and loaded before that.
  const look = () => {
    if (box.current === null) return;
    const end = below(box.current);
    if (view !== undefined && slice.to === said.length && end < AT_END) return setView(undefined);
    const way = box.current.scrollTop < NEAR ? "up" : end < NEAR ? "down" : undefined;
    const next = way && (view !== undefined || way === "up") && move(said, slice, way);
    if (next && (view !== undefined || end >= AT_END)) return setView(next);
    if (way === "up" && slice.from === 0) act.older(channel);
  };
  const scrolled = () => {
    if (box.current === null) return;
    if (view === undefined && below(box.current) >= AT_END) {
      setView(viewOf(said, slice.from, said.length));
    } else look();
  };
  useLayoutEffect(() => {
    if (box.current === null) return;
    const aim = target.current && box.current.querySelector(target.current);
    if (aim) {
      aim.scrollIntoView({ block: target.current === ".new" ? "start" : "center" });
      if (target.current !== ".new") flash(aim);
    } else if (view === undefined) box.current.scrollTop = box.current.scrollHeight;
    else restore(box.current, anchors);
    target.current = undefined;
    look();
  });
  useEffect(() => act.follow(view === undefined), [view === undefined]);
  // One's own message is what one wants to see, wherever one was.
  const known = useRef(written);
  useLayoutEffect(() => {
    if (written !== known.current) setView(undefined);
    known.current = written;
  }, [written]);
  useEffect(() => {
    const index = jump === undefined ? -1 : indexOf(said, jump.seq);
    if (jump === undefined || said[index]?.seq !== jump.seq) return;
    target.current = `[data-seq="${jump.seq}"]`;
    const half = MOST_ROWS / 2;
    setView({ ...viewOf(said, index - half, Math.min(said.length, index + half)) });
  }, [jump?.id]);
  useEffect(() => {
    // A keyboard that opens makes the box smaller without a scroll.
    const watch = new ResizeObserver(() => {
      if (view === undefined && box.current !== null) {
        box.current.scrollTop = box.current.scrollHeight;
      }
    });
    if (box.current !== null) watch.observe(box.current);
    return () => watch.disconnect();
  }, [view === undefined]);

  const empty = connection === "open" && rows.length === 0 && talk.loading === undefined;
  return html`
    <div class="timeline-place">
      <p class="sr" id="timeline-keys">${t("timelineKeys")}</p>
      <div class="timeline" role="log" aria-live="off" aria-label=${t(
        "timeline",
      )} tabindex="0" ref=${box}
        onScroll=${scrolled} onKeyDown=${(/** @type {KeyboardEvent} */ event) =>
          keys(event, said, act)}>
        ${rows.length > 0 && slice.from === 0 &&
          html`<p class="start">${
            talk.more === false
              ? t("beginning")
              : talk.loading === "older"
              ? t("loading")
              : "\u00a0"
          }</p>`}
        ${empty && html`<p class="empty">${t("chatEmpty")}</p>`}
        ${rows.map((row) =>
          row.kind === "message"
            ? lineOf(state, row, act)
            : html`<${Between} key=${row.key} row=${row} load=${(/** @type {number} */ after) =>
              act.load(channel, after)} loading=${
              row.kind === "gap" && talk.loading === row.after
            } />`
        )}
      </div>
      ${view !== undefined && html`<${ToEnd} unread=${talk.unread} go=${() => {
        setView(undefined);
        // The button goes: who pressed it stays where they read.
        box.current?.focus({ preventScroll: true });
      }} />`}
    </div>
  `;
}

/**
 * @param {import("../model/chat_state.js").ChatState} state The state. @param {import("../model/rows.js").MessageRow} row A message's.
 * @param {import("../effects/actions.js").Actions} act What can be done.
 * @returns {unknown} Its line.
 */
function lineOf(state, { key, message, head }, act) {
  const { account, mentions, open } = state;
  const quote = message.reply === undefined ? undefined : quoteOf(state, open, message.reply);
  return html`
    <${Line} key=${key} message=${message} head=${head} own=${message.from === account}
      mentions=${mentions} act=${act} author=${authorOf(state, message)} quote=${quote}
      quoted=${quote ? authorOf(state, quote) : undefined} />
  `;
}

/**
 * @param {{unread: number, go: () => void}} props How many are new, and what goes to them.
 * @returns {unknown} The way to the newest.
 */
function ToEnd({ unread, go }) {
  return html`
    <button type="button" class="to-end"
      onClick=${go}><${Icon} name="down" />${unread > 0
        ? counted("newOne", "newMany", unread)
        : t("toEnd")}</button>
  `;
}

/** @param {import("../model/talk.js").Talk} talk A conversation. @returns {import("../model/rows.js").View | undefined} Where one begins to read: what is new, or the end. */
function beginning({ said, line, unread }) {
  if (line === undefined || unread === 0) return undefined;
  const from = Math.max(0, indexOf(said, line + 1) - 20);
  return viewOf(said, from, Math.min(said.length, from + MOST_ROWS));
}

/** @param {Element} element What somebody asked to see. */
function flash(element) {
  const accent = getComputedStyle(element).getPropertyValue("--flash");
  element.animate([{ backgroundColor: accent }, { backgroundColor: "transparent" }], 1600);
  if (element instanceof HTMLElement) element.focus({ preventScroll: true });
}

/**
 * Moves between messages, replies, and goes back to writing.
 *
 * @param {KeyboardEvent} event A key. @param {readonly import("../model/content.js").Said[]} said What is there.
 * @param {import("../effects/actions.js").Actions} act What can be done.
 */
function keys(event, said, act) {
  const { key, target, currentTarget: box } = event;
  if (!(box instanceof HTMLElement) || !(target instanceof HTMLElement)) return;
  if (key === "Escape") return act.write();
  if (target !== box && !target.matches("article")) return;
  const all = [...box.querySelectorAll("article")];
  const at = all.findIndex((one) => one === target);
  if (key === "Enter" && at >= 0) {
    const message = said[indexOf(said, Number(target.dataset.seq))];
    if (message !== undefined && String(message.seq) === target.dataset.seq) act.reply(message);
  } else if (key === "ArrowUp" || key === "ArrowDown") {
    const next = at < 0 ? all.at(-1) : all[at + (key === "ArrowUp" ? -1 : 1)];
    if (at === all.length - 1 && key === "ArrowDown") act.write();
    else next?.focus();
  } else return;
  event.preventDefault();
}

// Keeps what one reads where it is while rows come and go above it: browsers do so by themselves, but not all, and not at the top.
/** @typedef {{element: Element, top: number}} Anchor */

/**
 * Where the rows are that one sees.
 *
 * @param {HTMLElement | null} box What scrolls; its children are the rows.
 * @returns {Anchor[]} The rows from the top of what is seen on.
 */
function anchorsOf(box) {
  if (box === null) return [];
  const { top, bottom } = box.getBoundingClientRect();
  /** @type {Anchor[]} */
  const anchors = [];
  for (const element of box.children) {
    const place = element.getBoundingClientRect();
    if (place.bottom <= top) continue;
    if (place.top >= bottom) break;
    anchors.push({ element, top: place.top });
  }
  return anchors;
}

/**
 * Puts what one saw back to where it was.
 *
 * @param {HTMLElement} box What scrolls.
 * @param {readonly Anchor[]} anchors Where rows were.
 */
function restore(box, anchors) {
  // A day or a "new" line may have gone; a message stays.
  const kept = anchors.find(({ element }) => element.isConnected && element.matches("article")) ??
    anchors.find(({ element }) => element.isConnected);
  if (kept === undefined) return;
  const moved = kept.element.getBoundingClientRect().top - kept.top;
  if (Math.abs(moved) >= 1) box.scrollTop += moved;
}

/**
 * How far it is from what is seen to the end.
 *
 * @param {HTMLElement} box What scrolls.
 * @returns {number} Pixels.
 */
function below(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}
