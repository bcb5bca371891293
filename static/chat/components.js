// @ts-check
/** The parts of the chat page. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { Failed, Text, When } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { textOf } from "../parts/text.js";
import { partner } from "./state.js";

const HUES = 12;
const AT_END = 60;

/**
 * Who somebody is: a coloured initial, the name, the account.
 *
 * @param {{account: string, name?: string}} props Who.
 * @returns {unknown} The part.
 */
export function Person({ account, name }) {
  const letter = [...(name ?? account)][0]?.toUpperCase() ?? "?";
  const hue = [...account].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 997, 7) % HUES;
  return html`<span class="person"><span class=${`avatar hue-${hue}`} aria-hidden="true">${letter}</span>
    <bdi class="name">${name ?? account}</bdi>${
    name && html`<small class="account">${account}</small>`
  }</span>`;
}

/**
 * One's own account and name; the name is edited in place.
 *
 * @param {{account?: string, name?: string, rename: (name: string | null) => Promise<boolean>}} props Who, and what takes a name.
 * @returns {unknown} The part.
 */
export function Me({ account, name, rename }) {
  const [draft, setDraft] = useState(/** @type {string | undefined} */ (undefined));
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const editing = draft !== undefined;
  useEffect(() => editing ? box.current?.select() : undefined, [editing]);
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
  return html`<section class="me" aria-label=${t("you")}>
    <${Person} account=${account} name=${name} />
    ${
    editing
      ? html`
        <form onSubmit=${save}>
          <input ref=${box} aria-label=${t("yourName")} maxlength="40" dir="auto" value=${draft}
            onInput=${(/** @type {any} */ event) => setDraft(event.currentTarget.value)}
            onKeyDown=${(/** @type {KeyboardEvent} */ event) =>
              event.key === "Escape" && setDraft(undefined)} />
          <button type="submit">${t("save")}</button>
        </form>
      `
      : html`<button type="button" class="quiet" onClick=${() => setDraft(name ?? "")}>${
        name ? t("changeName") : t("noName")
      }</button>`
  }
  </section>`;
}

/**
 * Who is online.
 *
 * @param {{members: import("./state.js").Member[], count: number, own?: string, choose: (account: string) => void}} props The list.
 * @returns {unknown} The part.
 */
export function Members({ members, count, own, choose }) {
  return html`
    <section class="members" aria-labelledby="online">
      <h2 id="online">${t("online")} <span class="count">${count}</span></h2>
      <ul>${members.map(({ account, name }) =>
        html`<li key=${account}>
      <button type="button" class="quiet" onClick=${() => choose(account)}>
        <${Person} account=${account} name=${name} />${
          account === own && html`<small>${t("you")}</small>`
        }
      </button></li>`
      )}</ul>
    </section>
  `;
}

/**
 * What was said, and what is on its way. Stays at its end if it was there.
 *
 * @param {{state: import("./state.js").ChatState, retry: (id: string) => void, discard: (id: string) => void}} props
 *   The state, and what sends once more or gives up.
 * @returns {unknown} The part.
 */
