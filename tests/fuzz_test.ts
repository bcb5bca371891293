/** Ten thousand mutations of what clients send: the server goes on, and others notice nothing (hostile.md, all rows). */
import { assertEquals, assertGreater } from "@std/assert";
import { runFuzz } from "./fuzz/run.ts";
import { SEED } from "./helpers/random.ts";

Deno.test("fuzz: ten thousand cases, and after each thousand a known client still gets its message", async () => {
  const { cases, answers } = await runFuzz({ seed: SEED, cases: 10_000, limit: 120_000 });
  assertEquals(cases, 10_000);
  // Whoever is refused at the door tries nothing out: tokens are read, and some are right all the same.
  assertEquals(answers["token 429"], undefined);
  for (const status of [200, 401]) assertGreater(answers[`token ${status}`] ?? 0, 30);
});
