// @ts-check
/** The receiver's state: pushes, the newest first. */

/** How many pushes stay on the page. */
export const KEPT = 500;

/**
 * @typedef {import("../fanfare.js").Message} Message
 * @typedef {{messages: Message[], connection: string}} ReceiveState
 * @typedef {{type: "messages", messages: Message[], gap: boolean} | {type: "connection", state: string}} ReceiveAction
 */

/** Nothing received yet. @type {ReceiveState} */
export const initial = { messages: [], connection: "connecting" };

/**
 * Makes the next state.
 *
 * @param {ReceiveState} state The state.
 * @param {ReceiveAction} action What happened.
 * @returns {ReceiveState} The next one.
 */
export function reduce(state, action) {
  if (action.type === "connection") return { ...state, connection: action.state };
  const known = new Set(state.messages.map(({ seq }) => seq));
  const fresh = action.messages.filter(({ seq }) => !known.has(seq)).toReversed();
  return { ...state, messages: [...fresh, ...state.messages].slice(0, KEPT) };
}
