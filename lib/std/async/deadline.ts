/**
 * Promises with a deadline.
 *
 * @module
 */

/** Options for {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Aborts the wait before the deadline. */
  signal?: AbortSignal;
}

/**
 * Waits for a promise until a deadline. The promise itself goes on; only the wait ends.
 *
 * @param p The promise to wait for.
 * @param ms Duration in milliseconds.
 * @param options Options.
 * @returns The value of the promise.
 * @throws {DOMException} If the duration runs out first, or the signal is aborted.
 */
export async function deadline<T>(
  p: Promise<T>,
  ms: number,
  options: DeadlineOptions = {},
): Promise<T> {
  const timeout = AbortSignal.timeout(ms);
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([p, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
