/** The frames of one client that came and aren't done: their commands are taken one by one, and large frames in turns. */
import { log } from "../logger.ts";
import { CLOSE } from "../protocol/codes.ts";
import type { BadCommand, Command } from "../protocol/command.ts";
import { FAILED_RETRY } from "./closings.ts";
import type { Connection } from "./connection.ts";
import { SMALL_BODY } from "./http.ts";
import { decode } from "./native.ts";
import type { Slices } from "./slices.ts";

/** What may wait for its turn at once, in frames of the greatest size. */
export const HELD_FRAMES = 4;

interface Frame {
  readonly commands: Iterator<Command | BadCommand>;
  /** In characters. */
  readonly size: number;
}

/** What they belong to. */
export interface FramesParts {
  readonly connection: Connection;
  /** Runs what takes milliseconds. */
  readonly slices: Slices;
  /** The most bytes of a frame. */
  readonly most: number;
  /** Tells whether the next command may be taken. */
  readonly ready: () => boolean;
  /** Takes a command. */
  readonly take: (command: Command | BadCommand) => void;
}

/** Hands the commands of one client on, in order. */
export class Frames {
  readonly #parts: FramesParts;
  #waiting: Frame[] = [];
  #held = 0;
  // Whether the first of them waits for its turn, or has it.
  #turn: "none" | "awaited" | "come" = "none";

  /** @param parts What they belong to. */
  constructor(parts: FramesParts) {
    this.#parts = parts;
  }

  /** How many characters wait. */
  get held(): number {
    return this.#held;
  }

  /**
   * Takes a frame, or closes a connection that sends faster than its frames have their turns.
   *
   * @param text Commands, one a line.
   */
  add(text: string): void {
    const { connection, most } = this.#parts;
    if (this.#held > HELD_FRAMES * most) {
      return connection.close(CLOSE.later, "Too much came at once, come back", FAILED_RETRY);
    }
    const size = text.length + 1;
    this.#held += size;
    this.#waiting.push({ commands: decode(text), size });
    this.proceed();
  }

  /** Takes commands for as long as they may be. */
  proceed(): void {
    const { connection, ready, take } = this.#parts;
    while (connection.open && !connection.closing && ready()) {
      const [frame] = this.#waiting;
      if (frame === undefined || this.#waits(frame)) return;
      const { done, value } = frame.commands.next();
      if (!done) {
        take(value);
        continue;
      }
      this.#turn = "none";
      this.#held -= frame.size;
      // A new one where all are done: an array that was emptied keeps its room.
      if (this.#waiting.length === 1) this.#waiting = [];
      else this.#waiting.shift();
    }
  }

  /** Forgets what wasn't taken. */
  clear(): void {
    this.#waiting = [];
    this.#held = 0;
  }

  // Reading a large one takes milliseconds: whatever else the isolate does has its turn before.
  #waits({ size }: Frame): boolean {
    if (size <= SMALL_BODY || this.#turn === "come") return false;
    if (this.#turn === "none") {
      this.#turn = "awaited";
      this.#parts.slices.add({ serve: () => this.#serve() });
    }
    return true;
  }

  #serve(): void {
    this.#turn = "come";
    const { connection } = this.#parts;
    try {
      this.proceed();
    } catch (error) {
      // Thrown here it would end every connection of this isolate.
      log.error("connection.failed", { connection: connection.id, error: String(error) });
      connection.close(CLOSE.later, "The server couldn't go on", FAILED_RETRY);
    }
  }
}
