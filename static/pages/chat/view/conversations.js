// @ts-check
/** The conversations: rooms, direct messages, and what makes another. */
import { html, useEffect, useRef, useState } from "../../../ui/preact.js";
import { Icon } from "../../../ui/icons.js";
import { today } from "../../../ui/days.js";
import { counted, t, timeTexts, whenText } from "../../../ui/i18n.js";
import { excerpt } from "../../../ui/text/text.js";
import { hashOf, partner, roomName, roomOf } from "../model/channels.js";
import { Avatar } from "./person.js";
import { directs, failedIn, nameOf, talkOf } from "../model/chat_state.js";

/** @typedef {import("../model/chat_state.js").ChatState} ChatState */

/**
 * The list of conversations.
 *
 * @param {{state: ChatState, join: (channel: string) => boolean}} props The state, and what joins a room.
 * @returns {unknown} The part.
 */
export function Conversations({ state, join }) {
  const private_ = directs(state);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const beyond = useBeyond(
    list,
    [...state.rooms, ...private_].filter((channel) => talkOf(state, channel).unread > 0),
  );
  // Among many the one that is open is seen, wherever it was opened.
  useEffect(
    () => list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }),
    [state.open],
  );
  return html`
    <nav class="conversations" aria-label=${t("conversations")} ref=${list}>
      <${Beyond} way="up" links=${beyond.up} />
      <h2>${t("rooms")}</h2>
      <ul>${state.rooms.map((channel) =>
        html`
          <li key=${channel}>
            <${TalkLink} channel=${channel} state=${state} />
          </li>
        `
      )}</ul>
      <${Join} join=${join} />
      ${private_.length > 0 && html`
        <h2>${t("direct")}</h2>
        <ul>${private_.map((channel) =>
          html`
            <li key=${channel}>
              <${TalkLink} channel=${channel} state=${state} />
            </li>
          `
        )}</ul>
      `}
      <${Beyond} way="down" links=${beyond.down} />
    </nav>
  `;
}

/**
 * @param {{channel: string, state: ChatState}} props Which conversation.
 * @returns {unknown} A link to it, with what was said last and how much wasn't read.
 */
