/** Citations of the specs in static/docs, and files that guides name: all are there. */
import { assertEquals, assertGreater } from "@std/assert";

const ROOT = new URL("../../", import.meta.url).pathname;

const rows = new Map<string, Set<string>>();
const headings = new Map<string, Set<string>>();
for await (const { name } of Deno.readDir(`${ROOT}static/docs`)) {
  if (!name.endsWith(".md") || name.includes(".zh-CN.")) continue;
  const text = await Deno.readTextFile(`${ROOT}static/docs/${name}`);
  const all = (pattern: RegExp) =>
    new Set([...text.matchAll(pattern)].map(([, found = ""]) => found));
  rows.set(name, all(/^\| `([A-Z]\d+)`/gm));
  headings.set(name, all(/^#+ (.*)$/gm));
}

/** A page, then rows (`H1–H3, H6`, `L2`) or headings in quotes, joined by commas or "and". */
const CITATION =
  /(?<![\w/$}"'`-])([a-z][a-z-]*\.md)(?:(?:,? )?((?:[HFMIL]\d+(?:–[HFMIL]\d+)?(?:, | and )?)+|(?:"[A-Z][^"\n]*"(?: and )?)+))?/g;

function faultOf(page: string, place = ""): string | undefined {
  if (!headings.has(page)) return "there is no such page";
  const cited = [...place.matchAll(/[HFMIL]\d+/g)].map(([row]) => row);
  const missing = cited.find((row) => !rows.get(page)?.has(row)) ??
    [...place.matchAll(/"([^"]+)"/g)].map(([, heading = ""]) => heading)
      .find((heading) => !headings.get(page)?.has(heading));
  return missing === undefined ? undefined : `it has no ${missing}`;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(ROOT + folder)) {
    if (name === "node_modules") continue;
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (/\.(ts|js)$/.test(name)) yield `${folder}/${name}`;
  }
}

Deno.test("no citation of a spec is dead", async () => {
  const dead: string[] = [];
  let count = 0;
  for (const folder of ["lib", "static", "tests"]) {
    for await (const file of sources(folder)) {
      const text = await Deno.readTextFile(ROOT + file);
      // A comment that goes on in the next line is read as one; names of files in strings aren't citations.
      const joined = text.replace(/\n\s*(?:\*|\/\/) /g, " ");
      for (const [whole, page = "", place] of joined.matchAll(CITATION)) {
        count += 1;
        const fault = faultOf(page, place);
        if (fault !== undefined) dead.push(`${file}: ${whole}: ${fault}`);
      }
    }
  }
  assertEquals(dead, []);
  assertGreater(count, 60);
});

Deno.test("every file and folder that a guide names is there", async () => {
  const missing: string[] = [];
  for (const page of ["README.md", ...[...headings.keys()].map((name) => `static/docs/${name}`)]) {
    const text = await Deno.readTextFile(ROOT + page);
    for (const [, path = ""] of text.matchAll(/`((?:lib|tests|static|\.ci)\/[\w./-]*)`/g)) {
      const found = await Deno.stat(ROOT + path).then(() => true, () => false);
      if (!found) missing.push(`${page}: ${path}`);
    }
  }
  assertEquals(missing, []);
});
