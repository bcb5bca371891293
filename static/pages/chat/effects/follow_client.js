// @ts-check
/** Follows what happens: on the connection, in the page's address, and whether somebody looks. */
import { effect, signal } from "../../../ui/preact.js";
import { t } from "../../../ui/i18n.js";
import { toast } from "../../../ui/page_frame.js";
import { perFrame } from "../../../ui/animation_frame.js";
import { reasonOf } from "../../../ui/message.js";
import { fieldsOf } from "../../../ui/text/text.js";
import { followWorker, makeTelling } from "./alerts.js";
import { channelOf, DIRECT, hashOf, LOBBY } from "../model/channels.js";
import { saidOf } from "../model/content.js";
import { followStorage } from "./tabs.js";
import { TYPING_LASTS } from "../model/reducer.js";

const HISTORY = 50;

/** @typedef {import("../../../client/client.js").Client} Client */
/** @typedef {import("../../../client/client.js").Message} Message */
/** @typedef {import("../model/chat_state.js").ChatState} ChatState */
/** @typedef {import("../model/chat_state.js").ChatAction} ChatAction */
/** @typedef {{state: import("@preact/signals").Signal<ChatState>, dispatch: (...actions: ChatAction[]) => void}} Store */
/** @typedef {import("./actions.js").Actions} Actions */

/**
 * Begins to follow.
 *
 * @param {Client} client The connection.
 * @param {Store} store The state.
 * @param {import("./tabs.js").Drafts} drafts What was begun.
 * @param {Actions} act What can be done.
 * @returns Whether the list of conversations is asked for (a phone shows that or one of them), and what is to be read out.
 */
export function follow(client, store, drafts, act) {
  const { state, dispatch } = store;
  const list = signal(false);
  followStorage(store, drafts, () => {
    const { open, account } = state.value;
    history.replaceState(null, "", hashOf(open, account));
  });
  const address = () => {
    list.value = location.hash === "#list";
    const channel = channelOf(location.hash, state.value.account);
    if (channel !== undefined) {
      dispatch({ type: "open", channel });
      if (state.value.open !== channel) toast(t("tooManyRooms"), true);
    } else if (location.hash === "") dispatch({ type: "open", channel: LOBBY });
  };
  const { tell, announced } = makeTelling(state, act);
  const taker = makeTaker(dispatch, tell);
  client.on("account", ({ account, name }) => {
    if (typeof account !== "string") return;
    // What came for the one before is taken in before that is forgotten.
    taker.flush();
    dispatch({ type: "me", account, name });
    drafts.dispatch({ type: "account", account });
    // A direct conversation can be opened once it is known who we are.
    address();
  });
  client.on("state", () => {
    // What a draft replies to is a place in a log. A tab that is restored late has a draft of a log that no other tab knows any more.
    const { epoch } = client;
    if (epoch !== undefined) drafts.dispatch({ type: "log", epoch });
  });
  followClient(client, store, act, taker);
  address();
  followWorker((hash) => {
    const channel = channelOf(hash, state.value.account);
    if (channel !== undefined) act.open(channel);
  });
  globalThis.addEventListener("hashchange", address);
  for (const event of ["focus", "blur"]) globalThis.addEventListener(event, () => act.look());
  document.addEventListener("visibilitychange", () => act.look());
  act.look();
  return { list, announced };
}

/** @param {Client} client The connection. @param {Store} store The state. @param {Actions} act What can be done. @param {ReturnType<typeof makeTaker>} taker What takes in. */
function followClient(client, { state, dispatch }, act, { take, takeOutbox }) {
  client.on("state", () => {
    const { epoch, keeps } = client;
    dispatch({ type: "connection", state: client.state, keeps, epoch });
    if (client.state === "open") act.connected();
  });
  client.on("outbox", () => {
    takeOutbox(client.outbox);
    // A browser may refuse to keep things long after it was asked.
    const { keeps } = client;
    if (keeps !== state.value.keeps) dispatch({ type: "connection", state: client.state, keeps });
  });
  client.on("sent", (_client, { item, place: { seq, time } }) => {
    take({ type: "sent", item, seq, time }, []);
  });
  const isTyping = (/** @type {string} */ channel, /** @type {string} */ account) => {
    // Behind what was said before: that ends an older one.
    take({ type: "typing", channel, account, now: Date.now() }, []);
    setTimeout(() => dispatch({ type: "time", now: Date.now() }), TYPING_LASTS + 10);
  };
  const subscribe = (/** @type {string} */ channel) => {
    let stands = false;
    const room = channel !== DIRECT;
    return client.subscribe(channel, {
      history: room ? HISTORY : 2 * HISTORY,
      onMessages: (messages, gap, reset) => {
        // What was said before one came isn't told.
        take({ type: "messages", channel, messages, gap, reset }, stands ? messages : []);
      },
      onReady: () => {
        stands = true;
        take({ type: "ready", channel }, []);
      },
      onSignal: ({ channel, from, data }) => {
        if (from !== null && fieldsOf(data).typing === true) isTyping(channel, from);
      },
      onError: (error) => dispatch({ type: "refused", channel, why: reasonOf(error) }),
      ...(room
        ? {
          onPresence: (
            /** @type {import("../../../client/client.js").Roster} */ { members, count },
          ) => {
            take({ type: "roster", channel, members, count }, []);
          },
        }
        : {}),
    });
  };
  followRooms(state, subscribe);
}

/** @param {Store["state"]} state The state. @param {(channel: string) => {close: () => void}} subscribe What subscribes to all that one is in. */
function followRooms(state, subscribe) {
  /** @type {Map<string, {close: () => void}>} */
  const subscriptions = new Map();
  let rooms = /** @type {readonly string[]} */ ([]);
  effect(() => {
    const wanted = state.value.rooms;
    if (wanted === rooms) return;
    rooms = wanted;
    const channels = [...wanted, DIRECT];
    for (const [channel, subscription] of subscriptions) {
      if (channels.includes(channel)) continue;
      subscriptions.delete(channel);
      subscription.close();
    }
    for (const channel of channels) {
      if (!subscriptions.has(channel)) subscriptions.set(channel, subscribe(channel));
    }
  });
}

/**
 * Takes in what came once for each frame, however much that is, and in the order in which it came: what is sent has its place
 * only once that is known which was said before.
 *
 * @param {Store["dispatch"]} dispatch What changes the state. @param {(messages: import("../model/content.js").Said[]) => void} tell Tells of new messages.
 * @returns What takes an action, with messages in it that are told; what takes the outbox; and what doesn't wait for the frame.
 */
function makeTaker(dispatch, tell) {
  /** @type {ReturnType<typeof perFrame<{action: ChatAction, live: readonly Message[]}>>} */
  const { add, drop, flush } = perFrame((taken) => {
    dispatch(...taken.map(({ action }) => action));
    tell(taken.flatMap(({ live }) => live).map(saidOf));
  });
  /** @param {ChatAction} action What changes the state. @param {readonly Message[]} live What of it is told. */
  const take = (action, live) => add({ action, live });
  /** @param {readonly import("../../../client/client.js").Item[]} items All that is on its way: the newest list is the one that counts. */
  const takeOutbox = (items) => {
    drop(({ action }) => action.type === "outbox");
    take({ type: "outbox", items }, []);
  };
  return { take, takeOutbox, flush };
}
