/** What a timeline draws: days, groups, gaps, and a part of ten thousand messages; and addresses, links and mentions. */
import { assertEquals } from "@std/assert";
import { channelOf, hashOf, partner, roomOf } from "../../../static/pages/chat/model/channels.js";
import { begun, completed, matching } from "../../../static/pages/chat/model/completion.js";
import { isEmoji } from "../../../static/pages/chat/view/message_line.js";
import { initialsOf } from "../../../static/pages/chat/view/person.js";
import {
  MOST_ROWS,
  move,
  rowsOf,
  sliceOf,
  STEP,
  viewOf,
} from "../../../static/pages/chat/model/rows.js";
import { emptyTalk } from "../../../static/pages/chat/model/talk.js";
import { callsMe, mentionsOf, safeLink, segmentsOf } from "../../../static/ui/text/segments.js";

const NOON = new Date(2026, 5, 10, 12).getTime();
const at = (seq: number, minutes: number, more: object = {}) => ({
  ...{ channel: "room:a", seq, time: NOON + minutes * 60_000, from: "bob", text: `m${seq}` },
  ...more,
});
const talk = (said: ReturnType<typeof at>[], more: object = {}) => ({
  ...emptyTalk,
  said,
  ...more,
});
const drawn = (all: ReturnType<typeof talk>) =>
  rowsOf(all, sliceOf(all.said, undefined)).map((row) =>
    row.kind === "message" ? `${row.head ? "+" : "-"}${row.message.text}` : row.kind
  );

Deno.test("messages of one person stand together, until the time, the name, a reply or the day parts them", () => {
  const said = [
    at(1, 0),
    at(2, 4),
    at(3, 10),
    at(4, 11, { from: "eve" }),
    at(5, 11),
    at(6, 12, { reply: 1 }),
    at(7, 12, { name: "Bob" }),
    at(8, 24 * 60),
  ];
  assertEquals(drawn(talk(said)), [
    "day",
    "+m1",
    "-m2",
    "+m3",
    "+m4",
    "+m5",
    "+m6",
    "+m7",
    "day",
    "+m8",
  ]);
});

Deno.test("a gap and the line of what is new stand where they are, the end's gap at the end", () => {
  const said = [at(1, 0), at(5, 1), at(9, 2)];
  assertEquals(drawn(talk(said, { holes: [1], line: 5 })), [
    "day",
    "+m1",
    "gap",
    "+m5",
    "line",
    "+m9",
  ]);
  assertEquals(drawn(talk(said, { holes: [9] })).slice(-2), ["-m9", "gap"]);
  assertEquals(drawn(talk(said, { line: 9 })).includes("line"), false, "nothing is new yet");
});

Deno.test("of ten thousand messages a few rows are drawn, at the end and wherever one goes, and none is passed over", () => {
  const said = Array.from({ length: 10_000 }, (_, i) => at(i * 3 + 1, i));
  const end = sliceOf(said, undefined);
  assertEquals([end.to, end.to - end.from <= 3 * STEP], [10_000, true]);
  const seen = new Set<number>();
  let slice = end;
  for (let steps = 0;; steps++) {
    for (let i = slice.from; i < slice.to; i++) seen.add(i);
    assertEquals(slice.to - slice.from <= MOST_ROWS + STEP, true);
    const view = move(said, slice, "up");
    if (view === undefined || steps > 1000) break;
    const next = sliceOf(said, view);
    assertEquals(next.to > slice.from, true, "what one sees stays drawn");
    slice = next;
  }
  assertEquals([seen.size, slice.from], [10_000, 0]);
  for (let view = move(said, slice, "down"); view; view = move(said, slice, "down")) {
    slice = sliceOf(said, view);
  }
  assertEquals(slice.to, 10_000);
});

