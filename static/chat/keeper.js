// @ts-check
/** Keeps what one reads where it is while rows come and go above it. Browsers do so by themselves, but not all, and not at the top. */

/** @typedef {{element: Element, top: number}} Anchor */

/**
 * Where the rows are that one sees.
 *
 * @param {HTMLElement | null} box What scrolls; its children are the rows.
 * @returns {Anchor[]} The rows from the top of what is seen on.
 */
export function anchorsOf(box) {
  if (box === null) return [];
  const { top, bottom } = box.getBoundingClientRect();
  /** @type {Anchor[]} */
  const anchors = [];
  for (const element of box.children) {
    const place = element.getBoundingClientRect();
    if (place.bottom <= top) continue;
    if (place.top >= bottom) break;
    anchors.push({ element, top: place.top });
  }
  return anchors;
}

/**
 * Puts what one saw back to where it was.
 *
 * @param {HTMLElement} box What scrolls.
 * @param {readonly Anchor[]} anchors Where rows were.
 */
export function restore(box, anchors) {
  // A day or a "new" line may have gone; a message stays.
  const kept = anchors.find(({ element }) => element.isConnected && element.matches("article")) ??
    anchors.find(({ element }) => element.isConnected);
  if (kept === undefined) return;
  const moved = kept.element.getBoundingClientRect().top - kept.top;
  if (Math.abs(moved) >= 1) box.scrollTop += moved;
}

/**
 * How far it is from what is seen to the end.
 *
 * @param {HTMLElement} box What scrolls.
 * @returns {number} Pixels.
 */
export function below(box) {
  return box.scrollHeight - box.scrollTop - box.clientHeight;
}
