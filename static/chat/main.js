// @ts-check
/** The chat page: the lobby, and direct messages beside it. */
import { html, render, store } from "../ui.js";
import { Code, connect, FanfareError } from "../fanfare.js";
import { Connection, Header, reasonOf, toast, Toasts } from "../parts/frame.js";
import { keepShell } from "../parts/shell.js";
import { t } from "../parts/i18n.js";
import { Composer, Me, Members, Timeline } from "./components.js";
import { channelTo, initial, isHere, reduce } from "./state.js";

const { state, dispatch } = store(reduce, initial);
const client = connect({ adopts: isHere });

client.on("state", () => dispatch({ type: "connection", state: client.state }));
client.on(
  "account",
  ({ account, name }) => typeof account === "string" && dispatch({ type: "me", account, name }),
);
client.on("outbox", () => dispatch({ type: "outbox", items: client.outbox }));
client.on(
  "sent",
  (_client, { item, place: { seq, time } }) => dispatch({ type: "sent", item, seq, time }),
);
/** @param {string} channel Of a subscription. @returns {NonNullable<import("../fanfare.js").SubscribeOptions["onMessages"]>} What tells it. */
const listen = (channel) => (messages, gap, reset) =>
  dispatch({ type: "messages", channel, messages, gap, reset });
client.subscribe("room:lobby", {
  history: 100,
  onMessages: listen("room:lobby"),
  onPresence: ({ members, count }) => dispatch({ type: "roster", members, count }),
});
client.subscribe("dm:*", { history: 100, onMessages: listen("dm:*") });

/** @param {string} text What was typed. @returns {Promise<boolean>} Whether the outbox took it. */
async function send(text) {
  const { account, to } = state.value;
  if (account === undefined) return false;
  try {
    await client.publish(channelTo(to, account), { text });
    return true;
  } catch (error) {
    if (!(error instanceof FanfareError)) throw error;
    // What failed stands in the timeline, with its reason; only what isn't kept has to be told.
    const taken = error.code !== Code.full && error.code !== Code.closed;
    if (!taken) toast(reasonOf(error), true);
    return taken;
  }
}

/** @param {string | null} name The new one. @returns {Promise<boolean>} Whether it was taken. */
async function rename(name) {
  try {
    await client.rename(name);
    return true;
  } catch (error) {
    toast(error instanceof FanfareError ? reasonOf(error) : String(error), true);
    return false;
  }
}

function Chat() {
  const now = state.value;
  const choose = (/** @type {string} */ account) => dispatch({ type: "to", account });
  return html`
    <${Header} page="chat" />
    <${Connection} state=${now.connection} writes />
    <main class="chat">
      <h1>${t("chatHeading")}</h1>
      <aside aria-label=${t("online")}>
        <${Me} account=${now.account} name=${now.name} rename=${rename} />
        <${Members} members=${now.members} count=${now.count} own=${now.account} choose=${choose} />
      </aside>
      <${Timeline} state=${now} retry=${(/** @type {string} */ id) => client.retry(id)}
        discard=${(/** @type {string} */ id) => client.discard(id)} />
      <${Composer} state=${now} choose=${choose} send=${send} />
    </main>
    <${Toasts} />
  `;
}

const page = document.getElementById("page");
keepShell();
if (page !== null) render(html`<${Chat} />`, page);
