/** The chat's state as a pure reducer. */
import { assertEquals } from "@std/assert";
import { rememberedOf, toRemember } from "../../../static/pages/chat/model/remembered.js";
import {
  authorOf,
  directs,
  initial,
  nameOf,
  quoteOf,
  talkOf,
} from "../../../static/pages/chat/model/chat_state.js";
import { reduce } from "../../../static/pages/chat/model/reducer.js";
import { KEPT, KEPT_ASIDE } from "../../../static/pages/chat/model/talk.js";

const LOBBY = "room:lobby";
const DM = "dm:ada.bob";
type State = typeof initial;
type Action = Parameters<typeof reduce>[1];

const said = (seq: number, more: object = {}) => ({
  channel: LOBBY,
  seq,
  time: seq,
  from: "bob" as string | null,
  data: { text: `m${seq}` } as unknown,
  ...more,
});
const told = (messages: ReturnType<typeof said>[], gap = false, reset = false, channel = LOBBY) =>
  ({ type: "messages", channel, messages, gap, reset }) as const;
const private_ = (messages: ReturnType<typeof said>[], gap = false, reset = false) =>
  told(messages.map((message) => ({ ...message, channel: DM })), gap, reset, "dm:*");
const roster = (channel = LOBBY) => ({ type: "roster", channel, members: [], count: 0 }) as const;
const item = (more: object = {}) => ({
  id: "i",
  key: "k",
  channel: LOBBY,
  data: { text: "hi" },
  time: 5,
  order: 5,
  owner: "tab",
  status: "pending" as "pending" | "failed",
  ...more,
});
const outbox = (...items: ReturnType<typeof item>[]) => ({ type: "outbox", items }) as const;
const run = (state: State, ...actions: Action[]) => actions.reduce(reduce, state);
const me = reduce(initial, { type: "me", account: "ada", name: "Ada" });
const seqs = (state: State, channel = LOBBY) => talkOf(state, channel).said.map(({ seq }) => seq);
const counts = (state: State, channel = LOBBY) => {
  const { unread, called } = talkOf(state, channel);
  return [unread, called];
};

Deno.test("messages stand in their conversations in the order of seq, each once", () => {
  const state = run(me, told([said(1), said(4)]), private_([said(2)]), told([said(4), said(5)]));
  assertEquals([seqs(state), seqs(state, DM)], [[1, 4, 5], [2]]);
});

Deno.test("what is sent is pending, then there once, whichever of message and acknowledgement comes first", () => {
  const pending = reduce(me, outbox(item()));
  assertEquals(pending.outgoing.map(({ status, text }) => [status, text]), [["pending", "hi"]]);
  const message = told([said(7, { from: "ada", key: "k", name: "Ada", data: { text: "hi" } })]);
  const sent = { type: "sent", item: item(), seq: 7, time: 7 } as const;
  for (const actions of [[message, sent, outbox()], [sent, outbox(), message]]) {
    let state: State = pending;
    for (const action of actions) {
      state = reduce(state, action);
      assertEquals(seqs(state).length + state.outgoing.length, 1, "shown once at each moment");
    }
    assertEquals([state.outgoing, seqs(state)], [[], [7]]);
  }
});

Deno.test("a message that is here isn't shown as pending while its acknowledgement is missing", () => {
  const arrived = run(me, outbox(item()), told([said(7, { from: "ada", key: "k" })]));
  const state = reduce(arrived, outbox(item(), item({ id: "j", key: "l" })));
  assertEquals(state.outgoing.map(({ id }) => id), ["j"]);
});

Deno.test("another's message with the same key leaves mine pending", () => {
  assertEquals(run(me, outbox(item()), told([said(7, { key: "k" })])).outgoing.length, 1);
});

Deno.test("what failed says why; what goes elsewhere isn't shown", () => {
  const error = { code: "forbidden", message: "No" };
  const failed = item({ status: "failed", error });
  const state = reduce(me, outbox(failed, item({ channel: "push:all" })));
  assertEquals(state.outgoing.map(({ status, error }) => [status, error]), [["failed", error]]);
});

