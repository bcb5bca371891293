/** Puts proposals in order: gives each its seq and time, and has them applied to the log. */
import { type Counters, seriesName } from "../observability/counters.ts";
import { stampAfter } from "../store/ages.ts";
import type { Applied, Log } from "../store/writer.ts";
import type { Proposal } from "../protocol/message.ts";

/** What puts batches of proposals in order. The local one is here; one over a shared stream may stand in its place. */
export interface Sequencer {
  /**
   * Puts a batch in order, behind all batches before it. It is on disk when this resolves.
   *
   * @param batch The proposals, in the order in which they came.
   * @returns What applying them brought, in the order of the batch.
   * @throws {Error} If the log refuses; then nothing of the batch is in it.
   */
  sequence(batch: readonly Proposal[]): Promise<Applied>;
}

const KINDS = ["push", "room", "dm"];

/**
 * Counts what a sequencer does.
 *
 * @param sequencer The sequencer.
 * @param counters What counts.
 * @returns The same, counted.
 */
export function counted(sequencer: Sequencer, counters: Counters): Sequencer {
  for (const kind of KINDS) counters.add(seriesName("publications_total", { kind }), 0);
  return {
    async sequence(batch) {
      const start = performance.now();
      const applied = await sequencer.sequence(batch);
      counters.observe("commit_seconds", (performance.now() - start) / 1000);
      const kinds = new Map<string, number>();
      for (const { channel } of applied.messages) {
        const kind = channel.slice(0, channel.indexOf(":"));
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
      for (const [kind, count] of kinds) {
        counters.add(seriesName("publications_total", { kind }), count);
      }
      const duplicates = applied.outcomes.filter(({ duplicate }) => duplicate).length;
      if (duplicates > 0) counters.add("duplicates_total", duplicates);
      return applied;
    },
  };
}

/**
 * Makes the sequencer of a single machine: the SQLite transaction is the order.
 *
 * @param log The log to write.
 * @param clock Milliseconds since 1970; may go back, the records' time doesn't.
 * @returns The sequencer.
 */
export function localSequencer(log: Log, clock: () => number): Sequencer {
  return {
    sequence(batch) {
      const now = clock();
      const stamp = stampAfter(log.last, now);
      const moment = {
        time: Math.max(log.time, now),
        ...(stamp === undefined ? {} : { stamp }),
      };
      const seq = log.seq + 1;
      return new Promise((resolve) =>
        resolve(log.apply(batch.map((proposal, i) => ({ ...proposal, seq: seq + i, ...moment }))))
      );
    },
  };
}
