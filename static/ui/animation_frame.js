// @ts-check
/** Takes in what comes once for each frame, however much that is. */

/** A page that isn't drawn gets no frames: what came is taken in after this many milliseconds. */
const UNSEEN = 250;

/**
 * Makes what collects.
 *
 * @template T
 * @param {(items: readonly T[]) => void} take Takes in what came, in the order in which it came.
 * @returns What adds to it, what drops of what waits, and what takes in at once.
 */
export function perFrame(take) {
  /** @type {T[]} */
  let waiting = [];
  const flush = () => {
    if (waiting.length === 0) return;
    const items = waiting;
    waiting = [];
    take(items);
  };
  return {
    /** @param {T} item What came. */
    add(item) {
      waiting.push(item);
      if (waiting.length > 1) return;
      requestAnimationFrame(flush);
      setTimeout(flush, UNSEEN);
    },
    /** @param {(item: T) => boolean} isOld What counts no more. */
    drop(isOld) {
      waiting = waiting.filter((item) => !isOld(item));
    },
    flush,
  };
}
