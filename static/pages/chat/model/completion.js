// @ts-check
/** Completes `@name` while it is typed: what is offered and what is inserted. */

const MOST = 6;
const STARTED = /(?:^|[\s\p{P}\p{S}\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}])@([^\s@]{0,40})$/u;

/** @typedef {{account: string, name?: string}} Member */

/**
 * What somebody began to mention.
 *
 * @param {string} text What was typed.
 * @param {number} caret Where the caret is.
 * @returns {{from: number, query: string} | undefined} Where the `@` is and what follows it, if the caret is in a mention.
 */
export function begun(text, caret) {
  const query = STARTED.exec(text.slice(0, caret))?.[1];
  return query === undefined ? undefined : { from: caret - query.length - 1, query };
}

/**
 * Whom that may be.
 *
 * @param {string} query What follows the `@`.
 * @param {readonly Member[]} members Who is there.
 * @param {string | undefined} own Oneself, who isn't offered.
 * @returns {Member[]} A few; those whose name begins so come first.
 */
export function matching(query, members, own) {
  const wanted = query.toLowerCase();
  const rank = (/** @type {Member} */ { account, name = "" }) => {
    const lower = name.toLowerCase();
    if (lower.startsWith(wanted)) return name === "" ? 2 : 0;
    if (lower.split(/\s+/u).some((word) => word.startsWith(wanted))) return 1;
    return account.toLowerCase().startsWith(wanted) ? 2 : 3;
  };
  return members.filter((member) => member.account !== own)
    .map((member) => ({ member, rank: rank(member) })).filter(({ rank }) => rank < 3)
    .sort((a, b) => a.rank - b.rank).slice(0, MOST).map(({ member }) => member);
}

/**
 * Puts a mention in.
 *
 * @param {string} text What was typed.
 * @param {{from: number, to: number}} range From the `@` to the caret.
 * @param {Member} member Who.
 * @returns {{text: string, caret: number}} The text and where the caret goes.
 */
export function completed(text, { from, to }, { account, name }) {
  const mention = `@${name ?? account} `;
  const rest = text.slice(to).replace(/^ /, "");
  return { text: text.slice(0, from) + mention + rest, caret: from + mention.length };
}
