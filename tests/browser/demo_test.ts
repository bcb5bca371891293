/** Pages as the demo's users have them, unchanged, in real Chromium against our server (demo-protocol.md). */
import { assertEquals, assertMatch } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { makeDemoPages } from "../helpers/demo_pages.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

const SCRIPT = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`;

async function open(browser: Browser, server: TestServer, name: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  page.on("dialog", (dialog) => dialog.accept());
  await page.goto(`${server.url}/pages/${name}.html`);
  return page;
}

Deno.test("the demo's receiver shows what the demo's sender pushes, as text", async () => {
  await using demo = await makeDemoPages();
  await using server = await startServer({ pages: demo.folder });
  await demo.setHost(server.host);
  await using browser = await launchBrowser();
  const receiver = await open(browser, server, "to_recmsg");
  const sender = await open(browser, server, "to_sendmsg");
  for (const text of ["first 推送", SCRIPT]) {
    await sender.locator("#msg").fill(text);
    await sender.locator("#send").click();
    await receiver.locator("#msgs p").getByText(text, { exact: true }).waitFor();
  }
  assertEquals(await receiver.locator("#msgs p").allInnerTexts(), ["first 推送", SCRIPT]);
  assertEquals(await receiver.title() === "run", false);
});

Deno.test("three of the demo's chat pages: the room, a private word that the third never sees, the list", async () => {
  await using demo = await makeDemoPages();
  await using server = await startServer({ pages: demo.folder });
  await demo.setHost(server.host);
  await using browser = await launchBrowser();
  const pages = [];
  for (const _ of [1, 2, 3]) pages.push(await open(browser, server, "to_chat"));
  const [ada, bob, eve] = pages;
  if (ada === undefined || bob === undefined || eve === undefined) {
    throw new Error("Three pages were opened");
  }
  for (const page of pages) await page.locator("#userlist li").nth(2).waitFor();
  const account = await bob.locator("#me").innerText();
  assertMatch(account, /[0-9a-f]{8}/);
  const say = async (page: Page, text: string, to = "") => {
    await page.locator("#userto").selectOption(to);
    await page.locator("#txt").fill(text);
    await page.locator("#send").click();
  };
  await say(ada, SCRIPT);
  for (const page of pages) await page.locator("#history p", { hasText: "<script>" }).waitFor();
  await say(ada, "for bob alone", /[0-9a-f]{8}/.exec(account)?.[0]);
  await bob.locator("#history p", { hasText: "for bob alone" }).waitFor();
  await say(ada, "end");
  await eve.locator("#history p", { hasText: "end" }).waitFor();
  assertEquals(await eve.locator("#history p").count(), 2);
  assertEquals(await ada.locator("#history p.own").count(), 3);
  assertEquals(await ada.locator("#txt").inputValue(), "");
  await eve.close();
  await ada.locator("#userlist li").nth(2).waitFor({ state: "detached" });
  for (const page of [ada, bob]) assertEquals(await page.title() === "run", false);
});
