/** Our pages in real Chromium, against a real server. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { findBarriers, VIEWS } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

const SCRIPT = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`;

/** A browser of its own: cookies, storage and language. Errors of the page are kept. */
async function visitor(
  browser: Browser,
  server: TestServer,
  path: string,
  options: { locale?: string; width?: number; dark?: boolean } = {},
): Promise<{ page: Page; errors: string[] }> {
  const context = await browser.newContext({
    locale: options.locale ?? "en-US",
    viewport: { width: options.width ?? 1280, height: 800 },
    colorScheme: options.dark ? "dark" : "light",
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("dialog", (dialog) => {
    errors.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(server.url + path);
  return { page, errors };
}

async function joinChat(
  browser: Browser,
  server: TestServer,
): Promise<{ page: Page; account: string; errors: string[] }> {
  const { page, errors } = await visitor(browser, server, "/to_chat/");
  const account = await page.locator(".me .name").innerText();
  assertMatch(account, /^[0-9a-f]{8}$/);
  return { page, account, errors };
}

async function say(page: Page, text: string): Promise<void> {
  await page.locator(".composer textarea").fill(text);
  await page.locator(".composer textarea").press("Enter");
}

Deno.test("a push that is sent on one page appears on another, as text, newest on top", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const receiver = await visitor(browser, server, "/to_recmsg/");
  const sender = await visitor(browser, server, "/to_sendmsg/");
  await receiver.page.locator(".empty").waitFor();
  for (const text of ["Backup done", SCRIPT]) {
    await sender.page.locator("#msg").fill(text);
    await sender.page.locator("form.one button").click();
    await receiver.page.locator(".pushes .push .text").getByText(text, { exact: true }).waitFor();
  }
  assertEquals(await receiver.page.locator(".pushes .push .text").allInnerTexts(), [
    SCRIPT,
    "Backup done",
  ]);
  assertEquals(await sender.page.locator("#msg").inputValue(), "");
  assertEquals(await sender.page.evaluate(() => document.activeElement?.id), "msg");
  assertMatch(await sender.page.locator(".toast").first().innerText(), /Pushed/);
  const late = await visitor(browser, server, "/to_recmsg/");
  await late.page.locator(".pushes .push").nth(1).waitFor();
  for (const { errors } of [receiver, sender, late]) assertEquals(errors, []);
});

Deno.test("three in a room: everyone hears, a private word stays between two, markup stays text", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const [ada, bob, eve] = [
    await joinChat(browser, server),
    await joinChat(browser, server),
    await joinChat(browser, server),
  ];
  await ada.page.locator(".me .rename").click();
  await ada.page.locator(".me input").fill("Ada 爱达");
  await ada.page.locator(".me input").press("Enter");
  await bob.page.locator(".members .name", { hasText: "Ada 爱达" }).waitFor();
  await say(ada.page, SCRIPT);
  for (const { page } of [ada, bob, eve]) {
    await page.locator(".message .text").getByText(SCRIPT, { exact: true }).waitFor();
    assertEquals(await page.title(), "Chat · Fanfare");
  }
  assertEquals(await ada.page.locator(".composer textarea").inputValue(), "");
  assertEquals(await ada.page.locator(".message.own").count(), 1);
  const blue = await ada.page.locator(".message.own .text").evaluate((element) =>
    getComputedStyle(element).color
  );
  assertEquals(blue, "rgb(29, 63, 196)");
  await ada.page.locator(".composer select").selectOption(bob.account);
  await say(ada.page, "for bob alone");
  const direct = bob.page.locator(".talk", { hasText: "for bob alone" });
  await direct.getByText("1 unread").waitFor({ state: "attached" });
  await bob.page.waitForFunction(() => document.title.startsWith("(1) Chat"));
  await direct.click();
  await bob.page.locator(".message.private .text").getByText("for bob alone").waitFor();
  await bob.page.locator(".head .hint", { hasText: "Only you and" }).waitFor();
  await ada.page.locator(".composer select").selectOption("");
  await say(ada.page, "end");
  await eve.page.locator(".message .text").getByText("end", { exact: true }).waitFor();
  assertEquals(await eve.page.locator(".message .text").allInnerTexts(), [SCRIPT, "end"]);
  await bob.page.close();
  await ada.page.locator(".members li").nth(2).waitFor({ state: "detached" });
  await ada.page.reload();
  await ada.page.locator(".talk", { hasText: "for bob alone" }).click();
  await ada.page.locator(".message .text").getByText("for bob alone").waitFor();
  assertEquals(await ada.page.locator(".me .name").innerText(), "Ada 爱达");
  for (const { errors } of [ada, bob, eve]) assertEquals(errors, []);
});

Deno.test("a restart of the server is shown, heals, and loses nothing that was typed meanwhile", async () => {
  const data = await Deno.makeTempDir();
  const server = await startServer({ data });
  await using browser = await launchBrowser();
  const ada = await joinChat(browser, server);
  const bob = await joinChat(browser, server);
  await say(ada.page, "before");
  await bob.page.locator(".message .text").getByText("before").waitFor();
  await server[Symbol.asyncDispose]();
  await say(ada.page, "meanwhile");
  await ada.page.locator(".unsent.pending").waitFor();
  await ada.page.locator(".banner").waitFor();
  await using again = await startServer({ data, port: Number(server.host.split(":")[1]) });
  await bob.page.locator(".message .text").getByText("meanwhile").waitFor();
  await ada.page.locator(".unsent.pending").waitFor({ state: "detached" });
  await ada.page.locator(".banner").waitFor({ state: "detached" });
  for (const { page } of [ada, bob]) {
    assertEquals(await page.locator(".message .text").allInnerTexts(), ["before", "meanwhile"]);
  }
  assertEquals(again.host, server.host);
});

Deno.test("an Enter that an input method takes doesn't send; Shift+Enter makes a line", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page } = await joinChat(browser, server);
  const box = page.locator(".composer textarea");
  await box.fill("ni");
  await box.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  await box.press("Shift+Enter");
  await box.pressSequentially("hao");
  assertEquals(await page.locator(".message").count(), 0);
  await box.press("Enter");
  assertEquals(await page.locator(".message .text").first().innerText(), "ni\nhao");
});

