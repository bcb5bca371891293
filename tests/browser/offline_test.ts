/** Without a network, in real Chromium: what was typed is kept, survives a reload, and arrives once and in order. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

async function open(
  context: BrowserContext,
  server: TestServer,
  path = "/to_chat/",
): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(server.url + path);
  return page;
}

/** A browser of its own whose page is controlled by the service worker, the shell kept. */
async function visitor(browser: Browser, server: TestServer): Promise<Page> {
  const page = await open(await browser.newContext({ locale: "en-US" }), server);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  assertMatch(await page.locator(".me .name").innerText(), /^[0-9a-f]{8}$/);
  return page;
}

async function say(page: Page, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    await page.locator(".composer textarea").fill(text);
    await page.locator(".composer textarea").press("Enter");
  }
}

const texts = (page: Page) => page.locator(".message .text").allInnerTexts();
const pending = (page: Page) => page.locator(".message.pending .text").allInnerTexts();

Deno.test("offline: three messages are typed, the page is reloaded, and online all arrive once and in order", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visitor(browser, server);
  const bob = await visitor(browser, server);
  const account = await ada.locator(".me .name").innerText();
  await ada.context().setOffline(true);
  await say(ada, "one", "two", "three");
  await ada.reload();
  await ada.locator(".message.pending").nth(2).waitFor();
  assertEquals(await pending(ada), ["one", "two", "three"]);
  assertEquals(await ada.locator(".me .name").innerText(), account);
  assertEquals(await texts(bob), []);
  await ada.context().setOffline(false);
  await bob.locator(".message .text").getByText("three").waitFor();
  await ada.locator(".message.pending").first().waitFor({ state: "detached" });
  for (const page of [ada, bob]) assertEquals(await texts(page), ["one", "two", "three"]);
  await say(ada, "end");
  await bob.locator(".message .text").getByText("end").waitFor();
  assertEquals(await texts(bob), ["one", "two", "three", "end"]);
});
