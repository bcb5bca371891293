/** The shell: which files belong to it, and how the server serves the worker. */
import { assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { makeShell } from "../../../lib/site/app_shell.ts";
import { startServer } from "../../helpers/server.ts";

const WORKER = `const SHELL = {};\nconst VERSION = "";\n`;
const FILES: Record<string, string> = {
  "/static/main.js": `import { a } from "./a.js";\nimport "./b.js";\nexport { c } from "named";\n`,
  "/static/a.js": `import{x as y}from"./b.js";export const a = y("from './none.js'");`,
  "/static/b.js": `/** import { no } from "./missing.js"; */\nexport const x = 1;\n`,
  "/lib/named.js": `import"deep";export{};`,
  "/lib/deep.js": `export {};`,
  "/static/style.css": `body { margin: 0 }`,
};
const NAMES = { named: "/lib/named.js", deep: "/lib/deep.js" };
const PAGES = {
  "/": `<link href="/static/style.css"><script src="/static/main.js"></script><a href="/to_chat/">`,
};

const read = (files: Record<string, string>) => (url: string) => Promise.resolve(files[url]);
const shellOf = (worker: string) =>
  JSON.parse(/const SHELL = (\{[^}]*\});/.exec(worker)?.[1] ?? "{}") as Record<string, string>;

Deno.test("the shell is what the pages load and what that loads, each with its hash", async () => {
  const { worker, version } = await makeShell(WORKER, PAGES, NAMES, read(FILES));
  const shell = shellOf(worker);
  assertEquals(Object.keys(shell), ["/", ...Object.keys(FILES)].sort());
  for (const hash of Object.values(shell)) assertMatch(hash, /^sha256-.{43}=$/);
  assertMatch(worker, new RegExp(`const VERSION = "${version}"`));
});

Deno.test("another file is another version, the same files the same one", async () => {
  const first = await makeShell(WORKER, PAGES, NAMES, read(FILES));
  assertEquals(await makeShell(WORKER, PAGES, NAMES, read(FILES)), first);
  const changed = { ...FILES, "/lib/deep.js": "export const a = 1;" };
  const second = await makeShell(WORKER, PAGES, NAMES, read(changed));
  assertNotEquals(second.version, first.version);
});

Deno.test("a file that isn't there, and a worker without places, are told", async () => {
  const { "/static/b.js": _, ...less } = FILES;
  await assertRejects(() => makeShell(WORKER, PAGES, NAMES, read(less)), Error, "/static/b.js");
  await assertRejects(() => makeShell("", PAGES, NAMES, read(FILES)), Error, "no places");
});

Deno.test("the server serves the worker anew each time, and every file of the shell as it is hashed there", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.url}/sw.js`);
  assertEquals(response.headers.get("cache-control"), "no-cache");
  assertEquals(response.headers.get("content-type"), "text/javascript; charset=utf-8");
  const text = await response.text();
  const version = /const VERSION = "(.+)"/.exec(text)?.[1];
  const shell = shellOf(text);
  for (
    const url of ["/", "/to_chat/", "/to_recmsg/", "/to_sendmsg/", "/static/client/client.js"]
  ) {
    assertEquals(url in shell, true, url);
  }
  assertEquals(Object.keys(shell).filter((url) => !/^\/(static|lib)\/|\/$/.test(url)), []);
  for (const [url, hash] of Object.entries(shell)) {
    const file = await fetch(server.url + url);
    assertEquals(file.status, 200, url);
    if (url.endsWith("/")) assertEquals(file.headers.get("fanfare-shell"), version);
    const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    assertEquals(`sha256-${new Uint8Array(digest).toBase64()}`, hash, url);
  }
});
