// @ts-check
/** The chat page: rooms, and direct messages beside them. */
import { computed, html, render, store, useEffect, useMemo, useRef } from "../ui.js";
import { connect } from "../fanfare.js";
import { Connection, Header, Toasts } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { keepShell } from "../parts/shell.js";
import { makeActions } from "./actions.js";
import { Composer, Receiver } from "./composer.js";
import { reduceDrafts } from "./drafts.js";
import { follow } from "./follow.js";
import { Head } from "./head.js";
import { Me } from "./me.js";
import { Members } from "./person.js";
import { Conversations } from "./side.js";
import { initial, nameOf } from "./known.js";
import { reduce } from "./state.js";
import { Timeline } from "./timeline.js";
import { Tray } from "./tray.js";
import { isTalk } from "./channels.js";

const chat = store(reduce, initial);
const client = connect({ adopts: isTalk });
const drafts = store(reduceDrafts, /** @type {import("./drafts.js").Drafts} */ ({}));
const act = makeActions(client, chat, drafts);
const { list, announced } = follow(client, chat, drafts, act);

/** How much was missed: what was for oneself, and what came where one is while one looked elsewhere. */
const missed = computed(() => {
  const { talks, open } = chat.state.value;
  return Object.entries(talks).reduce(
    (sum, [channel, { unread, called }]) => sum + (channel === open ? unread : called),
    0,
  );
});
const elsewhere = computed(() => {
  const { talks, open } = chat.state.value;
  return Object.entries(talks).reduce(
    (sum, [channel, { unread }]) => sum + (channel === open ? 0 : unread),
    0,
  );
});

function Chat() {
  const state = chat.state.value;
  const { account, name, open, room, rosters, connection, keeps } = state;
  // Where there is a keyboard one writes at once; on a phone it would cover half of the page.
  useEffect(() => {
    const choosing = document.activeElement?.matches(".composer select");
    if (!list.value && !choosing && matchMedia("(pointer: fine)").matches) act.write();
  }, [open]);
  // A phone that shows the list shows no message.
  useEffect(() => act.look(), [list.value, open]);
  const roster = rosters[open.startsWith("room:") ? open : room];
  return html`
    <${Header} page="chat" unread=${missed.value} />
    <${Connection} state=${connection} writes keeps=${keeps} />
    <main class=${list.value ? "chat list" : "chat"}>
      <aside class="side" aria-label=${t("conversations")}>
        ${list.value && html`<h1>${t("conversations")}</h1>`}
        <${Conversations} state=${state} join=${(/** @type {string} */ channel) =>
          act.join(channel)} />
        <${Me} account=${account} name=${name} rename=${act.rename} />
      </aside>
      <section class="talk-place" aria-label=${t("timeline")}>
        <${Head} state=${state} elsewhere=${elsewhere.value} leave=${(
          /** @type {string} */ channel,
        ) => act.leave(channel)} />
        ${Object.hasOwn(state.refused, open) &&
          html`<p class="refused" role="alert">${
            t("refusedRoom", { why: state.refused[open] ?? "" })
          }</p>`}
        <${Timeline} key=${open} state=${state} act=${act} />
        <${Typing} state=${state} />
        <${Tray} key=${`unsent ${open}`} state=${state} act=${act} />
        <div class="composer">
          <${Receiver} state=${state} choose=${act.choose} />
          <${Composer} key=${`write ${open}`} state=${state} drafts=${drafts} act=${act} />
        </div>
      </section>
      <aside class="people" aria-label=${t("online")}>
        <${Members} members=${roster?.members ?? []} count=${roster?.count ?? 0} own=${account} />
      </aside>
    </main>
    <${Announcer} said=${announced} />
    <${Toasts} />
  `;
}

/**
 * @param {{said: import("@preact/signals").Signal<{text: string}>}} props What is to be read out.
 * @returns {unknown} It, for screen readers: the same words twice are two.
 */
function Announcer({ said }) {
  const times = useRef(0);
  const { text } = said.value;
  const key = useMemo(() => times.current += 1, [said.value]);
  return html`
    <div class="sr" role="status" aria-live="polite">
      <p key=${key}>${text}</p>
    </div>
  `;
}

/**
 * @param {{state: import("./known.js").ChatState}} props The state.
 * @returns {unknown} Who types here.
 */
function Typing({ state }) {
  const [a, b, ...more] = state.typing.filter(({ channel }) => channel === state.open)
    .map(({ account }) => nameOf(state, account));
  const text = a === undefined
    ? "\u00a0"
    : b === undefined
    ? t("typingOne", { a })
    : more.length > 0
    ? t("typingMany")
    : t("typingTwo", { a, b });
  return html`<p class="typing">${text}</p>`;
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Chat} />`, page);
}
