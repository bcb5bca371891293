/** The receiver's state, and the languages. */
import { assertEquals } from "@std/assert";
import { initial, reduce } from "../../static/push/state.js";
import { pickLanguage } from "../../static/parts/i18n.js";
import { en } from "../../static/parts/strings/en.js";
import { zh } from "../../static/parts/strings/zh.js";
import { textOf } from "../../static/parts/text.js";

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
