/** Which messages that are not sent yet are shown, and from when on. */
import { assertEquals } from "@std/assert";
import { directs, failedIn, initial, talkOf } from "../../../static/pages/chat/model/chat_state.js";
import { reduce } from "../../../static/pages/chat/model/reducer.js";
import {
  collapsed,
  FEW,
  SHOWN_AFTER,
  shownAfter,
} from "../../../static/pages/chat/model/unsent.js";

const item = (id: string, status: "pending" | "failed" = "pending") => ({
  ...{ id, key: `key ${id}`, channel: "room:a", text: id, time: 0, status },
});
type Known = ReadonlyMap<string, number>;
const look = (
  items: ReturnType<typeof item>[],
  now: number,
  known: Known = new Map(),
  connected = true,
) => {
  const { shown, wait, ...next } = shownAfter(items, { known, connected, now });
  return { ids: shown.map(({ id }) => id).join(""), wait, known: next.known };
};

Deno.test("a message that is acknowledged within a moment is never shown as not sent", () => {
  const sent = look([item("a")], 1000);
  assertEquals([sent.ids, sent.wait], ["", SHOWN_AFTER]);
  const still = look([item("a")], 1000 + SHOWN_AFTER - 1, sent.known);
  assertEquals([still.ids, still.wait], ["", 1]);
  assertEquals(look([], 1000 + SHOWN_AFTER, still.known).ids, "");
  const late = look([item("a")], 1000 + SHOWN_AFTER, still.known);
  assertEquals([late.ids, late.wait], ["a", undefined]);
});

Deno.test("what failed is shown at once, and so is all without a connection; what was shown stays until it is sent", () => {
  assertEquals(look([item("a"), item("b", "failed")], 0).ids, "b");
  const offline = look([item("a"), item("b")], 0, new Map(), false);
  assertEquals(offline.ids, "ab");
  assertEquals(look([item("a"), item("b")], 1, offline.known).ids, "ab");
  const one = look([item("b"), item("c")], 2, offline.known);
  assertEquals([one.ids, one.known.size], ["bc", 2], "what waits behind it waits too");
  assertEquals(look([item("b", "failed"), item("c")], 3).ids, "b", "a failed one holds nothing up");
  const retried = look([item("b")], 4, look([item("b", "failed")], 3).known);
  assertEquals(retried.ids, "b", "no flicker when it is tried again");
});

Deno.test("a stream of messages that are each acknowledged soon never shows the tray", () => {
  let known: Known = new Map();
  for (let i = 0; i < 100; i++) {
    const at = look([item(`${i}`), item(`${i + 1}`)], i * 100, known);
    assertEquals(at.ids, "");
    known = at.known;
  }
});

Deno.test("collapsed the tray has a few lines: what failed before what is on its way, and what was written last, in order", () => {
  const ids = (items: ReturnType<typeof item>[]) => collapsed(items).map(({ id }) => id).join("");
  assertEquals([ids([]), ids([item("a"), item("b"), item("c")]), FEW], ["", "abc", 3]);
  assertEquals(ids("abcdef".split("").map((id) => item(id))), "def");
  assertEquals(ids([item("a", "failed"), ..."bcdef".split("").map((id) => item(id))]), "aef");
  assertEquals(ids("abcdef".split("").map((id) => item(id, "failed"))), "def");
});

const LOBBY = "room:lobby";
const DM = "dm:ada.bob";
const me = reduce(initial, { type: "me", account: "ada", name: "Ada" });
const run = (state: typeof initial, ...actions: Parameters<typeof reduce>[1][]) =>
  actions.reduce(reduce, state);

Deno.test("a conversation with a message that is not sent is listed, and not for another account", () => {
  const pending = {
    ...{ id: "i", key: "k", channel: DM, data: { text: "hi" }, time: 5, order: 5, owner: "tab" },
    status: "pending" as const,
  };
  const failed = { ...pending, id: "j", key: "l", status: "failed" as const };
  const state = run(me, { type: "outbox", items: [failed, pending] });
  assertEquals([directs(state), failedIn(state, DM), failedIn(state, LOBBY)], [[DM], 1, 0]);
  assertEquals(directs(reduce(state, { type: "me", account: "eve" })), []);
});

Deno.test("who writes has read: the line of what is new goes, however fast the message is acknowledged", () => {
  const said = (seq: number) => ({
    ...{ type: "messages" as const, channel: LOBBY, gap: false, reset: false },
    messages: [{ channel: LOBBY, seq, time: seq, from: "bob", data: { text: "m" } }],
  });
  const stands = { type: "roster" as const, channel: LOBBY, members: [], count: 0 };
  const away = run(me, stands, said(1), said(2));
  assertEquals(talkOf(away, LOBBY).line, 0);
  const wrote = run(away, { type: "written", channel: LOBBY }, { type: "outbox", items: [] });
  assertEquals([talkOf(wrote, LOBBY).line, wrote.written], [undefined, away.written + 1]);
});
