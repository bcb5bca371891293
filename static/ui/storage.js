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
 * Something of the browser that it may refuse to hand out, where storage is blocked or the page stands in a sandbox: asking is an error then.
 *
 * @template T
 * @param {() => T} get Asks.
 * @returns {T | undefined} It, or nothing.
 */
export function granted(get) {
  try {
    return get();
  } catch {
    return undefined;
  }
}
