// @ts-check
/** What a page remembers in its browser. Storage may be forbidden or full: the page then does without. */

/**
 * Reads what was kept.
 *
 * @param {string} name Under which name.
 * @param {"localStorage" | "sessionStorage"} [where] For all tabs, or for this one.
 * @returns {unknown} What, or undefined.
 */
export function recall(name, where = "localStorage") {
  try {
    return JSON.parse(globalThis[where]?.getItem(name) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps something.
 *
 * @param {string} name Under which name.
 * @param {unknown} value Any JSON value.
 * @param {"localStorage" | "sessionStorage"} [where] For all tabs, or for this one.
 */
export function keep(name, value, where = "localStorage") {
  try {
    globalThis[where]?.setItem(name, JSON.stringify(value));
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
