/** A WebSocket by hand over TCP, cheap enough for a thousand readers, and able to stop reading where a real one can't. */
import { Buffer } from "node:buffer";

/** What a connection hands out: payloads of text frames, as bytes that are only good until the call returns. */
export type OnText = (payload: Uint8Array) => void;

const encoder = new TextEncoder();
const PING = 9;
const PONG = 10;
const TEXT = 1;
const CLOSE = 8;
const BUFFER = 32_768;

/** A connection. */
export class RawWebSocket implements Disposable {
  readonly #conn: Deno.TcpConn;
  // What was read and isn't a whole frame yet.
  #bytes = new Uint8Array(BUFFER);
  #length = 0;
  #closeCode: number | undefined;
  #writing = Promise.resolve();

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /**
   * Connects and shakes hands.
   *
   * @param port On 127.0.0.1.
   * @param cookie Whose connection.
   * @returns The connection.
   * @throws {Error} If it is refused.
   */
  static async open(port: number, cookie: string): Promise<RawWebSocket> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const socket = new RawWebSocket(conn);
    const key = crypto.getRandomValues(new Uint8Array(16)).toBase64();
    const head = [
      "GET /ws HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${key}`,
      "Sec-WebSocket-Protocol: fanfare.v1",
      `Cookie: ${cookie}`,
      // Read only by a server that trusts a proxy.
      "X-Forwarded-For: 127.0.0.1",
      "\r\n",
    ];
    await socket.#write(encoder.encode(head.join("\r\n")));
    for (;;) {
      if (!await socket.#fill()) throw new Error("Cannot shake hands: the connection was closed");
      const text = new TextDecoder("latin1").decode(socket.#bytes.subarray(0, socket.#length));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      if (!text.startsWith("HTTP/1.1 101 ")) {
        throw new Error(`Cannot shake hands: ${text.split("\r\n")[0]}`);
      }
      socket.#drop(end + 4);
      return socket;
    }
  }

  /** Its own port. */
  get port(): number {
    return this.#conn.localAddr.port;
  }

  /** The code of the close frame that ended it, 1005 for one without a code, undefined where none came. */
  get closeCode(): number | undefined {
    return this.#closeCode;
  }

  /** @param texts Text frames, sent at once: nothing is read in between. */
  async send(...texts: string[]): Promise<void> {
    const frames = texts.map((text) => maskedFrame(TEXT, encoder.encode(text)));
    await this.#write(Buffer.concat(frames));
  }

  /**
   * Sends a part of a message that goes on.
   *
   * @param payload At most 65,535 bytes.
   * @param first Whether the message begins with it.
   */
  async sendPart(payload: Uint8Array, first: boolean): Promise<void> {
    const frame = maskedFrame(first ? TEXT : 0, payload);
    frame[0] = (frame[0] ?? 0) & 0x0f;
    await this.#write(frame);
  }

  /**
   * Reads what has come, at least something, and answers pings.
   *
   * @param onText Takes each text frame.
   * @returns Whether the connection goes on.
   */
  async read(onText: OnText): Promise<boolean> {
    if (!await this.#fill()) return false;
    let at = 0;
    for (;;) {
      const frame = frameAt(this.#bytes, at, this.#length);
      if (frame === undefined) break;
      const payload = this.#bytes.subarray(frame.start, frame.end);
      at = frame.end;
      if (frame.opcode === TEXT) onText(payload);
      else if (frame.opcode === PING) await this.#pong(payload);
      else if (frame.opcode === CLOSE) {
        this.#closeCode = codeIn(payload);
        return false;
      }
    }
    this.#drop(at);
    return true;
  }

  /** Ends it without a word. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #fill(): Promise<boolean> {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    try {
      const count = await this.#conn.read(this.#bytes.subarray(this.#length));
      this.#length += count ?? 0;
      return count !== null;
    } catch (error) {
      if (isEnd(error)) return false;
      throw error;
    }
  }

  // Where it can't be sent any more, the next read tells how the connection ended.
  async #pong(payload: Uint8Array): Promise<void> {
    try {
      await this.#write(maskedFrame(PONG, payload));
    } catch (error) {
      if (!isEnd(error)) throw error;
    }
  }

  #drop(count: number): void {
    this.#bytes.copyWithin(0, count, this.#length);
    this.#length -= count;
  }

  // One after the other: the parts of two frames must not mix.
  #write(bytes: Uint8Array): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    });
    return this.#writing;
  }
}

function isEnd(error: unknown): boolean {
  const { BadResource, BrokenPipe, ConnectionReset, Interrupted } = Deno.errors;
  return [BadResource, BrokenPipe, ConnectionReset, Interrupted].some((end) =>
    error instanceof end
  );
}

function frameAt(
  bytes: Uint8Array,
  at: number,
  length: number,
): { opcode: number; start: number; end: number } | undefined {
  if (length - at < 2) return undefined;
  const opcode = (bytes[at] ?? 0) & 0x0f;
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  const more = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = at + 2 + more;
  if (length < start) return undefined;
  let size = more === 0 ? short : 0;
  for (let i = at + 2; i < start; i++) size = size * 256 + (bytes[i] ?? 0);
  return start + size <= length ? { opcode, start, end: start + size } : undefined;
}

/**
 * Finds the close frame among the frames that a server sent.
 *
 * @param bytes Whole frames, from the first on.
 * @returns Its code, 1005 for none, or undefined where there is no close frame.
 */
export function closeCodeIn(bytes: Uint8Array): number | undefined {
  for (let at = 0;;) {
    const frame = frameAt(bytes, at, bytes.length);
    if (frame === undefined) return undefined;
    if (frame.opcode === CLOSE) return codeIn(bytes.subarray(frame.start, frame.end));
    at = frame.end;
  }
}

function codeIn(payload: Uint8Array): number {
  return payload.length < 2 ? 1005 : (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
}

// The mask is zeros: the server has to take it, and nothing between here and there cares.
function maskedFrame(opcode: number, payload: Uint8Array): Uint8Array {
  if (payload.length > 65_535) throw new RangeError("Cannot send so long a frame");
  const long = payload.length > 125;
  const head = long
    ? [0x80 | opcode, 0x80 | 126, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0]
    : [0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0];
  const frame = new Uint8Array(head.length + payload.length);
  frame.set(head);
  frame.set(payload, head.length);
  return frame;
}
