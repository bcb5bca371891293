/** A socket that only sends: the body of an answer that doesn't end, with a bound on what is unsent in it. */
import { CLOSE } from "../protocol/codes.ts";
import type { Socket } from "./connection.ts";

// What goes to the network at once; behind it the system has buffers of its own.
const PIECE = 65_536;

// How long a client may take for the rest, once its stream is ended, in milliseconds.
const REST_TIME = 5000;

const encoder = new TextEncoder();

/** Frames as one stream of bytes. Each ends with a line feed. */
export class StreamSocket implements Socket {
  readonly frees = true;
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #gone: () => void;
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #unsent = 0;
  #wanted: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #state: "open" | "ending" | "ended" = "open";
  #late: ReturnType<typeof setTimeout> | undefined;

  /** @param gone Called once, when nothing more can be sent. */
  constructor(gone: () => void) {
    this.#gone = gone;
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
    return this.#state === "open" ? WebSocket.OPEN : WebSocket.CLOSED;
  }

  /** @param frame What to send. */
  send(frame: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    if (this.#state !== "open") return;
    const bytes = encoder.encode(`${frame}\n`);
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#pieces.push(bytes.subarray(at, at + PIECE));
    }
    this.#unsent += bytes.length;
    this.#flush();
  }

  /**
   * Ends the stream, once what was sent is taken; one whose client is too slow, at once.
   *
   * @param code As of a WebSocket.
   */
  close(code?: number): void {
    if (this.#state !== "open") return;
    if (code === CLOSE.tooSlow) return this.#break();
    this.#state = "ending";
    this.#late = setTimeout(() => this.#break(), REST_TIME);
    this.#flush();
  }

  #pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): void {
    this.#wanted = controller;
    this.#flush();
  }

  #flush(): void {
    const controller = this.#wanted;
    if (controller === undefined) return;
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#wanted = undefined;
      this.#unsent -= piece.length;
      controller.enqueue(piece);
    } else if (this.#state === "ending") {
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
    this.#unsent = 0;
    this.#gone();
  }
}
