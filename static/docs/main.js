// @ts-check
/** The reference: what can be asked, by sections, each with a line to copy, and both descriptions as they are served. */
import { html, render, useEffect, useRef, useState } from "../ui.js";
import { outline } from "./outline.js";

/** @typedef {import("./outline.js").Offer} Offer */

// Each has the addresses that begin so; the last has the rest.
const SECTIONS = /** @type {const} */ ([
  ["api", "Messages and channels", " /api/"],
  ["events", "Event streams", " /events"],
  ["push", "Pushes in one line, and ntfy", " /push"],
  ["health", "Health", ""],
]);

const PAGES = /** @type {const} */ ([
  ["/to_chat/", "Chat"],
  ["/to_recmsg/", "Receive"],
  ["/to_sendmsg/", "Send"],
]);

/** What is told of the rest, in Markdown, each with what it is about. */
const GUIDES = /** @type {const} */ ([
  ["recipes.md", "Recipes for the shell, Python, Django, Node, and other origins"],
  ["protocols.md", "Channels, protocols, the client library, tokens"],
  ["operations.md", "To run it: flags, systemd, proxies, the data folder, metrics, the log"],
  ["events.md", "What the log tells"],
  ["security.md", "What is promised, and what is yours to see to"],
  ["README.zh-CN.md", "简体中文说明"],
]);

/**
 * @param {Offer[]} offers
 * @returns {{id: string, title: string, offers: Offer[]}[]}
 */
function sectionsOf(offers) {
  let left = offers;
  return SECTIONS.map(([id, title, begin]) => {
    const own = left.filter(({ name }) => name.includes(begin));
    left = left.filter((offer) => !own.includes(offer));
    return { id, title, offers: own };
  });
}

/** How long it says that a line was copied, in milliseconds. */
const COPIED_FOR = 1500;

/** @param {{name: string, line: string}} props What the line asks, and the line. */
function Line({ name, line }) {
  const [copied, setCopied] = useState(0);
  const code = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (copied === 0) return;
    const timer = setTimeout(() => setCopied(0), COPIED_FOR);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      setCopied((times) => times + 1);
    } catch {
      // Without TLS there is no clipboard: it is marked, and the keyboard copies it.
      if (code.current !== null) getSelection()?.selectAllChildren(code.current);
    }
  };
  const word = copied > 0 ? "Copied" : "Copy";
  return html`
    <div class="line">
      <pre tabindex="0" aria-label="A line for a shell"><code ref=${code}>${line}</code></pre>
      <button class="quiet" type="button" onClick=${copy} aria-label=${`${word} the line of ${name}`}>
        ${word}
      </button>
    </div>
  `;
}

/** @param {Offer} props */
function Operation({ name, summary, curl }) {
  const [method = "", path] = name.split(" ");
  return html`
    <article class="operation">
      <h3>
        <span class="method" data-method=${method}>${method}</span>${" "}
        <code>${path}</code>
      </h3>
      <p>${summary}</p>
      ${curl && html`<${Line} name=${name} line=${curl.replaceAll("$URL", location.origin)} />`}
    </article>
  `;
}

/** @param {{file: string, text: string}} props */
function Whole({ file, text }) {
  return html`
    <details>
      <summary>The whole of ${file.slice(1)}</summary>
      <p><a href=${file}>${file.slice(1)}</a> as a file, for programs that read it</p>
      <pre tabindex="0" aria-label=${file.slice(1)}><code>${text}</code></pre>
    </details>
  `;
}

/** @param {{openapi: string, asyncapi: string}} props */
function Reference({ openapi, asyncapi }) {
  const sections = sectionsOf(outline(openapi));
  return html`
    <header class="top">
      <a class="brand" href="/"
        aria-label="Fanfare, Home"><img src="/static/icon.svg" alt="" width="26" height="26" /><span>Fanfare</span></a>
      <nav aria-label="Pages">
        ${PAGES.map(([href, title]) => html`<a key=${href} href=${href}>${title}</a>`)}
      </nav>
    </header>
    <main class="narrow docs">
      <h1>Fanfare for programs</h1>
      <p class="lead">
        Publish with one line, read any channel from anywhere, and lose nothing. Put the admin token or a JWT of
        your own users into <code>TOKEN</code>; a server that runs open takes pushes without one.
      </p>
      <nav class="sections" aria-label="Sections">
        ${sections.map(({ id, title }) => html`<a key=${id} href=${`#${id}`}>${title}</a>`)}
        <a href="#socket">WebSocket</a>
      </nav>
      <section>
        <h2>Guides</h2>
        <ul class="guides">
          ${GUIDES.map(([file, about]) => {
            const chinese = file.includes("zh-CN") ? "zh-CN" : undefined;
            return html`
              <li
                key=${file}><a href="/docs/${file}" lang=${chinese} hreflang=${chinese}>${about}</a></li>
            `;
          })}
        </ul>
      </section>
      ${sections.map(({ id, title, offers }) =>
        html`
          <section key=${id} id=${id}>
            <h2>${title}</h2>
            ${offers.map((offer) => html`<${Operation} key=${offer.name} ...${offer} />`)}
          </section>
        `
      )}
      <${Whole} file="/openapi.yaml" text=${openapi} />
      <section id="socket">
        <h2>WebSocket: GET /ws, subprotocol fanfare.v1</h2>
        <dl>
          ${outline(asyncapi).map(({ name, summary }) =>
            html`
              <dt key=${name}><code>${name}</code></dt>
              <dd>${summary}</dd>
            `
          )}
        </dl>
        <${Whole} file="/asyncapi.yaml" text=${asyncapi} />
      </section>
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
const [openapi, asyncapi] = await Promise.all(["/openapi.yaml", "/asyncapi.yaml"].map(textOf));
if (page !== null) {
  // What stood there so far was drawn before there was a script.
  page.replaceChildren();
  render(html`<${Reference} openapi=${openapi} asyncapi=${asyncapi} />`, page);
  // A link to a section was followed before there was one.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}
