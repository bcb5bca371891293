/** Every error and every close code: what it is called, what HTTP says for it. Docs and codecs share this page. */

/** The codes of refusals, with the HTTP status that says the same (protocol.md, "Errors"). */
export const REFUSALS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  too_large: 413,
  rate_limited: 429,
  unavailable: 503,
  internal: 500,
} as const;

/** A refusal's code. */
export type RefusalCode = keyof typeof REFUSALS;

/** Why something wasn't done; nothing changed. */
export interface Refusal {
  /** What kind of refusal. */
  readonly code: RefusalCode;
  /** A sentence for the person who wrote the client. */
  readonly message: string;
  /** Milliseconds after which to try again. */
  readonly retry?: number;
  /** Whether this client alone went over a rate: ten seconds on end close its connection. It isn't told. */
  readonly excess?: true;
}

/** Close codes of WebSockets (protocol.md, "Closing"). */
export const CLOSE = {
  /** The server goes away or restarts; come back. */
  leaving: 1001,
  /** A binary frame. */
  binary: 1003,
  /** Against a rule, again and again. */
  policy: 1008,
  /** A frame over the limit. */
  tooLarge: 1009,
  /** Come back later. */
  later: 1013,
  /** The token ended; come back with another. */
  tokenEnded: 4001,
  /** Too slow to keep up; nothing is lost, come back with `since`. */
  tooSlow: 4008,
  /** No longer allowed. */
  notAllowed: 4500,
} as const;

/**
 * Makes a refusal.
 *
 * @param code What kind.
 * @param message A sentence that tells what was wrong and what to do.
 * @returns The refusal.
 */
export function refuse(code: RefusalCode, message: string): Refusal {
  return { code, message };
}

/** The refusal, thrown where the caller is far away. Its message is meant for the client. */
export class Refused extends Error {
  /** The class, as it is shown. */
  override name = "Refused";

  /**
   * Makes the error.
   *
   * @param refusal What the client is told.
   */
  constructor(/** What the client is told. */ readonly refusal: Refusal) {
    super(refusal.message);
  }
}
