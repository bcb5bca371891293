// @ts-check
/** Keeps the shell of the pages, so that one can be opened without a network. */
import { granted } from "./storage.js";

const WORKER = "/sw.js";
/** How long a page that was loaded has for itself, in milliseconds. */
const LOADED = 1000;

/** Registers the service worker, where the browser allows one: on https and on this machine. */
export function keepShell() {
  const workers = globalThis.isSecureContext
    ? granted(() => globalThis.navigator?.serviceWorker)
    : undefined;
  // Safari doesn't say when a page is idle.
  const idle = globalThis.requestIdleCallback ?? setTimeout;
  // Refused in some private windows; the pages do without.
  const keep = () => void workers?.register(trusted(WORKER)).catch(() => {});
  // It loads all pages: not while this one does, nor while it gets its first messages.
  const register = () => setTimeout(() => idle(keep), LOADED);
  if (document.readyState === "complete") register();
  else addEventListener("load", register, { once: true });
}

/**
 * The one Trusted Types policy of the pages: it lets one URL through, and it is our worker's.
 *
 * @param {string} url The script.
 * @returns {string} The same, trusted where browsers ask for it.
 */
function trusted(url) {
  /** @type {{trustedTypes?: {createPolicy: (name: string, rules: {createScriptURL: (url: string) => string}) => {createScriptURL: (url: string) => string}}}} */
  const { trustedTypes } = /** @type {any} */ (globalThis);
  const policy = trustedTypes?.createPolicy("fanfare", {
    createScriptURL(asked) {
      if (asked !== WORKER) throw new TypeError(`"${asked}" isn't a script of ours`);
      return asked;
    },
  });
  return policy === undefined ? url : policy.createScriptURL(url);
}
