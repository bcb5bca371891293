// @ts-check
/** Where one writes: to whom, in reply to what, and the text. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../../ui/preact.js";
import { Icon } from "../../../ui/icons.js";
import { t } from "../../../ui/i18n.js";
import { excerpt, isolated } from "../../../ui/text/text.js";
import { partner } from "../model/channels.js";
import { begun, completed, matching } from "../model/completion.js";
import { Completions } from "./completions.js";
import { draftOf } from "../model/drafts.js";
import { titleOf } from "./conversations.js";
import { authorOf, nameOf, quoteOf } from "../model/chat_state.js";

/** @typedef {import("../model/chat_state.js").ChatState} ChatState */

const MOST_LINES = 8;
/** Whether the browser itself makes a box as high as its text. */
const grows = globalThis.CSS?.supports("field-sizing", "content") ?? true;

/**
 * Where one writes. Made anew for each conversation.
 *
 * @param {{state: ChatState, drafts: import("../effects/actions.js").Drafts, act: import("../effects/actions.js").Actions}} props The state, what was begun, and what can be done.
 * @returns {unknown} The part.
 */
export function Composer({ state, drafts, act }) {
  const { account, open } = state;
  const draft = draftOf(drafts.state.value, open);
  const { text, to } = draft;
  // Where the caret was when somebody typed: only there something is offered.
  const [caret, setCaret] = useState(/** @type {number | undefined} */ (undefined));
  const [at, setAt] = useState(0);
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const place = useRef(/** @type {number | undefined} */ (undefined));
  // The same, for what comes before it is drawn anew.
  const offering = useRef(caret);
  const offer = (/** @type {number | undefined} */ at) => {
    offering.current = at;
    setCaret(at);
  };
  const change = (/** @type {string} */ text) =>
    drafts.dispatch({ type: "typed", channel: open, text });
  const mention = caret === undefined ? undefined : begun(text, caret);
  const offered = mention === undefined ? [] : matching(mention.query, mentionable(state), account);
  const marked = Math.min(at, offered.length - 1);
  useLayoutEffect(() => {
    act.writeIn(box.current);
    if (place.current === undefined) return;
    box.current?.setSelectionRange(place.current, place.current);
    place.current = undefined;
  });
  useLayoutEffect(() => fit(box.current), [text]);
  useEffect(() => {
    // Whoever moves the caret away doesn't mean what was offered there.
    const moved = () => {
      const there = box.current?.selectionStart === offering.current;
      if (offering.current !== undefined && !there) offer(undefined);
    };
    document.addEventListener("selectionchange", moved);
    return () => document.removeEventListener("selectionchange", moved);
  }, []);
  const choose = (/** @type {import("../model/completion.js").Member} */ member) => {
    if (mention === undefined || caret === undefined) return;
    const next = completed(text, { from: mention.from, to: caret }, member);
    change(next.text);
    place.current = next.caret;
    offer(undefined);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    box.current?.focus();
    const message = text.replace(/^\s*\n/u, "").trimEnd();
    // Before it is known who we are nothing can be sent: what was typed stays.
    if (message === "" || account === undefined) return;
    offer(undefined);
    act.send(open, message, draft);
  };
  const typed = (/** @type {KeyboardEvent} */ event) => {
    // A key that an input method takes (229 in older browsers) picks a word, it doesn't send.
    if (event.isComposing || event.keyCode === 229) return;
    const { key } = event;
    // The caret may have moved before the page was told.
    const there = event.currentTarget === box.current && box.current?.selectionStart === caret;
    const member = there && !event.shiftKey ? offered[marked] : undefined;
    if (member !== undefined && ["ArrowDown", "ArrowUp", "Enter", "Tab", "Escape"].includes(key)) {
      event.preventDefault();
      if (key === "Escape") offer(undefined);
      else if (key === "Enter" || key === "Tab") choose(member);
      else setAt((marked + (key === "ArrowDown" ? 1 : -1) + offered.length) % offered.length);
    } else if (key === "Enter" && !event.shiftKey) submit(event);
    else if (key === "Escape" && to !== undefined) act.reply(undefined);
    else if (key === "ArrowUp" && text === "") {
      event.preventDefault();
      act.read();
    }
  };
  const input = (/** @type {any} */ event) => {
    const { value, selectionStart } = event.currentTarget;
    change(value);
    offer(selectionStart);
    setAt(0);
    if (value !== "") act.typing(open);
  };
  const hint = hintOf(state);
  return html`
    <form class="write" onSubmit=${submit}>
      ${to !== undefined && html`<${Replying} to=${to} state=${state} cancel=${() => {
        act.reply(undefined);
        box.current?.focus();
      }} />`}
      <div class="box">${offered.length > 0 &&
        html`<${Completions} members=${offered} at=${marked} choose=${choose} />`}
      <textarea ref=${box} rows=${Math.min(MOST_LINES, text.split("\n").length)} dir="auto"
        aria-label=${hint} placeholder=${hint} title=${t("keys")} enterkeyhint="send" value=${text}
        aria-autocomplete="list" aria-controls=${offered.length > 0 ? "completions" : undefined}
        aria-activedescendant=${offered.length > 0 ? `completion-${marked}` : undefined}
        onInput=${input} onKeyDown=${typed} onBlur=${() => offer(undefined)}></textarea></div>
      <button type="submit" aria-label=${t("send")} title=${t("send")}
        disabled=${account === undefined}><${Icon} name="send" /><span class="word">${t(
          "send",
        )}</span></button>
    </form>
  `;
}

