/** The receiver's state, and the languages. */
import { assertEquals } from "@std/assert";
import { askedTopic, dataOf, pushOf, topicName, typedOf } from "../../../static/ui/push/content.js";
import { REFUSALS } from "../../../lib/protocol/refusals.ts";
import { Code } from "../../../static/client/fanfare.js";
import { drawn, initial, KEPT, reduce, STEP } from "../../../static/pages/receive/state.js";
import {
  dayText,
  language,
  momentText,
  pickLanguage,
  t,
  whenText,
} from "../../../static/ui/i18n.js";
import { reasonOf } from "../../../static/ui/message.js";
import { en } from "../../../static/ui/strings/en.js";
import { zh } from "../../../static/ui/strings/zh.js";
import { excerpt, textOf } from "../../../static/ui/text/text.js";

const push = (seq: number) => ({
  channel: "push:all",
  seq,
  time: seq,
  from: null,
  data: { text: `m${seq}` },
});

Deno.test("the newest push is on top, each once, and a gap is marked", () => {
  let state = reduce(initial, {
    type: "messages",
    messages: [push(1), push(2)],
    gap: false,
    reset: false,
  });
  state = reduce(state, {
    type: "messages",
    messages: [push(2), push(8), push(9)],
    gap: true,
    reset: false,
  });
  assertEquals(state.messages.map(({ seq, gap }) => [seq, gap ?? false]), [
    [9, false],
    [8, true],
    [2, false],
    [1, false],
  ]);
  state = reduce(state, { type: "messages", messages: [push(1)], gap: true, reset: true });
  assertEquals(state.messages.map(({ seq }) => seq), [1]);
});

Deno.test("a gap is marked at the next push that is new, if none came with it", () => {
  const told = (seqs: number[], gap = false) =>
    ({ type: "messages", messages: seqs.map(push), gap, reset: false }) as const;
  for (const without of [[], [1]]) {
    let state = reduce(initial, told([1]));
    for (const action of [told(without, true), told([5]), told([6])]) state = reduce(state, action);
    assertEquals(state.messages.flatMap(({ seq, gap }) => gap ? seq : []), [5]);
  }
  const first = [told([], true), told([5])].reduce(reduce, initial);
  assertEquals(first.messages.map(({ gap }) => gap), [undefined], "nothing stood before it");
});

Deno.test("older pushes go below what is there, each once", () => {
  const told = {
    type: "messages",
    messages: [push(8), push(9)],
    gap: false,
    reset: false,
  } as const;
  const state = reduce(reduce(initial, told), {
    type: "older",
    messages: [push(6), push(7), push(8)],
    more: true,
  });
  assertEquals([state.messages.map(({ seq }) => seq), state.more], [[9, 8, 7, 6], true]);
});

Deno.test("of a push's data is shown what is right, whatever else is in it", () => {
  const right = {
    text: "t",
    title: "T",
    priority: 5,
    tags: ["a", "b"],
    click: "https://x.example/",
  };
  assertEquals(pushOf(right), right);
  const wrong = {
    text: "t",
    title: { __html: "<b>" },
    priority: "5",
    tags: "a",
    click: "javascript:x",
  };
  assertEquals(pushOf(wrong), { text: "t", priority: 3, tags: [] });
  for (const priority of [0, 6, 2.5, NaN, 1e300, -1]) {
    assertEquals(pushOf({ priority }).priority, 3);
  }
  const many = pushOf({
    text: "",
    tags: Array(500).fill("x".repeat(999)),
    title: "x".repeat(9999),
  });
  assertEquals([many.tags.length, many.tags[0]?.length, many.title?.length], [10, 60, 250]);
  assertEquals(pushOf({ text: "t", tags: [{ __html: "x" }, null, " ", "ok"] }).tags, ["ok"]);
  assertEquals(pushOf({ title: "alone" }).text, "");
});

Deno.test("what is typed becomes a push's data, without what was left empty", () => {
  const typed = { text: "t", title: " ", priority: 3, tags: " , ", click: "" };
  assertEquals(dataOf(typed), { text: "t" });
  const all = { text: "t", title: " T ", priority: 4, tags: "a，b, a", click: "https://x.example" };
  assertEquals(dataOf(all), {
    text: "t",
    title: "T",
    priority: 4,
    tags: ["a", "b"],
    click: "https://x.example/",
  });
});

Deno.test("the topic is in the address, all where none is named, and nobody's where it can't be one", () => {
  const topics = ["?topic=builds", "", "?topic=a%2Fb", "?topic=%E9%83%A8%E7%BD%B2", "?topic="];
  const read = (search: string) => topicName(askedTopic(search));
  assertEquals(topics.map(read), ["builds", "all", undefined, "部署", "all"]);
  assertEquals(read(`?topic=${"x".repeat(129)}`), undefined);
});

Deno.test("what couldn't be sent stands in the fields as it was typed", () => {
  const typed = {
    text: "t",
    title: "T",
    priority: 4,
    tags: "a, b",
    click: "https://x.example/",
  };
  assertEquals(typedOf(dataOf(typed)), typed);
  assertEquals(typedOf(dataOf({ ...typed, title: "", tags: "", click: "", priority: 3 })), {
    ...typed,
    ...{ title: "", tags: "", click: "", priority: 3 },
  });
});

Deno.test("values in sentences are isolated, and days are told by their names", () => {
  language.value = "en";
  assertEquals(t("typingOne", { a: "Ada" }), "\u2068Ada\u2069 is typing…");
  assertEquals(t("newMany", { n: 3 }), "3 new messages");
  const now = new Date(2026, 5, 10, 1).getTime();
  const days = [0, 1, 2, 400].map((ago) => dayText(new Date(2026, 5, 10 - ago, 23).getTime(), now));
  assertEquals(days, ["Today", "Yesterday", "Monday, June 8", "Tuesday, May 6, 2025"]);
  const whens = [0, 1, 6, 7, 400].map((ago) =>
    whenText(new Date(2026, 5, 10 - ago, 23).getTime(), now)
  );
  assertEquals(whens, ["11:00 PM", "Tue", "Thu", "Jun 3", "5/6/25"]);
});

