// @ts-check
/** The chat page: the lobby, and direct messages beside it. */
import { html, render, store } from "../ui.js";
import { connect, newKey } from "../fanfare.js";
import { Connection, Header, toast, Toasts } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { Composer, Me, Members, Timeline } from "./components.js";
import { channelTo, initial, reduce } from "./state.js";

const { state, dispatch } = store(reduce, initial);
const client = connect();

client.on("state", () => dispatch({ type: "connection", state: client.state }));
client.on(
  "account",
  ({ account, name }) => typeof account === "string" && dispatch({ type: "me", account, name }),
);
/** @type {NonNullable<import("../fanfare.js").SubscribeOptions["onMessages"]>} */
const onMessages = (messages, gap, reset) => dispatch({ type: "messages", messages, gap, reset });
client.subscribe("room:lobby", {
  history: 100,
  onMessages,
  onPresence: ({ members, count }) => dispatch({ type: "roster", members, count }),
});
client.subscribe("dm:*", { history: 100, onMessages });

/**
 * @param {string} key The message's own.
 * @param {string} channel Where.
 * @param {string} text What.
 */
async function post(key, channel, text) {
  dispatch({ type: "sending", key, channel, text, time: Date.now() });
  try {
    const { seq, time } = await client.publish(channel, { text }, { key });
    dispatch({ type: "sent", key, seq, time });
  } catch (error) {
    dispatch({
      type: "failed",
      key,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/** @param {string} text What was typed. */
function send(text) {
  const { account, to } = state.value;
  if (account !== undefined) post(newKey(), channelTo(to, account), text);
}

/** @param {string} key Of a message that failed. */
function again(key) {
  const item = state.value.outgoing.find((outgoing) => outgoing.key === key);
  if (item !== undefined) post(key, item.channel, item.text);
}

/** @param {string | null} name The new one. @returns {Promise<boolean>} Whether it was taken. */
async function rename(name) {
  try {
    await client.rename(name);
    return true;
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error), true);
    return false;
  }
}

function Chat() {
  const now = state.value;
  const choose = (/** @type {string} */ account) => dispatch({ type: "to", account });
  return html`
    <${Header} page="chat" />
    <${Connection} state=${now.connection} />
    <main class="chat">
      <h1>${t("chatHeading")}</h1>
      <aside aria-label=${t("online")}>
        <${Me} account=${now.account} name=${now.name} rename=${rename} />
        <${Members} members=${now.members} count=${now.count} own=${now.account} choose=${choose} />
      </aside>
      <${Timeline} state=${now} again=${again} />
      <${Composer} state=${now} choose=${choose} send=${send} />
    </main>
    <${Toasts} />
  `;
}

const page = document.getElementById("page");
if (page !== null) render(html`<${Chat} />`, page);
