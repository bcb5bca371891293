/** The table of threats.md's rows is whole, and every test that it names is there. */
import { assertEquals } from "@std/assert";
import { ROWS } from "./table.ts";

// How many rows of each kind there are.
const KINDS = { H: 21, F: 5, M: 14, I: 7, L: 13 };

Deno.test("every row of threats.md is shown by a test, or says what it waits for", () => {
  const rows = Object.entries(KINDS).flatMap(([kind, count]) =>
    Array.from({ length: count }, (_, i) => `${kind}${i + 1}`)
  );
  assertEquals(Object.keys(ROWS), rows);
  const bare = Object.entries(ROWS).filter(([, { shown, open }]) => shown.length === 0 && !open);
  assertEquals(bare, []);
});

Deno.test("every test that the table names is there, once", async () => {
  const missing: string[] = [];
  for (const [row, { shown }] of Object.entries(ROWS)) {
    for (const [file, name] of shown) {
      const text = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
      const found = [...text.matchAll(/(?:Deno\.test|testIsolates)\(\s*["`](.*)/g)].filter((
        [, written = ""],
      ) => written.startsWith(name));
      if (found.length !== 1) missing.push(`${row}: ${file} has ${found.length} of "${name}"`);
    }
  }
  assertEquals(missing, []);
});
