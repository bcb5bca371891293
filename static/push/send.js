// @ts-check
/** The sender: one box, one button. */
import { html, render, useRef, useState } from "../ui.js";
import { Header, toast, Toasts } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { keepShell } from "../parts/shell.js";

/**
 * @param {string} text What to push.
 * @returns {Promise<string | undefined>} What went wrong, as a sentence.
 */
async function push(text) {
  try {
    const response = await fetch("/send/", {
      method: "POST",
      body: new URLSearchParams({ msg: text }),
    });
    if (response.ok) return undefined;
    if (response.status === 401) return t("closedServer");
    return (await response.json()).detail ?? t("failed");
  } catch {
    return t("failed");
  }
}

function Send() {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy || text === "") return box.current?.focus();
    setBusy(true);
    const wrong = await push(text);
    setBusy(false);
    toast(wrong ?? t("pushed"), wrong !== undefined);
    // What couldn't be sent stays, so that nobody has to type it again.
    if (wrong === undefined) setText("");
    box.current?.focus();
  };
  return html`
    <${Header} page="send" />
    <main class="narrow">
      <h1>${t("sendHeading")}</h1>
      <form class="one" onSubmit=${submit}>
        <label for="msg">${t("message")}</label>
        <input id="msg" ref=${box} dir="auto" autocomplete="off" value=${text}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
        <button type="submit">${t("push")}</button>
      </form>
    </main>
    <${Toasts} />
  `;
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  page.replaceChildren();
  render(html`<${Send} />`, page);
}
