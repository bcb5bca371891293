// @ts-check
/** The receiver: every push, the newest on top. */
import { html, render, store } from "../ui.js";
import { connect } from "../fanfare.js";
import { Connection, Header, Text, Time, Toasts } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { keepShell } from "../parts/shell.js";
import { textOf } from "../parts/text.js";
import { initial, reduce } from "./state.js";

const { state, dispatch } = store(reduce, initial);

function Receive() {
  const { messages, connection } = state.value;
  return html`
    <${Header} page="receive" />
    <${Connection} state=${connection} />
    <main class="narrow">
          <h1>${t("receiveHeading")}</h1>
          ${messages.length === 0 && html`<p class="empty">${t("receiveEmpty")}</p>`}
          <div role="log" aria-label=${t("receiveHeading")}><ol class="pushes">
            ${messages.map(({ seq, time, data, gap }) =>
              html`
                <li key=${seq}>
                  <${Text} text=${textOf(data)} />
                  <${Time} time=${time} />
                </li>
                ${gap && html`<li key=${`before ${seq}`} class="gap">${t("gap")}</li>`}
              `
            )}
          </ol></div>
        </main>
    <${Toasts} />
  `;
}

// What couldn't be sent is for a page that shows it.
const client = connect({ adopts: () => false });
client.on("state", () => dispatch({ type: "connection", state: client.state }));
client.subscribe("push:all", {
  history: 50,
  onMessages: (messages, gap, reset) => dispatch({ type: "messages", messages, gap, reset }),
});
keepShell();
const page = document.getElementById("page");
if (page !== null) render(html`<${Receive} />`, page);