Deno.test("another account sees nothing of what was said to the one before in private", () => {
  const before = run(me, told([said(1)]), private_([said(2)]), { type: "open", channel: DM });
  const eve = reduce(before, { type: "me", account: "eve" });
  assertEquals([seqs(eve), seqs(eve, DM), eve.open, directs(eve)], [[1], [], LOBBY, []]);
  assertEquals(seqs(reduce(before, { type: "me", account: "ada", name: "A" }), DM), [2]);
});

Deno.test("another log takes from the page what the subscription reads, and nothing else", () => {
  const state = run(me, told([said(1), said(3)]), private_([said(2)]), outbox(item()));
  const lobby = reduce(state, told([said(2)], true, true));
  assertEquals([seqs(lobby), seqs(lobby, DM), lobby.outgoing.length], [[2], [2], 1]);
  assertEquals(talkOf(lobby, LOBBY).holes, [], "nothing is missing in what begins anew");
  const both = reduce(lobby, private_([], true, true));
  assertEquals([seqs(both), seqs(both, DM)], [[2], []]);
});

Deno.test("a gap is a hole after what was known, in each conversation that comes that way, with or without a message", () => {
  const state = run(me, told([said(1)]), private_([said(2)]), private_([], true));
  assertEquals([talkOf(state, LOBBY).holes, talkOf(state, DM).holes], [[], [2]]);
  const twice = run(state, told([said(9)], true), told([said(10)]), told([], true));
  assertEquals(talkOf(twice, LOBBY).holes, [1, 10]);
});

Deno.test("a gap behind one's own message, which was here first, is before it", () => {
  const sent = { type: "sent", item: item(), seq: 9, time: 9 } as const;
  const state = run(me, told([said(1)]), outbox(item()), sent);
  const own = said(9, { from: "ada", key: "k" });
  assertEquals(talkOf(run(state, told([said(8), own], true)), LOBBY).holes, [1]);
  assertEquals(talkOf(run(state, told([own], true)), LOBBY).holes, [1], "where nothing else came");
});

Deno.test("a hole is filled page by page, and gone once it meets what is known", () => {
  const holed = run(me, told([said(1)]), told([said(9)], true));
  const some = {
    type: "filled",
    channel: LOBBY,
    after: 1,
    messages: [said(2), said(3)],
    more: true,
  } as const;
  const half = reduce(holed, some);
  assertEquals([seqs(half), talkOf(half, LOBBY).holes], [[1, 2, 3, 9], [3]]);
  const rest = { ...some, after: 3, messages: [said(8), said(9), said(10)] };
  const full = reduce(half, rest);
  assertEquals([seqs(full), talkOf(full, LOBBY).holes], [[1, 2, 3, 8, 9, 10], []]);
  const gone = run(holed, { ...some, messages: [], more: false });
  assertEquals(talkOf(gone, LOBBY).holes, [], "what was trimmed isn't missing any more");
});

Deno.test("older pages go before what is there; a page from far away leaves a hole behind it", () => {
  const page = (messages: ReturnType<typeof said>[], older: boolean, newer: boolean) =>
    ({ type: "page", channel: LOBBY, messages, older, newer }) as const;
  const state = run(me, told([said(50)]), page([said(40), said(41)], true, false));
  assertEquals([seqs(state), talkOf(state, LOBBY).more, talkOf(state, LOBBY).holes], [
    [40, 41, 50],
    true,
    [],
  ]);
  const far = reduce(state, page([said(3), said(4)], false, true));
  assertEquals([talkOf(far, LOBBY).more, talkOf(far, LOBBY).holes], [false, [4]]);
  const near = reduce(far, page([said(39), said(40)], true, true));
  assertEquals(talkOf(near, LOBBY).holes, [4], "what meets what is known leaves none");
});

