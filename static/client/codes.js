// @ts-check
/**
 * The words of the client library: its states, why it is in them, what can go wrong.
 *
 * @module
 */

/** The states of a client; told by the `state` event with a {@linkcode Reason}. */
export const State = Object.freeze({
  /** A socket is being opened. */
  connecting: "connecting",
  /** Commands are answered. */
  open: "open",
  /** The connection is gone; the client comes back by itself. */
  waiting: "waiting",
  /** Closed for good: by `close()`, or because the server won't have it. */
  closed: "closed",
});

/** Why a client is in its state. */
export const Reason = Object.freeze({
  /** `connect()` was called. */
  start: "start",
  /** The server answered the greeting. */
  greeted: "greeted",
  /** The connection broke, couldn't be made, or said what isn't the protocol. */
  lost: "lost",
  /** The server said that it goes away, and when to come back. */
  leaving: "leaving",
  /** The server didn't answer a ping, or the handshake. */
  silent: "silent",
  /** The time to wait is over, or the network is back. */
  retry: "retry",
  /** `close()` was called. */
  done: "done",
  /** The server refused the token or the client for good. */
  refused: "refused",
});

/** What the library itself says beside the protocol's codes. */
export const Code = Object.freeze({
  /** There is no connection, or there will be none. */
  closed: "closed",
  /** The outbox has no room. */
  full: "full",
  /** Written by another account than the one that is here now, and never sent. */
  otherAccount: "other_account",
  /** Sent as another account, and not acknowledged: it may have arrived. */
  uncertain: "uncertain",
  /** Tried so long ago that the server has forgotten its key: it may have been sent. */
  expired: "expired",
  /** Taken out of the outbox by `discard()`. */
  discarded: "discarded",
});

/** Refusals that pass: the same again, later, may be taken. */
export const PASSING = Object.freeze(["rate_limited", "unavailable"]);

/** How long to wait after a refusal that passes and doesn't say, in milliseconds. */
export const RETRY = 1000;

/** A refusal by the server, with the protocol's code, or by the library, with one of {@linkcode Code}. */
export class FanfareError extends Error {
  /**
   * @param {string} code One of the protocol's codes, or of {@linkcode Code}.
   * @param {string} message A sentence.
   * @param {number} [retry] Milliseconds after which to try again.
   */
  constructor(code, message, retry) {
    super(message);
    this.name = "FanfareError";
    /** The protocol's code, or one of {@linkcode Code}. */
    this.code = code;
    /** Milliseconds after which to try again. */
    this.retry = retry;
  }
}

/**
 * Whether coming back after a close code is of no use (protocol.md, "Closing").
 *
 * @param {number} code The close code.
 * @returns {boolean} Whether it is the end.
 */
export function isFinal(code) {
  return [1003, 1007, 1008, 1009].includes(code) || (code >= 4500 && code <= 4999);
}

/**
 * Makes a key for a message. `crypto.randomUUID` is only there on https and localhost; chance is all that a key needs.
 *
 * @returns {string} 32 hex digits.
 */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Calls a listener; what it throws is the page's error, told as uncaught, and stops nothing of ours.
 *
 * @param {() => void} call Calls it.
 */
export function safely(call) {
  try {
    call();
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}
