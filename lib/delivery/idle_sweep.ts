/** Finds stalled readers among connections to which nothing is due. */
import type { Connection } from "./connection.ts";

// With the time that a client may take nothing this makes 45 s (threats.md L10).
const LOOK = 5000;

/** The open connections of an edge; polls them every 5 s for stalled readers. */
export class IdleSweep extends Set<Connection> {
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param connection An open one. */
  override add(connection: Connection): this {
    this.#timer ??= setInterval(() => this.#look(), LOOK);
    return super.add(connection);
  }

  /**
   * @param connection A closed one.
   * @returns Whether it was in the set.
   */
  override delete(connection: Connection): boolean {
    const was = super.delete(connection);
    if (this.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    return was;
  }

  #look(): void {
    // `hasRoom` closes a stalled one.
    for (const connection of this) if (connection.open) connection.hasRoom();
  }
}
