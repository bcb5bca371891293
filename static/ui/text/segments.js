// @ts-check
/** Cuts a text into what is text, what is a link and what is a mention. Whatever comes out is shown as text, never as markup. */

/** @typedef {{kind: "text" | "link" | "mention", text: string, href?: string, own?: boolean}} Segment */
/** @typedef {{pattern: RegExp, own: ReadonlySet<string>}} Mentions Who may be mentioned, and how oneself is called, in lower case. */

const LONGEST_LINK = 2048;
const SAFE = new Set(["http:", "https:", "mailto:"]);
// A link ends at blanks, quotes, brackets, full-width signs (a Chinese sentence goes on without a blank), and where
// characters turn the direction of what follows: those could make an address look like another.
const LINK =
  /(?:\bhttps?:\/\/|\bmailto:|\bwww\.)[^\s<>"'`\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\u2018-\u201f\u3000-\u303f\uff00-\uffef]+/giu;
// Signs that end a sentence or a clause, of several scripts.
const SENTENCE_END =
  /[.,:;!?*_~|\u2026\u2025\u2013\u2014\u00bb\u203a\u060c\u061b\u061f\u06d4\u0964\u0965]/u;
// Of scripts that write without blanks between words.
const DENSE = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;
const WORD = /[\p{L}\p{N}_]/u;

/**
 * Cuts a text.
 *
 * @param {string} text What was typed.
 * @param {Mentions} [mentions] Who may be mentioned.
 * @returns {Segment[]} Its parts; joined they are the text.
 */
export function segmentsOf(text, mentions) {
  /** @type {Segment[]} */
  const segments = [];
  let from = 0;
  const plain = (/** @type {number} */ to) => {
    if (to > from) segments.push(...mentionsIn(text.slice(from, to), mentions));
  };
  for (const { index, 0: match } of text.matchAll(LINK)) {
    const shown = trimmed(match);
    const href = safeLink(/^www\./i.test(shown) ? `https://${shown}` : shown);
    if (href === undefined) continue;
    plain(index);
    segments.push({ kind: "link", text: shown, href });
    from = index + shown.length;
  }
  plain(text.length);
  return segments;
}

/**
 * An address that may be followed.
 *
 * @param {unknown} address Anything.
 * @param {boolean} [web] Whether only http and https will do.
 * @returns {string | undefined} The address, if it is http, https or mailto.
 */
export function safeLink(address, web = false) {
  if (typeof address !== "string" || address.length > LONGEST_LINK) return undefined;
  if (!URL.canParse(address)) return undefined;
  const { protocol, href, host } = new URL(address);
  if (!SAFE.has(protocol) || (web && protocol === "mailto:")) return undefined;
  return protocol === "mailto:" || host !== "" ? href : undefined;
}

/**
 * Makes what finds mentions.
 *
 * @param {readonly string[]} names Of whom; names and accounts.
 * @param {readonly string[]} own Which of them are one's own.
 * @returns {Mentions | undefined} It, or nothing where there are no names.
 */
export function mentionsOf(names, own) {
  const all = [...new Set([...names, ...own])].sort((a, b) => b.length - a.length);
  if (all.length === 0) return undefined;
  const pattern = new RegExp(
    `@(${all.map((name) => RegExp.escape?.(name) ?? escaped(name)).join("|")})`,
    "giu",
  );
  return { pattern, own: new Set(own.map((name) => name.toLowerCase())) };
}

/**
 * Whether a text mentions oneself.
 *
 * @param {string} text A text.
 * @param {Mentions} [mentions] Who may be mentioned.
 * @returns {boolean} Whether.
 */
export function callsMe(text, mentions) {
  return text.includes("@") && segmentsOf(text, mentions).some(({ own }) => own === true);
}

/** @param {string} text Without links. @param {Mentions} [mentions] Who. @returns {Segment[]} Its parts. */
function mentionsIn(text, mentions) {
  if (mentions === undefined || !text.includes("@")) return [{ kind: "text", text }];
  /** @type {Segment[]} */
  const segments = [];
  let from = 0;
  for (const { index, 0: match, 1: name = "" } of text.matchAll(mentions.pattern)) {
    if (index < from || !isWhole(text, index, match)) continue;
    if (index > from) segments.push({ kind: "text", text: text.slice(from, index) });
    const own = mentions.own.has(name.toLowerCase());
    segments.push({ kind: "mention", text: match, ...(own ? { own } : {}) });
    from = index + match.length;
  }
  if (from < text.length) segments.push({ kind: "text", text: text.slice(from) });
  return segments;
}

// "me@ada" and "@adam" don't mention Ada; "请@小明看" does mention 小明.
/** @param {string} text All. @param {number} index Where. @param {string} match What. @returns {boolean} Whether it stands alone. */
function isWhole(text, index, match) {
  const before = text.slice(0, index).at(-1) ?? " ";
  const after = [...text.slice(index + match.length, index + match.length + 2)][0] ?? " ";
  const last = [...match].at(-1) ?? "";
  const opens = !WORD.test(before) || DENSE.test(before);
  return opens && (!WORD.test(after) || DENSE.test(after) || DENSE.test(last));
}

/** Opening brackets by the closing ones. @type {ReadonlyMap<string, string>} */
const BRACKETS = new Map([[")", "("], ["]", "["], ["}", "{"]]);

// The end of a sentence is not the address's, and a closing bracket only where the address opened it.
/** @param {string} link As it was found. @returns {string} Without what follows it. */
function trimmed(link) {
  // Counted once: a link may be a whole message of brackets.
  const count = (/** @type {string} */ sign) => link.split(sign).length - 1;
  const spare = new Map(
    [...BRACKETS].map(([close, open]) => [open, count(close) - count(open)]),
  );
  for (let end = link.length;; end -= 1) {
    const last = link[end - 1] ?? "";
    const open = BRACKETS.get(last) ?? last;
    const left = spare.get(open);
    if (left === undefined) {
      if (!SENTENCE_END.test(last)) return link.slice(0, end);
    } else if (last === open) spare.set(open, left + 1);
    else if (left > 0) spare.set(open, left - 1);
    else return link.slice(0, end);
  }
}

/** @param {string} name Any text. @returns {string} As a pattern for itself. */
function escaped(name) {
  return name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
