/** The chat's state as a pure reducer. */
import { assertEquals } from "@std/assert";
import { channelTo, initial, KEPT, partner, reduce } from "../../static/chat/state.js";

const said = (seq: number, more: object = {}) => ({
  channel: "room:lobby",
  seq,
  time: seq,
  from: "bob",
  data: { text: `m${seq}` },
  ...more,
});
const told = (messages: ReturnType<typeof said>[], gap = false, reset = false) =>
  ({ type: "messages", messages, gap, reset }) as const;
const me = reduce(initial, { type: "me", account: "ada", name: "Ada" });
const seqs = (state: typeof initial) => state.said.map(({ seq }) => seq);

Deno.test("messages of two subscriptions stand in the order of seq, each once", () => {
  let state = reduce(me, told([said(1), said(4)]));
  state = reduce(state, told([said(2, { channel: "dm:ada.bob" }), said(4)]));
  assertEquals(seqs(state), [1, 2, 4]);
});

Deno.test("what is sent is pending, then there once, whichever of message and acknowledgement comes first", () => {
  const key = "k";
  const pending = reduce(me, { type: "sending", key, channel: "room:lobby", text: "hi", time: 5 });
  assertEquals(pending.outgoing.map(({ status }) => status), ["pending"]);
  const message = told([said(7, { from: "ada", key, name: "Ada", data: { text: "hi" } })]);
  const sent = { type: "sent", key, seq: 7, time: 7 } as const;
  for (const actions of [[message, sent], [sent, message]]) {
    const state = actions.reduce((before, action) => reduce(before, action), pending);
    assertEquals([state.outgoing, seqs(state)], [[], [7]]);
  }
});

Deno.test("another's message with the same key leaves mine pending", () => {
  const pending = reduce(me, {
    type: "sending",
    key: "k",
    channel: "room:lobby",
    text: "hi",
    time: 5,
  });
  assertEquals(reduce(pending, told([said(7, { key: "k" })])).outgoing.length, 1);
});

Deno.test("what failed says why, and is pending again when it is tried again", () => {
  let state = reduce(me, { type: "sending", key: "k", channel: "room:lobby", text: "hi", time: 5 });
  state = reduce(state, { type: "failed", key: "k", error: "No" });
  assertEquals(state.outgoing.map(({ status, error }) => [status, error]), [["failed", "No"]]);
  state = reduce(state, { type: "sending", key: "k", channel: "room:lobby", text: "hi", time: 6 });
  assertEquals(state.outgoing.map(({ status }) => status), ["pending"]);
});

Deno.test("a gap is marked where it is; another log begins anew and keeps what is on its way", () => {
  let state = reduce(me, told([said(1)]));
  state = reduce(state, told([said(9)], true));
  assertEquals(state.said.map(({ gap }) => gap ?? false), [false, true]);
  state = reduce(state, { type: "sending", key: "k", channel: "room:lobby", text: "hi", time: 5 });
  state = reduce(state, told([said(2)], true, true));
  assertEquals([seqs(state), state.outgoing.length], [[2], 1]);
});

Deno.test("a page keeps a bounded number of messages, the newest", () => {
  const state = reduce(me, told(Array.from({ length: KEPT + 10 }, (_, i) => said(i + 1))));
  assertEquals([state.said.length, state.said[0]?.seq], [KEPT, 11]);
});

Deno.test("direct channels: the smaller account first, the other one as partner", () => {
  assertEquals([
    channelTo("", "ada"),
    channelTo("bob", "ada"),
    channelTo("ada", "bob"),
    channelTo("ada", "ada"),
  ], [
    "room:lobby",
    "dm:ada.bob",
    "dm:ada.bob",
    "dm:ada.ada",
  ]);
  assertEquals([
    partner("room:lobby", "ada"),
    partner("dm:ada.bob", "ada"),
    partner("dm:ada.ada", "ada"),
  ], [
    undefined,
    "bob",
    "ada",
  ]);
});