Deno.test("a view keeps its place when older messages come, and goes on with new ones only at the end", () => {
  const said = Array.from({ length: 200 }, (_, i) => at(i + 100, i));
  const view = viewOf(said, 10, 200);
  const older = [...Array.from({ length: 50 }, (_, i) => at(i + 1, 0)), ...said, at(999, 999)];
  assertEquals(sliceOf(older, view), { from: 60, to: 251 });
  assertEquals(sliceOf(older, viewOf(said, 10, 100)), { from: 60, to: 150 });
});

Deno.test("addresses name rooms and people, and what isn't one opens nothing", () => {
  assertEquals(channelOf("#room:dev", "ada"), "room:dev");
  assertEquals(channelOf(hashOf("room:开发", "ada"), undefined), "room:开发");
  assertEquals([channelOf("#dm:bob", "ada"), channelOf("#dm:ada", "ada")], [
    "dm:ada.bob",
    "dm:ada.ada",
  ]);
  assertEquals([channelOf("#dm:ada.bob", "ada"), channelOf("#dm:ada.bob", "bob")], [
    "dm:ada.bob",
    "dm:ada.bob",
  ]);
  for (
    const hash of [
      "",
      "#",
      "#list",
      "#room:",
      "#room:a b/c",
      "#dm:*",
      "#dm:x.y",
      "#dm:a b",
      "#%",
      "#push:all",
    ]
  ) {
    assertEquals(channelOf(hash, "ada"), undefined, hash);
  }
  assertEquals(channelOf("#dm:bob", undefined), undefined);
  assertEquals([
    hashOf("dm:ada.bob", "bob"),
    partner("dm:ada.bob", "bob"),
    partner("room:x", "bob"),
  ], ["#dm:ada", "ada", undefined]);
  assertEquals([roomOf(" #Team 4 "), roomOf("a/b"), roomOf("é"), roomOf("开".repeat(43))], [
    "room:Team-4",
    undefined,
    "room:é",
    undefined,
  ]);
});

Deno.test("links are http, https and mailto, end where a sentence does, and hide nothing", () => {
  const links = (text: string) =>
    segmentsOf(text).flatMap(({ kind, text, href }) => kind === "link" ? [[text, href]] : []);
  assertEquals(links("See https://a.example/x?y=1&z=(2)). And (http://b.example)."), [
    ["https://a.example/x?y=1&z=(2)", "https://a.example/x?y=1&z=(2)"],
    ["http://b.example", "http://b.example/"],
  ]);
  const ends = (text: string) => links(text).map(([text]) => text).join(" ");
  const whole = [
    "https://en.wikipedia.org/wiki/A_(b)",
    "https://x.example/a[1]{2}(3(4))",
    "https://x.example/a—b…c",
  ];
  for (const link of whole) {
    assertEquals(ends(link), link);
    for (
      const end of [
        "…",
        "...",
        ")",
        ").",
        "]",
        "}",
        "?!",
        "»",
        "’",
        "”",
        "。",
        "，",
        "）",
        "」",
        "、",
        "؟",
        "।",
        " (",
      ]
    ) {
      assertEquals(ends(`(${link}${end}`), link, `${link}${end}`);
    }
  }
  const open = "https://x.example/a(b";
  assertEquals(ends(`${open}… ${open})`), `${open} ${open})`);
  assertEquals(
    ends("(https://x.example/a) [https://x.example/b]: https://x.example/(["),
    [
      "https://x.example/a",
      "https://x.example/b",
      "https://x.example/",
    ].join(" "),
  );
  assertEquals(links("打开https://例子.测试/路径。然后 www.c.example，mailto:ada@d.example"), [
    ["https://例子.测试/路径", "https://xn--fsqu00a.xn--0zwm56d/%E8%B7%AF%E5%BE%84"],
    ["www.c.example", "https://www.c.example/"],
    ["mailto:ada@d.example", "mailto:ada@d.example"],
  ]);
  for (
    const text of [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "data:text/html,<script>",
      "vbscript:x",
      "file:///etc/passwd",
      "//evil.example",
      "https://",
      "http:// ",
      "blob:https://x/1",
    ]
  ) assertEquals(links(text).filter(([, href]) => !/^https?:\/\/x\/1$/.test(href ?? "")), [], text);
  assertEquals(links("https://good.example/\u202Egpj.exe")[0]?.[0], "https://good.example/");
  for (
    const address of [
      "javascript:1",
      "data:,x",
      1,
      null,
      {},
      { __html: "x" },
      "https://" + "x".repeat(3000),
      "mailto:a@b",
    ]
  ) {
    assertEquals(safeLink(address, true), undefined);
  }
  const text = "<b>a</b> https://x.example/<script> b";
  assertEquals(segmentsOf(text).map(({ text }) => text).join(""), text);
});

