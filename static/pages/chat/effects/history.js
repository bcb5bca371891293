// @ts-check
/** Reads pages of history: older ones, what is missing, what somebody replies to. */
import { Code, FanfareError, State } from "../../../client/client.js";
import { toast } from "../../../ui/page_frame.js";
import { t } from "../../../ui/i18n.js";
import { reasonOf } from "../../../ui/message.js";
import { quoteOf, talkOf } from "../model/chat_state.js";
import { makeQuotes } from "./quotes.js";
import { find } from "../model/talk.js";

const PAGE = 100;
/** After what couldn't be loaded it isn't tried again before, in milliseconds. */
const PATIENCE = 5000;

/** @typedef {import("../model/chat_state.js").ChatState} ChatState */
/** @typedef {import("../model/chat_state.js").ChatAction} ChatAction */
/** @typedef {{state: {value: ChatState}, dispatch: (...actions: ChatAction[]) => void}} Store */

/**
 * Why something failed, in words.
 *
 * @param {unknown} error What went wrong.
 * @returns {string} Why.
 */
export function whyOf(error) {
  return error instanceof FanfareError ? reasonOf(error) : String(error);
}

/**
 * Makes what reads history.
 *
 * @param {import("../../../client/client.js").Client} client The connection.
 * @param {Store} store The state.
 * @returns What can be read.
 */
export function makeLoading(client, { state, dispatch }) {
  let notBefore = 0;
  return {
    ...makeQuotes(client, dispatch),

    /** @param {string} channel Loads older messages there, if there may be any. */
    async older(channel) {
      const talk = talkOf(state.value, channel);
      const stands = channel.startsWith("dm:") || talk.read !== undefined;
      if (
        client.state !== State.open || !stands || talk.more === false || talk.loading !== undefined
      ) return;
      if (performance.now() < notBefore) return;
      const [before] = talk.said;
      dispatch({ type: "loading", channel, what: "older" });
      try {
        const range = before === undefined ? {} : { before: before.seq };
        const { messages, more } = await client.history(channel, { ...range, limit: PAGE });
        dispatch({ type: "page", channel, messages, older: more, newer: false });
      } catch (error) {
        notBefore = performance.now() + PATIENCE;
        dispatch({ type: "loading", channel, what: undefined });
        const silent = error instanceof FanfareError &&
          [Code.closed, "not_found"].includes(error.code);
        if (!silent) toast(t("loadFailed", { why: whyOf(error) }), true);
      }
    },

    /** @param {string} channel Where. @param {number} after Loads what is missing after this seq. */
    async load(channel, after) {
      // The button goes: who pressed it stays where they read.
      const box = document.querySelector(".timeline");
      if (box instanceof HTMLElement) box.focus({ preventScroll: true });
      dispatch({ type: "loading", channel, what: after });
      try {
        const { messages, more } = await client.history(channel, { after, limit: PAGE });
        dispatch({ type: "filled", channel, after, messages, more });
      } catch (error) {
        dispatch({ type: "loading", channel, what: undefined });
        toast(t("loadFailed", { why: whyOf(error) }), true);
      }
    },

    /** @param {string} channel Where. @param {number} seq Goes to a message; loads what is around it where it isn't loaded. */
    async jump(channel, seq) {
      if (find(talkOf(state.value, channel).said, seq) === undefined) {
        try {
          const page = await client.history(channel, { before: seq + PAGE / 4, limit: PAGE / 2 });
          dispatch({
            type: "page",
            channel,
            messages: page.messages,
            older: page.more,
            newer: true,
          });
        } catch (error) {
          return toast(t("loadFailed", { why: whyOf(error) }), true);
        }
      }
      if (quoteOf(state.value, channel, seq) && state.value.open === channel) {
        dispatch({ type: "jump", seq });
      }
    },
  };
}
