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
const told = (
  messages: ReturnType<typeof said>[],
  gap = false,
  reset = false,
  channel = "room:lobby",
) => ({ type: "messages", channel, messages, gap, reset }) as const;
const me = reduce(initial, { type: "me", account: "ada", name: "Ada" });
const item = (more: object = {}) => ({
  id: "i",
  key: "k",
  channel: "room:lobby",
  data: { text: "hi" },
  time: 5,
  order: 5,
  owner: "tab",
  status: "pending" as "pending" | "failed",
  ...more,
});
const outbox = (...items: ReturnType<typeof item>[]) => ({ type: "outbox", items }) as const;
const seqs = (state: typeof initial) => state.said.map(({ seq }) => seq);

Deno.test("messages of two subscriptions stand in the order of seq, each once", () => {
  let state = reduce(me, told([said(1), said(4)]));
  state = reduce(state, told([said(2, { channel: "dm:ada.bob" }), said(4)]));
  assertEquals(seqs(state), [1, 2, 4]);
});

Deno.test("what is sent is pending, then there once, whichever of message and acknowledgement comes first", () => {
  const pending = reduce(me, outbox(item()));
  assertEquals(pending.outgoing.map(({ status, text }) => [status, text]), [["pending", "hi"]]);
  const message = told([said(7, { from: "ada", key: "k", name: "Ada", data: { text: "hi" } })]);
  const sent = { type: "sent", item: item(), seq: 7, time: 7 } as const;
  for (const actions of [[message, sent, outbox()], [sent, outbox(), message]]) {
    let state: typeof initial = pending;
    for (const action of actions) {
      state = reduce(state, action);
      assertEquals(state.said.length + state.outgoing.length, 1, "shown once at each moment");
    }
    assertEquals([state.outgoing, seqs(state)], [[], [7]]);
  }
});

Deno.test("a message that is here isn't shown as pending while its acknowledgement is missing", () => {
  let state = reduce(me, outbox(item()));
  state = reduce(state, told([said(7, { from: "ada", key: "k" })]));
  state = reduce(state, outbox(item(), item({ id: "j", key: "l" })));
  assertEquals(state.outgoing.map(({ id }) => id), ["j"]);
});

Deno.test("another's message with the same key leaves mine pending", () => {
  const pending = reduce(me, outbox(item()));
  assertEquals(reduce(pending, told([said(7, { key: "k" })])).outgoing.length, 1);
});

Deno.test("what failed says why; what goes elsewhere isn't shown", () => {
  const error = { code: "forbidden", message: "No" };
  const state = reduce(
    me,
    outbox(item({ status: "failed", error }), item({ channel: "push:all" })),
  );
  assertEquals(state.outgoing.map(({ status, error }) => [status, error]), [["failed", error]]);
});

Deno.test("another account doesn't see what was said to the one before in private", () => {
  const before = reduce(me, told([said(1), said(2, { channel: "dm:ada.bob" })]));
  assertEquals(seqs(reduce(before, { type: "me", account: "eve" })), [1]);
  assertEquals(seqs(reduce(before, { type: "me", account: "ada", name: "A" })), [1, 2]);
});

Deno.test("a gap is marked where it is; another log begins anew and keeps what is on its way", () => {
  let state = reduce(me, told([said(1)]));
  state = reduce(state, told([said(9)], true));
  assertEquals(state.said.map(({ gap }) => gap ?? false), [false, true]);
  state = reduce(state, outbox(item()));
  state = reduce(state, told([said(2)], true, true));
  assertEquals([seqs(state), state.outgoing.length], [[2], 1]);
});

Deno.test("another log takes from the page what the subscription reads, and nothing else", () => {
  const dm = (seq: number) => said(seq, { channel: "dm:ada.bob" });
  const places = ({ said }: typeof initial) => said.map(({ channel, seq }) => `${channel} ${seq}`);
  let state = reduce(me, told([said(1), said(3)]));
  state = reduce(state, told([dm(2)], false, false, "dm:*"));
  const lobby = reduce(state, told([said(2)], true, true));
  assertEquals(places(lobby).toSorted(), ["dm:ada.bob 2", "room:lobby 2"]);
  assertEquals(lobby.said.some(({ gap }) => gap), false, "nothing is missing in what begins anew");
  const both = reduce(lobby, told([], true, true, "dm:*"));
  assertEquals(places(both), ["room:lobby 2"]);
  assertEquals(places(reduce(state, told([], true, true, "dm:*"))), [
    "room:lobby 1",
    "room:lobby 3",
  ]);
});

Deno.test("a gap is marked at the next message that is new, if none came with it", () => {
  for (const without of [[], [said(1)]]) {
    let state = reduce(me, told([said(1)]));
    state = reduce(state, told(without, true));
    state = reduce(state, told([said(7, { channel: "dm:ada.bob" })], false, false, "dm:*"));
    state = reduce(state, told([said(9)]));
    state = reduce(state, told([said(10)]));
    assertEquals(state.said.flatMap(({ seq, gap }) => gap ? seq : []), [9]);
  }
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