function TalkLink({ channel, state }) {
  const { account, open } = state;
  const { unread, called, last } = talkOf(state, channel);
  // What is open shows them itself.
  const failed = channel === open ? 0 : failedIn(state, channel);
  const other = partner(channel, account);
  const name = titleOf(state, channel);
  const known = other !== undefined && Object.hasOwn(state.names, other) ? name : undefined;
  return html`
    <a class=${unread > 0 ? "talk unread" : "talk"} href=${hashOf(channel, account)}
      aria-current=${channel === open ? "page" : undefined}>
        ${other === undefined
          ? html`<span class="avatar room" aria-hidden="true">#</span>`
          : other === account
          ? html`<span class="avatar room" aria-hidden="true"><${Icon} name="pen" /></span>`
          : html`<${Avatar} account=${other} name=${known} />`}
        <span class="what">
          <span class="row"><bdi class="name">${name}</bdi>${last &&
            html`<${LastTime} time=${last.time} />`}</span>
          ${(last || unread > 0 || failed > 0) && html`
            <span class="row">${last
              ? html`<${Last} by=${speaker(state, channel, last)} text=${last.text} />`
              : html`<span />`}${failed > 0 && html`<${Unsent} failed=${failed} />`}${unread > 0 &&
              html`<${Badge} unread=${unread} called=${called} />`}</span>
          `}
        </span>
      </a>
  `;
}

/**
 * What was said last: the name and the text are of different people, and neither turns the other.
 *
 * @param {{by: string, text: string}} props Who said it, empty where that is plain, and what.
 * @returns {unknown} The part.
 */
function Last({ by, text }) {
  return html`<span class="last">${
    by !== "" &&
    html`
      <span class="by"><bdi>${by}</bdi>:</span>
    `
  }<span class="said" dir="auto">${excerpt(text)}</span></span>`;
}

/** @param {{failed: number}} props How many messages failed there. @returns {unknown} A mark. */
function Unsent({ failed }) {
  return html`<span class="unsent-mark"><${Icon} name="alert" /><span class="sr">${
    counted("failedOne", "failedMany", failed)
  }</span></span>`;
}

/** @param {{time: number}} props When something was said last. @returns {unknown} As much of it as one wants to know among others. */
function LastTime({ time }) {
  const { full, iso } = timeTexts(time);
  return html`<time datetime=${iso} title=${full}>${whenText(time, today.value)}</time>`;
}

/**
 * How much wasn't read.
 *
 * @param {{unread: number, called: number}} props How much, and how much of it is for oneself.
 * @returns {unknown} The part.
 */
export function Badge({ unread, called }) {
  return html`
    <span
      class=${called > 0 ? "badge called" : "badge"}><span aria-hidden="true">${unread > 99
        ? "99+"
        : unread}</span><span class="sr">${counted(
          "unreadOne",
          "unreadMany",
          unread,
        )}</span></span>
  `;
}

/** @param {ChatState} state The state. @param {string} channel Where. @param {{from: string | null, name?: string}} last What was said last. @returns {string} Who said it, where that isn't plain. */
function speaker(state, channel, { from, name }) {
  if (from === state.account) {
    return channel.startsWith("dm:") && partner(channel, from) === from ? "" : t("you");
  }
  return channel.startsWith("dm:") || from === null ? "" : name ?? nameOf(state, from);
}

/**
 * What a conversation is called.
 *
 * @param {ChatState} state The state.
 * @param {string} channel Which.
 * @returns {string} A room's name, somebody's name, or that they are notes.
 */
export function titleOf(state, channel) {
  const other = partner(channel, state.account);
  if (other === undefined) return roomName(channel);
  return other === state.account ? t("notes") : nameOf(state, other);
}

/**
 * @param {{join: (channel: string) => boolean}} props What joins a room; it tells whether there is room for it.
 * @returns {unknown} Where one types the name of a room.
 */
function Join({ join }) {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (name.trim() === "") return;
    const channel = roomOf(name);
    if (channel === undefined) return setWrong(t("badRoom"));
    if (!join(channel)) return setWrong(t("tooManyRooms"));
    setName("");
    setWrong("");
  };
  const typed = (/** @type {any} */ event) => {
    setName(event.currentTarget.value);
    setWrong("");
  };
  return html`
    <form class="join" onSubmit=${submit}>
      <input aria-label=${t("roomName")} placeholder=${t("newRoom")} value=${name} dir="auto"
        autocomplete="off" autocapitalize="none" enterkeyhint="go" maxlength="129"
        aria-invalid=${wrong === "" ? undefined : "true"}
        aria-describedby=${wrong === "" ? undefined : "join-wrong"} onInput=${typed} />
      <button type="submit" class="quiet" title=${t("join")} aria-label=${t(
        "join",
      )}><${Icon} name="plus" /></button>
      ${wrong !== "" && html`<p class="wrong" id="join-wrong" role="alert">${wrong}</p>`}
    </form>
  `;
}

/** @typedef {"up" | "down"} Way */

/**
 * Watches which conversations with something new are out of sight.
 *
 * @param {{current: HTMLElement | null}} list Where their links are.
 * @param {readonly string[]} unread Their channels.
 * @returns {Readonly<Record<Way, readonly Element[]>>} The links above and below.
 */
function useBeyond(list, unread) {
  const [beyond, setBeyond] = useState({ up: noLinks, down: noLinks });
  useEffect(() => {
    /** @type {Map<Element, Way>} */
    const hidden = new Map();
    const watch = new IntersectionObserver((entries) => {
      const top = Math.max(0, list.current?.getBoundingClientRect().top ?? 0);
      for (const { target, isIntersecting, boundingClientRect } of entries) {
        if (isIntersecting) hidden.delete(target);
        else hidden.set(target, boundingClientRect.top < top ? "up" : "down");
      }
      const all = [...hidden];
      const on = (/** @type {Way} */ side) =>
        all.filter(([, way]) => way === side).map(([link]) => link);
      setBeyond({ up: on("up"), down: on("down") });
    });
    const links = list.current?.querySelectorAll(".talk.unread") ?? [];
    for (const link of links) watch.observe(link);
    // Else what was known so far stands until the first look: a button that goes for a moment loses the focus, and a click.
    if (links.length === 0) setBeyond({ up: noLinks, down: noLinks });
    return () => watch.disconnect();
  }, [unread.join(" ")]);
  return beyond;
}

/** @type {Element[]} */
const noLinks = [];

/**
 * The way to them.
 *
 * @param {{way: Way, links: readonly Element[]}} props Where they are, and which.
 * @returns {unknown} The part; nothing where there are none.
 */
function Beyond({ way, links }) {
  if (links.length === 0) return null;
  const inOrder = links.toSorted((a, b) =>
    a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1
  );
  const next = inOrder.at(way === "up" ? -1 : 0);
  const go = () => {
    next?.scrollIntoView({ block: "center" });
    // The button may go: by keyboard one goes on from there.
    if (next instanceof HTMLElement) next.focus({ preventScroll: true });
  };
  return html`
    <div class=${`beyond ${way}`}>
      <button type="button" onClick=${go}><${Icon} name=${way} />${counted(
        "unreadOne",
        "unreadMany",
        links.length,
      )}</button>
    </div>
  `;
}
