/** What every codec offers to the edge: texts out of what is told. A codec never sees a socket. */
import type { Message } from "../protocol/message.ts";
import type { PresenceDelta, Signal } from "../protocol/presence.ts";

/** Encodes for the clients of one protocol. What it gives is the same for each of them, so it is made once and shared. */
export interface Codec {
  /** For metrics and logs. */
  readonly name: string;
  /** Where this codec's lines stand in an entry of the ring: 0, 1, 2. */
  readonly index: number;
  /** Whether lines are joined by line feeds into one frame; otherwise each is a frame. */
  readonly joins: boolean;
  /**
   * Encodes a message.
   *
   * @param message The message.
   * @returns Its line.
   */
  message(message: Message): string;
  /**
   * Encodes a change of presence.
   *
   * @param delta Who came and went.
   * @returns Its line, or undefined where this protocol doesn't tell it so.
   */
  presence(delta: PresenceDelta): string | undefined;
  /**
   * Encodes a signal.
   *
   * @param signal A word that isn't kept.
   * @returns Its line, or undefined where this protocol has none.
   */
  signal(signal: Signal): string | undefined;
  /**
   * Encodes that the server closes the connection on purpose. Absent where this protocol doesn't tell it.
   *
   * @param reason For people.
   * @param retry Milliseconds after which to come back.
   * @returns Its line.
   */
  closing?(reason: string, retry: number): string;
}
