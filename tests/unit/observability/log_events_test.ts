/** The list of log events in static/docs/events.md is what the code logs: no more, no less, at the same levels. */
import { assertEquals, assertGreater } from "@std/assert";

const ROOT = new URL("../../../", import.meta.url);

async function* sources(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    // What is loaned from the standard library logs nothing of ours.
    if (isDirectory && name !== "std") yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

Deno.test("every event that is logged is in the list, with its level, and nothing else is", async () => {
  const logged = new Set<string>();
  const files = [new URL("main.ts", ROOT)];
  for await (const file of sources(new URL("lib/", ROOT))) files.push(file);
  for (const file of files) {
    const code = await Deno.readTextFile(file);
    for (
      const [call, level, event] of code.matchAll(
        /\blog(?:ger)?\.(debug|info|refused|warning|error)\(\s*("[a-z.]+")?/g,
      )
    ) {
      // A name that is put together can't be looked up by whoever reads the log.
      if (event === undefined) throw new Error(`${file.pathname} logs what has no name: ${call}`);
      logged.add(`${event.slice(1, -1)} ${level === "refused" ? "info" : level}`);
    }
  }
  const list = await Deno.readTextFile(new URL("static/docs/events.md", ROOT));
  const listed = [...list.matchAll(/^\| `([a-z.]+)` +\| (\w+) +\|/gm)].map(([, event, level]) =>
    `${event} ${level}`
  );
  assertGreater(listed.length, 30);
  assertEquals(listed.toSorted(), [...logged].sort());
});
