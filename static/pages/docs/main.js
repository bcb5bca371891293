// @ts-check
/** The reference: what can be asked, by sections, each with a line to copy, and both descriptions as they are served. */
import { html, render, useEffect, useRef, useState } from "../../ui/preact.js";
import { Header } from "../../ui/page_frame.js";
import { language, t } from "../../ui/i18n.js";
import { outline } from "./outline.js";

/** @typedef {import("./outline.js").Offer} Offer */

// Each has the addresses that begin so; the last has the rest.
const SECTIONS = /** @type {const} */ ([
  ["api", "docsApi", " /api/"],
  ["events", "docsEvents", " /events"],
  ["push", "docsPush", " /push"],
  ["health", "docsHealth", ""],
]);

/** What is told of the rest, in Markdown and in both languages, each with what it is about. */
const GUIDES = /** @type {const} */ ([
  ["recipes.md", "guideRecipes"],
  ["protocol.md", "guideProtocol"],
  ["client.md", "guideClient"],
  ["operations.md", "guideOperations"],
  ["events.md", "guideEvents"],
  ["security.md", "guideSecurity"],
  ["threats.md", "guideThreats"],
  ["architecture.md", "guideArchitecture"],
  ["demo-protocol.md", "guideDemoProtocol"],
]);

/** @param {string} file A guide. @returns {string} The same in the language of the page. */
function guide(file) {
  return language.value === "zh" ? file.replace(/\.md$/, ".zh-CN.md") : file;
}

/**
 * @param {Offer[]} offers
 * @returns {{id: string, title: (typeof SECTIONS)[number][1], offers: Offer[]}[]}
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
  const word = t(copied > 0 ? "copied" : "copy");
  return html`
    <div class="line">
      <pre tabindex="0" aria-label=${t("docsLine")}><code ref=${code}>${line}</code></pre>
      <button class="quiet" type="button" onClick=${copy} aria-label=${`${word}: ${name}`}>
        ${word}
      </button>
    </div>
  `;
}

/** @param {{offer: Offer}} props What is shown of it, in the language in use. */
function Summary({ offer: { summary, chinese } }) {
  const inChinese = language.value === "zh" && chinese !== undefined;
  return inChinese
    ? html`<span lang="zh-CN">${chinese}</span>`
    : html`<span lang="en">${summary}</span>`;
}

/** @param {Offer} offer */
function Operation(offer) {
  const { name, curl } = offer;
  const [method = "", path] = name.split(" ");
  return html`
    <article class="operation">
      <h3>
        <span class="method" data-method=${method}>${method}</span>${" "}
        <code>${path}</code>
      </h3>
      <p><${Summary} offer=${offer} /></p>
      ${curl && html`<${Line} name=${name} line=${curl.replaceAll("$URL", location.origin)} />`}
    </article>
  `;
}

/** @param {{file: string, text: string}} props */
function Whole({ file, text }) {
  return html`
    <details>
      <summary>${t("docsWhole", { file: file.slice(1) })}</summary>
      <p><a href=${file}>${t("docsFile", { file: file.slice(1) })}</a></p>
      <pre tabindex="0" aria-label=${file.slice(1)}><code>${text}</code></pre>
    </details>
  `;
}

/** @param {{openapi: string, asyncapi: string}} props */
function Reference({ openapi, asyncapi }) {
  const sections = sectionsOf(outline(openapi));
  return html`
    <${Header} page="docs" />
    <main class="narrow docs">
      <h1>${t("docsHeading")}</h1>
      <p class="lead">
        ${t("docsLead")}
      </p>
      <nav class="sections" aria-label=${t("docsSections")}>
        ${sections.map(({ id, title }) => html`<a key=${id} href=${`#${id}`}>${t(title)}</a>`)}
        <a href="#socket">WebSocket</a>
      </nav>
      <section>
        <h2>${t("docsGuides")}</h2>
        <ul class="guides">
          ${GUIDES.map(([file, about]) =>
            html`
              <li key=${file}><a href="/docs/${guide(file)}">${t(about)}</a></li>
            `
          )}
          <li><a href="/docs/README.zh-CN.md" lang="zh-CN" hreflang="zh-CN">简体中文说明</a></li>
        </ul>
      </section>
      ${sections.map(({ id, title, offers }) =>
        html`
          <section key=${id} id=${id}>
            <h2>${t(title)}</h2>
            ${offers.map((offer) => html`<${Operation} key=${offer.name} ...${offer} />`)}
          </section>
        `
      )}
      <${Whole} file="/openapi.yaml" text=${openapi} />
      <section id="socket">
        <h2>${t("docsSocket", { name: "fanfare.v1" })}</h2>
        <dl>
          ${outline(asyncapi).map((offer) =>
            html`
              <dt key=${offer.name}><code>${offer.name}</code></dt>
              <dd>
                <${Summary} offer=${offer} />
              </dd>
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
    return response.ok ? await response.text() : t("docsStatus", { status: response.status });
  } catch {
    return t("docsUnreachable");
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
