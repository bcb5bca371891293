// @ts-check
/** The sender: one box, one button; title, priority, tags and link for who wants them. */
import { html, render, signal, useEffect, useRef, useState } from "../ui.js";
import { Code, connect, FanfareError } from "../fanfare.js";
import { Connection, Header, toast, Toasts } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { Failed, reasonOf, When } from "../parts/message.js";
import { safeLink } from "../parts/segments.js";
import { keepShell } from "../parts/shell.js";
import { Card } from "./card.js";
import { dataOf, pushOf, topicOf } from "./content.js";
import { empty, Fields } from "./fields.js";
import { Topic } from "./topic.js";
import { Token, wasTaken } from "./token.js";

/** What is sent at once isn't shown on its way. */
const SHOWN_AFTER = 400;

const topic = topicOf(location.search);
const channel = `push:${topic}`;
const client = connect({ adopts: (other) => other === channel });
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
client.on("sent", (_client, { item }) => item.channel === channel && toast(t("pushed", { topic })));

/** What was refused for want of the token asks for it, and is sent once it was given. */
function lookForRefused() {
  outgoing.value = client.outbox.filter((item) => item.channel === channel);
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
  const [typed, setTyped] = useState(empty);
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const badLink = typed.click.trim() !== "" && safeLink(typed.click.trim(), true) === undefined;
  const change = (/** @type {Partial<typeof empty>} */ some) =>
    setTyped((now) => ({ ...now, ...some }));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    box.current?.focus();
    if (typed.text.trim() === "" || badLink) return;
    // What goes with a text mostly goes with the next one too: only the text is taken away.
    change({ text: "" });
    try {
      await client.publish(channel, dataOf(typed));
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      toast(why(error), true);
      // What isn't kept comes back, so that nobody has to type it again.
      const kept = error.code !== Code.full && error.code !== Code.closed;
      if (!kept) setTyped((now) => now.text === "" ? { ...now, text: typed.text } : now);
    }
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) submit(event);
  };
  return html`
    <${Header} page="send" />
    <${Connection} state=${connection.value} writes keeps=${client.keeps} />
    <main class="narrow">
      <div class="heading">
        <h1>${t("sendHeading")}</h1>
        <${Topic} topic=${topic} path="/to_sendmsg/" />
      </div>
      <form class="one" onSubmit=${submit}>
        <label for="msg">${t("message")}</label>
        <textarea id="msg" ref=${box} dir="auto" rows="2" value=${typed.text} enterkeyhint="send"
          onKeyDown=${keys}
          onInput=${(/** @type {any} */ event) =>
            change({ text: event.currentTarget.value })}></textarea>
        <${Fields} typed=${typed} change=${change} badLink=${badLink} />
        <button type="submit">${t("push")}</button>
      </form>
      ${closed.value && html`<${Token} />`}
      <${Preview} data=${dataOf(typed)} />
      <${Outgoing} items=${outgoing.value} />
    </main>
    <${Toasts} />
  `;
}

/**
 * @param {{data: Record<string, unknown>}} props What would be sent.
 * @returns {unknown} How receivers will see it, once there is something to see.
 */
function Preview({ data }) {
  if (data.text === "" && Object.keys(data).length === 1) return null;
  return html`
    <section class="preview" aria-label=${t("preview")}>
      <h2>${t("preview")}</h2>
      <${Card} push=${pushOf(data)} />
    </section>
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
  const then = (/** @type {() => void} */ run) => () => {
    run();
    // The button that was pressed is gone.
    document.getElementById("msg")?.focus();
  };
  return html`
    <div role="log" aria-label=${t("outbox")}>
      <ol class="pushes outgoing">
        ${shown.map(({ id, data, time, status, error }) =>
          html`
            <li key=${id} class=${`push ${status}`}>
              <${Card} push=${pushOf(data)}><${When} time=${time} status=${status}
                connection=${connection.value} /><//>
              ${status === "failed" && html`
                <${Failed} why=${error && why(error)} retry=${then(() => client.retry(id))}
                  discard=${then(() => client.discard(id))} />
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
