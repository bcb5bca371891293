/** Counts what is read from logs in this isolate, and how much of it in one turn of the loop. */
import { setImmediate } from "node:timers";
import { Reader } from "../../lib/store/reader.ts";
import { type Message, messageJson } from "../../lib/protocol/message.ts";

/** What was read since it began; disposing of it ends the counting. */
export interface Reads extends Disposable {
  /** Bytes of messages in all. */
  readonly bytes: number;
  /** The most bytes of one turn. */
  readonly most: number;
}

/**
 * Begins to count.
 *
 * @returns The counts.
 */
export function countReads(): Reads {
  const { after, between, message } = Reader.prototype;
  let [bytes, most, turn] = [0, 0, 0];
  const count = (read: readonly Message[]) => {
    if (turn === 0) setImmediate(() => turn = 0);
    const size = read.reduce((sum, one) => sum + messageJson(one).length, 0);
    [bytes, turn] = [bytes + size, turn + size];
    most = Math.max(most, turn);
  };
  Reader.prototype.after = function (...asked) {
    const page = after.apply(this, asked);
    count(page.messages);
    return page;
  };
  Reader.prototype.between = function (...asked) {
    const page = between.apply(this, asked);
    count(page.messages);
    return page;
  };
  Reader.prototype.message = function (...asked) {
    const read = message.apply(this, asked);
    count(read === undefined ? [] : [read]);
    return read;
  };
  return {
    get bytes() {
      return bytes;
    },
    get most() {
      return most;
    },
    [Symbol.dispose]() {
      Object.assign(Reader.prototype, { after, between, message });
    },
  };
}
