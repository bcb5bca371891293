/** Frames received from one client and not handled yet: commands are taken one by one, large frames in slices. */
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

// The longest slice for the commands of one client, in milliseconds.
const TURN = 2;

interface Frame {
  readonly commands: Iterator<Command | BadCommand>;
  /** In characters. */
  readonly size: number;
}

/** The parts of a queue of frames. */
export interface InboundFramesOptions {
  readonly connection: Connection;
  /** Runs large frames in slices. */
  readonly slices: Slices;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** The most bytes of a frame. */
  readonly most: number;
  /** Whether the next command may be passed on now. */
  readonly ready: () => boolean;
  /** Handles one command. */
  readonly take: (command: Command | BadCommand) => void;
}

/** Queues the frames of one client and passes on their commands, in order. */
export class InboundFrames {
  readonly #options: InboundFramesOptions;
  #waiting: Frame[] = [];
  #held = 0;
  // Whether the first frame waits for its slice, or has it.
  #turn: "none" | "awaited" | "come" = "none";

  /** @param options Its parts. */
  constructor(options: InboundFramesOptions) {
    this.#options = options;
  }

  /** How many characters wait. */
  get held(): number {
    return this.#held;
  }

  /**
   * Queues a frame, or closes a connection that sends faster than its frames are handled.
   *
   * @param text Commands, one a line.
   */
  add(text: string): void {
    const { connection, slices, most } = this.#options;
    const crowded = slices.held > HELD_IN_ALL && this.#held > HELD_SHARE;
    if (crowded || this.#held > HELD_FRAMES * most) {
      return connection.close(CLOSE.later, "Too much came at once, come back", FAILED_RETRY);
    }
    const size = text.length + 1;
    this.#hold(size);
    this.#waiting.push({ commands: decode(text), size });
    this.proceed();
  }

  /** Passes on commands until one has to wait or the slice is over. */
  proceed(): void {
    const { connection, now, ready, take } = this.#options;
    const end = now() + TURN;
    while (connection.open && !connection.closing && ready()) {
      const [frame] = this.#waiting;
      if (frame === undefined || this.#waits(frame)) return;
      // A frame of a few kilobytes may hold a hundred commands.
      if (now() > end) return this.#await();
      const large = this.#turn === "none" && frame.size > SMALL_BODY;
      const begun = large ? now() : 0;
      const { done, value } = frame.commands.next();
      if (!done) take(value);
      if (large) this.#options.slices.inline.spend(now() - begun);
      if (!done) continue;
      this.#turn = "none";
      this.#hold(-frame.size);
      // A new one where all are done: an array that was emptied keeps its room.
      if (this.#waiting.length === 1) this.#waiting = [];
      else this.#waiting.shift();
    }
  }

  /** Drops what wasn't handled. */
  clear(): void {
    this.#waiting = [];
    this.#hold(-this.#held);
  }

  // A large frame takes milliseconds to parse, so it waits for a slice once the inline time is used up. Until then it is parsed as it
  // comes: a held frame outlives the young generation of the garbage collector and costs more.
  #waits({ size }: Frame): boolean {
    const { slices } = this.#options;
    if (this.#turn === "none" && size > SMALL_BODY && !slices.inline.has()) this.#await();
    return this.#turn === "awaited";
  }

  #await(): void {
    this.#turn = "awaited";
    this.#options.slices.add({ serve: () => this.#serve() });
  }

  #hold(size: number): void {
    this.#held += size;
    this.#options.slices.held += size;
  }

  #serve(): void {
    this.#turn = "come";
    try {
      this.proceed();
    } catch (error) {
      this.#options.connection.fail(error);
    }
  }
}
