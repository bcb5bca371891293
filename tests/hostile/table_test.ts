/** Every row of threats.md has its tests in the table, and every test that the table names is there. */
import { assertEquals } from "@std/assert";
import { ROWS } from "./table.ts";

const THREATS = new URL("../../static/docs/threats.md", import.meta.url);

Deno.test("every row of threats.md is shown by a test, or says what it waits for", async () => {
  const text = await Deno.readTextFile(THREATS);
  const rows = [...text.matchAll(/^\| `([A-Z]\d+)`/gm)].map(([, row]) => row);
  assertEquals(Object.keys(ROWS).sort(), rows.sort());
  const bare = Object.entries(ROWS).filter(([, { shown, open }]) => shown.length === 0 && !open);
  assertEquals(bare, []);
});

Deno.test("every test that the table names is there, once", async () => {
  const missing: string[] = [];
  for (const [row, { shown }] of Object.entries(ROWS)) {
    for (const [file, name] of shown) {
      const text = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
      const found = [...text.matchAll(/(?:Deno\.test|testIsolates|testWorld)\(\s*["`](.*)/g)]
        .filter((
          [, written = ""],
        ) => written.startsWith(name));
      if (found.length !== 1) missing.push(`${row}: ${file} has ${found.length} of "${name}"`);
    }
  }
  assertEquals(missing, []);
});
