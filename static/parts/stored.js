// @ts-check
/** What a page remembers in its browser. Storage may be forbidden or full: the page then does without. */

/**
 * Reads what was kept.
 *
 * @param {string} name Under which name.
 * @returns {unknown} What, or undefined.
 */
export function recall(name) {
  try {
    return JSON.parse(globalThis.localStorage?.getItem(name) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps something.
 *
 * @param {string} name Under which name.
 * @param {unknown} value Any JSON value.
 */
export function keep(name, value) {
  try {
    globalThis.localStorage?.setItem(name, JSON.stringify(value));
  } catch {
    // It lasts as long as the page then.
  }
}

/**
 * Anything as an object whose fields may be looked at.
 *
 * @param {unknown} value Anything.
 * @returns {Record<string, unknown>} It, or an empty one.
 */
export function fieldsOf(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value)
    : {};
}
