// @ts-check
/** Picks which unsent messages the tray above the composer shows. */

/** How long a message may be on its way before it is shown, in milliseconds: most are acknowledged before. */
export const SHOWN_AFTER = 400;
/** How many lines the tray has while it is collapsed. */
export const FEW = 3;

/** @typedef {import("./chat_state.js").Outgoing} Outgoing */

/**
 * Picks what is shown: what failed and what waits for a connection at once, the rest after a moment. Messages go in order, so
 * what stands behind one that is shown is shown too; and what was shown once stays until it is sent.
 *
 * @param {readonly Outgoing[]} items What is not sent yet, in order.
 * @param {{known: ReadonlyMap<string, number>, connected: boolean, now: number}} at By id since when each is known (-Infinity once it is shown), whether there
 *   is a connection, and the monotonic time in milliseconds.
 * @returns {{shown: readonly Outgoing[], known: ReadonlyMap<string, number>, wait: number | undefined}} What is shown, `known` for the next time, and after
 *   how many milliseconds more is to be shown.
 */
export function shownAfter(items, { known, connected, now }) {
  /** @type {Map<string, number>} */
  const next = new Map();
  let due = !connected;
  let wait = Infinity;
  const shown = items.filter(({ id, status }) => {
    const since = known.get(id) ?? now;
    const left = since + SHOWN_AFTER - now;
    const isShown = due || status === "failed" || left <= 0;
    if (isShown && status === "pending") due = true;
    if (!isShown) wait = Math.min(wait, left);
    next.set(id, isShown ? -Infinity : since);
    return isShown;
  });
  return { shown, known: next, wait: wait === Infinity ? undefined : wait };
}

/**
 * What the collapsed tray shows: what failed first, since that needs somebody; then what was written last.
 *
 * @param {readonly Outgoing[]} items What is shown while it is not collapsed, in order.
 * @returns {readonly Outgoing[]} At most {@linkcode FEW} of them, in order.
 */
export function collapsed(items) {
  if (items.length <= FEW) return items;
  const latest = items.toReversed();
  const first = [
    ...latest.filter(({ status }) => status === "failed"),
    ...latest.filter(({ status }) => status === "pending"),
  ].slice(0, FEW);
  return items.filter((item) => first.includes(item));
}
