/** A socket that only sends: the body of an answer that doesn't end, with a bound on what is unsent in it. */
import { CLOSE } from "../protocol/refusals.ts";
import type { Socket } from "../delivery/connection.ts";

// What goes to the network at once; behind it the system has buffers of its own.
const PIECE = 65_536;

// How long a client may take for the rest, once its stream is ended, in milliseconds.
const REST_TIME = 5000;

const encoder = new TextEncoder();

/** What is told of a stream. */
export interface StreamEvents {
  /** Called once, when nothing more can be sent. */
  gone(): void;
  /** Called each time that the network has taken something. */
  taken(): void;
}

/** Frames as one stream of bytes. Each text ends with a line feed. */
export class StreamSocket implements Socket {
  readonly frees = true;
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #events: StreamEvents;
  readonly #whole: boolean;
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #unsent = 0;
  // The piece that the network was given last: it is taken once another one is asked for.
  #given = 0;
  #wanted: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #state: "open" | "finishing" | "ending" | "ended" = "open";
  #late: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param events Is told of it.
   * @param whole Whether a part of it is of no use: then it breaks off where it is closed before it was finished.
   */
  constructor(events: StreamEvents, whole = false) {
    this.#events = events;
    this.#whole = whole;
    this.#body = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#end(),
    }, { highWaterMark: 0 });
  }

  /** The answer's body. */
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#body;
  }

  /** What wasn't taken yet, in bytes. */
  get bufferedAmount(): number {
    return this.#unsent;
  }

  /** As of a WebSocket. */
  get readyState(): Socket["readyState"] {
    const stands = this.#state === "open" || this.#state === "finishing";
    return stands ? WebSocket.OPEN : WebSocket.CLOSED;
  }

  /** @param frame What to send. */
  send(frame: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    this.write(encoder.encode(`${frame}\n`));
  }

  /** @param bytes What to send, as it is. */
  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state !== "open") return;
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#pieces.push(bytes.subarray(at, at + PIECE));
    }
    this.#unsent += bytes.length;
    this.#flush();
  }

  /** Ends the stream once all that was sent is taken, however long a client that reads takes for it. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "finishing";
    this.#flush();
  }

  /**
   * Ends the stream, once what was sent is taken; one whose client is too slow, at once.
   *
   * @param code As of a WebSocket.
   */
  close(code?: number): void {
    if (this.#state === "ending" || this.#state === "ended") return;
    const broken = this.#whole && this.#state === "open";
    if (broken || code === CLOSE.tooSlow) return this.#break();
    this.#state = "ending";
    this.#late = setTimeout(() => this.#break(), REST_TIME);
    this.#flush();
  }

  #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): void {
    this.#unsent -= this.#given;
    this.#given = 0;
    this.#wanted = controller;
    this.#flush();
    this.#events.taken();
  }

  #flush(): void {
    const controller = this.#wanted;
    if (controller === undefined) return;
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#wanted = undefined;
      this.#given = piece.length;
      controller.enqueue(piece);
    } else if (this.#state === "finishing" || this.#state === "ending") {
      controller.close();
      this.#end();
    }
  }

  #break(): void {
    if (this.#state === "ended") return;
    this.#controller?.error(new Error("The stream was ended"));
    this.#end();
  }

  #end(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    clearTimeout(this.#late);
    this.#pieces = [];
    [this.#unsent, this.#given] = [0, 0];
    this.#events.gone();
  }
}
