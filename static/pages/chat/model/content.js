// @ts-check
/** What a message says. Anyone may have put anything into its data: what isn't right is left out, what is text stays text. */
import { fieldsOf, textOf } from "../../../ui/text/text.js";

/**
 * @typedef {import("../../../client/client.js").Message} Message
 * @typedef {{channel: string, seq: number, time: number, from: string | null, name?: string, key?: string, text: string, reply?: number}} Said
 *   In `reply` stands the seq of the message that it replies to. What that said is read from the log, not from this one: so
 *   nobody can put words into another's mouth.
 */

/**
 * Reads a message.
 *
 * @param {Message} message From the server; its data from anyone.
 * @returns {Said} What is shown of it.
 */
export function saidOf({ channel, seq, time, from, name, key, data }) {
  const reply = replyOf(data, seq);
  return {
    ...{ channel, seq, time, from, text: textOf(data) },
    ...(name === undefined ? {} : { name }),
    ...(key === undefined ? {} : { key }),
    ...(reply === undefined ? {} : { reply }),
  };
}

/**
 * To which message data replies.
 *
 * @param {unknown} data Anything.
 * @param {number} [before] The message's own seq: what it replies to was said before.
 * @returns {number | undefined} The seq, where it is one.
 */
export function replyOf(data, before = Number.MAX_SAFE_INTEGER) {
  const { seq } = fieldsOf(fieldsOf(data).reply);
  return typeof seq === "number" && Number.isSafeInteger(seq) && seq > 0 && seq < before
    ? seq
    : undefined;
}

/**
 * Makes a message's data.
 *
 * @param {string} text What was typed.
 * @param {number} [reply] The seq of what it replies to.
 * @returns {{text: string, reply?: {seq: number}}} The data.
 */
export function dataOf(text, reply) {
  return reply === undefined ? { text } : { text, reply: { seq: reply } };
}
