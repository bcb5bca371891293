// @ts-check
/** The reference: both descriptions as they are served, with an outline of what can be asked. */
import { html, render } from "../ui.js";
import { outline } from "./outline.js";

const FILES = /** @type {const} */ ([
  ["/openapi.yaml", "HTTP"],
  ["/asyncapi.yaml", "WebSocket"],
]);

/** What is told of the rest, in Markdown, each with what it is about. */
const GUIDES = /** @type {const} */ ([
  ["recipes.md", "Recipes for the shell, Python, Django, Node, and other origins"],
  ["protocols.md", "Channels, protocols, the client library, tokens"],
  ["operations.md", "To run it: flags, systemd, proxies, the data folder, metrics, the log"],
  ["security.md", "What is promised, and what is yours to see to"],
  ["README.zh-CN.md", "简体中文说明"],
]);

/** @param {{sources: {file: string, title: string, text: string}[]}} props */
function Reference({ sources }) {
  return html`
    <main class="narrow">
      <h1>Fanfare for programs</h1>
      <ul>
        ${GUIDES.map(([file, about]) =>
          html`
            <li key=${file}><a href="/docs/${file}">${about}</a></li>
          `
        )}
      </ul>
      ${sources.map(({ file, title, text }) =>
        html`
          <section key=${file}>
            <h2>${title}: <a href=${file}>${file.slice(1)}</a></h2>
            <dl>
              ${outline(text).map(({ name, summary }) =>
                html`
                  <dt key=${name}><code>${name}</code></dt>
                  <dd>${summary}</dd>
                `
              )}
            </dl>
            <details>
              <summary>The whole description</summary>
              <pre tabindex="0"><code>${text}</code></pre>
            </details>
          </section>
        `
      )}
    </main>
  `;
}

/**
 * @param {string} file
 * @returns {Promise<string>} Its text, or why there is none.
 */
async function textOf(file) {
  try {
    const response = await fetch(file);
    return response.ok ? await response.text() : `It is answered with ${response.status}`;
  } catch {
    return "It can't be reached now";
  }
}

const page = document.getElementById("page");
const sources = await Promise.all(
  FILES.map(async ([file, title]) => ({ file, title, text: await textOf(file) })),
);
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Reference} sources=${sources} />`, page);
}
