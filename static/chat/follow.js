// @ts-check
/** Follows what happens: on the connection, in the page's address, in other tabs, and whether somebody looks. */
import { effect, signal } from "../ui.js";
import { t } from "../parts/i18n.js";
import { toast } from "../parts/frame.js";
import { reasonOf } from "../parts/message.js";
import { fieldsOf, keep, recall } from "../parts/stored.js";
import { alertOf } from "./alerts.js";
import { channelOf, DIRECT, LOBBY, partner } from "./channels.js";
import { saidOf } from "./content.js";
import { excerpt } from "./line.js";
import { rememberedOf, toRemember } from "./remember.js";
import { isForMe, nameOf } from "./known.js";
import { TYPING_LASTS } from "./state.js";

const STORED = "fanfare.chat";
const HISTORY = 50;
/** A page that isn't drawn gets no frames: what came is taken in after this many milliseconds. */
const UNSEEN = 250;
const KEEP_EVERY = 1000;
const ANNOUNCE_EVERY = 1500;

/** @typedef {import("../fanfare.js").Client} Client */
/** @typedef {import("../fanfare.js").Message} Message */
/** @typedef {import("./known.js").ChatState} ChatState */
/** @typedef {import("./known.js").ChatAction} ChatAction */
/** @typedef {{state: import("@preact/signals").Signal<ChatState>, dispatch: (...actions: ChatAction[]) => void}} Store */
/** @typedef {import("./actions.js").Actions} Actions */

/**
 * Begins to follow.
 *
 * @param {Client} client The connection.
 * @param {Store} store The state.
 * @param {Actions} act What can be done.
 * @returns Whether the list of conversations is asked for (a phone shows that or one of them), and what is to be read out.
 */
export function follow(client, store, act) {
  const { state, dispatch } = store;
  const list = signal(false);
  dispatch({ type: "remembered", kept: rememberedOf(recall(STORED)) });
  const address = () => {
    list.value = location.hash === "#list";
    const channel = channelOf(location.hash, state.value.account);
    if (channel !== undefined) {
      dispatch({ type: "open", channel });
      if (state.value.open !== channel) toast(t("tooManyRooms"), true);
    } else if (location.hash === "") dispatch({ type: "open", channel: LOBBY });
  };
  const announced = followClient(client, store, act, address);
  address();
  globalThis.addEventListener("hashchange", address);
  for (const event of ["focus", "blur"]) globalThis.addEventListener(event, () => act.look());
  document.addEventListener("visibilitychange", () => act.look());
  act.look();
  followStorage(store);
  return { list, announced };
}

/** @param {Client} client The connection. @param {Store} store The state. @param {Actions} act What can be done. @param {() => void} address Reads the address anew. @returns What is to be read out. */
function followClient(client, { state, dispatch }, act, address) {
  client.on("state", () => {
    dispatch({ type: "connection", state: client.state, keeps: client.keeps });
    if (client.state === "open") act.connected();
  });
  client.on("account", ({ account, name }) => {
    if (typeof account !== "string") return;
    dispatch({ type: "me", account, name });
    // A direct conversation can be opened once it is known who we are.
    address();
  });
  client.on("outbox", () => dispatch({ type: "outbox", items: client.outbox }));
  client.on(
    "sent",
    (_client, { item, place: { seq, time } }) => dispatch({ type: "sent", item, seq, time }),
  );
  const { take, announced } = taker(state, dispatch, act);
  /** @type {Map<string, import("../fanfare.js").Subscription>} */
  const subscriptions = new Map();
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
          onPresence: (/** @type {import("../fanfare.js").Roster} */ { members, count }) => {
            take({ type: "roster", channel, members, count }, []);
          },
        }
        : {}),
    });
  };
  const isTyping = (/** @type {string} */ channel, /** @type {string} */ account) => {
    dispatch({ type: "typing", channel, account, now: Date.now() });
    setTimeout(() => dispatch({ type: "time", now: Date.now() }), TYPING_LASTS + 10);
  };
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
  return announced;
}

/**
 * Takes in what came once for each frame, however much that is.
 *
 * @param {Store["state"]} state The state. @param {Store["dispatch"]} dispatch What changes it. @param {Actions} act What can be done.
 * @returns What takes an action, with messages in it that are told, and what is to be read out.
 */
function taker(state, dispatch, act) {
  /** @type {{action: ChatAction, live: readonly Message[]}[]} */
  let queue = [];
  let due = false;
  let readAt = -Infinity;
  const announced = signal("");
  const flush = () => {
    if (!due) return;
    due = false;
    const taken = queue;
    queue = [];
    dispatch(...taken.map(({ action }) => action));
    tell(taken.flatMap(({ live }) => live).map(saidOf));
  };
  /** @param {import("./content.js").Said[]} messages New ones. */
  const tell = (messages) => {
    const { account, open, looking } = state.value;
    const others = messages.filter(({ from }) => from !== null && from !== account);
    const here = others.filter(({ channel }) => channel === open).at(-1);
    if (here !== undefined && looking && performance.now() - readAt > ANNOUNCE_EVERY) {
      readAt = performance.now();
      announced.value = t("newFrom", {
        name: here.name ?? here.from ?? "",
        text: excerpt(here.text),
      });
    }
    const mine = others.filter((message) =>
      !(looking && message.channel === open) && isForMe(state.value, message)
    ).at(-1);
    if (mine === undefined || mine.from === null) return;
    const { channel, text } = mine;
    const name = mine.name ?? nameOf(state.value, mine.from);
    const title = partner(channel, account) === undefined
      ? t("mentioned", { name, room: channel.slice(5) })
      : t("wrote", { name });
    alertOf({ title, body: excerpt(text), tag: channel, open: () => act.open(channel) });
  };
  /** @param {ChatAction} action What changes the state. @param {readonly Message[]} live What of it is told. */
  const take = (action, live) => {
    queue.push({ action, live });
    if (due) return;
    due = true;
    requestAnimationFrame(flush);
    setTimeout(flush, UNSEEN);
  };
  return { take, announced };
}

/** @param {Store} store The state. */
function followStorage({ state, dispatch }) {
  let due = false;
  let written = "";
  const write = () => {
    due = false;
    const next = toRemember(state.value);
    const text = JSON.stringify(next);
    if (text === written) return;
    written = text;
    keep(STORED, next);
  };
  effect(() => {
    state.value;
    if (due) return;
    due = true;
    setTimeout(write, KEEP_EVERY);
  });
  globalThis.addEventListener("pagehide", write);
  globalThis.addEventListener("storage", ({ key }) => {
    if (key === STORED) dispatch({ type: "remembered", kept: rememberedOf(recall(STORED)) });
  });
}
