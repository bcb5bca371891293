/** Publishes at a steady rate. */
import { pause, within } from "../child_server.ts";
import type { Stamped } from "./crowd.ts";

/** The most commands that wait for their answers; a client keeps to 256. */
const PENDING = 200;
const TICK = 5;
const LIMIT = 30_000;

/** A client that only publishes. */
export class BenchPublisher implements Disposable {
  /** How many stamped messages were published. */
  published = 0;
  readonly #socket: WebSocket;
  #id = 0;
  #answered = 0;
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      for (const line of String(data).split("\n")) {
        const { error } = JSON.parse(line);
        if (error !== undefined) throw new Error(`Cannot publish: ${error.message}`);
        this.#answered += 1;
      }
      this.#wake();
    };
  }

  /**
   * Connects.
   *
   * @param port On 127.0.0.1.
   * @param cookie Whose connection.
   * @returns The publisher.
   */
  static async open(port: number, cookie: string): Promise<BenchPublisher> {
    const options = { headers: { cookie } };
    const url = `ws://127.0.0.1:${port}/ws`;
    const socket: WebSocket = Reflect.construct(WebSocket, [url, options]);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onopen = () => resolve();
    await within(promise, LIMIT, "the publisher's connection");
    return new BenchPublisher(socket);
  }

  /**
   * Publishes stamped messages of about 100 bytes, evenly.
   *
   * @param channel Where.
   * @param rate How many a second.
   * @param seconds For how long.
   */
  async publish(channel: string, rate: number, seconds: number): Promise<void> {
    const begun = performance.now();
    const count = Math.round(rate * seconds);
    for (let sent = 0; sent < count;) {
      const due = Math.min(count, Math.floor((performance.now() - begun) * rate / 1000));
      const lines: string[] = [];
      for (; sent < due && this.#id - this.#answered < PENDING; sent++) {
        const at = Math.round(performance.now() * 1000);
        const data: Stamped = { nth: this.published++, at, pad: "x".repeat(60) };
        lines.push(JSON.stringify({ id: ++this.#id, publish: { channel, data } }));
      }
      if (lines.length > 0) this.#socket.send(lines.join("\n"));
      await pause(TICK);
    }
    await this.#allAnswered();
  }

  /**
   * Publishes the same text again and again, as fast as it is acknowledged.
   *
   * @param channel Where.
   * @param count How often.
   * @param text What.
   */
  async fill(channel: string, count: number, text: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#socket.send(JSON.stringify({ id: ++this.#id, publish: { channel, data: { text } } }));
      await this.#allAnswered();
    }
  }

  async #allAnswered(): Promise<void> {
    while (this.#answered < this.#id) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await within(promise, LIMIT, "an acknowledgement");
    }
  }

  /** Disconnects. */
  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