Deno.test("whatever a value contains, it turns nothing around it, and ends its own isolates alone", () => {
  language.value = "en";
  const signs = "[\u2066-\u2069]";
  const shape = (text: string) =>
    (text.match(new RegExp(signs, "g")) ?? []).map((sign) => sign === "\u2069" ? ")" : "(").join(
      "",
    );
  for (
    const [name, wanted] of [
      ["Ada", "()"],
      ["\u2069\u202eAda", "()"],
      ["\u2067Ada", "(())"],
      ["a\u2068b\u2069c\u2069\u2069d\u2066", "(()())"],
      ["\u2066".repeat(1000), `${"(".repeat(1001)}${")".repeat(1001)}`],
    ] as const
  ) {
    assertEquals(shape(t("wrote", { name })), wanted);
    assertEquals(shape(excerpt(name, 1000)), wanted.slice(1, -1));
  }
  assertEquals(excerpt("a\n\tb\0c\u2028d", 5), "a b\ufffdc");
  assertEquals(excerpt("😀".repeat(500)), "😀".repeat(140), "no character is cut in half");
});

Deno.test("a time has its date once it isn't of today", () => {
  language.value = "en";
  const at = (day: number, hour: number, year = 2026) => new Date(year, 5, day, hour, 30).getTime();
  const moments = [at(10, 23), at(9, 23), at(11, 0), at(10, 1, 2025)].map((time) =>
    momentText(time, at(10, 12)).replace(/\u202f/g, " ")
  );
  assertEquals(moments, [
    "11:30 PM",
    "Jun 9, 11:30 PM",
    "Jun 11, 12:30 AM",
    "Jun 10, 2025, 01:30 AM",
  ]);
});

Deno.test("sentences of both languages have places for the same values", () => {
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    assertEquals(places(zh[key]), places(en[key]), key);
  }
});

Deno.test("of a thousand pushes the newest are drawn, more as somebody comes near to the last, and what one reads stays while others come", () => {
  const come = (from: number, to: number) => ({
    type: "messages" as const,
    messages: Array.from({ length: to - from + 1 }, (_, i) => push(from + i)),
    ...{ gap: false, reset: false },
  });
  const seqs = (state: typeof initial) => drawn(state).map(({ seq }) => seq);
  const ends = (state: typeof initial) => [seqs(state)[0], seqs(state).at(-1), seqs(state).length];
  const look = (top: boolean, end: boolean) => ({ type: "look" as const, top, end });
  let state = reduce(initial, come(1, KEPT));
  assertEquals(ends(state), [KEPT, KEPT - STEP + 1, STEP]);
  assertEquals(reduce(state, look(true, false)) === state, true, "the same is drawn once");
  state = reduce(state, look(false, true));
  assertEquals(ends(state), [KEPT, KEPT - 2 * STEP + 1, 2 * STEP]);
  const before = seqs(state);
  // More than are kept: those that one reads aren't cut away.
  for (let from = KEPT + 1; from < 3 * KEPT; from += 500) {
    state = reduce(state, come(from, from + 499));
  }
  assertEquals([seqs(state), state.held], [before, KEPT]);
  assertEquals(reduce(state, look(false, false)) === state, true);
  assertEquals(reduce(state, come(2 * KEPT + 1, 3 * KEPT)).messages, state.messages, "each once");
  for (let i = 0; i < 2 * KEPT / STEP; i++) state = reduce(state, look(false, true));
  assertEquals(ends(state), [KEPT, 1, KEPT], "down to the last that is there");
  state = reduce(state, look(true, false));
  assertEquals([ends(state), state.held, state.messages.length, state.more], [
    [3 * KEPT, 3 * KEPT - STEP + 1, STEP],
    0,
    KEPT,
    true,
  ]);
  state = reduce(state, come(3 * KEPT + 1, 3 * KEPT + 1));
  assertEquals(ends(state), [3 * KEPT + 1, 3 * KEPT - STEP + 2, STEP], "at the top one sees all");
});

Deno.test("both languages have the same keys, and none is empty", () => {
  assertEquals(Object.keys(zh), Object.keys(en));
  for (const text of [...Object.values(en), ...Object.values(zh)]) assertEquals(text === "", false);
});

Deno.test("a choice wins, then the browser's first language that is there, then English", () => {
  assertEquals(pickLanguage("en", ["zh-CN"]), "en");
  assertEquals(pickLanguage(null, ["fr", "zh-TW", "en"]), "zh");
  assertEquals(pickLanguage(null, ["fr"]), "en");
});

Deno.test("what is shown is data.text, else a string, else the JSON", () => {
  assertEquals([textOf({ text: "a" }), textOf("b"), textOf({ text: 1 }), textOf(null)], [
    "a",
    "b",
    '{"text":1}',
    "null",
  ]);
});

Deno.test("every refusal of the server and of the library has its reason in both languages", () => {
  const before = language.value;
  const reasons = (["en", "zh"] as const).map((tongue) => {
    language.value = tongue;
    return [...Object.keys(REFUSALS), ...Object.values(Code)].map((code) => {
      const reason = reasonOf({ code, message: "" });
      assertEquals(reason === "", false, `${code} has no reason`);
      return reason;
    });
  });
  language.value = before;
  for (const [i, reason] of (reasons[0] ?? []).entries()) {
    assertEquals(reason === reasons[1]?.[i], false, reason);
  }
});
