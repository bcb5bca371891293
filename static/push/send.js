// @ts-check
/** The sender: one box, one button. */
import { html, render, signal, useEffect, useRef, useState } from "../ui.js";
import { Code, connect, FanfareError } from "../fanfare.js";
import { Connection, Failed, Header, reasonOf, Text, toast, Toasts, When } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { keepShell } from "../parts/shell.js";
import { textOf } from "../parts/text.js";
import { Token, wasTaken } from "./token.js";

const CHANNEL = "push:all";
/** What is sent at once isn't shown on its way. */
const SHOWN_AFTER = 400;

const client = connect({ adopts: (channel) => channel === CHANNEL });
/** @type {import("@preact/signals").Signal<string>} */
const connection = signal(client.state);
/** @type {import("@preact/signals").Signal<readonly import("../fanfare.js").Item[]>} */
const outgoing = signal([]);
/** Whether the server won't take a push without the token. */
const closed = signal(false);
let tryAgain = wasTaken();
client.on("state", () => {
  connection.value = client.state;
  lookForRefused();
});
client.on("outbox", lookForRefused);
client.on("sent", (_client, { item }) => item.channel === CHANNEL && toast(t("pushed")));

/** What was refused for want of the token asks for it, and is sent once it was given. */
function lookForRefused() {
  outgoing.value = client.outbox.filter(({ channel }) => channel === CHANNEL);
  const refused = outgoing.value.filter(({ status, error }) =>
    status === "failed" && error?.code === "forbidden"
  );
  if (tryAgain && client.state === "open" && refused.length > 0) {
    tryAgain = false;
    for (const { id } of refused) client.retry(id);
  } else if (!tryAgain && refused.length > 0) closed.value = true;
}

/** @param {{code: string, message: string}} error Why not. @returns {string} The reason, where this page knows a better one. */
function why(error) {
  return error.code === "forbidden" ? t("closedServer") : reasonOf(error);
}

function Send() {
  const [text, setText] = useState("");
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    box.current?.focus();
    if (text === "") return;
    setText("");
    try {
      await client.publish(CHANNEL, { text });
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      toast(why(error), true);
      // What isn't kept comes back, so that nobody has to type it again.
      const kept = error.code !== Code.full && error.code !== Code.closed;
      if (!kept) setText((now) => now === "" ? text : now);
    }
  };
  return html`
    <${Header} page="send" />
    <${Connection} state=${connection.value} writes />
    <main class="narrow">
      <h1>${t("sendHeading")}</h1>
      <form class="one" onSubmit=${submit}>
        <label for="msg">${t("message")}</label>
        <input id="msg" ref=${box} dir="auto" autocomplete="off" value=${text}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button type="submit">${t("push")}</button>
      </form>
      ${closed.value && html`<${Token} />`}
      <${Outgoing} items=${outgoing.value} />
    </main>
    <${Toasts} />
  `;
}

/**
 * @param {{items: readonly import("../fanfare.js").Item[]}} props What is on its way, and what failed.
 * @returns {unknown} The part.
 */
function Outgoing({ items }) {
  const [late, setLate] = useState(false);
  const waiting = items.length > 0;
  useEffect(() => {
    const timer = waiting ? setTimeout(() => setLate(true), SHOWN_AFTER) : undefined;
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [waiting]);
  const shown = items.filter(({ status }) => late || status === "failed");
  return html`
    <div role="log" aria-label=${t("outbox")}>
      <ol class="pushes outgoing">
        ${shown.map(({ id, data, time, status, error }) =>
          html`
            <li key=${id} class=${status}>
              <${Text} text=${textOf(data)} />
              <${When} time=${time} status=${status} connection=${connection.value} />
              ${status === "failed" && html`
                <${Failed} why=${error && why(error)}
                  retry=${() => client.retry(id)} discard=${() => client.discard(id)} />
              `}
            </li>
          `
        )}
      </ol>
    </div>
  `;
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  page.replaceChildren();
  render(html`<${Send} />`, page);
}
