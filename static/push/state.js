// @ts-check
/** The receiver's state: pushes, the newest first. */

/** How many pushes stay on the page. */
export const KEPT = 500;

/**
 * @typedef {import("../fanfare.js").Message} Message
 * @typedef {{messages: (Message & {gap?: true})[], connection: string, missed: boolean}} ReceiveState In `missed`: the next push is marked as one before which some are missing.
 * @typedef {{type: "messages", messages: Message[], gap: boolean, reset: boolean} | {type: "connection", state: string}} ReceiveAction
 */

/** Nothing received yet. @type {ReceiveState} */
export const initial = { messages: [], connection: "connecting", missed: false };

/**
 * Makes the next state.
 *
 * @param {ReceiveState} state The state.
 * @param {ReceiveAction} action What happened.
 * @returns {ReceiveState} The next one.
 */
export function reduce(state, action) {
  if (action.type === "connection") return { ...state, connection: action.state };
  const before = action.reset ? [] : state.messages;
  const known = new Set(before.map(({ seq }) => seq));
  const [first, ...rest] = action.messages.filter(({ seq }) => !known.has(seq));
  const missed = before.length > 0 && (action.gap || state.missed);
  if (first === undefined) return { ...state, messages: before, missed };
  /** @type {(Message & {gap?: true})[]} */
  const fresh = [missed ? { ...first, gap: true } : first, ...rest];
  const messages = [...fresh.toReversed(), ...before].slice(0, KEPT);
  return { ...state, messages, missed: false };
}
