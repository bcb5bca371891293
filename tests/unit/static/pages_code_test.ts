/** What the pages' code keeps to: small components, and no way for a text to become markup. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";

const ROOT = new URL("../../../static", import.meta.url).pathname;
const LONGEST = 120;
const MARKUP =
  /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function|setAttribute\("on/;

async function* scripts(folder = ROOT): AsyncGenerator<[string, string]> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* scripts(path);
    else if (name.endsWith(".js")) {
      yield [path.slice(ROOT.length + 1), await Deno.readTextFile(path)];
    }
  }
}

Deno.test("each component is under 120 lines", async () => {
  const sizes = new Map<string, number>();
  for await (const [file, text] of scripts()) {
    for (const [body, name = ""] of text.matchAll(/^(?:export )?function ([A-Z]\w*)\([^]*?^\}/gm)) {
      sizes.set(`${file} ${name}`, body.split("\n").length);
    }
  }
  assertEquals(sizes.size > 20, true, "components are found");
  assertEquals([...sizes].filter(([, lines]) => lines >= LONGEST), []);
});

Deno.test("nothing in the pages makes markup of a text, or styles of one", async () => {
  const found: string[] = [];
  for await (const [file, text] of scripts()) {
    for (const [i, line] of text.split("\n").entries()) {
      if (MARKUP.test(line) || /\sstyle=/.test(line)) {
        found.push(`${file}:${i + 1}: ${line.trim()}`);
      }
    }
    for (const [link] of text.matchAll(/<a\b[^>]*target="_blank"[^>]*>/g)) {
      if (!link.includes('rel="noopener noreferrer"')) found.push(`${file}: ${link}`);
    }
  }
  assertEquals(found, []);
});