Deno.test("what nobody looks at is unread, mentions and private words are counted, and looking reads it", () => {
  const there = run(me, told([said(1)]), roster(), { type: "look", looking: true });
  assertEquals(counts(there), [0, 0], "what was said before one came is read");
  const away = run(
    there,
    { type: "look", looking: false },
    told([said(2), said(3, { data: { text: "hi @Ada!" } })]),
  );
  assertEquals([counts(away), talkOf(away, LOBBY).line], [[2, 1], 1]);
  const own = reduce(away, told([said(4, { from: "ada" })]));
  assertEquals(counts(own), [2, 1], "one's own is never unread");
  const seen = reduce(own, { type: "look", looking: true });
  assertEquals(
    [counts(seen), talkOf(seen, LOBBY).line],
    [[0, 0], 1],
    "the line stays while one reads",
  );
  const again = run(seen, { type: "look", looking: false }, told([said(6)]));
  assertEquals([counts(again), talkOf(again, LOBBY).line], [[1, 0], 4]);
  assertEquals(counts(reduce(there, private_([said(9)])), DM), [1, 1]);
});

Deno.test("in a room that was empty the first message is unread", () => {
  const state = run(me, { type: "open", channel: "room:dev" }, roster("room:dev"), {
    type: "open",
    channel: LOBBY,
  }, told([said(5, { channel: "room:dev" })], false, false, "room:dev"));
  assertEquals(counts(state, "room:dev"), [1, 0]);
});

Deno.test("what was read is remembered over a reload; a place beyond the newest is of another log", () => {
  const before = run(
    me,
    { type: "look", looking: true },
    told([said(1), said(2)]),
    private_([said(3)]),
  );
  const kept = rememberedOf(JSON.parse(JSON.stringify(toRemember(before))));
  const again = run(initial, { type: "remembered", kept }, { type: "me", account: "ada" });
  assertEquals(talkOf(again, DM).last?.text, "m3");
  assertEquals(counts(run(again, told([said(1), said(2), said(8)]))), [1, 0]);
  assertEquals(counts(run(again, told([said(1)]))), [0, 0]);
  const looking = run(again, { type: "look", looking: true }, told([said(2), said(8)]));
  assertEquals(
    [counts(looking), talkOf(looking, LOBBY).line],
    [[0, 0], 2],
    "a line stands where one stopped",
  );
  const eve = run(initial, { type: "me", account: "eve" }, { type: "remembered", kept });
  assertEquals(
    [directs(eve), talkOf(eve, DM).last],
    [[], undefined],
    "not another's private words",
  );
});

Deno.test("what another tab shows is read here too, before it comes or after, and not more than that", () => {
  const read = (seq: number, more: object = {}) =>
    ({
      type: "read",
      kept: { account: "ada", read: { [LOBBY]: seq, [DM]: seq }, ...more },
    }) as const;
  const there = run(me, told([said(1)]), roster(), private_([said(2)]));
  const away = run(there, told([said(3), said(5)]), private_([said(4), said(6)]));
  assertEquals([counts(away), counts(away, DM)], [[2, 0], [3, 3]]);
  const some = reduce(away, read(4));
  assertEquals([counts(some), counts(some, DM)], [[1, 0], [1, 1]]);
  const all = reduce(some, read(6));
  assertEquals([counts(all), counts(all, DM)], [[0, 0], [0, 0]]);
  assertEquals(talkOf(all, LOBBY).line, undefined, "nothing is new any more");
  assertEquals(reduce(all, read(5)), all, "what was read stays read");
  const early = run(there, read(7), told([said(6)]), told([said(7)]));
  assertEquals([counts(early), counts(run(early, told([said(8)])))], [[0, 0], [1, 0]]);
  const looked = run(there, read(7), { type: "look", looking: true }, {
    type: "look",
    looking: false,
  });
  assertEquals(counts(run(looked, told([said(7)]))), [0, 0], "looking at less takes nothing back");
  const eve = reduce(away, read(6, { account: "eve" }));
  assertEquals([counts(eve), counts(eve, DM)], [[0, 0], [3, 3]], "another's private words");
  const left = reduce(there, { type: "read", kept: { read: { "room:left": 5 } } });
  assertEquals(left.talks["room:left"], undefined);
});