Deno.test("the language is the browser's, and a switch stays over a reload", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page } = await visitor(browser, server, "/to_sendmsg/", { locale: "zh-CN" });
  await page.locator("h1", { hasText: "推送一条消息" }).waitFor();
  assertEquals(await page.locator("html").getAttribute("lang"), "zh-CN");
  await page.getByRole("button", { name: "Switch to English" }).click();
  await page.locator("h1", { hasText: "Push a message" }).waitFor();
  await page.reload();
  await page.locator("h1", { hasText: "Push a message" }).waitFor();
});

Deno.test("axe finds nothing on any page, in both languages, light and dark, wide and narrow", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const talker = await joinChat(browser, server);
  await say(talker.page, "hello");
  await talker.page.locator(".composer select").selectOption(talker.account);
  await talker.page.locator(".head .hint", { hasText: "Only you can" }).waitFor();
  await say(talker.page, "a note");
  await fetch(`${server.url}/send/`, {
    method: "POST",
    body: new URLSearchParams({ msg: "pushed" }),
  });
  for (const [i, { locale, dark, width }] of VIEWS.entries()) {
    // The push pages are looked at with content, in all views, by push_test.ts.
    for (const path of ["/", "/to_chat/", ...(i === 0 ? ["/to_recmsg/", "/to_sendmsg/"] : [])]) {
      const { page, errors } = await visitor(browser, server, path, { locale, dark, width });
      if (path === "/to_chat/") await page.locator(".message").first().waitFor();
      await page.locator("h1").waitFor();
      assertEquals(
        await findBarriers(page),
        [],
        `${path} ${locale} ${width} ${dark ? "dark" : "light"}`,
      );
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assertEquals(wide <= 0, true, `${path} scrolls sideways at ${width}`);
      assertEquals(errors, []);
      await page.context().close();
    }
  }
});

