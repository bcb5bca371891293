import { assertEquals, assertThrows } from "@std/assert";
import { join } from "node:path";
import { renameDurably, writeAtomically } from "../../../lib/store/integrity/durable_file.ts";

Deno.test("a file is written whole, for its owner alone", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const file = join(folder, "withdrawn.json");
    writeAtomically(file, "one");
    // What a killed process left behind.
    Deno.writeTextFileSync(`${file}-new`, "a longer text that was never finished");
    writeAtomically(file, "two");
    assertEquals(Deno.readTextFileSync(file), "two");
    assertEquals((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["withdrawn.json"]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a file that can't be written stays as it was", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const file = join(folder, "withdrawn.json");
    writeAtomically(file, "one");
    Deno.mkdirSync(`${file}-new`);
    assertThrows(() => writeAtomically(file, "two"));
    assertThrows(() => renameDurably(join(folder, "missing"), file));
    assertEquals(Deno.readTextFileSync(file), "one");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
