// @ts-check
/** The home page: what this is, and where to go. */
import { html, render } from "../../ui/preact.js";
import { Header, Toasts } from "../../ui/page_frame.js";
import { t } from "../../ui/i18n.js";
import { keepShell } from "../../ui/offline.js";

const PLACES = /** @type {const} */ ([
  ["/to_chat/", "chatTitle", "chatText"],
  ["/to_recmsg/", "receiveTitle", "receiveText"],
  ["/to_sendmsg/", "sendTitle", "sendText"],
]);

function Home() {
  return html`
    <${Header} page="home" />
    <main class="narrow home">
      <h1>${t("tagline")}</h1>
      <p class="lead">${t("intro")}</p>
      <ul class="places">
            ${PLACES.map(([href, title, text]) =>
              html`
                <li
                  key=${href}><a href=${href}><strong>${t(title)}</strong><span>${t(
                    text,
                  )}</span></a></li>
              `
            )}
          </ul>
      <h2>${t("curlTitle")}</h2>
      <p>${t("curlText")}</p>
      <pre tabindex="0"
        aria-label=${t("curlTitle")}><code>curl -d "${t("curlWord")}" ${location
          .origin}/push/all</code></pre>
      <p><a href="/docs">${t("docs")}</a></p>
    </main>
    <${Toasts} />
  `;
}

keepShell();
const page = document.getElementById("page");
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Home} />`, page);
}
