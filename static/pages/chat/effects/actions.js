// @ts-check
/** What can be done on the chat page: each is a word to the server, a change of the state, or both. */
import { Code, FanfareError, newKey, State } from "../../../client/client.js";
import { toast } from "../../../ui/page_frame.js";
import { t } from "../../../ui/i18n.js";
import { reasonOf } from "../../../ui/message.js";
import { directChannel, hashOf, LOBBY, roomName } from "../model/channels.js";
import { dataOf } from "../model/content.js";
import { makeLoading, whyOf } from "./history.js";
import { MOST_ROOMS } from "../model/reducer.js";

/** How often one says that one types in a conversation, in milliseconds. */
const TYPING_EVERY = 3000;

/** @typedef {ReturnType<typeof makeActions>} Actions */
/** @typedef {import("../model/chat_state.js").ChatState} ChatState */
/** @typedef {import("../model/content.js").Said} Said */
/** @typedef {{state: {value: import("../model/drafts.js").Drafts}, dispatch: (...actions: import("../model/drafts.js").DraftAction[]) => void}} Drafts */

/**
 * Makes them.
 *
 * @param {import("../../../client/client.js").Client} client The connection.
 * @param {{state: {value: ChatState}, dispatch: (...actions: import("../model/chat_state.js").ChatAction[]) => void}} store The state.
 * @param {Drafts} drafts What was begun.
 * @returns What can be done; always the same, so that what is drawn with it isn't drawn anew.
 */
export function makeActions(client, { state, dispatch }, drafts) {
  let typed = { channel: "", at: 0 };
  /** Whether the timeline is at its end. */
  let atEnd = true;

  /** The box of the composer. @type {HTMLTextAreaElement | null} */
  let box = null;
  const write = () => box?.focus();

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
      dispatch({ type: "leave", channel });
      history.replaceState(null, "", hashOf(LOBBY, undefined));
      toast(t("left", { name: `#${roomName(channel)}` }));
      write();
    },

    /** @param {string} channel Where. @param {string} text What is sent. @param {import("../model/drafts.js").Draft} draft What it was made of. */
    async send(channel, text, draft) {
      drafts.dispatch({ type: "sent", channel });
      dispatch({ type: "written", channel });
      typed = { channel: "", at: 0 };
      const key = newKey();
      try {
        await client.publish(channel, dataOf(text, draft.to?.seq), { key });
      } catch (error) {
        if (!(error instanceof FanfareError)) throw error;
        // What failed stands in the tray, with its reason; what the outbox didn't take is told, and comes back.
        const { full, closed } = Code;
        const taken = (error.code !== full && error.code !== closed) ||
          client.outbox.some((item) => item.key === key);
        if (taken) return;
        toast(reasonOf(error), true);
        drafts.dispatch({ type: "back", channel, draft });
      }
    },

    /** @param {string} id Of the outbox. */
    retry(id) {
      client.retry(id);
      write();
    },

    /** @param {import("../model/chat_state.js").Outgoing} message Wasn't sent: back to where it was written. @param {Said | null} [quote] What it replies to; null where that isn't there any more. */
    edit({ id, channel, text, reply: seq }, quote) {
      // What isn't loaded yet is known by its place.
      const place = { channel, time: 0, from: null, text: t("quoteLoading") };
      const to = quote === undefined && seq !== undefined ? { ...place, seq } : quote;
      const reply = to ? { to, epoch: state.value.epoch } : {};
      drafts.dispatch({ type: "edit", channel, draft: { text, ...reply } });
      client.discard(id);
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
        const bad = error instanceof FanfareError && error.code === "bad_request";
        toast(bad ? t("badName") : whyOf(error), true);
        return false;
      }
    },

    /** @param {Said | undefined} to Replies to it, or to nothing. */
    reply(to) {
      const { epoch, open } = state.value;
      drafts.dispatch({ type: "reply", channel: to?.channel ?? open, to, epoch });
      if (to !== undefined) write();
    },

    /** Focuses the box of the composer. */
    write,

    /** @param {HTMLTextAreaElement | null} current The composer's box of the open conversation. */
    writeIn(current) {
      box = current;
    },

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
      const at = Date.now();
      const told = channel === typed.channel && Math.abs(at - typed.at) < TYPING_EVERY;
      if (client.state !== State.open || told) return;
      typed = { channel, at };
      // Nobody misses a word that isn't kept.
      client.signal(channel, { typing: true }).catch(() => {});
    },
  };
}
