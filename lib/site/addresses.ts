/** Maps addresses of pages and files to the files of static/ that are served there. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "static");

/** The pages: path without its last slash → HTML file in static/. */
export const PAGES: Readonly<Record<string, string>> = {
  "": "pages/home/index.html",
  "/to_recmsg": "pages/receive/index.html",
  "/to_sendmsg": "pages/send/index.html",
  "/to_chat": "pages/chat/index.html",
  "/docs": "pages/docs/index.html",
};

/** The service worker's file in static/; its place holders are filled in before it is served. */
export const WORKER = "ui/service_worker.js";

// The client library: a prefix of addresses for each file of static/client/.
const LIBRARY = "/fanfare/";

// Addresses that programs import and that aren't the file's own: address → the module that is exported from there. Relative,
// so that they also work under a proxy's prefix.
const REEXPORTS: Readonly<Record<string, string>> = {
  "/fanfare.js": "./fanfare/client.js",
  "/static/fanfare.js": "./client/fanfare.js",
  "/fanfare/events.js": "./event_stream.js",
  "/fanfare/outbox.js": "./outbox/outbox.js",
  "/fanfare/entries.js": "./outbox/entries.js",
  "/fanfare/store.js": "./outbox/store.js",
  "/fanfare/tabs.js": "./outbox/tabs.js",
};

// Single files with an address of their own.
const FILES: Readonly<Record<string, string>> = {
  "/fanfare.js": "client/fanfare.js",
  "/openapi.yaml": "docs/openapi.yaml",
  "/asyncapi.yaml": "docs/asyncapi.yaml",
  "/static/grafana.json": "docs/grafana.json",
  "/static/icon.svg": "ui/icon.svg",
};

const LONGEST_PATH = 200;

const ASSET =
  /^(?:[A-Za-z0-9_-]+\/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(?:js|css|svg|png|json|yaml)$/;

const GUIDE = /^\/docs\/([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.md)$/;

/**
 * Finds the file behind an address.
 *
 * @param path The path of a URL, undecoded.
 * @returns An absolute path in static/, whether or not a file is there; undefined if the address can't be one of a file.
 */
export function fileOf(path: string): string | undefined {
  // The file system would refuse longer names with an error.
  if (path.length > LONGEST_PATH) return undefined;
  const single = FILES[path];
  if (single !== undefined) return staticFile(single);
  const target = REEXPORTS[path];
  if (target !== undefined) return fileOf(new URL(target, `http://static${path}`).pathname);
  const [, guide] = GUIDE.exec(path) ?? [];
  if (guide !== undefined) return staticFile(`docs/${guide}`);
  const file = path.startsWith(LIBRARY)
    ? `client/${path.slice(LIBRARY.length)}`
    : path.startsWith("/static/")
    ? path.slice("/static/".length)
    : "";
  return ASSET.test(file) ? staticFile(file) : undefined;
}

/**
 * Finds a file by its name in static/.
 *
 * @param name A path relative to static/.
 * @returns Its absolute path.
 */
export function staticFile(name: string): string {
  return join(ROOT, name);
}

// Comments on lines of their own: more than a third of what a page would load. Importing programs read `@ts-self-types`.
const COMMENTS = {
  js: /^[ \t]*\/\*\*(?:(?!\*\/)[^])*\*\/[ \t]*$|^[ \t]*\/\/ (?!@ts-self-types).*$/gm,
  css: /^[ \t]*\/\*(?:(?!\*\/)[^])*\*\/[ \t]*$/gm,
};

/**
 * Makes the text that is served at an address of its file's text. Scripts and styles of pages lose comments and keep their line
 * numbers; programmers get the client library, under `/fanfare.js` and `/fanfare/`, with them.
 *
 * @param path The path of the URL.
 * @param text The file's text.
 * @returns The text to serve.
 */
export function servedText(path: string, text: string): string {
  const target = REEXPORTS[path];
  if (target !== undefined) {
    const comment = text.slice(0, text.indexOf("*/") + 2);
    return `${comment}\nexport * from "${target}";\n`;
  }
  const kind = /^\/static\/.*\.(js|css)$/.exec(path)?.[1];
  if (kind !== "js" && kind !== "css") return text;
  return text.replace(COMMENTS[kind], (comment) => comment.replace(/[^\n]+/g, ""));
}
