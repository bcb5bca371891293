/** Keeps what one connection asks about a channel in its order: what must wait for the core isn't overtaken by what needn't. */

/** What of a connection waits behind what, channel by channel. */
export class Turns {
  // Made when something waits: an empty map for each idle connection is memory too.
  #held: Map<string, (() => void)[]> | undefined;
  #over = false;

  /**
   * Does something about a channel: at once, or once what was asked before is answered.
   *
   * @param channel The channel.
   * @param work What; it may hold the channel in its turn.
   */
  take(channel: string, work: () => void): void {
    if (this.#over) return;
    const behind = this.#held?.get(channel);
    if (behind === undefined) work();
    else behind.push(work);
  }

  /**
   * Lets what is asked about a channel from now on wait.
   *
   * @param channel The channel, which nothing holds.
   * @returns Ends that, and does what waited in its order.
   */
  hold(channel: string): () => void {
    const behind: (() => void)[] = [];
    const held = this.#held ??= new Map<string, (() => void)[]>();
    held.set(channel, behind);
    return () => {
      held.delete(channel);
      // One of them may hold it anew: then the rest goes on waiting.
      for (const work of behind) this.take(channel, work);
    };
  }

  /** Does nothing from now on, not even what waits: whoever asked is gone, maybe by what was just done for it. */
  end(): void {
    this.#over = true;
    for (const behind of this.#held?.values() ?? []) behind.length = 0;
  }
}
