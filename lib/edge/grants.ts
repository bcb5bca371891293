/** Who each connection is by what it showed: it ends when that ends, is withdrawn, or is no longer the admin's. */
import type { Access, Who } from "../access.ts";
import { log } from "../logger.ts";
import { CLOSE } from "../protocol/codes.ts";
import type { Connection } from "./connection.ts";

// The longest time that a timer can wait.
const LONGEST = 2 ** 31 - 1;

const SENTENCE = "The token ended, come back with another";

interface Held {
  readonly who: Who;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/** Ends connections whose tokens end. Those that showed none aren't held. */
export class Grants {
  readonly #access: Access;
  readonly #clock: () => number;
  readonly #farewell: (connection: Connection) => string | undefined;
  readonly #held = new Map<Connection, Held>();

  /**
   * @param access Who knows what still holds.
   * @param clock Milliseconds since 1970.
   * @param farewell Makes the last line, where the client's protocol has one.
   */
  constructor(
    access: Access,
    clock: () => number,
    farewell: (connection: Connection, sentence: string) => string | undefined,
  ) {
    this.#access = access;
    this.#clock = clock;
    this.#farewell = (connection) => farewell(connection, SENTENCE);
  }

  /** How many connections showed a token. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Has a connection end with what it showed; what it showed before doesn't count any more.
   *
   * @param connection The connection.
   * @param who Who it is.
   */
  hold(connection: Connection, who: Who): void {
    this.forget(connection);
    if (!who.admin && who.grant === undefined) return;
    const left = (who.grant?.ends ?? Infinity) - this.#clock();
    const wait = Math.min(Math.max(0, left), LONGEST);
    const timer = left === Infinity ? undefined : setTimeout(() => this.#due(connection), wait);
    this.#held.set(connection, { who, timer });
  }

  /**
   * A connection is gone.
   *
   * @param connection Which.
   */
  forget(connection: Connection): void {
    clearTimeout(this.#held.get(connection)?.timer);
    this.#held.delete(connection);
  }

  /** What holds may have changed: ends those for whom it doesn't. */
  review(): void {
    for (const [connection, { who }] of this.#held) {
      if (this.#access.ended(who)) this.end(connection);
    }
  }

  /**
   * Ends a connection because its token ended.
   *
   * @param connection Which.
   */
  end(connection: Connection): void {
    this.forget(connection);
    const { id, address } = connection;
    log.info("token.ended", { connection: id, address });
    connection.close(CLOSE.tokenEnded, SENTENCE, this.#farewell(connection));
  }

  // A clock that was set back, or a token that ends in more than 24 days: it isn't time yet.
  #due(connection: Connection): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    if (this.#access.ended(held.who)) this.end(connection);
    else this.hold(connection, held.who);
  }
}
