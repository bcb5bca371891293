// @ts-check
/** What can be done on the chat page: each is a word to the server, a change of the state, or both. */
import { Code, FanfareError, State } from "../fanfare.js";
import { toast } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { reasonOf } from "../parts/message.js";
import { directChannel, hashOf, LOBBY } from "./channels.js";
import { dataOf } from "./content.js";
import { write } from "./composer.js";
import { makeLoading, whyOf } from "./loading.js";
import { MOST_ROOMS } from "./state.js";
import { titleOf } from "./side.js";

/** How often one says that one types, in milliseconds. */
const TYPING_EVERY = 3000;

/** @typedef {ReturnType<typeof makeActions>} Actions */
/** @typedef {import("./known.js").ChatState} ChatState */
/** @typedef {import("./content.js").Said} Said */

/**
 * Makes them.
 *
 * @param {import("../fanfare.js").Client} client The connection.
 * @param {{state: {value: ChatState}, dispatch: (...actions: import("./known.js").ChatAction[]) => void}} store The state.
 * @returns What can be done; always the same, so that what is drawn with it isn't drawn anew.
 */
export function makeActions(client, { state, dispatch }) {
  let typed = 0;
  /** Whether the timeline is at its end. */
  let atEnd = true;

  /** @param {string} channel Opens it; its address changes, and that opens it. */
  const open = (channel) => void (location.hash = hashOf(channel, state.value.account));

  /** Looks whether somebody looks. */
  const look = () => {
    const shown = document.querySelector(".timeline")?.checkVisibility({
      visibilityProperty: true,
    });
    const looking = atEnd && shown === true && document.visibilityState === "visible" &&
      document.hasFocus();
    if (looking !== state.value.looking) dispatch({ type: "look", looking });
  };

  return {
    ...makeLoading(client, { state, dispatch }),

    open,

    /** @param {string} account Opens the conversation with it; with "" the room that was open last. */
    choose(account) {
      const { account: own = "", room } = state.value;
      open(account === "" ? room : directChannel(account, own));
    },

    /** @param {string} channel A room. @returns {boolean} Whether there is room for one more. */
    join(channel) {
      const { rooms } = state.value;
      if (!rooms.includes(channel) && rooms.length >= MOST_ROOMS) return false;
      open(channel);
      return true;
    },

    /** @param {string} channel A room that one isn't in any more. */
    leave(channel) {
      const name = titleOf(state.value, channel);
      dispatch({ type: "leave", channel });
      history.replaceState(null, "", hashOf(LOBBY, undefined));
      toast(t("left", { name: `#${name}` }));
      write();
    },

    /**
     * @param {string} channel Where. @param {string} text What was typed. @param {number} [reply] In reply to what.
     * @returns {Promise<boolean>} Whether the outbox took it.
     */
    async send(channel, text, reply) {
      dispatch({ type: "reply", to: undefined });
      typed = 0;
      try {
        await client.publish(channel, dataOf(text, reply));
        return true;
      } catch (error) {
        if (!(error instanceof FanfareError)) throw error;
        // What failed stands in the timeline, with its reason; only what isn't kept has to be told.
        const taken = error.code !== Code.full && error.code !== Code.closed;
        if (!taken) toast(reasonOf(error), true);
        return taken;
      }
    },

    /** @param {string} id Of the outbox. */
    retry(id) {
      client.retry(id);
      write();
    },

    /** @param {string} id Of the outbox. */
    discard(id) {
      client.discard(id);
      write();
    },

    /** @param {string | null} name The new one. @returns {Promise<boolean>} Whether it was taken. */
    async rename(name) {
      try {
        await client.rename(name);
        return true;
      } catch (error) {
        toast(whyOf(error), true);
        return false;
      }
    },

    /** @param {Said | undefined} to Replies to it, or to nothing. */
    reply(to) {
      dispatch({ type: "reply", to });
      if (to !== undefined) write();
    },

    write,

    /** Goes to the newest message, by keyboard. */
    read() {
      const all = document.querySelectorAll(".timeline article");
      const last = all[all.length - 1];
      if (last instanceof HTMLElement) last.focus();
    },

    /** @param {boolean} following Whether the newest message is seen. */
    follow(following) {
      atEnd = following;
      look();
    },

    look,

    /** @param {string} channel Where one types. */
    typing(channel) {
      const now = Date.now();
      if (client.state !== State.open || Math.abs(now - typed) < TYPING_EVERY) return;
      typed = now;
      // Nobody misses a word that isn't kept.
      client.signal(channel, { typing: true }).catch(() => {});
    },
  };
}
