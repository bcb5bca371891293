/** What the pages cost: bytes, caches, and whether a flood is drawn. Times and frames are figures of `deno task bench:page`, alone. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launchBrowser } from "../helpers/browser.ts";
import { flood, openAnew } from "../helpers/page_figures.ts";
import { startServer } from "../helpers/server.ts";

const PAGES = [
  ["/to_chat/", ".composer"],
  ["/", "h1"],
  ["/to_recmsg/", "h1"],
  ["/to_sendmsg/", "form.one"],
] as const;

Deno.test("each page opens from empty caches in under 120 kB", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  for (const [path, ready] of PAGES) {
    const { bytes } = await openAnew(browser, server.url + path, ready);
    assert(bytes > 10_000 && bytes < 120_000, `${path} has ${bytes} bytes`);
  }
});

Deno.test("files come compressed and with a tag for each encoding; libraries are never asked for again", async () => {
  await using server = await startServer();
  const html = await (await fetch(`${server.url}/to_chat/`)).text();
  const modules = [...html.matchAll(/<link rel="modulepreload" href="([^"]+)">/g)].map((
    [, url = ""],
  ) => url);
  assert(modules.includes("/static/pages/chat/main.js"));
  assert(
    html.indexOf("importmap") < html.indexOf("modulepreload"),
    "older browsers need the map first",
  );
  const libraries = modules.filter((url) => url.startsWith("/lib/"));
  assertEquals(libraries.length >= 5, true);
  const get = (url: string, headers: Record<string, string> = {}) =>
    fetch(server.url + url, { headers });
  for (const url of modules) {
    // Deno's fetch asks for both and undoes them.
    const response = await get(url, { "accept-encoding": "br" });
    const text = await response.text();
    assertMatch(response.headers.get("vary") ?? "", /accept-encoding/);
    assertEquals(response.headers.get("content-type"), "text/javascript; charset=utf-8");
    const tag = response.headers.get("etag") ?? "";
    if (text.length > 1000) assertMatch(tag, /-br"$/, url);
    const same = await get(url, { "accept-encoding": "br", "if-none-match": tag });
    assertEquals([same.status, await same.text()], [304, ""]);
    const plain = await get(url, { "accept-encoding": "identity", "if-none-match": tag });
    assertEquals(text, await plain.text(), "another encoding is another answer");
    const caching = response.headers.get("cache-control");
    assertEquals(
      caching,
      url.startsWith("/lib/") ? "public, max-age=31536000, immutable" : "no-cache",
    );
  }
});

Deno.test("a page is given its scripts without doc comments, each line at its place; programmers get the library with them", async () => {
  await using server = await startServer();
  const get = async (path: string) => await (await fetch(server.url + path)).text();
  const source = await Deno.readTextFile(
    new URL("../../static/client/fanfare.js", import.meta.url),
  );
  const [given, library] = [await get("/static/client/fanfare.js"), await get("/fanfare.js")];
  assertEquals(library, source.replace("./client.js", "./fanfare/client.js"));
  assertEquals(given.includes("@param"), false);
  const lines = source.split("\n");
  for (const [i, line] of given.split("\n").entries()) {
    assert(line === "" || line === lines[i], line);
  }
  const code = lines.filter((line) => !/^\s*(?:\/?\*|$)/.test(line));
  assertEquals(given.split("\n").filter((line) => line.trim() !== ""), code, "and all of the code");
});

Deno.test("a flood into the open room is drawn once a frame, not once a message, and all of it arrives", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await (await browser.newContext({ locale: "en-US" })).newPage();
  await page.goto(`${server.url}/to_chat/`);
  await page.locator(".me .name").waitFor();
  await page.evaluate(() => {
    const drawn = { times: 0, frames: 0 };
    Object.assign(globalThis, { drawn });
    new MutationObserver(() => drawn.times++).observe(document, { subtree: true, childList: true });
    requestAnimationFrame(function count() {
      drawn.frames += 1;
      requestAnimationFrame(count);
    });
  });
  const sent = await flood(server, "room:lobby", 600, 2);
  await page.locator(".message .text").getByText(`flood ${sent}:`).last().waitFor();
  const { times, frames } = await page.evaluate<{ times: number; frames: number }>("drawn");
  // What comes with a frame may be drawn in steps. On a loaded machine there are fewer frames, and each draws more.
  assert(times < sent / 2 && times < 4 * frames, `${sent} messages, ${frames} frames, ${times}`);
  assert(await page.locator("article").count() <= 300);
});
