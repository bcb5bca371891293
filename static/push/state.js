// @ts-check
/** The receiver's state: pushes of a topic, the newest first. A pure reducer. */
import { pushOf } from "./content.js";

/** How many pushes stay on the page. */
export const KEPT = 1000;

/**
 * @typedef {import("../fanfare.js").Message} Message
 * @typedef {{seq: number, time: number, push: import("./content.js").Push, gap?: true}} Received In `gap`: some before it are missing.
 * @typedef {{messages: readonly Received[], connection: string, missed: boolean, more: boolean | undefined, loading: boolean, ready: boolean}} ReceiveState
 *   In `ready`: whether it is known what was pushed so far. In `missed`: the next push is marked as one before which some are missing. In `more`: whether there are older ones; undefined while nobody asked.
 * @typedef {{type: "messages", messages: readonly Message[], gap: boolean, reset: boolean} | {type: "connection", state: string}
 *   | {type: "ready"} | {type: "older", messages: readonly Message[], more: boolean} | {type: "loading", loading: boolean}} ReceiveAction
 */

/** Nothing received yet. @type {ReceiveState} */
export const initial = {
  ...{ messages: [], connection: "connecting", missed: false },
  ...{ more: undefined, loading: false, ready: false },
};

/**
 * Makes the next state.
 *
 * @param {ReceiveState} state The state.
 * @param {ReceiveAction} action What happened.
 * @returns {ReceiveState} The next one.
 */
export function reduce(state, action) {
  switch (action.type) {
    case "connection":
      return { ...state, connection: action.state };
    case "ready":
      return { ...state, ready: true };
    case "loading":
      return { ...state, loading: action.loading };
    case "older": {
      const older = unknown(state.messages, action.messages).toReversed();
      return {
        ...state,
        messages: [...state.messages, ...older].slice(0, KEPT),
        more: action.more,
        loading: false,
      };
    }
    case "messages":
      return receive(
        action.reset ? { ...initial, connection: state.connection, ready: state.ready } : state,
        action,
      );
  }
}

/** @param {ReceiveState} state The state. @param {{messages: readonly Message[], gap: boolean}} told What came. @returns {ReceiveState} The next. */
function receive(state, { messages, gap }) {
  const [first, ...rest] = unknown(state.messages, messages);
  const missed = state.messages.length > 0 && (gap || state.missed);
  if (first === undefined) return { ...state, missed };
  const fresh = [missed ? { ...first, gap: /** @type {const} */ (true) } : first, ...rest];
  const all = [...fresh.toReversed(), ...state.messages];
  const cut = all.length > KEPT;
  return { ...state, messages: all.slice(0, KEPT), missed: false, ...(cut ? { more: true } : {}) };
}

/** @param {readonly Received[]} known What is there. @param {readonly Message[]} messages In order. @returns {Received[]} Those that aren't there yet. */
function unknown(known, messages) {
  const seqs = new Set(known.map(({ seq }) => seq));
  return messages.filter(({ seq }) => !seqs.has(seq)).map(({ seq, time, data }) => ({
    ...{ seq, time, push: pushOf(data) },
  }));
}
