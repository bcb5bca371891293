/** Origins that `--origin` allows, in the form in which browsers send them. */

/** An origin, or what was expected in its place: the end of a sentence. */
export type OriginRead = { readonly origin: string } | { readonly expected: string };

// URL knows no origin of apps and browser extensions: they are compared as they are sent.
const APP = /^[a-z][a-z0-9+.-]{0,31}:\/\/[A-Za-z0-9._-]{1,255}(?::\d{1,5})?$/;

// No page that could come from there has such an origin.
const NO_PAGES = ["ws:", "wss:", "ftp:", "file:", "data:", "blob:", "javascript:"];

const PATTERN =
  "one origin like https://chat.example: patterns aren't matched, so name each origin by itself";
const FORM =
  "one origin like https://chat.example, capacitor://localhost or chrome-extension://ID, without a path";

/**
 * Reads one origin. That of a web page may be written in any way that means it: `HTTPS://Chat.Example:443/` is
 * `https://chat.example`.
 *
 * @param text A scheme and a host, perhaps with a port.
 * @returns The origin, or what was expected.
 */
export function readOrigin(text: string): OriginRead {
  if (text.includes("*")) return { expected: PATTERN };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    const bare = url.href === `${url.origin}/` && !/[?#]$/.test(text);
    return bare ? { origin: url.origin } : { expected: FORM };
  }
  const app = url !== undefined && APP.test(text) && !NO_PAGES.includes(url.protocol);
  return app ? { origin: text } : { expected: FORM };
}
