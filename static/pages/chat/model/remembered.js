// @ts-check
/** What the chat remembers in its browser: the rooms one is in, how far they were read, their last messages. */
import { fieldsOf } from "../../../ui/text/text.js";
import { isTalk, LOBBY, roomOf } from "./channels.js";

const MOST = 300;
/** Of so many conversations the newest messages are kept, so that they can be read without a network. */
const MOST_TALKS = 20;
const MOST_SAID = 30;
const LONGEST = 2000;

/**
 * @typedef {import("./content.js").Said} Said
 * @typedef {NonNullable<import("./talk.js").Talk["last"]>} Last
 * @typedef {{account?: string, epoch?: string, rooms: string[], read: Record<string, number>, last: Record<string, Last>, said: Record<string, Said[]>}} Remembered
 */

/**
 * Reads what was kept; what isn't right in it is left out.
 *
 * @param {unknown} kept Anything.
 * @returns {Remembered} What is known.
 */
export function rememberedOf(kept) {
  const { account, epoch, rooms, read, last, said } = fieldsOf(kept);
  const list = Array.isArray(rooms) ? rooms.slice(0, MOST) : [];
  const right = list.filter((room) =>
    typeof room === "string" && room !== LOBBY && roomOf(room.slice(5)) === room
  );
  return {
    ...(typeof account === "string" ? { account } : {}),
    ...(typeof epoch === "string" ? { epoch } : {}),
    rooms: [...new Set(right)],
    read: entriesOf(
      read,
      (seq) => typeof seq === "number" && Number.isSafeInteger(seq) ? seq : undefined,
    ),
    last: entriesOf(last, lastOf),
    said: entriesOf(said, saidList),
  };
}

/**
 * What is to be kept. Other tabs keep in the same place: which rooms there are is told by what is there, and a place that
 * was read isn't taken back.
 *
 * @param {import("./chat_state.js").ChatState} state The state.
 * @param {Remembered} [kept] What is kept now.
 * @returns {Remembered} It.
 */
export function toRemember({ account, epoch, rooms, talks }, kept) {
  const all = Object.entries(talks).slice(-MOST);
  const before = kept !== undefined && kept.epoch === epoch ? kept.read : {};
  const reads = all.flatMap(([channel, { read }]) =>
    read === undefined ? [] : [[channel, Math.max(read, before[channel] ?? 0)]]
  );
  return {
    ...(account === undefined ? {} : { account }),
    ...(epoch === undefined ? {} : { epoch }),
    rooms: kept?.rooms ?? rooms.filter((room) => room !== LOBBY),
    read: Object.fromEntries(reads),
    last: Object.fromEntries(
      all.flatMap(([channel, { last }]) => last === undefined ? [] : [[channel, last]]),
    ),
    said: Object.fromEntries(
      recent(talks).map(([channel, { said }]) => [
        channel,
        said.slice(-MOST_SAID).map((message) => ({
          ...message,
          text: message.text.slice(0, LONGEST),
        })),
      ]),
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

/** @param {unknown} value Anything. @param {number} [longest] How much of its text is kept. @returns {Last | undefined} A last message, if it is one. */
function lastOf(value, longest = 100) {
  const { seq, time, from, name, text } = fieldsOf(value);
  if (typeof seq !== "number" || typeof time !== "number" || typeof text !== "string") {
    return undefined;
  }
  if (!Number.isFinite(time) || Math.abs(time) > 8.64e15) return undefined;
  return {
    ...{ seq, time, text: text.slice(0, longest) },
    from: typeof from === "string" ? from : null,
    ...(typeof name === "string" ? { name } : {}),
  };
}

/** @param {import("./chat_state.js").ChatState["talks"]} talks All. @returns {[string, import("./talk.js").Talk][]} Those with the newest messages. */
function recent(talks) {
  return Object.entries(talks).filter(([, { said }]) => said.length > 0)
    .sort(([, a], [, b]) => (b.last?.seq ?? 0) - (a.last?.seq ?? 0)).slice(0, MOST_TALKS);
}

/**
 * Reads messages that were kept.
 *
 * @param {unknown} value Anything.
 * @returns {Said[] | undefined} Those that are right, in their order, if it is a list.
 */
export function saidList(value) {
  if (!Array.isArray(value)) return undefined;
  const list = value.slice(-MOST_SAID).flatMap((one) => {
    const { channel, key, reply } = fieldsOf(one);
    const last = lastOf(one, LONGEST);
    if (last === undefined || typeof channel !== "string" || !isTalk(channel)) return [];
    return {
      ...{ ...last, channel },
      ...(typeof key === "string" ? { key } : {}),
      ...(typeof reply === "number" ? { reply } : {}),
    };
  });
  return list.sort((a, b) => a.seq - b.seq).filter(({ seq }, i) => seq !== list[i - 1]?.seq);
}
