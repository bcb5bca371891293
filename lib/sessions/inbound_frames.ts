/** The frames of one client that came and aren't done: their commands are taken one by one, and large frames in turns. */
import { CLOSE } from "../protocol/refusals.ts";
import type { BadCommand, Command } from "../protocol/command.ts";
import { FAILED_RETRY } from "../delivery/closing.ts";
import type { Connection } from "../delivery/connection.ts";
import { SMALL_BODY } from "../web/responses.ts";
import { decode } from "../codecs/native.ts";
import type { Slices } from "../delivery/slices.ts";

/**
 * What may wait for its turn at once, in frames of the greatest size: by default 20 MiB, in which the 256 unanswered commands that a
 * client may have fit with messages of 64 KiB.
 */
export const HELD_FRAMES = 20;

/** What may wait in an isolate, in characters, before clients with more than a share of it are told to come back. */
export const HELD_IN_ALL = 67_108_864;

const HELD_SHARE = 262_144;

// How long the commands of one client are taken before others have their turn, in milliseconds.
const TURN = 2;

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
  /** Milliseconds that never go back. */
  readonly now: () => number;
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
    const { connection, slices, most } = this.#parts;
    const crowded = slices.held > HELD_IN_ALL && this.#held > HELD_SHARE;
    if (crowded || this.#held > HELD_FRAMES * most) {
      return connection.close(CLOSE.later, "Too much came at once, come back", FAILED_RETRY);
    }
    const size = text.length + 1;
    this.#hold(size);
    this.#waiting.push({ commands: decode(text), size });
    this.proceed();
  }

  /** Takes commands for as long as they may be. */
  proceed(): void {
    const { connection, now, ready, take } = this.#parts;
    const end = now() + TURN;
    while (connection.open && !connection.closing && ready()) {
      const [frame] = this.#waiting;
      if (frame === undefined || this.#waits(frame)) return;
      // A frame of a few kilobytes may hold a hundred commands.
      if (now() > end) return this.#await();
      const { done, value } = frame.commands.next();
      if (!done) {
        take(value);
        continue;
      }
      this.#turn = "none";
      this.#hold(-frame.size);
      // A new one where all are done: an array that was emptied keeps its room.
      if (this.#waiting.length === 1) this.#waiting = [];
      else this.#waiting.shift();
    }
  }

  /** Forgets what wasn't taken. */
  clear(): void {
    this.#waiting = [];
    this.#hold(-this.#held);
  }

  // Reading a large one takes milliseconds: whatever else the isolate does has its turn before.
  #waits({ size }: Frame): boolean {
    if (this.#turn === "none" && size > SMALL_BODY) this.#await();
    return this.#turn === "awaited";
  }

  #await(): void {
    this.#turn = "awaited";
    this.#parts.slices.add({ serve: () => this.#serve() });
  }

  #hold(size: number): void {
    this.#held += size;
    this.#parts.slices.held += size;
  }

  #serve(): void {
    this.#turn = "come";
    try {
      this.proceed();
    } catch (error) {
      this.#parts.connection.fail(error);
    }
  }
}
