import { assert, assertEquals, assertMatch } from "@std/assert";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";

const POLICY =
  "default-src 'none'; style-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

function page(body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>T</title></head>
<body><main><h1>T</h1>${body}</main></body></html>`;
}

function servePages(pages: Record<string, string>): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const text = pages[new URL(request.url).pathname];
    return new Response(text, {
      status: text === undefined ? 404 : 200,
      headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY },
    });
  });
}

Deno.test("browser helpers: axe looks at a page with a strict policy", async () => {
  await using server = servePages({
    "/good": page(`<label>Text <input name="text"></label>`),
    "/bad": page(`<input name="text"><div id="part"><img src="x.png"></div>`),
  });
  await using browser = await launchBrowser();
  const tab = await browser.newPage();
  const origin = `http://127.0.0.1:${server.addr.port}`;

  await tab.goto(`${origin}/good`);
  assertEquals(await findBarriers(tab), []);
  assertEquals(await findBarriers(tab), []);

  await tab.goto(`${origin}/bad`);
  const lines = (await findBarriers(tab)).sort();
  assertEquals(lines.length, 2);
  assertMatch(lines[0] ?? "", /^critical image-alt: .*, at img: <img/);
  assertMatch(lines[1] ?? "", /^critical label: .*, at input: <input/);
  assertEquals((await findBarriers(tab, "#part")).length, 1);
});

Deno.test("browser helpers: Chinese is drawn as glyphs, not as boxes", async () => {
  await using server = servePages({
    "/": page(`<p id="a">推送</p><p id="b">聊天</p><p id="c">\u{10fffe}\u{10fffe}</p>`),
  });
  await using browser = await launchBrowser();
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${server.addr.port}/`);
  const [push, chat, missing] = await Promise.all(
    ["#a", "#b", "#c"].map(async (selector) =>
      new Uint8Array(await tab.locator(selector).screenshot()).toBase64()
    ),
  );
  assert(push && chat && missing);
  // A font without these characters draws the same box for each of them.
  assert(push !== chat && push !== missing);
});
