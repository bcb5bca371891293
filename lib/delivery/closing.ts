/**
 * Closes sockets so that their clients get all that was sent before, and the code. Deno (2.9.6) ends a socket at the next data
 * frame that follows our close, with all that is unsent: so the close waits until the client is quiet.
 */

/** How long a client has to send nothing before its socket is closed, in milliseconds. */
export const QUIET = 250;

/** After how long it is closed although its client goes on sending, in milliseconds. */
export const LONGEST_CLOSING = 2000;

/** How long the answers to what came before a close may take, in milliseconds. */
export const ANSWERS_TIME = 2000;

/** When a client may come back after an error of ours, in milliseconds. */
export const FAILED_RETRY = 1000;

// One interval for all sockets: a timer that each frame arms anew starves all other timers.
const LOOK = 50;

interface Waiting {
  readonly close: () => void;
  /** When it is closed at the latest. */
  readonly deadline: number;
  /** When the client sent something last. */
  heard: number;
}

/** Sockets of an edge that are closed as soon as their clients are quiet. */
export class ClosingSockets {
  readonly #sockets = new Map<WebSocket, Waiting>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** How many there are. */
  get size(): number {
    return this.#sockets.size;
  }

  /**
   * Closes a socket once its client is quiet.
   *
   * @param socket An open one.
   * @param code A close code.
   * @param reason For people; at most 123 bytes.
   */
  add(socket: WebSocket, code?: number, reason?: string): void {
    const now = performance.now();
    const close = () => socket.close(code, reason);
    this.#sockets.set(socket, { close, deadline: now + LONGEST_CLOSING, heard: now });
    this.#timer ??= setInterval(() => this.#look(), LOOK);
  }

  /**
   * A client sent something, which is dropped.
   *
   * @param socket Its socket.
   */
  heard(socket: WebSocket): void {
    const closing = this.#sockets.get(socket);
    if (closing !== undefined) closing.heard = performance.now();
  }

  /**
   * A socket is gone.
   *
   * @param socket Which.
   */
  delete(socket: WebSocket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Closes all of them now. */
  finish(): void {
    for (const socket of this.#sockets.keys()) this.#close(socket);
  }

  #look(): void {
    const now = performance.now();
    for (const [socket, { heard, deadline }] of this.#sockets) {
      if (now - heard >= QUIET || now >= deadline) this.#close(socket);
    }
  }

  #close(socket: WebSocket): void {
    this.#sockets.get(socket)?.close();
    this.delete(socket);
  }
}

/** How a connection is closed once its client has its answers. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
  /** Milliseconds after which the client may come back. */
  readonly retry: number;
  /** Whether nothing but answers is sent until then. */
  readonly strict: boolean;
  /** Closes it in any case. */
  readonly late?: ReturnType<typeof setTimeout>;
}