/** @param {HTMLTextAreaElement | null} box Where one writes: as high as its text, where the browser doesn't see to that. */
function fit(box) {
  if (grows || box === null) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

/** @param {ChatState} state The state. @returns {string} What the box says while it is empty. */
function hintOf(state) {
  const other = partner(state.open, state.account);
  if (other === undefined) return t("writeRoom", { name: titleOf(state, state.open) });
  return other === state.account ? t("writeNotes") : t("writeTo", { name: nameOf(state, other) });
}

/** @param {ChatState} state The state. @returns {readonly import("../model/completion.js").Member[]} Who may be mentioned here. */
function mentionable({ rosters, open, names, account }) {
  const here = rosters[open]?.members;
  if (here !== undefined) return here;
  const other = partner(open, account);
  return other === undefined
    ? []
    : [{ account: other, ...(Object.hasOwn(names, other) ? { name: names[other] } : {}) }];
}

/**
 * @param {{to: import("../model/content.js").Said, state: ChatState, cancel: () => void}} props What one replies to, and what gives that up.
 * @returns {unknown} The part.
 */
function Replying({ to, state, cancel }) {
  // What wasn't loaded when somebody began may be there now.
  const said = quoteOf(state, to.channel, to.seq) ?? to;
  const name = authorOf(state, said);
  return html`
    <p
      class="replying"><${Icon} name="reply" /><span class="what"><strong>${t("replying", {
        name,
      })}</strong> <span class="excerpt" dir="auto">${excerpt(said.text)}</span></span>
        <button type="button" class="quiet" title=${t("cancelReply")} aria-label=${t("cancelReply")}
          onClick=${cancel}><${Icon} name="close" /></button></p>
  `;
}

/**
 * To whom one writes: everyone in the room, or one of them. It stays while conversations change, so that one may go through
 * it by arrow keys.
 *
 * @param {{state: import("../model/chat_state.js").ChatState, choose: (account: string) => void}} props The state, and what opens a conversation: with an account, or the room for "".
 * @returns {unknown} The part.
 */
export function Receiver({ state, choose }) {
  const { account, open, room, rosters, names } = state;
  const to = partner(open, account) ?? "";
  const others = (rosters[room]?.members ?? []).filter((member) => member.account !== account)
    .slice(0, 200);
  const away = to !== "" && to !== account && !others.some((member) => member.account === to);
  const name = Object.hasOwn(names, to) ? names[to] : undefined;
  return html`
    <label class="to"><span>${t("to")}</span>
      <select value=${to} onChange=${(/** @type {any} */ event) =>
        choose(event.currentTarget.value)}>
        <option value="">${t("everyone")}</option>
        ${others.map((member) =>
          html`<option key=${member.account} value=${member.account}>${label(member)}</option>`
        )}
        ${away &&
          html`<option key=${to} value=${to}>${label({ account: to, name })} (${
            t("away")
          })</option>`}
        ${account && html`<option value=${account}>${t("notes")}</option>`}
      </select>
    </label>
  `;
}

/** @param {{account: string, name?: string}} member Whom. @returns {string} For a list that knows only text. */
function label({ account, name }) {
  return name ? `${isolated(name)} · ${account}` : account;
}
