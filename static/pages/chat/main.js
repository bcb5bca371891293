// @ts-check
/** The chat page: rooms, and direct messages beside them. */
import { computed, html, render, store, useEffect, useMemo, useRef } from "../../ui/preact.js";
import { connect } from "../../client/client.js";
import { Connection, Header, Toasts } from "../../ui/page_frame.js";
import { t } from "../../ui/i18n.js";
import { keepShell } from "../../ui/offline.js";
import { makeActions } from "./effects/actions.js";
import { Composer, Receiver } from "./view/composer.js";
import { reduceDrafts } from "./model/drafts.js";
import { follow } from "./effects/follow_client.js";
import { Head } from "./view/head.js";
import { Me } from "./view/me.js";
import { Members } from "./view/person.js";
import { Conversations } from "./view/conversations.js";
import { initial, nameOf } from "./model/chat_state.js";
import { reduce } from "./model/reducer.js";
import { Timeline } from "./view/timeline.js";
import { Tray } from "./view/tray.js";
import { isTalk } from "./model/channels.js";

const chat = store(reduce, initial);
const client = connect({ adopts: isTalk });
const drafts = store(reduceDrafts, /** @type {import("./model/drafts.js").Drafts} */ ({}));
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
 * @param {{state: import("./model/chat_state.js").ChatState}} props The state.
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
