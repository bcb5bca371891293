/** WebSockets by hand over TCP, cheap enough that the server is what bounds a figure and not its readers. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { micros } from "./stamp.ts";

// `node:net` with one buffer for all sockets takes 7 GB for each second of a core, in chunks of 110 kB, under Deno (9 under
// Node, 4.5 with Bun.connect; Deno.connect didn't keep up with 1,000 sockets that are sent to without a pause).
const CHUNK = 262_144;
/** How much of a frame has to be there before it is known what to do with it; its head, and its first message's seq. */
export const SIGHT = 96;
const LONGEST_HEAD = 10;
const ROOM = SIGHT + LONGEST_HEAD;
const shared = Buffer.alloc(ROOM + CHUNK);

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Takes the text frames of one connection; bytes are only good until the call returns. */
export interface FrameTaker {
  /**
   * Looks at the begin of a frame.
   *
   * @param bytes Where it is.
   * @param start Of its payload; the first {@linkcode SIGHT} bytes, or all, are there.
   * @param size Of its payload.
   * @returns Whether it is known by that alone; otherwise {@linkcode whole} gets all of it.
   */
  known(bytes: Buffer, start: number, size: number): boolean;
  /**
   * The frame that was known is complete.
   *
   * @param now When, in microseconds since 1970.
   */
  arrived(now: number): void;
  /**
   * One that wasn't known is complete.
   *
   * @param payload All of it.
   * @param now When.
   */
  whole(payload: Buffer, now: number): void;
}

/** One client's connection. */
export class FrameSocket {
  /** Ends when the connection does. */
  readonly ended: Promise<void>;
  /** Cookies that the handshake gave. */
  cookie: string | undefined;
  readonly #socket: Socket;
  #taker: FrameTaker | undefined;
  // What came before anyone took it: some servers speak first.
  #early: Buffer[] = [];
  #head = "";
  #shaken: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  // The begin of a frame of which too little is there.
  #rest = Buffer.alloc(0);
  // What is missing of a frame, and what is kept of it where it isn't known.
  #missing = 0;
  #now = 0;
  #kept: Buffer[] | undefined;

  private constructor(port: number) {
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: shared.subarray(ROOM),
        callback: (count) => {
          this.#take(count);
          return true;
        },
      },
    });
    this.ended = new Promise((resolve) => this.#socket.on("close", () => resolve()));
    this.#socket.on("error", (error) => this.#failed?.(error));
  }

  /**
   * Connects and shakes hands.
   *
   * @param port On 127.0.0.1.
   * @param path What is asked for.
   * @param headers More lines of the request.
   * @returns The connection.
   */
  static async open(
    port: number,
    path: string,
    headers: readonly string[] = [],
  ): Promise<FrameSocket> {
    const socket = new FrameSocket(port);
    await new Promise<void>((resolve, reject) => {
      socket.#shaken = resolve;
      socket.#failed = reject;
      socket.ended.then(() => reject(new Error("Cannot shake hands: the connection was closed")));
      socket.#socket.write(
        [
          `GET ${path} HTTP/1.1`,
          `Host: 127.0.0.1:${port}`,
          "Upgrade: websocket",
          "Connection: Upgrade",
          "Sec-WebSocket-Version: 13",
          `Sec-WebSocket-Key: ${
            Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64")
          }`,
          ...headers,
          "\r\n",
        ].join("\r\n"),
      );
    });
    return socket;
  }

  /** @param taker Who takes the frames from now on. */
  listen(taker: FrameTaker): void {
    this.#taker = taker;
    for (const payload of this.#early.splice(0)) taker.whole(payload, micros());
  }

  /**
   * Sends a text frame.
   *
   * @param text The frame.
   * @returns Whether the socket takes more at once.
   */
  send(text: string): boolean {
    return this.#socket.write(maskedFrame(TEXT, Buffer.from(text)));
  }

  /** @param drained Called each time that all that was sent is with the system. */
  onDrain(drained: () => void): void {
    this.#socket.on("drain", drained);
  }

  /** Ends it without a word. */
  close(): void {
    this.#socket.destroy();
  }

  #take(count: number): void {
    // Once for all frames of a chunk: asking takes longer than passing over a frame.
    this.#now = micros();
    if (this.#shaken !== undefined) {
      const from = this.#shake(count);
      if (from < 0) return;
      return this.#frames(from, ROOM + count);
    }
    // Put before what was read, so that nothing else has to be copied.
    const start = ROOM - this.#rest.length;
    shared.set(this.#rest, start);
    this.#frames(start, ROOM + count);
  }

  #shake(count: number): number {
    const before = this.#head.length;
    this.#head += shared.toString("latin1", ROOM, ROOM + count);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return -1;
    if (!this.#head.startsWith("HTTP/1.1 101 ")) {
      this.#failed?.(new Error(`Cannot shake hands: ${this.#head.split("\r\n")[0]}`));
      return -1;
    }
    this.cookie = /^set-cookie: ([^;\r]+)/im.exec(this.#head)?.[1];
    this.#head = "";
    const shaken = this.#shaken;
    this.#shaken = undefined;
    shaken?.();
    return ROOM + end + 4 - before;
  }

  #frames(start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#missing > 0) {
        at = this.#more(at, end);
        continue;
      }
      const next = this.#begin(at, end);
      if (next === at) break;
      at = next;
    }
    this.#rest = at < end ? Buffer.from(shared.subarray(at, end)) : EMPTY;
  }

  #more(at: number, end: number): number {
    const to = Math.min(end, at + this.#missing);
    this.#kept?.push(Buffer.from(shared.subarray(at, to)));
    this.#missing -= to - at;
    if (this.#missing === 0) this.#complete();
    return to;
  }

  #complete(): void {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept === undefined) this.#taker?.arrived(this.#now);
    else if (this.#taker === undefined) this.#early.push(Buffer.concat(kept));
    else this.#taker.whole(Buffer.concat(kept), this.#now);
  }

  // Gives back where it goes on; the same place where too little is there.
  #begin(at: number, end: number): number {
    if (end - at < 2) return at;
    const opcode = (shared[at] ?? 0) & 0x0f;
    const short = (shared[at + 1] ?? 0) & 0x7f;
    const payload = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (payload > end) return at;
    const size = short === 126
      ? shared.readUInt16BE(at + 2)
      : short === 127
      ? shared.readUInt32BE(at + 6)
      : short;
    if (opcode !== TEXT) return this.#control(opcode, payload, size, end) ? payload + size : at;
    if (end - payload < Math.min(size, SIGHT)) return at;
    const known = this.#taker?.known(shared, payload, size) ?? false;
    this.#kept = known ? undefined : [];
    this.#missing = size;
    if (size === 0) this.#complete();
    return size === 0 ? payload : this.#more(payload, end);
  }

  #control(opcode: number, payload: number, size: number, end: number): boolean {
    if (opcode < CLOSE) throw new Error(`Cannot read a frame with opcode ${opcode}`);
    if (end - payload < size) return false;
    if (opcode === PING) {
      this.#socket.write(maskedFrame(PONG, Buffer.from(shared.subarray(payload, payload + size))));
    }
    if (opcode === CLOSE) this.#socket.destroy();
    return true;
  }
}

const EMPTY = Buffer.alloc(0);

// The mask is zeros: the server has to take it, and nothing between here and there cares.
function maskedFrame(opcode: number, payload: Buffer): Buffer {
  if (payload.length > 65_535) throw new RangeError("Cannot send so long a frame");
  const head = payload.length > 125
    ? [0x80 | opcode, 0x80 | 126, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0]
    : [0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), payload]);
}
