// @ts-check
/** What the chat remembers in its browser: the rooms one is in, how far they were read, their last messages. */
import { fieldsOf } from "../parts/stored.js";
import { isTalk, LOBBY, roomOf } from "./channels.js";

const MOST = 300;

/**
 * @typedef {NonNullable<import("./talk.js").Talk["last"]>} Last
 * @typedef {{account?: string, rooms: string[], read: Record<string, number>, last: Record<string, Last>}} Remembered
 */

/**
 * Reads what was kept; what isn't right in it is left out.
 *
 * @param {unknown} kept Anything.
 * @returns {Remembered} What is known.
 */
export function rememberedOf(kept) {
  const { account, rooms, read, last } = fieldsOf(kept);
  const list = Array.isArray(rooms) ? rooms.slice(0, MOST) : [];
  const right = list.filter((room) =>
    typeof room === "string" && room !== LOBBY && roomOf(room.slice(5)) === room
  );
  return {
    ...(typeof account === "string" ? { account } : {}),
    rooms: [...new Set(right)],
    read: entriesOf(
      read,
      (seq) => typeof seq === "number" && Number.isSafeInteger(seq) ? seq : undefined,
    ),
    last: entriesOf(last, lastOf),
  };
}

/**
 * What is to be kept.
 *
 * @param {import("./known.js").ChatState} state The state.
 * @returns {Remembered} It.
 */
export function toRemember({ account, rooms, talks }) {
  const all = Object.entries(talks).slice(-MOST);
  return {
    ...(account === undefined ? {} : { account }),
    rooms: rooms.filter((room) => room !== LOBBY),
    read: Object.fromEntries(
      all.flatMap(([channel, { read }]) => read === undefined ? [] : [[channel, read]]),
    ),
    last: Object.fromEntries(
      all.flatMap(([channel, { last }]) => last === undefined ? [] : [[channel, last]]),
    ),
  };
}

/**
 * @template T
 * @param {unknown} value Anything. @param {(value: unknown) => T | undefined} read Reads one value.
 * @returns {Record<string, T>} What is right in it, by channel.
 */
function entriesOf(value, read) {
  const entries = Object.entries(fieldsOf(value)).slice(0, MOST).flatMap(([channel, entry]) => {
    const right = isTalk(channel) ? read(entry) : undefined;
    return right === undefined ? [] : [/** @type {const} */ ([channel, right])];
  });
  return Object.fromEntries(entries);
}

/** @param {unknown} value Anything. @returns {Last | undefined} A last message, if it is one. */
function lastOf(value) {
  const { seq, time, from, name, text } = fieldsOf(value);
  if (typeof seq !== "number" || typeof time !== "number" || typeof text !== "string") {
    return undefined;
  }
  if (!Number.isFinite(time) || Math.abs(time) > 8.64e15) return undefined;
  return {
    ...{ seq, time, text: text.slice(0, 100) },
    from: typeof from === "string" ? from : null,
    ...(typeof name === "string" ? { name } : {}),
  };
}
