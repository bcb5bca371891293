// @ts-check
/** Channels as the chat page names them: in its address, in its lists, by partner. */

/** The room that everyone is in. */
export const LOBBY = "room:lobby";
/** All direct messages of one's own account. */
export const DIRECT = "dm:*";

// The server looks closer at joiners, and refuses those that change nothing.
const NAME =
  /^(?!.*(?![\u200c\u200d])\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd}\u200c\u200d_.-]+$/u;
const NAME_BYTES = 128;
const LONGEST_TYPED = 1024;
const ACCOUNT = /^[A-Za-z0-9_-]{1,63}$/;

/**
 * The other one of a direct channel.
 *
 * @param {string} channel `dm:A.B`.
 * @param {string | undefined} own One's own account.
 * @returns {string | undefined} The other account, one's own for notes, undefined for a room.
 */
export function partner(channel, own) {
  if (!channel.startsWith("dm:")) return undefined;
  const [first, second] = channel.slice(3).split(".");
  return first === own ? second : first;
}

/**
 * The direct channel of two accounts.
 *
 * @param {string} other One.
 * @param {string} own The other.
 * @returns {string} `dm:A.B`.
 */
export function directChannel(other, own) {
  return other < own ? `dm:${other}.${own}` : `dm:${own}.${other}`;
}

/**
 * Whether this page may show a channel.
 *
 * @param {string} channel Any.
 * @returns {boolean} Whether it may.
 */
export function isTalk(channel) {
  return channel.startsWith("room:") || (channel.startsWith("dm:") && channel !== DIRECT);
}

/**
 * Returns the part of a channel's name behind its kind.
 *
 * @param {string} channel A channel, such as `room:tea`.
 * @returns {string} Its name without the kind, such as `tea`.
 */
export function roomName(channel) {
  return channel.slice(channel.indexOf(":") + 1);
}

/**
 * The subscription by which a channel's messages come.
 *
 * @param {string} channel A room or a direct channel.
 * @returns {string} The room, or `dm:*`.
 */
export function subscriptionOf(channel) {
  return channel.startsWith("dm:") ? DIRECT : channel;
}

/**
 * A room's channel by the name that somebody typed.
 *
 * @param {string} typed What was typed, with or without `#`; blanks become hyphens.
 * @returns {string | undefined} `room:NAME`, or undefined where no room can be called so.
 */
export function roomOf(typed) {
  // To normalize a heap of marks takes the square of its size.
  if (typed.length > LONGEST_TYPED) return undefined;
  const name = typed.trim().replace(/^#+/, "").trim().replace(/\s+/gu, "-").normalize("NFC");
  const fits = NAME.test(name) && new TextEncoder().encode(name).length <= NAME_BYTES;
  return fits ? `room:${name}` : undefined;
}

/**
 * What a channel is called in the page's address.
 *
 * @param {string} channel A room or a direct channel.
 * @param {string | undefined} own One's own account.
 * @returns {string} `#room:NAME` or `#dm:ACCOUNT`.
 */
export function hashOf(channel, own) {
  const other = partner(channel, own);
  return `#${other === undefined ? `room:${encodeURIComponent(channel.slice(5))}` : `dm:${other}`}`;
}

/**
 * Which channel an address means.
 *
 * @param {string} hash What follows the path, with its `#`.
 * @param {string | undefined} own One's own account; until it is known no direct channel is.
 * @returns {string | undefined} The channel, if it means one.
 */
export function channelOf(hash, own) {
  const text = decoded(hash.slice(1));
  if (text.startsWith("room:")) return roomOf(text.slice(5));
  if (!text.startsWith("dm:") || own === undefined) return undefined;
  const accounts = text.slice(3).split(".");
  if (accounts.length > 2 || !accounts.every((account) => ACCOUNT.test(account))) return undefined;
  if (accounts.length === 1) return directChannel(accounts[0] ?? own, own);
  // Another's direct messages can't be read.
  const other = accounts.find((account) => account !== own) ?? own;
  return accounts.includes(own) ? directChannel(other, own) : undefined;
}

/** @param {string} text Part of an address. @returns {string} What it stands for; itself where it is broken. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
