// @ts-check
/** Reads unknown values and makes texts of people ready to be shown. */

/**
 * Returns a value as an object whose fields can be read.
 *
 * @param {unknown} value Any value.
 * @returns {Record<string, unknown>} The value if it is an object and no array; else an empty object.
 */
export function fieldsOf(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value)
    : {};
}

/**
 * The text to show of a message's data, as codecs that know only text do: `data.text`, else a string, else the JSON.
 *
 * @param {unknown} data A message's data.
 * @returns {string} The text.
 */
export function textOf(data) {
  if (typeof data === "string") return data;
  if (
    typeof data === "object" && data !== null && "text" in data && typeof data.text === "string"
  ) return data.text;
  return JSON.stringify(data);
}

/**
 * A text with its control characters made visible, other than tab and line feed.
 *
 * @param {string} text A text.
 * @returns {string} The same length, with U+FFFD in the place of each.
 */
export function withoutControls(text) {
  return text.replace(/(?![\t\n])\p{Cc}/gu, "\ufffd");
}

/**
 * The beginning of a text, in one line.
 *
 * @param {string} text A text.
 * @param {number} [most] How many characters, at most.
 * @returns {string} So many of it.
 */
export function excerpt(text, most = 140) {
  const line = withoutControls(text.slice(0, 2 * most + 20).replace(/\s+/gu, " "));
  return contained([...line].slice(0, most).join(""));
}

/**
 * A text among other text where there is no markup: isolated in its direction, whatever it contains.
 *
 * @param {string} text A text.
 * @returns {string} The text between U+2068 and U+2069.
 */
export function isolated(text) {
  return `\u2068${contained(text)}\u2069`;
}

/**
 * A text that can stand inside an isolate (U+2068 … U+2069, or `<bdi>`) and turn nothing outside of it: it ends no isolate
 * that it did not begin.
 *
 * @param {string} text A text.
 * @returns {string} The text without the ends that are too many, and with those that are missing.
 */
export function contained(text) {
  let open = 0;
  const kept = text.replace(/[\u2066-\u2069]/g, (sign) => {
    if (sign !== "\u2069") open += 1;
    else if (open === 0) return "";
    else open -= 1;
    return sign;
  });
  return kept + "\u2069".repeat(open);
}