Deno.test("places of another log are nobody's", () => {
  const connection = (epoch: string) => ({ type: "connection", state: "open", epoch }) as const;
  const first = run(me, connection("one"), told([said(5)]), roster(), told([said(6)]));
  const elsewhere = { type: "read", kept: { epoch: "two", read: { [LOBBY]: 9 } } } as const;
  assertEquals(reduce(first, elsewhere), first);
  const kept = rememberedOf(JSON.parse(JSON.stringify(toRemember(first))));
  assertEquals([kept.epoch, kept.read], ["one", { [LOBBY]: 5 }]);
  const again = run(initial, { type: "remembered", kept }, connection("two"), told([said(1)]));
  assertEquals([talkOf(again, LOBBY).read, talkOf(again, LOBBY).last?.text], [1, "m1"]);
  assertEquals(counts(run(again, told([said(2)]))), [1, 0]);
  const late = run(me, connection("two"), { type: "remembered", kept });
  assertEquals([talkOf(late, LOBBY).read, late.epoch], [undefined, "two"]);
});

Deno.test("a room that was left in one tab is left in all, and doesn't come back from them", () => {
  const kept = (...rooms: string[]) =>
    ({ type: "remembered", kept: { ...rememberedOf(undefined), rooms } }) as const;
  const two = run(me, kept("room:a", "room:b"), { type: "open", channel: "room:a" });
  assertEquals(two.rooms, [LOBBY, "room:a", "room:b"]);
  const left = reduce(two, kept("room:b", "room:c"));
  assertEquals([left.rooms, left.open, left.room], [[LOBBY, "room:b", "room:c"], LOBBY, LOBBY]);
  assertEquals(left.talks["room:a"], undefined);
  const written = toRemember(two, { ...rememberedOf(undefined), rooms: ["room:b"] });
  assertEquals(written.rooms, ["room:b"], "what is there tells, not what this tab still believes");
  const read = run(two, told([said(3)]), { type: "look", looking: true });
  const stored = { ...rememberedOf(undefined), read: { [LOBBY]: 9 } };
  assertEquals(toRemember(run(read, roster()), stored).read[LOBBY], 9, "no place goes back");
});

Deno.test("what a browser kept is read until the server is heard, and gives way to what that tells", () => {
  const before = run(me, told([said(1), said(2)]), private_([said(3)]));
  const kept = rememberedOf(JSON.parse(JSON.stringify(toRemember(before))));
  const again = run(initial, { type: "remembered", kept }, { type: "me", account: "ada" });
  assertEquals([seqs(again), seqs(again, DM)], [[1, 2], [3]]);
  const heard = run(again, told([said(7)]), { type: "ready", channel: LOBBY });
  assertEquals([seqs(heard), seqs(heard, DM)], [[7], [3]], "each by its own subscription");
  const ready = run(heard, { type: "ready", channel: "dm:*" }, { type: "remembered", kept });
  assertEquals([seqs(ready), seqs(ready, DM)], [[7], []], "another tab's isn't newer");
});

Deno.test("what is remembered may be anything", () => {
  const nothing = { rooms: [], read: {}, last: {}, said: {} };
  for (const kept of [null, 1, "x", [], { rooms: {}, read: [], last: 1, said: { [LOBBY]: {} } }]) {
    assertEquals(rememberedOf(kept), nothing);
  }
  const kept = rememberedOf({
    account: 7,
    rooms: ["room:a", "room:a", "push:x", "room:", "room:b c", 1, LOBBY, "room:中文"],
    read: { [LOBBY]: 5, "room:a": "5", "push:x": 1, "room:b": 1.5 },
    last: {
      [LOBBY]: { seq: 1, time: 1, text: "x".repeat(5000), from: {} },
      "room:a": { seq: 1, time: 9e15, text: "" },
    },
  });
  assertEquals([kept.rooms, kept.read], [["room:a", "room:中文"], { [LOBBY]: 5 }]);
  assertEquals([kept.last[LOBBY]?.text.length, kept.last[LOBBY]?.from, "room:a" in kept.last], [
    100,
    null,
    false,
  ]);
});

