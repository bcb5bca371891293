/** What was begun and not sent, as a pure reducer. */
import { assertEquals } from "@std/assert";
import { makeActions } from "../../../static/pages/chat/effects/actions.js";
import {
  draftOf,
  draftsToKeep,
  MOST_DRAFTS,
  reduceDrafts,
} from "../../../static/pages/chat/model/drafts.js";
import { initial } from "../../../static/pages/chat/model/chat_state.js";

const LOBBY = "room:lobby";
const DM = "dm:ada.bob";
type Drafts = Parameters<typeof reduceDrafts>[0];
type Client = Parameters<typeof makeActions>[0];
type Action = Parameters<typeof reduceDrafts>[1];

const to = (channel = LOBBY) => ({ channel, seq: 3, time: 3, from: "bob", text: "Which one?" });
const run = (drafts: Drafts, ...actions: Action[]) => actions.reduce(reduceDrafts, drafts);
const typed = (text: string, channel = LOBBY) => ({ type: "typed", channel, text }) as const;
const reply = (channel = LOBBY, epoch = "a log") =>
  ({ type: "reply", channel, to: to(channel), epoch }) as const;

Deno.test("text and what it replies to belong to their conversation, and go when they are sent", () => {
  const both = run({}, typed("this"), reply(), typed("psst", DM));
  assertEquals([draftOf(both, LOBBY), draftOf(both, DM)], [
    { text: "this", to: to(), epoch: "a log" },
    { text: "psst" },
  ]);
  const given = run(both, { type: "reply", channel: LOBBY, to: undefined });
  assertEquals(draftOf(given, LOBBY), { text: "this" });
  const sent = run(both, { type: "sent", channel: LOBBY });
  assertEquals([draftOf(sent, LOBBY), Object.keys(sent)], [{ text: "" }, [DM]]);
  assertEquals(draftOf(run({}, typed("x", "push:all")), "push:all"), { text: "" });
  assertEquals(draftOf({}, "constructor"), { text: "" });
});

Deno.test("what the outbox refuses comes back with its quote, unless something else was begun", () => {
  const draft = { text: "this", to: to() };
  const back = { type: "back", channel: LOBBY, draft } as const;
  assertEquals(draftOf(run({}, back), LOBBY), draft);
  assertEquals(draftOf(run({}, typed("other"), back), LOBBY), { text: "other" });
  assertEquals(draftOf(run({}, reply(), back), LOBBY).text, "");
});

Deno.test("what couldn't be sent goes back to be changed, before what was begun meanwhile", () => {
  const draft = { text: "too long", to: to(), epoch: "a log" };
  const edit = { type: "edit", channel: LOBBY, draft } as const;
  assertEquals(draftOf(run({}, edit), LOBBY), draft);
  assertEquals(draftOf(run({}, typed("begun"), edit), LOBBY), {
    ...draft,
    text: "too long\nbegun",
  });
  const other = { ...to(), seq: 9 };
  const both = run({}, { type: "reply", channel: LOBBY, to: other, epoch: "a log" }, edit);
  assertEquals(draftOf(both, LOBBY), { ...draft, to: other });
});

Deno.test("a failed reply that is changed stays a reply, though what it replies to isn't loaded yet", () => {
  const dispatched: Action[] = [];
  const client: unknown = { discard: () => {} };
  const store = {
    state: { value: { ...initial, epoch: "a log" } },
    dispatch: () => {},
  };
  const drafts = { state: { value: {} }, dispatch: (...all: Action[]) => dispatched.push(...all) };
  const act = makeActions(client as Client, store, drafts);
  const failed = { id: "1", key: "k", channel: LOBBY, text: "too long", time: 5 };
  const message = { ...failed, reply: 3, status: "failed" } as const;
  const edited = () => draftOf(run({}, ...dispatched.splice(0)), LOBBY);
  act.edit(message, undefined);
  const draft = edited();
  assertEquals([draft.text, draft.epoch, draft.to?.channel, draft.to?.seq], [
    "too long",
    "a log",
    LOBBY,
    3,
  ]);
  act.edit(message, to());
  assertEquals(edited().to, to());
  // It isn't there any more.
  act.edit(message, null);
  assertEquals(edited(), { text: "too long" });
});

Deno.test("drafts outlive a reload, as many and as long as fit, the newest first", () => {
  const before = run({}, typed("old"), typed("psst", DM), reply(DM), typed("new"));
  const kept: unknown = JSON.parse(JSON.stringify(draftsToKeep(before)));
  assertEquals(run({}, { type: "remembered", kept }), before);
  assertEquals(Object.keys(before), [DM, LOBBY], "the one that was changed last is the newest");
  const many = Array.from({ length: MOST_DRAFTS + 10 }, (_, i) => typed("x", `room:r${i}`));
  const some = run({}, ...many);
  assertEquals([Object.keys(some).length, "room:r0" in some], [MOST_DRAFTS, false]);
  const long = run(
    {},
    typed("small", "room:s"),
    typed("x".repeat(400_000), DM),
    typed("x".repeat(200_000)),
  );
  assertEquals(Object.keys(draftsToKeep(long)), ["room:s", LOBBY]);
});

Deno.test("what is kept may be anything, and what is typed meanwhile stays", () => {
  for (
    const kept of [null, 1, [], "x", { [LOBBY]: 1, [DM]: { text: {} }, "push:x": { text: "a" } }]
  ) {
    assertEquals(run({}, { type: "remembered", kept }), {});
  }
  const kept = {
    [LOBBY]: { text: "a", to: { ...to(), text: { __html: "x" } } },
    [DM]: { text: "", to: to(LOBBY) },
    "room:b": { text: "kept" },
  };
  assertEquals(run({}, typed("now", "room:b"), { type: "remembered", kept }), {
    [LOBBY]: { text: "a" },
    "room:b": { text: "now" },
  });
});

Deno.test("another account doesn't find what was begun to be said in private", () => {
  const drafts = run({}, typed("a"), typed("psst", DM));
  assertEquals(run(drafts, { type: "account", account: "ada" }), drafts);
  assertEquals(Object.keys(run(drafts, { type: "account", account: "eve" })), [LOBBY]);
});

Deno.test("of another log a reply is none: its message is another one there, and the text stays", () => {
  const drafts = run({}, typed("this"), reply(), reply(DM), typed("that", "room:b"));
  const texts = { [LOBBY]: { text: "this" }, "room:b": { text: "that" } };
  assertEquals(run(drafts, { type: "log", epoch: "another" }), texts);
  const same = { type: "log", epoch: "a log" } as const;
  assertEquals(run(drafts, same) === drafts, true, "and of the same one it stays");
  const mixed = run(drafts, reply("room:b", "another"), { type: "log", epoch: "another" });
  assertEquals([draftOf(mixed, LOBBY), draftOf(mixed, "room:b").to], [
    { text: "this" },
    to("room:b"),
  ]);
  // A tab that is restored late: what it kept is of a log that no other tab knows any more.
  const kept: unknown = JSON.parse(JSON.stringify(draftsToKeep(drafts)));
  const restored = run({}, { type: "remembered", kept });
  assertEquals(run(restored, same), drafts);
  assertEquals(run(restored, { type: "log", epoch: "another" }), texts);
});
