/** What was published and what was told of it; violations are written down where they are seen. */
import { crc32 } from "node:zlib";
import type { WireMessage } from "../../helpers/load/wire.ts";

/** A message that a publisher made, with what it was told of it. */
export interface Publication {
  readonly key: string;
  readonly publisher: string;
  /** Its number among its publisher's, from 0. */
  readonly nth: number;
  readonly channel: string;
  readonly data: unknown;
  /** Checks `data`. */
  readonly crc: number;
  /** Set by the first acknowledgement. */
  told?: { readonly seq: number; readonly time: number };
  /** It was under way when something of its publisher was refused: its order isn't promised, all the rest is. */
  unordered?: boolean;
}

/** What is counted, in the order in which it is shown. */
export interface Counts {
  kills: number;
  mishaps: number;
  cut: number;
  reconnects: number;
  published: number;
  resends: number;
  duplicates: number;
  refused: number;
  delivered: number;
  lost: number;
  repeated: number;
  reordered: number;
  /** Violations of any other kind. */
  wrong: number;
}

/** What a violation is counted as. */
export type Fault = "lost" | "repeated" | "reordered" | "wrong";

const TOLD = 20;

/** The books of a run. */
export class Ledger {
  readonly counts: Counts = {
    kills: 0,
    mishaps: 0,
    cut: 0,
    reconnects: 0,
    published: 0,
    resends: 0,
    duplicates: 0,
    refused: 0,
    delivered: 0,
    lost: 0,
    repeated: 0,
    reordered: 0,
    wrong: 0,
  };
  /** The first violations, as sentences. */
  readonly violations: string[] = [];
  /** By key. */
  readonly publications = new Map<string, Publication>();
  /** How many have their place. */
  acknowledged = 0;
  #awaited: { count: number; resolve: () => void } | undefined;
  /** The greatest seq that was told. */
  seq = 0;
  /** The log's, once it was told. */
  epoch: string | undefined;

  /**
   * Writes a violation down.
   *
   * @param fault What it counts as.
   * @param sentence What happened.
   */
  violate(fault: Fault, sentence: string): void {
    this.counts[fault] += 1;
    if (this.violations.length < TOLD) this.violations.push(`${fault}: ${sentence}`);
  }

  /**
   * Takes a message in that is about to be published for the first time.
   *
   * @param publication The message.
   */
  add(publication: Publication): void {
    this.counts.published += 1;
    this.publications.set(publication.key, publication);
  }

  /**
   * Takes an acknowledgement in.
   *
   * @param publication What was acknowledged.
   * @param answer What was told.
   */
  acknowledge(
    publication: Publication,
    answer: { channel: string; seq: number; time: number; duplicate?: boolean },
  ): void {
    const { key, channel, told } = publication;
    const { seq, time, duplicate } = answer;
    if (duplicate) this.counts.duplicates += 1;
    if (answer.channel !== channel) {
      this.violate(
        "wrong",
        `${key} was published in ${channel}, acknowledged in ${answer.channel}`,
      );
    }
    if (told === undefined) {
      publication.told = { seq, time };
      this.seq = Math.max(this.seq, seq);
      this.acknowledged += 1;
      if (this.#awaited?.count === this.acknowledged) this.#awaited.resolve();
      return;
    }
    if (!duplicate) {
      this.violate("repeated", `${key} was acknowledged as new twice: ${told.seq}, ${seq}`);
    } else if (told.seq !== seq || told.time !== time) {
      const first = `${told.seq} at ${told.time}`;
      this.violate("wrong", `${key} was told to be ${first}, then ${seq} at ${time}`);
    }
  }

  /**
   * Waits for acknowledgements of new messages; ends in the same turn as the last one comes. One at a time.
   *
   * @param more How many.
   */
  async after(more: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited = { count: this.acknowledged + more, resolve };
    await promise;
  }

  /**
   * Compares an epoch with the one told first.
   *
   * @param epoch What was told now.
   */
  check(epoch: string): void {
    this.epoch ??= epoch;
    if (this.epoch !== epoch) {
      this.violate("wrong", `The epoch changed from ${this.epoch} to ${epoch}`);
    }
  }
}

/**
 * Reduces a value to a number, to compare it later.
 *
 * @param value Any JSON value.
 * @returns Its checksum.
 */
export function checksum(value: unknown): number {
  return crc32(JSON.stringify(value));
}

/**
 * Reduces a message to a number; the order of its members doesn't matter.
 *
 * @param message The message.
 * @returns Its checksum.
 */
export function messageChecksum(
  { channel, seq, time, from, name, key, data }: WireMessage,
): number {
  return checksum([channel, seq, time, from, name, key, data]);
}
