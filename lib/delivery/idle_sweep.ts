/** The connections of an edge, looked at again and again: one to which nothing more is due would never be found silent. */
import type { Connection } from "./connection.ts";

// With the time that a client may take nothing this makes 45 s (threats.md L10).
const LOOK = 5000;

/** A set of connections that are looked at as long as they are in it. */
export class Attended extends Set<Connection> {
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param connection One that was opened. */
  override add(connection: Connection): this {
    this.#timer ??= setInterval(() => this.#look(), LOOK);
    return super.add(connection);
  }

  /**
   * @param connection One that is gone.
   * @returns Whether it was there.
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
    // It closes those that are gone; whoever was closed before is only counted.
    for (const connection of this) if (connection.open) connection.hasRoom();
  }
}
