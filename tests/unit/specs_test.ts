/** The specs in static/docs say what the code says: verbs, codes, fields of a message, and a short glossary. */
import { assertEquals, assertLess } from "@std/assert";
import { DEFAULT_LIMITS, toldLimits } from "../../lib/config/limits.ts";
import { SCHEMAS } from "../../lib/protocol/command.ts";
import { CLOSE, REFUSALS } from "../../lib/protocol/refusals.ts";

const read = (name: string) =>
  Deno.readTextFile(new URL(`../../static/docs/${name}`, import.meta.url));
const protocol = await read("protocol.md");

/** The rows of the table under a heading, each as its cells. */
function rowsUnder(text: string, heading: string): string[][] {
  const [, part = ""] = text.split(`\n## ${heading}\n`);
  const [section = ""] = part.split("\n## ");
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const code = (cell = "") => cell.replaceAll("`", "");

Deno.test("protocol.md has every verb", () => {
  const verbs = rowsUnder(protocol, "WebSocket").map(([verb]) => code(verb));
  assertEquals(verbs, Object.keys(SCHEMAS));
});

Deno.test("protocol.md has every error with its status, and every close code", () => {
  const errors = rowsUnder(protocol, "Errors").map((
    [name, status],
  ) => [code(name), Number(status)]);
  assertEquals(errors, Object.entries(REFUSALS));
  const closes = rowsUnder(protocol, "Closing").map(([close]) => Number(close));
  const missing = Object.values(CLOSE).filter((close) => !closes.includes(close));
  assertEquals(missing, []);
});

Deno.test("protocol.md has the limits that `hello` tells", () => {
  const { message, frame, pending, history, recovery, key, name } = toldLimits(DEFAULT_LIMITS);
  const text = protocol.replace(/\s+/g, " ");
  const told = [
    [`at most ${Number(message) / 1024} KiB as JSON`, message],
    [`from a client at most ${Number(frame) / 1_048_576} MiB`, frame],
    [`\`limits.pending\` (${pending})`, pending],
    [`A page ends after ${history} messages`, history],
    [`\`--recovery\` messages (${recovery?.toLocaleString("en")})`, recovery],
    [`idempotency key, 1 to ${key} characters`, key],
    [`display name is 1 to ${name} characters`, name],
  ];
  assertEquals(told.filter(([words]) => !text.includes(String(words))), []);
});

Deno.test("the glossary has at most 25 terms, in the order of letters", async () => {
  const terms = rowsUnder(await read("architecture.md"), "Glossary").map(([term]) => term ?? "");
  assertLess(terms.length, 26);
  assertEquals(terms, terms.toSorted());
});
