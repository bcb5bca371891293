/** Clients that a server can't get rid of: some stop reading, others have earned their close and never answer it. */
import { RawWebSocket } from "../../helpers/raw_websocket.ts";

/** So many wrong commands in a row are answered with 1008 (protocol.md, "Errors"). */
const WRONG = 100;

/** Some of them. */
export class Stuck {
  readonly #port: number;
  readonly #channel: string;
  #sockets: RawWebSocket[] = [];

  /**
   * @param port Where those that stop reading connect.
   * @param channel What they subscribe to.
   */
  constructor(port: number, channel: string) {
    this.#port = port;
    this.#channel = channel;
  }

  /**
   * Adds some.
   *
   * @param stuck How many stop reading.
   * @param closing How many never answer a close: past the proxy, which would answer in their place.
   * @param direct The server's own port.
   * @returns How many there are now.
   */
  async stick(stuck: number, closing: number, direct: number): Promise<number> {
    const subscribe = JSON.stringify({ id: 1, subscribe: { channel: this.#channel } });
    for (let i = 0; i < stuck; i++) await this.#add(this.#port, subscribe);
    for (let i = 0; i < closing; i++) await this.#add(direct, "{}\n".repeat(WRONG).trim());
    return this.#sockets.length;
  }

  /** All go. */
  leave(): void {
    for (const socket of this.#sockets.splice(0)) socket[Symbol.dispose]();
  }

  async #add(port: number, text: string): Promise<void> {
    const socket = await RawWebSocket.open(port, "");
    this.#sockets.push(socket);
    await socket.send(text);
  }
}