Deno.test("a long text of any kind is cut into its parts in no time", () => {
  const start = performance.now();
  for (
    const piece of [
      "http://",
      "(",
      "https://a.b/()",
      "https://a.b/…",
      "[",
      "www.a",
      "@ada ",
      "@",
      "https://a.b/((((",
      "a".repeat(10),
    ]
  ) {
    segmentsOf(piece.repeat(65_536 / piece.length), mentionsOf(["ada", "a b"], ["ada"]));
  }
  assertEquals(performance.now() - start < 2000, true);
});

Deno.test("a mention is a whole name, in any script, and says whether it is oneself", () => {
  const mentions = mentionsOf(["Ada Lovelace", "Ada", "小明", "C++"], ["bob", "1f0c9a2b"]);
  const found = (text: string) =>
    segmentsOf(text, mentions).flatMap(({ kind, text, own }) =>
      kind === "mention" ? [text + (own ? "!" : "")] : []
    );
  assertEquals(found("@ada lovelace, @Ada: @BOB @1f0c9a2b @C++?"), [
    "@ada lovelace",
    "@Ada",
    "@BOB!",
    "@1f0c9a2b!",
    "@C++",
  ]);
  assertEquals(found("me@ada.example @Adam @bobby x@bob"), []);
  assertEquals(found("请@小明看看，@Ada你好"), ["@小明", "@Ada"]);
  assertEquals([
    callsMe("hi @bob", mentions),
    callsMe("https://x.example/@bob", mentions),
    callsMe("@bob", undefined),
  ], [true, false, false]);
  assertEquals(mentionsOf([], []), undefined);
});

Deno.test("a mention is completed where the caret is, those whose name begins so first", () => {
  const members = [{ account: "aa11", name: "Grace Ada" }, { account: "ada0" }, {
    account: "bb22",
    name: "Adam",
  }, { account: "me", name: "Ada" }];
  assertEquals(begun("hi @ad", 6), { from: 3, query: "ad" });
  assertEquals([begun("hi@ad", 5), begun("hi @ad x", 8), begun("@", 1)?.query], [
    undefined,
    undefined,
    "",
  ]);
  assertEquals(begun("请@小", 3), { from: 1, query: "小" });
  assertEquals(matching("ad", members, "me").map(({ account }) => account), [
    "bb22",
    "aa11",
    "ada0",
  ]);
  assertEquals(completed("hi @ad, you", { from: 3, to: 6 }, { account: "x", name: "Adam" }), {
    text: "hi @Adam , you",
    caret: 9,
  });
});

Deno.test("a picture has the letters of a name: two of Latin words, one of others", () => {
  assertEquals(
    ["Ada Lovelace", "ada", "林小明", "林 小明", "👩‍🚀 Eve", "1f0c9a2b", ""].map(initialsOf),
    ["AL", "A", "林", "林", "👩‍🚀", "1", "?"],
  );
});

Deno.test("a few emoji alone are emoji; words, digits and many of them are text", () => {
  const all = [
    "👍",
    "🎉🎉🎉",
    "👩‍🚀 🇨🇳",
    "❤️",
    "👍🏽",
    "1️⃣",
    "7",
    "123",
    "ok 👍",
    "©",
    "👍".repeat(6),
    "",
    " ",
  ];
  assertEquals(all.filter(isEmoji), ["👍", "🎉🎉🎉", "👩‍🚀 🇨🇳", "❤️", "👍🏽", "1️⃣"]);
});
