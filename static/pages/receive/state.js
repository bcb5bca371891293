// @ts-check
/** The receiver's state: pushes of a topic, the newest first. A pure reducer. */
import { pushOf } from "../../ui/push/content.js";

/** How many pushes stay on the page. */
export const KEPT = 1000;
/** How many are drawn at first, and how many more when somebody comes near to the last of them. */
export const STEP = 60;

/**
 * @typedef {import("../../client/client.js").Message} Message
 * @typedef {{seq: number, time: number, push: import("../../ui/push/content.js").Push, gap?: true}} Received In `gap`: some before it are missing.
 * @typedef {{messages: readonly Received[], held: number, reading: boolean, shown: number, connection: string, missed: boolean,
 *   more: boolean | undefined, loading: boolean, ready: boolean}} ReceiveState
 *   In `reading`: whether somebody reads further down; what comes meanwhile isn't drawn, and is the first `held` of all. In `shown`: how many are drawn behind those.
 *   In `ready`: whether it is known what was pushed so far. In `missed`: the next push is marked as one before which some are missing. In `more`: whether there are older ones; undefined while nobody asked.
 * @typedef {{type: "messages", messages: readonly Message[], gap: boolean, reset: boolean} | {type: "connection", state: string}
 *   | {type: "look", top: boolean, end: boolean} | {type: "ready"} | {type: "older", messages: readonly Message[], more: boolean} | {type: "loading", loading: boolean}} ReceiveAction
 */

/** Nothing received yet. @type {ReceiveState} */
export const initial = {
  ...{ messages: [], held: 0, reading: false, shown: STEP },
  ...{ connection: "connecting", missed: false },
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
    case "look":
      return look(state, action);
    case "older": {
      const older = unknown(state.messages, action.messages).toReversed();
      return {
        ...state,
        messages: [...state.messages, ...older].slice(0, state.held + KEPT),
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

/**
 * What is drawn: a part, so that each frame is cheap however many there are, and what one reads stays where it is.
 *
 * @param {ReceiveState} state The state.
 * @returns {readonly Received[]} Those.
 */
export function drawn({ messages, held, shown }) {
  return messages.slice(held, held + shown);
}

/** @param {ReceiveState} state The state. @param {{top: boolean, end: boolean}} seen Whether the top is seen, and whether the end of what is drawn is near. @returns {ReceiveState} The next; the same where nothing changes. */
function look(state, { top, end }) {
  const { messages, held, reading, shown } = state;
  if (top && reading) {
    const cut = messages.length > KEPT ? { more: true } : {};
    const kept = messages.slice(0, KEPT);
    return { ...state, messages: kept, held: 0, reading: false, shown: STEP, ...cut };
  }
  const more = end && held + shown < messages.length ? STEP : 0;
  if (top !== reading && more === 0) return state;
  return { ...state, reading: !top, shown: shown + more };
}

/** @param {ReceiveState} state The state. @param {{messages: readonly Message[], gap: boolean}} told What came. @returns {ReceiveState} The next. */
function receive(state, { messages, gap }) {
  const [first, ...rest] = unknown(state.messages, messages);
  const missed = state.messages.length > 0 && (gap || state.missed);
  if (first === undefined) return { ...state, missed };
  const fresh = [missed ? { ...first, gap: /** @type {const} */ (true) } : first, ...rest];
  // What one reads isn't cut away by what comes meanwhile.
  const held = state.reading ? [...fresh.toReversed(), ...state.messages.slice(0, state.held)] : [];
  const read = state.reading
    ? state.messages.slice(state.held)
    : [...fresh.toReversed(), ...state.messages];
  const cut = held.length > KEPT || read.length > KEPT;
  return {
    ...state,
    messages: [...held.slice(0, KEPT), ...read.slice(0, KEPT)],
    held: Math.min(held.length, KEPT),
    missed: false,
    ...(cut ? { more: true } : {}),
  };
}

/** @param {readonly Received[]} known What is there. @param {readonly Message[]} messages In order. @returns {Received[]} Those that aren't there yet. */
function unknown(known, messages) {
  const seqs = new Set(known.map(({ seq }) => seq));
  return messages.filter(({ seq }) => !seqs.has(seq)).map(({ seq, time, data }) => ({
    ...{ seq, time, push: pushOf(data) },
  }));
}
