// @ts-check
/** What can be done on the chat page: each is a word to the server, a change of the state, or both. */
import { Code, FanfareError, State } from "../fanfare.js";
import { toast } from "../parts/frame.js";
import { t } from "../parts/i18n.js";
import { reasonOf } from "../parts/message.js";
import { directChannel, hashOf, LOBBY } from "./channels.js";
import { dataOf } from "./content.js";
import { write } from "./composer.js";
import { MOST_ROOMS, quoteOf, talkOf } from "./state.js";
import { find, KEPT } from "./talk.js";
import { titleOf } from "./side.js";

const PAGE = 100;
/** How often one says that one types, in milliseconds. */
const TYPING_EVERY = 3000;
/** After what couldn't be loaded it isn't tried again before, in milliseconds. */
const PATIENCE = 5000;

/** @typedef {ReturnType<typeof makeActions>} Actions */
/** @typedef {import("./state.js").ChatState} ChatState */
/** @typedef {import("./content.js").Said} Said */

/**
 * Makes them.
 *
 * @param {import("../fanfare.js").Client} client The connection.
 * @param {{state: {value: ChatState}, dispatch: (...actions: import("./state.js").ChatAction[]) => void}} store The state.
 * @returns What can be done; always the same, so that what is drawn with it isn't drawn anew.
 */
export function makeActions(client, { state, dispatch }) {
  let typed = 0;
  let notBefore = 0;
  /** Messages that rows want to know of, the newest wish last; one is asked for at a time. @type {Map<string, {channel: string, seq: number}>} */
  const wanted = new Map();
  let asking = false;
  /** Whether the timeline is at its end. */
  let atEnd = true;

  /** @param {unknown} error What went wrong. @returns {string} Why, in words. */
  const why = (error) => error instanceof FanfareError ? reasonOf(error) : String(error);

  /** @param {string} channel Opens it; its address changes, and that opens it. */
  const open = (channel) => void (location.hash = hashOf(channel, state.value.account));

  /** Looks whether somebody looks. */
  const look = () => {
    const looking = atEnd && document.visibilityState === "visible" && document.hasFocus();
    if (looking !== state.value.looking) dispatch({ type: "look", looking });
  };

  const ask = async () => {
    const [id, next] = [...wanted].at(-1) ?? [];
    if (asking || id === undefined || next === undefined || client.state !== State.open) return;
    asking = true;
    try {
      const { messages } = await client.history(next.channel, { before: next.seq + 1, limit: 1 });
      dispatch({ type: "quote", ...next, message: messages[0] });
      wanted.delete(id);
    } catch (error) {
      // Without a connection it is asked again with the next one; what is refused isn't there for us.
      if (!(error instanceof FanfareError) || error.code !== Code.closed) {
        dispatch({ type: "quote", ...next, message: undefined });
        wanted.delete(id);
      }
    }
    asking = false;
    if (client.state === State.open) ask();
  };

  return {
    /** Goes on with what waited for a connection. */
    connected: () => void ask(),

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
        toast(why(error), true);
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

    /** @param {string} channel Loads older messages there, if there may be any. */
    async older(channel) {
      const talk = talkOf(state.value, channel);
      const stands = channel.startsWith("dm:") || talk.read !== undefined;
      if (
        client.state !== State.open || !stands || talk.more === false || talk.loading !== undefined
      ) return;
      if (talk.said.length >= KEPT || performance.now() < notBefore) return;
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
        if (!silent) toast(t("loadFailed", { why: why(error) }), true);
      }
    },

    /** @param {string} channel Where. @param {number} after Loads what is missing after this seq. */
    async load(channel, after) {
      dispatch({ type: "loading", channel, what: after });
      try {
        const { messages, more } = await client.history(channel, { after, limit: PAGE });
        dispatch({ type: "filled", channel, after, messages, more });
      } catch (error) {
        dispatch({ type: "loading", channel, what: undefined });
        toast(t("loadFailed", { why: why(error) }), true);
      }
    },

    /**
     * @param {string} channel Where. @param {number} seq Looks up what a row replies to.
     * @returns {() => void} Called when the row is gone.
     */
    quote(channel, seq) {
      const id = `${channel} ${seq}`;
      wanted.set(id, { channel, seq });
      ask();
      return () => void wanted.delete(id);
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
          return toast(t("loadFailed", { why: why(error) }), true);
        }
      }
      if (quoteOf(state.value, channel, seq) && state.value.open === channel) {
        dispatch({ type: "jump", seq });
      }
    },
  };
}
