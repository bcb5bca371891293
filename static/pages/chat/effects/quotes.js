// @ts-check
/** Looks up what rows reply to: one at a time, the newest wish first, so that no flood of replies makes one of questions. */
import { Code, FanfareError, State } from "../../../client/client.js";

/** How long to wait before asking again, in milliseconds: at first, and at most. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
/** Of these the message isn't there for us; of all others nobody knows yet. */
const GONE = ["not_found", "forbidden", "bad_request"];

/** @typedef {Pick<import("../../../client/client.js").Client, "state" | "history">} Client */

/**
 * Makes what looks up.
 *
 * @param {Client} client The connection.
 * @param {(action: Extract<import("../model/chat_state.js").ChatAction, {type: "quote"}>) => void} dispatch What changes the state.
 * @param {(ms: number, run: () => void) => unknown} [after] What runs later.
 * @returns What asks, and what goes on once there is a connection.
 */
export function makeQuotes(client, dispatch, after = (ms, run) => setTimeout(run, ms)) {
  /** What rows that are drawn want to know of, and how many of them. @type {Map<string, {channel: string, seq: number, rows: number}>} */
  const wanted = new Map();
  let asking = false;
  let wait = FIRST_WAIT;
  /** @param {string} id Which. @param {{channel: string, seq: number}} which The same. @param {import("../../../client/client.js").Message} [message] What was found. */
  const found = (id, { channel, seq }, message) => {
    wait = FIRST_WAIT;
    wanted.delete(id);
    dispatch({ type: "quote", channel, seq, message });
  };
  const ask = async () => {
    const [id, next] = [...wanted].at(-1) ?? [];
    if (asking || id === undefined || next === undefined || client.state !== State.open) return;
    asking = true;
    let pause = 0;
    try {
      const { messages } = await client.history(next.channel, { before: next.seq + 1, limit: 1 });
      found(id, next, messages[0]);
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error;
      if (GONE.includes(error.code)) found(id, next);
      // Without a connection it is asked again with the next one.
      else if (error.code !== Code.closed) {
        pause = Math.max(error.retry ?? 0, wait);
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
    } finally {
      if (pause === 0) asking = false;
    }
    if (pause === 0) return void ask();
    after(pause, () => {
      asking = false;
      ask();
    });
  };

  return {
    /** Goes on with what waited for a connection. */
    connected: () => void ask(),

    /**
     * @param {string} channel Where. @param {number} seq Looks up what a row replies to.
     * @returns {() => void} Called when the row is gone.
     */
    quote(channel, seq) {
      const id = `${channel} ${seq}`;
      const one = wanted.get(id) ?? { channel, seq, rows: 0 };
      one.rows += 1;
      // The newest wish comes first, whoever had it before.
      wanted.delete(id);
      wanted.set(id, one);
      ask();
      let gone = false;
      return () => {
        if (gone) return;
        gone = true;
        one.rows -= 1;
        if (one.rows === 0 && wanted.get(id) === one) wanted.delete(id);
      };
    },
  };
}
