/** The push pages in real Chromium: what is typed stays, goes to whom it is meant for or to nobody, and refusals say what to do. */
import { assertEquals, assertLess, assertMatch } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { findBarriers, VIEWS } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

const TOKEN = "a token that is long enough";

async function open(
  browser: Browser,
  server: TestServer,
  path: string,
  options: { locale?: string; width?: number; dark?: boolean } = {},
): Promise<Page> {
  const context = await browser.newContext({
    locale: options.locale ?? "en-US",
    viewport: { width: options.width ?? 1280, height: 800 },
    colorScheme: options.dark ? "dark" : "light",
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto(server.url + path);
  await page.locator("h1").waitFor();
  return page;
}

const message = (page: Page) => page.locator("#msg");
const topic = (page: Page) => page.locator("#topic");
const push = (page: Page) => page.locator("form.one > button").click();

/** What was pushed so far, wherever. */
async function pushed(server: TestServer, name: string): Promise<string[]> {
  const response = await fetch(`${server.url}/api/channels/push:${name}/messages`);
  const { messages } = await response.json();
  return messages.map(({ data }: { data: { text: string } }) => data.text);
}

Deno.test("what is typed on the send page stays while the topic changes and the page is reloaded, and goes to the topic that stands there", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await open(browser, server, "/to_sendmsg/");
  await message(page).fill("a word");
  await page.getByLabel("Title").fill("A title");
  await page.getByLabel("Priority").selectOption("4");
  await page.getByRole("textbox", { name: "Tags" }).fill("a, b");
  await page.getByLabel("Link").fill("https://x.example/");
  await topic(page).fill("builds");
  await topic(page).press("Enter");
  assertEquals(await page.evaluate(() => document.activeElement?.id), "msg");
  await page.waitForURL("**/to_sendmsg/?topic=builds");
  assertEquals(await message(page).inputValue(), "a word");
  await page.reload();
  assertEquals(await message(page).inputValue(), "a word");
  assertEquals(await topic(page).inputValue(), "builds");
  // It goes where the field says, though nobody left it.
  await topic(page).fill("deploys");
  await message(page).focus();
  await push(page);
  await page.locator(".toast", { hasText: "deploys" }).waitFor();
  assertEquals([await pushed(server, "deploys"), await pushed(server, "builds")], [["a word"], []]);
  const left = [
    message(page),
    page.getByLabel("Title"),
    page.getByRole("textbox", { name: "Tags" }),
  ];
  assertEquals(await Promise.all(left.map((field) => field.inputValue())), ["", "A title", "a, b"]);
  const other = await page.context().newPage();
  await other.goto(`${server.url}/to_sendmsg/`);
  assertEquals(await other.getByLabel("Title").inputValue(), "", "another tab has its own");
});

Deno.test("a topic that is none is refused at its field: nothing is sent, and nothing is received", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using listener = await NativeClient.open(server);
  await listener.do("subscribe", { channel: "push:all" });
  const page = await open(browser, server, "/to_sendmsg/?topic=a%2Fb");
  await message(page).fill("for a/b alone");
  await push(page);
  assertEquals(await topic(page).getAttribute("aria-invalid"), "true");
  await page.locator("#topic-wrong", { hasText: "A topic has" }).waitFor();
  assertEquals(await page.evaluate(() => document.activeElement?.id), "topic");
  assertEquals(await message(page).inputValue(), "for a/b alone");
  assertEquals(await findBarriers(page), []);
  await topic(page).fill("all");
  await push(page);
  await listener.hear("message");
  assertEquals(await pushed(server, "all"), ["for a/b alone"], "once it was put right");
  const receiver = await open(browser, server, "/to_recmsg/?topic=a%2Fb");
  await receiver.locator("#topic-wrong").waitFor();
  assertMatch(await receiver.locator(".empty").innerText(), /a\/b.*can't be a topic/);
  assertEquals(await receiver.locator(".push").count(), 0);
  assertEquals(await findBarriers(receiver), []);
  await topic(receiver).fill("all");
  await receiver.getByRole("button", { name: "Switch" }).click();
  await receiver.locator(".push .text", { hasText: "for a/b alone" }).waitFor();
});

Deno.test("what a closed server refuses, and what is typed beside it, is there when the token was given", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile });
  await using browser = await launchBrowser();
  const page = await open(browser, server, "/to_sendmsg/?topic=ops");
  await message(page).fill("refused at first");
  await push(page);
  await page.locator(".failed", { hasText: "admin token" }).waitFor();
  await message(page).fill("typed meanwhile");
  await page.getByLabel("Title").fill("A title");
  await page.getByRole("textbox", { name: "Admin token" }).fill(TOKEN);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.locator(".toast", { hasText: "ops" }).waitFor();
  assertEquals(await pushed(server, "ops"), ["refused at first"]);
  assertEquals(await message(page).inputValue(), "typed meanwhile");
  assertEquals(await page.getByLabel("Title").inputValue(), "A title");
  await Deno.remove(adminTokenFile);
});