Deno.test("a browser that refuses storage, channels between tabs and workers still shows every page and sends", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page, errors } = await visitor(browser, server, "/");
  await page.context().addInitScript(() => {
    const refuse = () => {
      throw new DOMException("Not here", "SecurityError");
    };
    for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"]) {
      Object.defineProperty(globalThis, name, { get: refuse });
    }
    Object.defineProperty(navigator, "serviceWorker", { get: refuse });
    navigator.locks.request = () => Promise.reject(new DOMException("Not here", "SecurityError"));
    Object.defineProperty(globalThis, "BroadcastChannel", { value: refuse });
  });
  await page.goto(`${server.url}/to_chat/`);
  await page.locator(".composer textarea").fill("said all the same");
  await page.locator(".composer textarea").press("Enter");
  await page.locator("article[data-seq]", { hasText: "said all the same" }).waitFor();
  await page.goto(`${server.url}/to_sendmsg/`);
  await page.locator("#msg").fill("pushed all the same");
  await page.locator("#msg").press("Enter");
  await page.locator(".toast", { hasText: "Pushed" }).waitFor();
  await page.goto(`${server.url}/to_recmsg/`);
  await page.locator(".push", { hasText: "pushed all the same" }).waitFor();
  // The worker is asked for once the page has rested.
  await page.waitForLoadState("networkidle");
  assertEquals(errors, []);
});

Deno.test("who is new is led from the first page to a push of their own, and to what programs can ask", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  for (const locale of ["en-US", "zh-CN"]) {
    const { page, errors } = await visitor(browser, server, "/", { locale });
    // Chinese may be broken anywhere: a heading is broken between its parts, not within a word.
    const rows = await page.locator("h1").evaluate((heading) => {
      const [text] = heading.childNodes;
      if (!(text instanceof Text)) return [];
      return text.data.split(/(?<=，)/).map((part) => {
        const range = document.createRange();
        const start = text.data.indexOf(part);
        range.setStart(text, start);
        range.setEnd(text, start + part.length);
        return range.getClientRects().length;
      });
    });
    if (locale === "zh-CN") assertEquals(rows, [1, 1]);
    const line = await page.locator("pre code").innerText();
    const [, word, url] = /^curl -d "([^"]+)" (http:\S+)$/.exec(line) ?? [];
    await page.locator("main a[href='/docs']").click();
    await page.locator("dt", { hasText: "subscribe" }).first().waitFor();
    const sums = await page.locator(".operation > p, dd").allInnerTexts();
    const chinese = sums.filter((sum) => /\p{Script=Han}/u.test(sum));
    assertEquals(chinese.length, locale === "zh-CN" ? sums.length : 0);
    assert(sums.length > 30);
    // The guides are in the language of the page.
    const guides = await page.locator(".guides a").evaluateAll((links) =>
      links.map((link) => link.getAttribute("href") ?? "")
    );
    const translated = guides.filter((href) => href.endsWith(".zh-CN.md"));
    assertEquals(translated.length, locale === "zh-CN" ? guides.length : 1);
    for (const href of guides) {
      const guide = await fetch(server.url + href);
      assertEquals([guide.status, (await guide.text()).startsWith("# ")], [200, true], href);
    }
    await page.locator("header nav a[href='/to_recmsg/']").click();
    await page.locator("h1").waitFor();
    // As curl sends it: the body is the text, whatever type it names.
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(url ?? "", { method: "POST", headers, body: `${word} ${locale}` });
    assertEquals(answer.status, 201, await answer.text());
    await page.locator(".push", { hasText: `${word} ${locale}` }).waitFor();
    assertEquals(errors, []);
  }
});

Deno.test("on the narrowest phone the header of every page is one row, whatever is marked in it", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  for (const locale of ["en-US", "zh-CN"]) {
    const { page } = await visitor(browser, server, "/", { locale, width: 320 });
    for (const path of ["/", "/to_chat/", "/to_recmsg/", "/to_sendmsg/", "/docs"]) {
      await page.goto(server.url + path);
      await page.locator("header.top nav a").first().waitFor();
      const rows = await page.locator("header.top > *").evaluateAll((parts) =>
        parts.map((part) => part.getBoundingClientRect())
          .filter(({ top }, _, all) => top >= Math.min(...all.map(({ bottom }) => bottom))).length
      );
      assertEquals([locale, path, rows], [locale, path, 0]);
    }
  }
});
