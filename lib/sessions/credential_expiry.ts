/** Closes connections when the token or session that they showed expires, is withdrawn, or loses the admin right. */
import { setImmediate } from "node:timers";
import { type Access, SESSION_ENDED, type Who } from "../auth/access.ts";
import { log } from "../observability/logger.ts";
import type { SessionReader } from "../store/reader.ts";
import { CLOSE } from "../protocol/refusals.ts";
import { FAILED_RETRY } from "../delivery/closing.ts";
import type { Connection } from "../delivery/connection.ts";
import type { Rights } from "../delivery/hub.ts";

// The longest time that a timer can wait.
const LONGEST = 2 ** 31 - 1;

// How long one turn looks sessions up, in milliseconds, after ends of sessions were missed.
const TURN = 5;

const TOKEN_ENDED = "The token ended, come back with another";

interface Held {
  readonly who: Who;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/** The parts of a credential expiry. */
export interface CredentialExpiryOptions {
  /** Knows which tokens are still valid. */
  readonly access: Access;
  /** The recorded sessions. */
  readonly sessions: Pick<SessionReader, "find" | "rights">;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** The connections that showed a token or came with a session. Others aren't held. */
export class CredentialExpiry implements Rights {
  readonly #options: CredentialExpiryOptions;
  readonly #held = new Map<Connection, Held>();
  readonly #bySession = new Map<string, Set<Connection>>();
  // Connections whose tokens or sessions may have ended, by their names: nothing is sent to one before it was looked up.
  readonly #suspects = new Map<string, Connection>();
  #looking = false;
  // All ends of sessions up to this record were taken in.
  #upTo: number;

  /** @param options Its parts. */
  constructor(options: CredentialExpiryOptions) {
    this.#options = options;
    this.#upTo = options.sessions.rights();
  }

  /** How many connections showed a token or came with a session. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Closes a connection when its credential expires. Replaces what it showed before.
   *
   * @param connection The connection.
   * @param who Who it is.
   */
  hold(connection: Connection, who: Who): void {
    this.forget(connection);
    const { admin, grant, session } = who;
    if (!admin && grant === undefined && session === undefined) return;
    const left = (grant?.ends ?? Infinity) - this.#options.clock();
    const wait = Math.min(Math.max(0, left), LONGEST);
    const timer = left === Infinity ? undefined : setTimeout(() => this.#due(connection), wait);
    this.#held.set(connection, { who, timer });
    if (session !== undefined) {
      const same = this.#bySession.get(session);
      if (same === undefined) this.#bySession.set(session, new Set([connection]));
      else same.add(connection);
    }
    // What it showed may have ended between its look-up and now, when nobody knew of this connection.
    this.#suspects.set(connection.id, connection);
    this.#lookLater();
  }

  /**
   * Forgets a closed connection.
   *
   * @param connection Which.
   */
  forget(connection: Connection): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held.delete(connection);
    this.#suspects.delete(connection.id);
    const { session = "" } = held.who;
    const same = this.#bySession.get(session);
    if (same?.delete(connection) && same.size === 0) this.#bySession.delete(session);
  }

  /** Checks all tokens again after a change of the secrets, and closes connections whose token isn't valid any more. */
  review(): void {
    for (const [connection, { who }] of this.#held) {
      if (this.#options.access.ended(who)) this.end(connection, "token");
    }
  }

  /**
   * Closes the connections of sessions that ended.
   *
   * @param hashes The hashes of the sessions.
   * @param seq The last record of their commit.
   */
  ended(hashes: readonly string[], seq: number): void {
    this.#upTo = Math.max(this.#upTo, seq);
    for (const hash of hashes) {
      for (const connection of this.#bySession.get(hash) ?? []) this.end(connection, "session");
    }
  }

  /** Records were missed on the bus. If sessions ended in them, looks up each session before anything more is sent under it. */
  missed(): void {
    const upTo = this.#options.sessions.rights();
    if (upTo <= this.#upTo) return;
    this.#upTo = upTo;
    for (const connections of this.#bySession.values()) {
      for (const connection of connections) this.#suspects.set(connection.id, connection);
    }
    this.#lookLater();
  }

  /**
   * Looks up a connection whose token or session may have expired, and closes it if so.
   *
   * @param connection Which.
   * @returns Whether it may go on.
   */
  clears({ id }: Pick<Connection, "id">): boolean {
    const connection = this.#suspects.size === 0 ? undefined : this.#suspects.get(id);
    if (connection === undefined) return true;
    this.#suspects.delete(id);
    const who = this.#held.get(connection)?.who;
    const shown = who === undefined ? undefined : this.#endedOf(who);
    if (shown !== undefined) this.end(connection, shown);
    return shown === undefined;
  }

  /**
   * Closes a connection whose credential expired.
   *
   * @param connection Which.
   * @param shown What expired.
   */
  end(connection: Connection, shown: "token" | "session"): void {
    this.forget(connection);
    const { id, address } = connection;
    const [code, sentence] = shown === "session"
      ? [CLOSE.notAllowed, SESSION_ENDED.message]
      : [CLOSE.tokenEnded, TOKEN_ENDED];
    // Each by its name: the list of events is held against the code.
    if (shown === "session") log.info("session.ended", { connection: id, address });
    else log.info("token.ended", { connection: id, address });
    // Who may not read any more is answered nothing more; what came while a token held is answered.
    if (shown === "session") connection.finish(code, sentence, 0);
    else connection.close(code, sentence);
  }

  #endedOf(who: Who): "token" | "session" | undefined {
    const { account, session } = who;
    if (this.#options.access.ended(who)) return "token";
    if (session === undefined) return undefined;
    const known = this.#options.sessions.find(session);
    const stands = known === undefined ? account === null : known.account !== null;
    return stands ? undefined : "session";
  }

  #lookLater(): void {
    if (this.#looking || this.#suspects.size === 0) return;
    this.#looking = true;
    setImmediate(() => this.#look());
  }

  #look(): void {
    const end = performance.now() + TURN;
    for (const connection of this.#suspects.values()) {
      try {
        this.clears(connection);
      } catch (error) {
        // Thrown here it would end every connection of this isolate.
        log.error("log.unreadable", { connection: connection.id, error: String(error) });
        connection.finish(CLOSE.later, "The log can't be read", FAILED_RETRY);
      }
      if (performance.now() > end) break;
    }
    this.#looking = false;
    this.#lookLater();
  }

  // A clock that was set back, or a token that ends in more than 24 days: it isn't time yet.
  #due(connection: Connection): void {
    const held = this.#held.get(connection);
    if (held === undefined) return;
    if (this.#options.access.ended(held.who)) this.end(connection, "token");
    else this.hold(connection, held.who);
  }
}