const REFUSALS = [
  { locale: "en-US", long: "shorten it", edit: "Edit", busy: "by itself in a moment" },
  { locale: "zh-CN", long: "请缩短", edit: "修改", busy: "自动重发" },
];

/** Has too long a push refused, then one too many, and sees what the page says to each. */
async function seeRefusals(
  browser: Browser,
  { locale, long, edit, busy }: (typeof REFUSALS)[number],
): Promise<void> {
  await using server = await startServer({ limits: { rate: 0.5, burst: 1 } });
  const page = await open(browser, server, "/to_sendmsg/", { locale });
  await message(page).fill("x".repeat(70_000));
  await push(page);
  await page.locator(".failed", { hasText: long }).waitFor();
  assertEquals(await findBarriers(page), []);
  await page.getByRole("button", { name: edit }).click();
  await page.locator(".failed").waitFor({ state: "detached" });
  assertEquals((await message(page).inputValue()).length, 70_000);
  // Another page of the same browser uses up what both may send for two seconds; this one isn't always as quick.
  const hasty = await page.context().newPage();
  await hasty.goto(`${server.url}/to_sendmsg/`);
  await hasty.locator("h1").waitFor();
  const refused = page.locator(".pending", { hasText: busy });
  for (let tries = 0; await refused.count() === 0; tries++) {
    assertLess(tries, 10);
    await message(hasty).fill("one");
    await push(hasty);
    await message(page).fill("short");
    await push(page);
    await refused.or(page.locator(".toast")).first().waitFor();
  }
  assertEquals(await findBarriers(page), []);
  await page.locator(".pending").waitFor({ state: "detached", timeout: 60_000 });
  assertEquals((await pushed(server, "all")).includes("short"), true);
}

Deno.test("refusals say what to do in both languages: too long goes back to be shortened, too much is sent by itself", async () => {
  await using browser = await launchBrowser();
  await Promise.all(REFUSALS.map((words) => seeRefusals(browser, words)));
});

Deno.test("where nothing outlives the page, what a closed server refuses stands in the form again after the token", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile });
  await using browser = await launchBrowser();
  const page = await open(browser, server, "/");
  await page.context().addInitScript(() =>
    Object.defineProperty(globalThis, "indexedDB", { value: undefined })
  );
  await page.goto(`${server.url}/to_sendmsg/`);
  await message(page).fill("only in memory");
  await push(page);
  await page.getByRole("textbox", { name: "Admin token" }).fill(TOKEN);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.locator("#token").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.querySelector("textarea")?.value === "only in memory");
  await push(page);
  await page.locator(".toast").waitFor();
  assertEquals(await pushed(server, "all"), ["only in memory"]);
  await Deno.remove(adminTokenFile);
});

Deno.test("axe finds nothing on the push pages with content, in both languages, light and dark, wide and narrow", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile });
  await using browser = await launchBrowser();
  const pushes = [
    { text: "plain" },
    { text: "all of it", title: "A title", priority: 5, tags: ["fire", "nightly", "x".repeat(60)] },
    { text: `${"long ".repeat(800)}`, priority: 4, click: "https://x.example/a/very/long/path" },
    { text: "w".repeat(300), title: "w".repeat(200), priority: 1 },
  ];
  for (let n = 0; n < 55; n++) {
    const response = await fetch(`${server.url}/api/channels/push:all/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ data: pushes[n % pushes.length] }),
    });
    assertEquals(response.status, 201);
    await response.body?.cancel();
  }
  const narrow = (page: Page) =>
    page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  for (const options of VIEWS) {
    const name = JSON.stringify(options);
    const receiver = await open(browser, server, "/to_recmsg/", options);
    await receiver.locator(".push").nth(49).waitFor();
    assertEquals(await findBarriers(receiver), [], `received ${name}`);
    assertEquals(await narrow(receiver) <= 0, true, `received scrolls sideways ${name}`);
    await receiver.locator(".rest button").click();
    await receiver.locator(".push").nth(54).waitFor();
    await receiver.context().close();
    const sender = await open(browser, server, "/to_sendmsg/?topic=ops", options);
    await message(sender).fill("refused");
    await sender.locator(".field input").nth(1).fill("A title");
    await push(sender);
    await sender.locator(".failed").waitFor();
    await message(sender).fill("another");
    await sender.locator("#link").fill("nothing");
    await topic(sender).fill("a/b");
    await sender.locator("#token").waitFor();
    await sender.locator(".preview .card").waitFor();
    assertEquals(await findBarriers(sender), [], `sent ${name}`);
    assertEquals(await narrow(sender) <= 0, true, `sent scrolls sideways ${name}`);
    await sender.context().close();
  }
  await Deno.remove(adminTokenFile);
});

Deno.test("Enter that picks a word of an input method neither leaves the topic nor sends", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await (await browser.newContext({ locale: "zh-CN" })).newPage();
  await page.goto(`${server.url}/to_sendmsg/`);
  await page.locator("#msg").fill("还在写");
  for (const id of ["topic", "msg"]) {
    // Browsers tell it by the one or the other.
    for (const picks of [{ isComposing: true }, { keyCode: 229 }]) {
      await page.locator(`#${id}`).focus();
      const left = await page.evaluate((picks) => {
        const event = { key: "Enter", bubbles: true, cancelable: true, ...picks };
        const taken = !document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", event));
        return [taken, document.activeElement?.id];
      }, picks);
      assertEquals([id, picks, left], [id, picks, [false, id]]);
    }
  }
  assertEquals(await page.locator("#msg").inputValue(), "还在写");
});

