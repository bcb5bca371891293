/** One accepted socket, from its handshake to its end. */
import { Buffer } from "node:buffer";
import type { Origin } from "../bus/bus.ts";
import { log } from "../observability/logger.ts";
import { CLOSE } from "../protocol/refusals.ts";
import type { ClosingSockets } from "../delivery/closing.ts";
import type { Connection, Socket } from "../delivery/connection.ts";
import type { Session } from "../sessions/edge_context.ts";

// A client that goes before its handshake is answered leaves a socket that says nothing, ever.
const OPEN_TIME = 5000;

/** Hears of the lives of sockets; one for all of them. */
export interface Host<Welcome> {
  /** The most bytes of a frame, whatever protocol is spoken. */
  readonly frame: number;
  /** The sockets that are about to be closed. */
  readonly closings: ClosingSockets;
  /** The handshake is over, whichever way: called once for each socket. */
  shaken(): void;
  /**
   * A frame came that no client of ours sends: the socket is closed.
   *
   * @param connection The socket's.
   * @param code The close code.
   */
  refused(connection: Connection, code: number): void;
  /**
   * @param socket Open.
   * @param origin Whose it is.
   * @param welcome What was given with it.
   * @returns What reads and writes on it from now on; undefined where it was closed instead.
   */
  opened(socket: Socket, origin: Required<Origin>, welcome: Welcome): Opened | undefined;
  /**
   * The socket is about to be gone, since its client is silent.
   *
   * @param origin Whose it was.
   */
  silent(origin: Required<Origin>): void;
  /**
   * The socket is gone: called once for each socket.
   *
   * @param origin Whose it was.
   * @param connection What was opened on it.
   */
  gone(origin: Required<Origin>, connection: Connection | undefined): void;
}

/** What reads and writes on an open socket. */
export interface Opened {
  readonly connection: Connection;
  readonly session: Session;
}

/**
 * Hears a socket's events, and is what its connection sends to. It is the listener itself: handlers and what they close over cost
 * each idle connection a kilobyte.
 */
export class AcceptedWebSocket<Welcome> implements Socket {
  readonly #socket: WebSocket;
  readonly #origin: Required<Origin>;
  readonly #host: Host<Welcome>;
  #welcome: Welcome | undefined;
  #opened: Opened | undefined;
  #late: ReturnType<typeof setTimeout> | undefined;
  #closing = false;
  #gone = false;

  /**
   * @param socket Whose handshake is being answered.
   * @param origin Whose it is.
   * @param welcome What the host is told when it opens.
   * @param host Hears of it.
   */
  constructor(
    socket: WebSocket,
    origin: Required<Origin>,
    welcome: Welcome,
    host: Host<Welcome>,
  ) {
    this.#socket = socket;
    this.#origin = origin;
    this.#welcome = welcome;
    this.#host = host;
    this.#late = setTimeout(() => this.#giveUp(), OPEN_TIME);
    for (const type of ["open", "message", "close", "error"]) socket.addEventListener(type, this);
  }

  /** What wasn't taken yet, in bytes. */
  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** As of a WebSocket: it is closing from the first {@linkcode close} on. */
  get readyState(): Socket["readyState"] {
    const { readyState } = this.#socket;
    return this.#closing && readyState === WebSocket.OPEN ? WebSocket.CLOSING : readyState;
  }

  /** @param frame What to send. */
  send(frame: string): void {
    this.#socket.send(frame);
  }

  /**
   * Closes it once the client is quiet; what it sends until then is dropped.
   *
   * @param code A close code.
   * @param reason For people; at most 123 bytes.
   */
  close(code?: number, reason?: string): void {
    if (this.#closing || this.#gone) return;
    this.#closing = true;
    if (this.#socket.readyState !== WebSocket.OPEN) return this.#socket.close(code, reason);
    this.#host.closings.add(this.#socket, code, reason);
  }

  /** @param event One of the socket's. */
  handleEvent(event: Event): void {
    if (event instanceof MessageEvent) return this.#receive(event.data);
    if (event instanceof CloseEvent) return this.#closed(event);
    if (event.type === "open") return this.#open();
    this.#opened?.connection.end();
  }

  #open(): void {
    const welcome = this.#welcome;
    // It was given up before: nobody counts it any more.
    if (this.#gone) return this.#socket.close();
    if (welcome === undefined) return;
    this.#shake();
    this.#opened = this.#host.opened(this, this.#origin, welcome);
  }

  #receive(data: unknown): void {
    if (this.#opened === undefined) return;
    const { connection, session } = this.#opened;
    if (this.#closing) return this.#host.closings.heard(this.#socket);
    if (!connection.open || connection.leaving) return;
    if (typeof data !== "string") {
      this.#host.refused(connection, CLOSE.binary);
      return connection.close(CLOSE.binary, "Frames are text here");
    }
    const { frame } = this.#host;
    if (exceeds(data, frame)) {
      this.#host.refused(connection, CLOSE.tooLarge);
      return connection.close(CLOSE.tooLarge, `A frame has at most ${frame} bytes`);
    }
    try {
      session.receive(data);
    } catch (error) {
      connection.fail(error);
    }
  }

  #closed({ code, wasClean }: CloseEvent): void {
    const { connection, address } = this.#origin;
    // As Deno closes it by itself where a ping wasn't answered.
    if (code === CLOSE.leaving && !wasClean && !this.#gone) this.#host.silent(this.#origin);
    this.#end();
    log.debug("connection.closed", { connection, code, address });
  }

  #giveUp(): void {
    this.#socket.close();
    this.#end();
  }

  #shake(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#welcome = undefined;
    this.#host.shaken();
  }

  // A socket may tell its end twice.
  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#host.closings.delete(this.#socket);
    if (this.#late !== undefined) this.#shake();
    this.#opened?.connection.end();
    this.#host.gone(this.#origin, this.#opened?.connection);
  }
}

// Nothing has more than three bytes a unit: most frames needn't be counted.
function exceeds(frame: string, most: number): boolean {
  return 3 * frame.length > most && Buffer.byteLength(frame) > most;
}
