// @ts-check
/** The sender: one box, one button; topic, title, priority, tags and link for who wants them. */
import { html, render, signal, useEffect, useState } from "../../ui/preact.js";
import { Code, connect, FanfareError } from "../../client/client.js";
import { Connection, Header, toast, Toasts } from "../../ui/page_frame.js";
import { t } from "../../ui/i18n.js";
import { safeLink } from "../../ui/text/segments.js";
import { keepShell } from "../../ui/offline.js";
import { Card } from "../../ui/push/card.js";
import { askedTopic, dataOf, pushOf, topicName, typedOf } from "../../ui/push/content.js";
import { keepDraft, recallDraft } from "./draft.js";
import { Fields } from "./fields.js";
import { Outgoing, why } from "./outgoing.js";
import { Token, wasTaken } from "./token.js";
import { TopicField } from "../../ui/push/topic.js";

const PUSH = "push:";
const client = connect({ adopts: (channel) => channel.startsWith(PUSH) });
/** @type {import("@preact/signals").Signal<string>} */
const connection = signal(client.state);
/** @type {import("@preact/signals").Signal<readonly import("../../client/client.js").Item[]>} */
const outgoing = signal([]);
/** Whether the server won't take a push without the token. */
const closed = signal(false);
let tryAgain = wasTaken();
client.on("state", () => {
  connection.value = client.state;
  lookForRefused();
});
client.on("outbox", lookForRefused);
client.on("sent", (_client, { item: { channel } }) => {
  if (channel.startsWith(PUSH)) toast(t("pushed", { topic: channel.slice(PUSH.length) }));
});

/** What was refused for want of the token asks for it, and is sent once it was given. */
function lookForRefused() {
  outgoing.value = client.outbox.filter(({ channel }) => channel.startsWith(PUSH));
  const refused = outgoing.value.filter(({ status, error }) =>
    status === "failed" && error?.code === "forbidden"
  );
  if (tryAgain && client.state === "open" && refused.length > 0) {
    tryAgain = false;
    for (const { id } of refused) client.retry(id);
  } else if (!tryAgain && refused.length > 0) closed.value = true;
}

/** @param {string | undefined} topic What the page's address is to name. */
function address(topic) {
  const wanted = `?topic=${encodeURIComponent(topic ?? "")}`;
  const now = askedTopic(location.search);
  if (topic !== undefined && topic !== now) history.replaceState(null, "", wanted);
}

function Send() {
  const [typed, setTyped] = useState(recallDraft);
  const [asked, setAsked] = useState(() => askedTopic(location.search));
  const topic = topicName(asked);
  const badLink = typed.click.trim() !== "" && safeLink(typed.click.trim(), true) === undefined;
  useEffect(() => keepDraft(typed), [typed]);
  const change = (/** @type {Partial<typeof typed>} */ some) =>
    setTyped((now) => ({ ...now, ...some }));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    // What is wrong is shown at its field; nothing is sent, least of all to somebody else.
    const wrong = topic === undefined ? "topic" : badLink ? "link" : "msg";
    document.getElementById(wrong)?.focus();
    if (topic === undefined || badLink || typed.text.trim() === "") return;
    address(topic);
    // What goes with a text mostly goes with the next one too: only the text is taken away.
    change({ text: "" });
    try {
      await client.publish(PUSH + topic, dataOf(typed));
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      // What is kept says in the list below why it isn't sent; what isn't comes back, so that nobody has to type it again.
      if (error.code !== Code.full && error.code !== Code.closed) return;
      toast(why(error), true);
      setTyped((now) => now.text === "" ? { ...now, text: typed.text } : now);
    }
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) submit(event);
  };
  const leave = () => {
    // Where the outbox is in memory alone, what was refused would be gone with the page.
    const refused = outgoing.value.find(({ status }) => status === "failed");
    if (!client.keeps && refused !== undefined && typed.text.trim() === "") {
      keepDraft(typedOf(refused.data));
    }
  };
  const edit = (/** @type {import("../../client/client.js").Item} */ { id, channel, data }) => {
    setTyped(typedOf(data));
    setAsked(channel.slice(PUSH.length));
    client.discard(id);
  };
  return html`
    <${Header} page="send" />
    <${Connection} state=${connection.value} writes keeps=${client.keeps} />
    <main class="narrow">
      <h1>${t("sendHeading")}</h1>
      <form class="one" onSubmit=${submit}>
        <label for="msg">${t("message")}</label>
        <textarea id="msg" dir="auto" rows="2" value=${typed.text} enterkeyhint="send"
          onKeyDown=${keys}
          onInput=${(/** @type {any} */ event) =>
            change({ text: event.currentTarget.value })}></textarea>
        <div class="fields">
          <div class="field"><${TopicField} typed=${asked} change=${setAsked}
            done=${() => address(topic)}
            enter=${() => document.getElementById("msg")?.focus()} /></div>
          <${Fields} typed=${typed} change=${change} badLink=${badLink} />
        </div>
        <button type="submit">${t("push")}</button>
      </form>
      ${closed.value && html`<${Token} leave=${leave} />`}
      <${Preview} data=${dataOf(typed)} />
      <${Outgoing} items=${outgoing.value} connection=${connection
        .value} topic=${topic} edit=${edit} free=${typed.text.trim() === ""}
        retry=${(/** @type {string} */ id) => client.retry(id)}
        discard=${(/** @type {string} */ id) => client.discard(id)} />
    </main>
    <${Toasts} />
  `;
}

/**
 * @param {{data: Record<string, unknown>}} props What would be sent.
 * @returns {unknown} How receivers will see it, once there is something to see.
 */
function Preview({ data }) {
  if (String(data.text).trim() === "") return null;
  return html`
    <section class="preview" aria-label=${t("preview")}>
      <h2>${t("preview")}</h2>
      <${Card} push=${pushOf(data)} />
    </section>
  `;
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  page.replaceChildren();
  render(html`<${Send} />`, page);
}
