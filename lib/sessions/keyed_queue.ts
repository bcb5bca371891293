/** Work of one connection in the order of its commands, channel by channel. */

/** A FIFO queue for each key: work on a channel waits while an earlier command holds the channel. */
export class KeyedQueue {
  // Made when something waits: an empty map for each idle connection is memory too.
  #held: Map<string, (() => void)[]> | undefined;
  #over = false;

  /**
   * Runs work on a channel: at once, or when all earlier work on it is done.
   *
   * @param channel The channel.
   * @param work Runs once; it may hold the channel itself.
   */
  take(channel: string, work: () => void): void {
    if (this.#over) return;
    const behind = this.#held?.get(channel);
    if (behind === undefined) work();
    else behind.push(work);
  }

  /**
   * Holds a channel: later work on it waits.
   *
   * @param channel A channel that isn't held.
   * @returns Releases the channel and runs what waited, in order.
   */
  hold(channel: string): () => void {
    const behind: (() => void)[] = [];
    const held = this.#held ??= new Map<string, (() => void)[]>();
    held.set(channel, behind);
    return () => {
      held.delete(channel);
      // One of them may hold the channel again: the rest goes on waiting.
      for (const work of behind) this.take(channel, work);
    };
  }

  /** Drops all that waits and all later work: the connection has closed, maybe in the middle of this queue. */
  end(): void {
    this.#over = true;
    for (const behind of this.#held?.values() ?? []) behind.length = 0;
  }
}
