// @ts-check
/** The receiver: every push of a topic, the newest on top. */
import { html, render, store, useMemo } from "../ui.js";
import { connect, FanfareError } from "../fanfare.js";
import { Connection, Header, toast, Toasts } from "../parts/frame.js";
import { perFrame } from "../parts/frames.js";
import { dayText, language, t } from "../parts/i18n.js";
import { reasonOf, Time } from "../parts/message.js";
import { keepShell } from "../parts/shell.js";
import { Card } from "./card.js";
import { askedTopic, topicName } from "./content.js";
import { initial, KEPT, reduce } from "./state.js";
import { Topic } from "./topic.js";

const PAGE = 50;
const { state, dispatch } = store(reduce, initial);
const asked = askedTopic(location.search);
const topic = topicName(asked);
const channel = `push:${topic}`;

// What couldn't be sent is for a page that shows it.
const client = topic === undefined ? undefined : connect({ adopts: () => false });
/** @type {ReturnType<typeof perFrame<import("./state.js").ReceiveAction>>} */
const arrivals = perFrame((actions) => dispatch(...actions));
client?.on("state", () => dispatch({ type: "connection", state: client.state }));
client?.subscribe(channel, {
  history: PAGE,
  onMessages: (messages, gap, reset) => arrivals.add({ type: "messages", messages, gap, reset }),
  onReady: () => {
    arrivals.flush();
    dispatch({ type: "ready" });
    // A page of large pushes is full before it has as many as were asked for.
    const { messages, more } = state.value;
    if (more === undefined && messages.length < PAGE) older();
  },
});

async function older() {
  const { messages, loading } = state.value;
  const before = messages.at(-1)?.seq;
  if (loading || before === undefined || client === undefined) return;
  dispatch({ type: "loading", loading: true });
  try {
    const page = await client.history(channel, { before, limit: PAGE });
    dispatch({ type: "older", ...page });
  } catch (error) {
    dispatch({ type: "loading", loading: false });
    toast(
      t("loadFailed", { why: error instanceof FanfareError ? reasonOf(error) : String(error) }),
      true,
    );
  }
}

function Receive() {
  const { messages, connection, more, loading, ready } = state.value;
  const rest = (more ?? messages.length >= PAGE) && messages.length < KEPT;
  return html`
    <${Header} page="receive" />
    ${topic !== undefined && html`<${Connection} state=${connection} />`}
    <main class="narrow">
      <div class="heading"><h1>${t(
        "receiveHeading",
      )}</h1><${Topic} topic=${topic} asked=${asked} path="/to_recmsg/" /></div>
      ${topic === undefined
        ? html`<p class="empty">${t("noTopic", { topic: asked })}</p>`
        : messages.length === 0 &&
          html`<p class="empty">${t(ready ? "receiveEmpty" : "loading", { topic })}</p>`}
      <div role="log" aria-label=${t("receiveHeading")}><ol class="pushes">
        ${messages.map((received, i) =>
          html`<${Received} key=${received.seq} received=${received} above=${messages[i - 1]} />`
        )}
      </ol></div>
      ${rest && html`<p class="rest"><button type="button" class="quiet" disabled=${loading}
        onClick=${older}>${t(loading ? "loading" : "older")}</button></p>`}
    </main>
    <${Toasts} />
  `;
}

/**
 * @param {{received: import("./state.js").Received, above?: import("./state.js").Received}} props A push, and the one that stands above it.
 * @returns {unknown} Its card; the day before the first of one, and a gap behind it where there is one.
 */
function Received({ received, above }) {
  const { time, push, gap } = received;
  const day = dayText(time, Date.now());
  const first = above === undefined ? day !== t("today") : dayText(above.time, Date.now()) !== day;
  // A thousand stand here: one that comes draws none of them anew.
  return useMemo(
    () =>
      html`
        ${first && html`<li class="day">${day}</li>`}
        <li class="push">
          <${Card} push=${push}><${Time} time=${time} /><//></li>
        ${gap && html`<li class="gap">${t("gap")}</li>`}
      `,
    [received, first, day, language.value],
  );
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Receive} />`, page);
}
