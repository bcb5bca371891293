/** What fanfare.d.ts declares is what is there. */
import { assertEquals } from "@std/assert";
import * as actual from "../../../static/client/client.js";
import type * as declared from "../../../static/client/fanfare.js";

// Held by the types: the modules that are run fit what is declared of them.
const checked: Pick<typeof declared, keyof typeof declared> = actual;

const STATIC = new URL("../../../static/", import.meta.url);
const modules = (folder: string) =>
  [...Deno.readDirSync(new URL(folder, STATIC))].filter(({ name }) => name.endsWith(".js"))
    .map(({ name }) => `${folder}/${name}`);
const read = (path: string) => Deno.readTextFile(new URL(path, STATIC));

/** What is documented in the library's own modules as an object with named properties: name → properties. */
async function documented(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of [...modules("client"), ...modules("client/outbox")]) {
    const text = await read(name);
    for (
      const [comment, type = ""] of text.matchAll(
        /\/\*\*(?:(?!\*\/)[^])*?@typedef \{object\} (\w+)[^]*?\*\//g,
      )
    ) {
      const properties = [...comment.matchAll(/@property \{[^]*?\} (\[?\w+\]?) /g)];
      found.set(
        type,
        properties.map(([, property = ""]) => property.replace(/\[(\w+)\]/, "$1?")).sort(),
      );
    }
  }
  return found;
}

/** What is declared of an interface, if it is. */
function declaredOf(text: string, name: string): string[] | undefined {
  const [, body] = new RegExp(`export interface ${name} \\{(.*?)\\n\\}`, "s").exec(text) ?? [];
  return body === undefined
    ? undefined
    : [...body.matchAll(/^ {2}(\w+\??):/gm)].map(([, property = ""]) => property).sort();
}

Deno.test("fanfare.d.ts declares every member of a client, and no other", async () => {
  const text = await read("client/fanfare.d.ts");
  const [, body = ""] = /export class Client \{(.*?)\n\}/s.exec(text) ?? [];
  const named = [...body.matchAll(/^ {2}(?:get )?(\w+)(?:<[^>]*>)?\(/gm)].map(([, name]) => name);
  const members = Object.getOwnPropertyNames(checked.Client.prototype);
  assertEquals(named.toSorted(), members.toSorted());
});

Deno.test("fanfare.d.ts declares every option, event and field that the library documents, and no other", async () => {
  const text = await read("client/fanfare.d.ts");
  const found = await documented();
  const names = ["ConnectOptions", "Events", "SubscribeOptions", "FollowOptions", "Item", "Store"];
  for (const name of [...names, "Clock"]) {
    assertEquals(declaredOf(text, name), found.get(name), name);
  }
  // What is declared at all is declared whole.
  for (const [name, properties] of found) {
    assertEquals(declaredOf(text, name) ?? properties, properties, name);
  }
});
