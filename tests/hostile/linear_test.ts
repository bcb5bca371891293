/** Every pattern and parser of what clients send takes time like its input (threats.md H15): see linear.ts. */
import { assertEquals } from "@std/assert";

Deno.test("H15: every regular expression and every parser takes time like its input", async () => {
  // In a process of its own: what it measures is the processor time of all of its threads.
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-A", "--no-check", "--config"],
      new URL("../deno.json", import.meta.url).pathname,
      new URL("linear.ts", import.meta.url).pathname,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stdout));
});