Deno.test("who reads further down keeps the place while pushes come, is told how many, and goes to them", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using program = await NativeClient.open(server);
  const pushAll = (from: number, to: number) =>
    Promise.all(
      Array.from({ length: to - from + 1 }, (_, i) =>
        program.do("publish", { channel: "push:all", data: { text: `push ${from + i}` } })),
    );
  await pushAll(1, 150);
  const page = await open(browser, server, "/to_recmsg/");
  const texts = page.locator(".push .text");
  const card = (n: number) => texts.getByText(`push ${n}`, { exact: true });
  await card(150).waitFor();
  await pushAll(151, 300);
  await card(300).waitFor();
  assertEquals([await texts.count(), await texts.first().innerText()], [60, "push 300"]);
  // All that came is there for who scrolls, and what was before is loaded by the button at the end.
  for (const n of [250, 190, 130, 101]) await card(n).scrollIntoViewIfNeeded();
  await page.getByRole("button", { name: "Older messages" }).click();
  await card(90).waitFor();
  const place = async () => (await card(150).boundingBox())?.y;
  await card(150).scrollIntoViewIfNeeded();
  const before = await place();
  await pushAll(301, 350);
  const way = page.getByRole("button", { name: "50 new messages" });
  await way.waitFor();
  // What comes isn't drawn, and is told all the same to those who hear the page.
  await page.getByRole("status").getByText("50 new messages").waitFor();
  assertEquals([await place(), await texts.first().innerText()], [before, "push 300"]);
  assertEquals(await findBarriers(page), []);
  await way.focus();
  await page.keyboard.press("Enter");
  await card(350).waitFor();
  assertEquals([await way.count(), await page.evaluate(() => scrollY)], [0, 0]);
  await pushAll(351, 351);
  await card(351).waitFor();
  assertEquals(await texts.first().innerText(), "push 351");
});

Deno.test("where nothing was pushed yet stands how it is done, for the very topic", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await open(browser, server, `/to_recmsg/?topic=${encodeURIComponent("构建")}`);
  const line = await page.locator("pre").innerText();
  const [, body, url] = line.match(/^curl -d "(.+)" (http\S+)$/) ?? [];
  const href = await page.locator("main p a").getAttribute("href");
  const sender = await open(browser, server, href ?? "");
  assertEquals(await topic(sender).inputValue(), "构建");
  await fetch(url ?? "", { method: "POST", body });
  await page.locator(".push .text", { hasText: body }).waitFor();
  assertEquals(await page.locator("pre, .empty").count(), 0);
});

Deno.test("older pushes that are asked for while the connection is gone come once it is back, and nobody hears those that stood there before", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await open(browser, server, "/to_recmsg/");
  {
    await using program = await NativeClient.open(server);
    for (let n = 1; n <= 120; n++) {
      await program.do("publish", { channel: "push:all", data: { text: `push ${n}` } });
    }
  }
  await page.reload();
  const log = page.getByRole("log");
  const card = (n: number) => page.locator(".push .text").getByText(`push ${n}`, { exact: true });
  await card(71).waitFor();
  assertEquals(await log.getAttribute("aria-live"), "polite");
  await card(71).scrollIntoViewIfNeeded();
  const older = page.locator(".rest button");
  await older.waitFor();
  await server.restart(async () => {
    await page.locator(".banner").waitFor();
    await older.focus();
    await page.keyboard.press("Enter");
    await page.locator(".rest button[aria-disabled=true]", { hasText: "Loading" }).waitFor();
    assertEquals(await page.locator(".toast").count(), 0, "the banner says why");
  });
  await card(21).waitFor();
  assertEquals(await log.getAttribute("aria-live"), "off");
  await older.getByText("Older").waitFor();
  assertEquals(await older.evaluate((button) => button === document.activeElement), true);
  assertEquals(await findBarriers(page), []);
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator("[role=log][aria-live=polite]").waitFor();
});

Deno.test("who shows all of a long push by keyboard stays at it", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await open(browser, server, "/to_recmsg/");
  const body = Array.from({ length: 200 }, (_, i) => `line ${i}`).join("\n");
  const { status } = await fetch(`${server.url}/push/all`, { method: "POST", body });
  assertEquals(status, 201);
  const all = page.getByRole("button", { name: "Show all" });
  await all.press("Enter");
  await all.waitFor({ state: "detached" });
  const stays = () => document.activeElement?.matches(".push") === true;
  assertEquals(await page.evaluate(stays), true);
});
