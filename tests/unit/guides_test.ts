/** The guides at /docs, in both languages: each is there twice, and one says what the other says. */
import { assertEquals, assertGreater, assertMatch } from "@std/assert";

const DOCS = new URL("../../static/docs/", import.meta.url);

const read = (name: string) => Deno.readTextFile(new URL(name, DOCS));

// README.md isn't one of them: its Chinese version is held to it elsewhere.
const guides = [...Deno.readDirSync(DOCS)].map(({ name }) => name)
  .filter((name) => name.endsWith(".md") && !name.endsWith(".zh-CN.md"));

const FENCE = /^```.*?^```$/gms;

const blocksOf = (text: string) => text.match(FENCE) ?? [];

/** The parts of a text that are the same in every language, in their order or as a set. */
function skeleton(text: string) {
  const prose = text.replace(FENCE, "");
  const lines = prose.split("\n");
  const all = (pattern: RegExp) =>
    [...prose.matchAll(pattern)].map(([whole, part]) => part ?? whole);
  const code = new Set(all(/`([^`]+)`/g));
  return {
    headings: lines.flatMap((line) => /^#+ /.exec(line)?.[0] ?? []),
    blocks: blocksOf(text),
    // The first cell of a row that is code names a flag, a file, a metric or an event.
    rows: lines.filter((line) => line.startsWith("|")).map((line) =>
      /^\| (`[^|]*(?:\\\|[^|]*)*`) *\|/.exec(line)?.[1] ?? "|"
    ),
    code: [...code].sort(),
    links: all(/\]\(([^)#]*)[^)]*\)/g).map((to) => to.replace(".zh-CN.md", ".md")).sort(),
    figures: all(/\d[\d,.]*\s(?:[KM]iB|[KM]B|ms|%)/g).map((figure) => figure.replace("\n", " "))
      .sort(),
  };
}

/** A text without the line below its title that leads to the other language. */
function without(text: string, link: string): string {
  const [title, blank, found, ...rest] = text.split("\n");
  assertEquals([blank, found], ["", link]);
  return [title, ...rest].join("\n");
}

Deno.test("there are guides, and each is there in Chinese", async () => {
  assertGreater(guides.length, 4);
  for (const name of guides) {
    assertMatch(await read(name.replace(".md", ".zh-CN.md")), /\p{Script=Han}{4}/u, name);
  }
});

for (const name of guides) {
  Deno.test(`${name} says the same in Chinese: headings, blocks, rows, flags and words of code, links, figures`, async () => {
    const other = name.replace(".md", ".zh-CN.md");
    const english = without(await read(name), `[简体中文](${other})`);
    const chinese = without(await read(other), `[English](${name})`);
    assertEquals(skeleton(chinese), skeleton(english));
    // A Chinese text leads to Chinese ones, where they are.
    for (const [, to = ""] of chinese.matchAll(/\]\(([\w-]+)\.md/g)) {
      assertEquals(guides.includes(`${to}.md`), false, `${other} leads to ${to}.md`);
    }
  });
}
