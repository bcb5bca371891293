/** What is not sent yet, in real Chromium: it stands in a tray above the composer, and the timeline ends with the newest message. */
import { assert, assertEquals } from "@std/assert";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

async function visit(
  browser: Browser,
  server: TestServer,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({
    locale: "en-US",
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto(`${server.url}/to_chat/`);
  await page.locator(".me .name").waitFor({ state: "attached" });
  return page;
}

async function say(page: Page, text: string): Promise<void> {
  await page.locator(".composer textarea").fill(text);
  await page.locator(".composer textarea").press("Enter");
}

const heard = (page: Page, text: string) =>
  page.locator(".message .text").getByText(text, { exact: true }).waitFor();
/** Twenty-four lines, and more than a message may have. */
const LONG = Array(24).fill("x".repeat(3000)).join("\n");

/** How far the newest message's end is below the timeline's, in pixels; and how high the tray is. */
const places = (page: Page) =>
  page.evaluate(() => {
    const bottom = (selector: string) =>
      [...document.querySelectorAll(selector)].at(-1)?.getBoundingClientRect().bottom ?? NaN;
    return {
      below: bottom(".message") - bottom(".timeline"),
      tray: document.querySelector(".tray")?.getBoundingClientRect().height ?? 0,
    };
  });

Deno.test("a message that failed takes a line above the composer: newer ones of others are seen, and counted while nobody looks", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const publish = (text: string) => bob.do("publish", { channel: "room:lobby", data: { text } });
  for (let i = 0; i < 30; i++) await publish(`before ${i}`);
  const page = await visit(browser, server);
  await heard(page, "before 29");
  await say(page, LONG);
  const failed = page.locator(".unsent.failed");
  await failed.getByText("it is too long").waitFor();
  // Said once, politely, with how it begins.
  await page.getByRole("status").getByText(/^Not sent: .*it is too long.*xxx/).waitFor();
  await publish("after");
  await heard(page, "after");
  const { below, tray } = await places(page);
  assert(below <= 0 && below > -30, `the newest message is seen: ${below}`);
  assert(tray > 20 && tray < 60, `one line: ${tray}`);
  assertEquals(await page.locator(".to-end, .badge").count(), 0, "it was seen: nothing is new");
  // Who reads further up keeps the place, is told how many came, and the tray takes nothing away.
  await page.locator(".timeline").hover();
  await page.mouse.wheel(0, -400);
  await page.locator(".to-end").waitFor();
  const seen = page.locator(".message", { hasText: "before 15" });
  const before = await seen.boundingBox();
  await publish("and one more");
  await page.locator(".to-end", { hasText: "1 new message" }).waitFor();
  await page.locator(".talk .badge", { hasText: "1" }).waitFor();
  await failed.getByRole("button", { name: "Discard" }).click();
  await page.locator(".tray").waitFor({ state: "detached" });
  assertEquals(await seen.boundingBox(), before, "what one reads stays where it is");
  await page.locator(".to-end").click();
  await heard(page, "and one more");
  await page.locator(".talk .badge").waitFor({ state: "detached" });
});

Deno.test("in another conversation a message that failed is marked in the list, and leads back to it", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const { account } = await bob.do("hello", { name: "Bob" });
  const page = await visit(browser, server);
  await page.evaluate((account) => location.hash = `#dm:${account}`, account);
  await page.locator(".composer textarea[aria-label*='Message']").waitFor();
  await page.locator("h1 .icon").waitFor();
  await say(page, LONG);
  await page.locator(".unsent.failed").waitFor();
  await page.locator(".talk", { hasText: "lobby" }).click();
  await page.locator("h1", { hasText: "lobby" }).waitFor();
  assertEquals(await page.locator(".tray").count(), 0, "each conversation has its own");
  const direct = page.locator(".talk", { hasText: "1 not sent" });
  await direct.waitFor();
  assertEquals(await findBarriers(page), []);
  await page.reload();
  await direct.click();
  await page.locator(".unsent.failed").waitFor();
  assertEquals(await direct.count(), 0, "where it is seen it needs no mark");
});

Deno.test("a message stands in the tray only once it is on its way for a moment, and in the timeline once", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await visit(browser, server);
  await page.evaluate(() => {
    const shown: string[] = [];
    let written = 0;
    Object.assign(globalThis, { shown });
    document.addEventListener("keydown", () => written = performance.now(), { capture: true });
    new MutationObserver(() => {
      const after = performance.now() - written;
      if (after < 400 && document.querySelector(".unsent")) shown.push(`after ${after} ms`);
      const texts = [...document.querySelectorAll(".message .text")].map((one) => one.textContent);
      if (new Set(texts).size < texts.length) shown.push("twice");
    }).observe(document, { subtree: true, childList: true });
  });
  for (let i = 0; i < 10; i++) {
    await say(page, `message ${i}`);
    assertEquals(await page.locator(".composer textarea").inputValue(), "", "it is empty at once");
    await heard(page, `message ${i}`);
  }
  assertEquals(await page.evaluate("shown"), []);
});

Deno.test("many that wait are three lines and a count, shown all by keyboard, on a phone, in the dark and in Chinese too", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await visit(browser, server, { viewport: { width: 390, height: 844 } });
  await say(page, LONG);
  await page.locator(".unsent.failed").waitFor();
  await page.context().setOffline(true);
  await page.locator(".banner").waitFor();
  for (let i = 0; i < 11; i++) await say(page, `${i} ${"that is long ".repeat(20)}`);
  const lines = () => page.locator(".unsent .said").allInnerTexts();
  const more = page.getByRole("button", { name: "9 more" });
  await more.waitFor();
  assertEquals((await lines()).map((text) => text.slice(0, 2)), ["xx", "9 ", "10"]);
  const { tray } = await places(page);
  assert(tray < 220, `${tray}`);
  await more.focus();
  await page.keyboard.press("Enter");
  await page.locator(".unsent").nth(11).waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const _language of [1, 2]) {
      await page.locator(".top .right button").click();
      assertEquals(await findBarriers(page), [], colorScheme);
      assertEquals(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        true,
      );
    }
  }
  assertEquals((await lines()).length, 12);
  await page.getByRole("button", { name: "Show fewer" }).focus();
  // The list scrolls by keyboard, and behind it come the choices of what failed.
  const reached: string[] = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    reached.push(
      await page.evaluate(() => {
        const { tagName, ariaLabel } = document.activeElement ?? document.body;
        return `${tagName} ${ariaLabel}`;
      }),
    );
  }
  assertEquals(reached.slice(0, 3), ["UL Not sent yet", "BUTTON Edit", "BUTTON Discard"]);
  await page.context().setOffline(false);
  await page.locator(".unsent.pending").first().waitFor({ state: "detached" });
  await page.locator(".message").nth(10).waitFor();
  assertEquals(await page.locator(".message").count(), 11);
  assertEquals((await lines()).length, 1, "what failed stays");
});
