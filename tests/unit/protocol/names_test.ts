/** Names of people and channels: nobody can have one that looks like another's by a character that isn't drawn. */
import { assertEquals } from "@std/assert";
import { parseChannel } from "../../../lib/protocol/channel.ts";
import { faultInName } from "../../../lib/protocol/command.ts";
import { topicName } from "../../../static/ui/push/content.js";

const isName = (text: string) => faultInName(text) === undefined;
const isRoom = (text: string) => parseChannel(`room:${text}`) !== undefined;

Deno.test("M14: default-ignorable characters and an empty braille cell are refused in names and channel names", () => {
  const invisible = /\p{Default_Ignorable_Code_Point}|\p{Cf}|\u2800/u;
  for (let code = 0; code < 0x110000; code++) {
    if (code === 0xd800) code = 0xe000;
    const character = String.fromCodePoint(code);
    if (!invisible.test(character)) continue;
    const name = `a${character}b`;
    assertEquals([isName(name), isRoom(name)], [false, false], code.toString(16));
  }
  for (const text of ["\u3164", "\u17b4", "a\ufe0f", "\u{e0100}", "葛\u{e0100}"]) {
    assertEquals([isName(text), isRoom(text)], [false, false], JSON.stringify(text));
  }
});

Deno.test("M14: an emoji may have them, and only there", () => {
  for (
    const emoji of [
      "❤️",
      "👩‍💻",
      "🏳️‍🌈",
      "👩🏽‍🚀",
      "1️⃣",
      "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    ]
  ) {
    assertEquals([isName(emoji), isName(`Ada ${emoji}`)], [true, true], emoji);
    for (
      const wrong of [`${emoji}\ufe0f`, `${emoji}\u200d`, `\u200d${emoji}`, `${emoji}\u{e007f}`]
    ) {
      assertEquals(isName(wrong), false, JSON.stringify(wrong));
    }
  }
});

Deno.test("M14: joiners stand where RFC 5892 allows them, in names and channel names", () => {
  const right = ["क्\u200dष", "क्\u200cष", "ශ්\u200dරී", "می\u200cخواهم", "بَ\u200cبَ", "ܒ\u200cܒ"];
  for (const name of right) {
    assertEquals([isName(name), isRoom(name), topicName(name) === name], [true, true, true], name);
  }
  const wrong = [
    "a\u200cb",
    "a\u200db",
    "क\u200dष",
    "ب\u200dب",
    "ب\u200c",
    "\u200cب",
    "ب\u200ca",
    "ب\u200c\u200cب",
    // After a letter that joins no other it changes nothing.
    "ا\u200cب",
    "د\u200cب",
  ];
  for (const name of wrong) {
    assertEquals([isName(name), isRoom(name)], [false, false], JSON.stringify(name));
  }
});

Deno.test("M14: a name is read in time that grows with its length", () => {
  const time = (text: string) => {
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const begun = performance.now();
      isName(text);
      isRoom(text);
      best = Math.min(best, performance.now() - begun);
    }
    return best;
  };
  for (const part of ["\u0651", "\u200c", "ب\u200c", "्\u200d", "👩\u200d", "\ufe0f", " ", "a"]) {
    assertEquals(time(part.repeat(500_000)) < 50, true, JSON.stringify(part));
  }
});
