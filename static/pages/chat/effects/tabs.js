// @ts-check
/** What the tabs of a browser share: the rooms one is in, what was read; and what one tab alone keeps over a reload: drafts. */
import { effect } from "../../../ui/preact.js";
import { granted, keep, recall } from "../../../ui/storage.js";
import { draftsToKeep } from "../model/drafts.js";
import { talkOf } from "../model/chat_state.js";
import { rememberedOf, toRemember } from "../model/remembered.js";

const STORED = "fanfare.chat";
const DRAFTS = "fanfare.drafts";
const KEEP_EVERY = 1000;
const KEEP_DRAFTS_EVERY = 300;

/** @typedef {import("./follow_client.js").Store} Store */
/** @typedef {{state: import("@preact/signals").Signal<import("../model/drafts.js").Drafts>, dispatch: (...actions: import("../model/drafts.js").DraftAction[]) => void}} Drafts */

/**
 * Begins with what was kept, and keeps what comes.
 *
 * @param {Store} store The state.
 * @param {Drafts} drafts What was begun.
 * @param {() => void} moved Called when another tab has left the room that was open here.
 */
export function followStorage({ state, dispatch }, drafts, moved) {
  const kept = () => rememberedOf(recall(STORED));
  dispatch({ type: "remembered", kept: kept() });
  const storing = followRooms(state);
  let written = "";
  const write = later(state, KEEP_EVERY, () => {
    const now = recall(STORED);
    const next = toRemember(state.value, now === undefined ? undefined : rememberedOf(now));
    const text = JSON.stringify(next);
    // Two tabs would answer each other for ever.
    if (text === written) return;
    written = text;
    keep(STORED, next);
  });
  globalThis.addEventListener("storage", ({ key }) => {
    if (key !== STORED) return;
    const { open } = state.value;
    storing.isTold(() => dispatch({ type: "remembered", kept: kept() }));
    if (state.value.open !== open) moved();
  });
  drafts.dispatch({ type: "remembered", kept: recall(DRAFTS, "sessionStorage") });
  const writeDrafts = later(drafts.state, KEEP_DRAFTS_EVERY, () => {
    keep(DRAFTS, draftsToKeep(drafts.state.value), "sessionStorage");
  });
  globalThis.addEventListener("pagehide", () => {
    write();
    writeDrafts();
  });
  shareReads({ state, dispatch });
}

/**
 * Tells the other tabs at once what somebody sees in this one, and hears it from them: what was seen in one is read in all.
 *
 * @param {Store} store The state.
 */
function shareReads({ state, dispatch }) {
  const others = granted(() => new BroadcastChannel(STORED));
  if (others === undefined) return;
  /** What was told last. */
  let told = "";
  effect(() => {
    const { account, epoch, open, looking } = state.value;
    const { read } = talkOf(state.value, open);
    const place = `${open} ${read}`;
    if (!looking || read === undefined || place === told) return;
    told = place;
    others.postMessage({ account, epoch, read: { [open]: read } });
  });
  // From scripts of this origin, which may be anyone's pages.
  others.onmessage = ({ data }) => dispatch({ type: "read", kept: rememberedOf(data) });
}

/**
 * A room that is joined or left here is so in the storage at once, as a change of what is there: what another tab did meanwhile
 * stays done.
 *
 * @param {Store["state"]} state The state.
 * @returns What runs a change that comes from the storage.
 */
function followRooms(state) {
  let { rooms } = state.value;
  let told = false;
  effect(() => {
    const before = rooms;
    rooms = state.value.rooms;
    if (told || rooms === before) return;
    const kept = rememberedOf(recall(STORED));
    const others = kept.rooms.filter((room) => rooms.includes(room) || !before.includes(room));
    const joined = rooms.filter((room) => !before.includes(room) && !others.includes(room));
    keep(STORED, toRemember(state.value, { ...kept, rooms: [...others, ...joined] }));
  });
  return {
    /** @param {() => void} change Takes over what is in the storage. */
    isTold(change) {
      told = true;
      change();
      told = false;
    },
  };
}

/**
 * Writes when something has changed, but not each time.
 *
 * @param {import("@preact/signals").Signal<unknown>} state What changes. @param {number} every Milliseconds. @param {() => void} write What writes.
 * @returns {() => void} Writes now.
 */
function later(state, every, write) {
  let due = false;
  const now = () => {
    due = false;
    write();
  };
  effect(() => {
    state.value;
    if (due) return;
    due = true;
    setTimeout(() => due && now(), every);
  });
  return now;
}
