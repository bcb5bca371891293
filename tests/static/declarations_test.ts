/** What fanfare.d.ts declares is what is there. */
import { assertEquals } from "@std/assert";
import * as actual from "../../static/fanfare/client.js";
import type * as declared from "../../static/fanfare.js";

// Held by the types: the modules that are run fit what is declared of them.
const checked: Pick<typeof declared, keyof typeof declared> = actual;

Deno.test("fanfare.d.ts declares every member of a client, and no other", async () => {
  const text = await Deno.readTextFile(new URL("../../static/fanfare.d.ts", import.meta.url));
  const [, body = ""] = /export class Client \{(.*?)\n\}/s.exec(text) ?? [];
  const named = [...body.matchAll(/^ {2}(?:get )?(\w+)(?:<[^>]*>)?\(/gm)].map(([, name]) => name);
  const members = Object.getOwnPropertyNames(checked.Client.prototype);
  assertEquals(named.toSorted(), members.toSorted());
});
