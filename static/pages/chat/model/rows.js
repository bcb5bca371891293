// @ts-check
/** What stands in a timeline: messages, and between them days, gaps and the "new" line. Pure. */
import { indexOf } from "./talk.js";

/** Messages of one person within this time stand together, in milliseconds. */
export const TOGETHER = 300_000;
/** How many rows are drawn at once, at most. */
export const MOST_ROWS = 250;
/** By how many rows it goes on when somebody scrolls. */
export const STEP = 50;

/**
 * @typedef {import("./content.js").Said} Said
 * @typedef {{kind: "message", key: string, message: Said, head: boolean}} MessageRow
 * @typedef {{kind: "day", key: string, time: number} | {kind: "line", key: string} | {kind: "gap", key: string, after: number}
 *   | MessageRow} Row
 * @typedef {{first: number, last: number}} View Seqs: which part is looked at; `last` Infinity goes on with what comes.
 */

/**
 * The part of a conversation that is drawn.
 *
 * @param {readonly Said[]} said All of it.
 * @param {View | undefined} view What is looked at; undefined for the end.
 * @returns {{from: number, to: number}} Indexes.
 */
export function sliceOf(said, view) {
  // In steps, so that a message that comes takes no row away at the top, only each fiftieth.
  if (view === undefined) {
    const from = Math.floor(Math.max(0, said.length - 2 * STEP) / STEP) * STEP;
    return { from, to: said.length };
  }
  const from = indexOf(said, view.first);
  const to = view.last === Infinity ? said.length : indexOf(said, view.last + 1);
  return { from, to: Math.min(to, from + MOST_ROWS + STEP) };
}

/**
 * The view from one index to another.
 *
 * @param {readonly Said[]} said All of it.
 * @param {number} from An index.
 * @param {number} to An index, exclusive.
 * @returns {View} The view, within what there is.
 */
export function viewOf(said, from, to) {
  const first = said[Math.max(0, from)]?.seq ?? 0;
  return { first, last: to >= said.length ? Infinity : said[to - 1]?.seq ?? Infinity };
}

/**
 * Goes on upwards or downwards, and leaves at the other end what is too much.
 *
 * @param {readonly Said[]} said All of it.
 * @param {{from: number, to: number}} slice What is drawn.
 * @param {"up" | "down"} way Where to.
 * @returns {View | undefined} The next view; undefined where there is nothing more.
 */
export function move(said, { from, to }, way) {
  if (way === "up") {
    if (from === 0) return undefined;
    const start = Math.max(0, from - STEP);
    return viewOf(said, start, Math.min(to, start + MOST_ROWS));
  }
  if (to >= said.length) return undefined;
  const end = Math.min(said.length, to + STEP);
  return viewOf(said, Math.max(from, end - MOST_ROWS), end);
}

/**
 * Lays out what is drawn.
 *
 * @param {import("./talk.js").Talk} talk The conversation.
 * @param {{from: number, to: number}} slice Which part.
 * @returns {Row[]} The rows.
 */
export function rowsOf({ said, holes, line }, { from, to }) {
  /** @type {Row[]} */
  const rows = [];
  let before = said[from - 1];
  /** @param {Said} message The next one. @param {boolean} apart Whether something stands between. */
  const put = (message, apart) => {
    const day = before === undefined || dayOf(before.time) !== dayOf(message.time);
    if (day) rows.push({ kind: "day", key: `day ${message.seq}`, time: message.time });
    const isNew = line !== undefined && line < message.seq && line >= (before?.seq ?? 0);
    if (isNew) rows.push({ kind: "line", key: "line" });
    const head = apart || day || isNew || message.reply !== undefined ||
      before?.from !== message.from || before?.name !== message.name ||
      message.time - before.time > TOGETHER;
    rows.push({ kind: "message", key: `message ${message.seq}`, message, head });
    before = message;
  };
  /** @param {number | undefined} after A hole. @returns {boolean} Whether there is one. */
  const gap = (after) => {
    if (after !== undefined) rows.push({ kind: "gap", key: `gap ${after}`, after });
    return after !== undefined;
  };
  for (const message of said.slice(from, to)) {
    const since = before?.seq ?? Infinity;
    put(message, gap(holes.find((hole) => hole >= since && hole < message.seq)));
  }
  if (to < said.length) return rows;
  const end = said.at(-1)?.seq;
  gap(holes.find((hole) => hole === end));
  return rows;
}

/** @param {number} time Milliseconds since 1970. @returns {string} The day here. */
function dayOf(time) {
  const date = new Date(time);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}
