// @ts-check
/** The receiver: every push of a topic, the newest on top. */
import { html, render, store, useLayoutEffect, useMemo, useRef } from "../../ui/preact.js";
import { Code, connect, FanfareError, State } from "../../client/client.js";
import { Connection, Header, toast, Toasts } from "../../ui/page_frame.js";
import { today } from "../../ui/days.js";
import { perFrame } from "../../ui/animation_frame.js";
import { counted, dayText, language, t } from "../../ui/i18n.js";
import { Icon } from "../../ui/icons.js";
import { reasonOf, Time } from "../../ui/message.js";
import { keepShell } from "../../ui/offline.js";
import { Card } from "../../ui/push/card.js";
import { askedTopic, topicName } from "../../ui/push/content.js";
import { drawn, initial, KEPT, reduce } from "./state.js";
import { Topic } from "../../ui/push/topic.js";

const PAGE = 50;
/** So near to the top, in pixels, one sees what comes; and so near to the end of what is drawn more is drawn. */
const TOP = 60;
const NEAR = 1500;
const { state, dispatch } = store(reduce, initial);
const asked = askedTopic(location.search);
const topic = topicName(asked);
const channel = `push:${topic}`;

// What couldn't be sent is for a page that shows it.
const client = topic === undefined ? undefined : connect({ adopts: () => false });
/** @type {ReturnType<typeof perFrame<import("./state.js").ReceiveAction>>} */
const arrivals = perFrame((actions) => dispatch(...actions));
/** Whether older ones were asked for while there was no connection. */
let late = false;
client?.on("state", () => {
  dispatch({ type: "connection", state: client.state });
  if (client.state === State.open && late) older();
});
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
  if ((loading && !late) || before === undefined || client === undefined) return;
  late = false;
  dispatch({ type: "loading", loading: true });
  try {
    const page = await client.history(channel, { before, limit: PAGE });
    dispatch({ type: "older", ...page });
  } catch (error) {
    const why = error instanceof FanfareError ? reasonOf(error) : String(error);
    // The connection is made anew, and this is asked again then.
    late = error instanceof FanfareError && error.code === Code.closed &&
      client.state !== State.closed;
    dispatch({ type: "loading", loading: late });
    if (!late) toast(t("loadFailed", { why }), true);
  }
}

/** Looks where one reads. */
function look() {
  const { scrollHeight } = document.documentElement;
  const end = scrollY + innerHeight > scrollHeight - NEAR;
  dispatch({ type: "look", top: scrollY < TOP, end });
}

function Receive() {
  const { messages, held, reading, connection, more, loading, ready } = state.value;
  const behind = messages.length - held;
  // Also while not all is drawn: who loads by keyboard stays at the button.
  const rest = (more ?? behind >= PAGE) && behind < KEPT;
  const log = useRef(/** @type {HTMLElement | null} */ (null));
  // What is drawn while somebody reads further down is old, and nothing to be read out; how many came is.
  const live = reading ? "off" : "polite";
  useLayoutEffect(look);
  return html`
    <${Header} page="receive" />
    ${topic !== undefined && html`<${Connection} state=${connection} />`}
    <main class="narrow">
      <div class="heading"><h1>${t(
        "receiveHeading",
      )}</h1><${Topic} topic=${topic} asked=${asked} path="/to_recmsg/" /></div>
      ${topic === undefined
        ? html`<p class="empty">${t("noTopic", { topic: asked })}</p>`
        : messages.length === 0 && html`<${Empty} topic=${topic} ready=${ready} />`}
      <div role="log" class="log" aria-label=${t("receiveHeading")} tabindex="-1" ref=${log}
        aria-live=${live}>
        <${Pushes} received=${drawn(state.value)} />
      </div>
      <div role="status">${held > 0 && html`<${ToTop} held=${held} go=${() => {
        scrollTo(0, 0);
        // The button goes: who pressed it stays where they read.
        log.current?.focus({ preventScroll: true });
      }} />`}</div>
      ${rest && html`<p class="rest"><button type="button" class="quiet" aria-disabled=${loading}
        onClick=${older}>${t(loading ? "loading" : "older")}</button></p>`}
    </main>
    <${Toasts} />
  `;
}

/**
 * @param {{topic: string, ready: boolean}} props What is received, and whether it is known that nothing was pushed so far.
 * @returns {unknown} That, and how something is.
 */
function Empty({ topic, ready }) {
  if (!ready) return html`<p class="empty">${t("loading")}</p>`;
  const name = encodeURIComponent(topic);
  return html`
    <p class="empty">${t("receiveEmpty", { topic })}</p>
    <pre tabindex="0"
      aria-label=${t("curlTitle")}><code>curl -d "${t(
        "curlWord",
      )}" ${location.origin}/push/${name}</code></pre>
    <p><a href=${`/to_sendmsg/?topic=${name}`}>${t("sendHeading")}</a></p>
  `;
}

/**
 * @param {{received: readonly import("./state.js").Received[]}} props What is drawn.
 * @returns {unknown} The cards; while somebody reads further down, what comes draws none of them anew.
 */
function Pushes({ received }) {
  const day = today.value;
  return useMemo(
    () =>
      html`
        <ol class="pushes">
          ${received.map((one, i) =>
            html`<${Received} key=${one.seq} received=${one} above=${received[i - 1]} />`
          )}
        </ol>
      `,
    [received[0], received.at(-1), received.length, day, language.value],
  );
}

/** @param {{held: number, go: () => void}} props How many came while one read further down, and what goes to them. @returns {unknown} The way to them. */
function ToTop({ held, go }) {
  return html`
    <button type="button" class="to-top"
      onClick=${go}><${Icon} name="up" />${counted("newOne", "newMany", held)}</button>
  `;
}

/**
 * @param {{received: import("./state.js").Received, above?: import("./state.js").Received}} props A push, and the one that stands above it.
 * @returns {unknown} Its card; the day before the first of one, and a gap behind it where there is one.
 */
function Received({ received, above }) {
  const { time, push, gap } = received;
  const now = today.value;
  const day = dayText(time, now);
  const first = above === undefined ? day !== t("today") : dayText(above.time, now) !== day;
  // One that comes draws none of those that stand here anew.
  return useMemo(
    () =>
      html`
        ${first && html`<li class="day">${day}</li>`}
        <li class="push" tabindex="-1">
          <${Card} push=${push}><${Time} time=${time} dated /><//></li>
        ${gap && html`<li class="gap">${t("gap")}</li>`}
      `,
    [received, first, day, language.value],
  );
}

for (const event of ["scroll", "resize"]) globalThis.addEventListener(event, look);
keepShell();
const page = document.getElementById("page");
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Receive} />`, page);
}