Deno.test("rooms are joined by opening them and left for the lobby, which can't be left", () => {
  const dev = reduce(me, { type: "open", channel: "room:dev" });
  assertEquals([dev.rooms, dev.open], [[LOBBY, "room:dev"], "room:dev"]);
  const direct = reduce(dev, { type: "open", channel: DM });
  assertEquals([direct.open, direct.room, direct.rooms.length], [DM, "room:dev", 2]);
  const left = reduce(dev, { type: "leave", channel: "room:dev" });
  assertEquals([left.rooms, left.open, left.talks["room:dev"]], [[LOBBY], LOBBY, undefined]);
  assertEquals(reduce(left, { type: "leave", channel: LOBBY }).rooms, [LOBBY]);
  assertEquals(reduce(me, { type: "open", channel: "push:all" }), me);
  const rooms = Array.from(
    { length: 120 },
    (_, i) => ({ type: "open", channel: `room:r${i}` }) as const,
  );
  assertEquals(run(me, ...rooms).rooms.length, 100);
});

Deno.test("what isn't open keeps a bounded number of messages, the newest", () => {
  const many = Array.from(
    { length: KEPT_ASIDE + 10 },
    (_, i) => said(i + 1, { channel: "room:dev" }),
  );
  const state = run(
    me,
    { type: "open", channel: "room:dev" },
    { type: "open", channel: LOBBY },
    told(many, false, false, "room:dev"),
  );
  assertEquals([seqs(state, "room:dev").length, seqs(state, "room:dev")[0]], [KEPT_ASIDE, 11]);
});

Deno.test("however far one goes back there is room: what lies between and the newest are a hole apart", () => {
  const from = (first: number, n: number) => Array.from({ length: n }, (_, i) => said(first + i));
  const top = 100_000;
  const start = top - KEPT + 100;
  const page = (messages: ReturnType<typeof said>[]) => {
    const older = messages[0]?.seq !== start;
    return { type: "page", channel: LOBBY, messages, older, newer: false } as const;
  };
  let state = run(me, told(from(top, KEPT)), page(from(top - 100, 100)));
  const talk = talkOf(state, LOBBY);
  assertEquals(talk.said.length, KEPT / 2 + KEPT_ASIDE);
  assertEquals([talk.said[0]?.seq, talk.said.at(-1)?.seq], [top - 100, top + KEPT - 1]);
  const [hole = 0, ...none] = talk.holes;
  assertEquals([hole, none], [top - 100 + KEPT / 2 - 1, []]);
  for (let first = top - 200; first >= start; first -= 100) {
    state = reduce(state, page(from(first, 100)));
    const { said: all, holes } = talkOf(state, LOBBY);
    assertEquals([all[0]?.seq, all.length <= KEPT, holes.length], [first, true, 1]);
  }
  assertEquals(talkOf(state, LOBBY).more, false, "the beginning");
  // Down again: what is loaded there is what stays, and what is left behind above is older.
  for (let steps = 0; talkOf(state, LOBBY).holes.length > 0 && steps < 1000; steps++) {
    const [after = 0] = talkOf(state, LOBBY).holes;
    state = reduce(state, {
      ...{ type: "filled", channel: LOBBY, after, more: true },
      messages: from(after + 1, 100),
    });
    const { said: all } = talkOf(state, LOBBY);
    assertEquals(all.some(({ seq }) => seq === after + 1) && all.length <= KEPT, true);
  }
  const end = talkOf(state, LOBBY);
  assertEquals([end.holes, end.more, end.said.at(-1)?.seq], [[], true, top + KEPT - 1]);
  assertEquals(end.said.every(({ seq }, i) => seq === (end.said[0]?.seq ?? 0) + i), true);
});

