/**
 * The age of messages where their `time` doesn't tell it. `time` never falls with seq: once the clock was ahead, all that follows has
 * the same `time` until the clock has caught up. Meanwhile each record has a `stamp`, the clock's own reading.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LogRecord } from "../protocol/message.ts";

// A machine without a battery for its clock starts years back: such a reading is ignored.
const EARLIEST = Date.UTC(2026, 0);

/** When a record came, as far as it is known. */
export type Moment = Pick<LogRecord, "time" | "stamp">;

/**
 * Finds what the clock said when a record came.
 *
 * @param record The record.
 * @returns Milliseconds since 1970; at most its time.
 */
export function readingOf({ time, stamp }: Moment): number {
  return stamp ?? time;
}

/**
 * Makes the stamp of the next record. Stamps of one `time` never fall: a clock that is far behind for a moment must not make all
 * messages before it old.
 *
 * @param last The log's last record.
 * @param now The clock, in milliseconds since 1970.
 * @returns The stamp, less than the last record's time; undefined where the clock isn't behind it, or can't be believed.
 */
export function stampAfter(last: Moment, now: number): number | undefined {
  if (now >= last.time || now < EARLIEST) return undefined;
  return Math.max(now, last.stamp ?? 0);
}

/**
 * Finds the moment that the next stamp is made from.
 *
 * @param last The log's last record before it.
 * @param record The record.
 * @returns Its time, and the last stamp of that time: a reading that wasn't believed doesn't end their rise.
 */
export function momentAfter(last: Moment, { time, stamp }: Moment): Moment {
  return { time, stamp: stamp ?? (time === last.time ? last.stamp : undefined) };
}

/** Finds messages by their stamps; each look-up is one row of an index. */
export class Ages {
  readonly #upTo: StatementSync;
  readonly #last: StatementSync;

  /** @param db The log's connection. */
  constructor(db: DatabaseSync) {
    const stamped = "FROM messages WHERE stamp IS NOT NULL AND time = (SELECT time FROM log)";
    this.#upTo = db.prepare(
      `SELECT seq ${stamped} AND time > ? AND stamp < ? ORDER BY stamp DESC, seq DESC LIMIT 1`,
    );
    this.#last = db.prepare(`SELECT max(stamp) AS stamp ${stamped}`);
  }

  /**
   * Finds up to where messages are old although their `time` isn't. Order decides: what comes before an old message is older.
   * Stamps count only until the clock has caught up with the log's time. After that nothing tells a clock that was ahead before
   * them from one that was behind while they were made, and to keep messages for too long is the smaller harm.
   *
   * @param before What is old, in milliseconds since 1970.
   * @param now The clock.
   * @returns The seq of the last message that the clock itself puts before `before`; 0 where there is none.
   */
  upTo(before: number, now: number): number {
    return Number(this.#upTo.get(now, before)?.seq ?? 0);
  }

  /**
   * Finds the last stamp.
   *
   * @returns That of the messages with the log's time; undefined where none has one.
   */
  last(): number | undefined {
    const stamp = this.#last.get()?.stamp;
    return typeof stamp === "number" ? stamp : undefined;
  }
}
