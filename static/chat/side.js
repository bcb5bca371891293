// @ts-check
/** The conversations: rooms, direct messages, and what makes another. */
import { html, useEffect, useRef, useState } from "../ui.js";
import { Icon } from "../parts/icons.js";
import { counted, t, timeTexts, whenText } from "../parts/i18n.js";
import { Beyond, useBeyond } from "./beyond.js";
import { hashOf, partner, roomOf } from "./channels.js";
import { Avatar } from "./person.js";
import { directs, nameOf, talkOf } from "./known.js";

/** @typedef {import("./known.js").ChatState} ChatState */

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
          ${(last || unread > 0) && html`
            <span class="row"><span class="last" dir="auto">${last &&
              speaker(state, channel, last) + last.text}</span>${unread > 0 &&
              html`<${Badge} unread=${unread} called=${called} />`}</span>
          `}
        </span>
      </a>
  `;
}

/** @param {{time: number}} props When something was said last. @returns {unknown} As much of it as one wants to know among others. */
function LastTime({ time }) {
  const { full, iso } = timeTexts(time);
  return html`<time datetime=${iso} title=${full}>${whenText(time, Date.now())}</time>`;
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
    return channel.startsWith("dm:") && partner(channel, from) === from ? "" : `${t("you")}: `;
  }
  return channel.startsWith("dm:") || from === null ? "" : `${name ?? nameOf(state, from)}: `;
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
  if (other === undefined) return channel.slice(channel.indexOf(":") + 1);
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