Deno.test("data may be anything, and is text or nothing", () => {
  const nested = { __html: "<b>x</b>", props: {}, type: "img", constructor: undefined };
  const strange: [unknown, string, number | undefined][] = [
    [{ text: nested }, JSON.stringify({ text: nested }), undefined],
    [{ __html: "<b>" }, '{"__html":"<b>"}', undefined],
    [{ text: "a", reply: { seq: 3 } }, "a", 3],
    [{ text: "a", reply: { seq: "3" } }, "a", undefined],
    [{ text: "a", reply: { seq: 1e300 } }, "a", undefined],
    [{ text: "a", reply: { seq: -1 } }, "a", undefined],
    [{ text: "a", reply: { seq: 50 } }, "a", undefined],
    [{ text: "a", reply: [3] }, "a", undefined],
    [null, "null", undefined],
    [[{ text: "b" }], '[{"text":"b"}]', undefined],
  ];
  const state = reduce(me, told(strange.map(([data], i) => said(i + 10, { data }))));
  assertEquals(
    talkOf(state, LOBBY).said.map(({ text, reply }) => [text, reply]),
    strange.map(([, ...shown]) => shown),
  );
});

Deno.test("a quote is what the log says, not what the reply says", () => {
  const forged = said(9, {
    data: { text: "no", reply: { seq: 2, text: "I resign", from: "ada" } },
  });
  const state = run(me, told([forged]));
  assertEquals(quoteOf(state, LOBBY, 2), undefined);
  const found = reduce(state, { type: "quote", channel: LOBBY, seq: 2, message: said(2) });
  assertEquals(quoteOf(found, LOBBY, 2)?.text, "m2");
  for (const message of [undefined, said(1), said(2, { channel: "room:dev" })]) {
    const none = reduce(state, { type: "quote", channel: LOBBY, seq: 2, message });
    assertEquals(quoteOf(none, LOBBY, 2), null);
  }
});

Deno.test("who types is shown until they stop or speak; oneself isn't", () => {
  const typing = { type: "typing", channel: LOBBY, account: "bob", now: 1000 } as const;
  const state = run(me, typing, typing, { ...typing, account: "ada" }, {
    ...typing,
    channel: "push:x",
  });
  assertEquals(state.typing.map(({ account }) => account), ["bob"]);
  assertEquals(reduce(state, told([said(1)])).typing, []);
  assertEquals(reduce(state, { type: "time", now: 60_000 }).typing, []);
  const many = Array.from({ length: 500 }, (_, i) => ({ ...typing, account: `a${i}` }));
  assertEquals(run(me, ...many).typing.length, 20);
});

Deno.test("accounts may be words that every object knows", () => {
  assertEquals(["constructor", "__proto__", "toString"].map((account) => nameOf(me, account)), [
    "constructor",
    "__proto__",
    "toString",
  ]);
  const named = run(me, {
    type: "roster",
    channel: LOBBY,
    members: [{ account: "__proto__", name: "P" }],
    count: 1,
  });
  assertEquals(nameOf(named, "__proto__"), "P");
});

Deno.test("a name that is changed in another tab is one's own here too", () => {
  const here = (name?: string, account = "ada") => ({
    type: "roster" as const,
    channel: LOBBY,
    members: [{ account, ...(name === undefined ? {} : { name }) }],
    count: 1,
  });
  const renamed = run(me, here("Ada"), here("Countess"));
  assertEquals(renamed.name, "Countess");
  assertEquals(counts(run(renamed, told([said(1, { data: { text: "@Countess" } })]))), [1, 1]);
  assertEquals(run(renamed, here()).name, undefined, "or given up");
  const late = run(me, here("Ada"), { type: "me", account: "ada", name: "New" }, here("Ada"));
  assertEquals(late.name, "New", "what was told before isn't news");
  assertEquals(run(me, here("Ada"), here("Bob", "bob")).name, "Ada");
});

Deno.test("who wrote before having a name is called by the one of now, in a quote as in a line", () => {
  const named = run(me, {
    ...{ type: "roster", channel: LOBBY, count: 1 },
    members: [{ account: "bob", name: "Bob" }],
  });
  const of = (from: string | null, name?: string) =>
    authorOf(named, { from, ...(name === undefined ? {} : { name }) });
  assertEquals([of("bob"), of("bob", "Robert"), of("eve"), of(null)], [
    "Bob",
    "Robert",
    "eve",
    "–",
  ]);
});