export function Timeline({ state, retry, discard }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const atEnd = useRef(true);
  const { said, outgoing, account } = state;
  const pending = useRef(0);
  useLayoutEffect(() => {
    // One's own message is what one wants to see, wherever one was.
    if (outgoing.length > pending.current) atEnd.current = true;
    pending.current = outgoing.length;
    if (atEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [said, outgoing]);
  useEffect(() => {
    // A keyboard that opens makes the box smaller without a scroll.
    const watch = new ResizeObserver(() => {
      if (atEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
    });
    if (box.current !== null) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current ?? document.body;
    atEnd.current = scrollHeight - scrollTop - clientHeight < AT_END;
  };
  const empty = state.connection === "open" && said.length === 0 && outgoing.length === 0;
  // One list, and one's own under their keys: a message that was sent stays the element that it was.
  const lines = [
    ...said.map((message) => ({
      ...message,
      id: message.from === account && message.key || message.seq,
      text: textOf(message.data),
    })),
    ...outgoing.map((item) => ({
      ...item,
      id: item.key,
      item: item.id,
      from: account ?? "",
      name: state.name,
    })),
  ];
  return html`
    <div class="timeline" role="log" aria-label=${t("timeline")} tabindex="0" ref=${box}
      onScroll=${scrolled}>
        ${empty && html`<p class="empty">${t("chatEmpty")}</p>`}
        ${lines.map((line) =>
          html`
            <${Line} key=${line.id} line=${line} state=${state} retry=${retry}
              discard=${discard} />
          `
        )}
      </div>
  `;
}

/**
 * @typedef {{channel: string, from: string | null, name?: string, time: number, text: string, gap?: true, item?: string,
 *   status?: "pending" | "failed", error?: import("../fanfare.js").Item["error"]}} TimelineLine
 */

/**
 * @param {{line: TimelineLine, state: import("./state.js").ChatState, retry: (id: string) => void, discard: (id: string) => void}} props
 *   A message: one that was said, is on its way, or failed.
 * @returns {unknown} The part.
 */
function Line({ line, state, retry, discard }) {
  const { channel, from, name, time, text, gap, item = "", status, error } = line;
  const own = from === state.account;
  const kind = `message${own ? " own" : ""}${status ? ` ${status}` : ""}${
    channel.startsWith("dm:") ? " private" : ""
  }`;
  return html`
    ${gap && html`<p class="gap">${t("gap")}</p>`}
        <article class=${kind}>
      <header>
        <${Person} account=${from ?? "–"} name=${name} />
        <${Privately} channel=${channel} own=${own} state=${state} />
        <${When} time=${time} status=${status} connection=${state.connection} />
      </header>
      <${Text} text=${text} />
      ${status === "failed" && html`
        <${Failed} error=${error} retry=${() => retry(item)}
          discard=${() => discard(item)} />
      `}
    </article>
  `;
}

/**
 * @param {{channel: string, own: boolean, state: import("./state.js").ChatState}} props Whose message in which channel.
 * @returns {unknown} With whom it is private, where it is.
 */
function Privately({ channel, own, state }) {
  const other = partner(channel, state.account);
  if (other === undefined) return null;
  if (other === state.account) return html`<span class="privately">${t("notes")}</span>`;
  if (!own) return html`<span class="privately">${t("privateFrom")}</span>`;
  return html`<span class="privately">${t("privateTo")} <bdi>${
    state.names[other] ?? other
  }</bdi></span>`;
}

/**
 * Where one writes: to whom, what, and the button.
 *
 * @param {{state: import("./state.js").ChatState, choose: (account: string) => void, send: (text: string) => Promise<boolean>}} props
 *   The state, and what is done with a choice and a text; it tells whether the text was taken.
 * @returns {unknown} The part.
 */
export function Composer({ state, choose, send }) {
  const [text, setText] = useState("");
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const { account, members, to, names } = state;
  const others = members.filter((member) => member.account !== account);
  const away = to !== "" && to !== account && !others.some((member) => member.account === to);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    box.current?.focus();
    // Before it is known who we are nothing can be sent: what was typed stays.
    if (text.trim() === "" || account === undefined) return;
    setText("");
    // What isn't taken comes back, unless something else was typed meanwhile.
    send(text).then((taken) => taken || setText((now) => now === "" ? text : now));
  };
  const typed = (/** @type {KeyboardEvent} */ event) => {
    // An Enter that an input method takes (229 in older browsers) picks a word, it doesn't send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) {
      return;
    }
    submit(event);
  };
  return html`
    <form class="composer" onSubmit=${submit}>
      <label class="to"><span>${t("to")}</span>
          <select value=${to} onChange=${(/** @type {any} */ event) =>
            choose(event.currentTarget.value)}>
            <option value="">${t("everyone")}</option>
            ${others.map((member) =>
              html`<option key=${member.account} value=${member.account}>${label(member)}</option>`
            )}
            ${away &&
              html`<option key=${to} value=${to}>${label({ account: to, name: names[to] })} (${
                t("away")
              })</option>`}
            ${account && html`<option value=${account}>${t("notes")}</option>`}
          </select>
        </label>
      <textarea ref=${box} rows="1" dir="auto" aria-label=${t("write")} placeholder=${t("write")}
        value=${text}
        onInput=${(/** @type {any} */ event) =>
          setText(event.currentTarget.value)} onKeyDown=${typed}></textarea>
      <button type="submit" disabled=${account === undefined}>${t("send")}</button>
    </form>
  `;
}

/** @param {{account: string, name?: string}} member Whom. @returns {string} For a list that knows only text. */
function label({ account, name }) {
  return name ? `${name} · ${account}` : account;
}
