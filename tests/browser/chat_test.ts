/** Stories of the chat page, in real Chromium against a real server. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

interface Visitor {
  readonly page: Page;
  readonly account: string;
  readonly errors: string[];
}

/** Somebody with a browser of their own, on the chat page. */
async function visit(
  browser: Browser,
  server: TestServer,
  hash = "",
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({
    locale: "en-US",
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`${server.url}/to_chat/${hash}`);
  const own = page.locator(".me .name");
  await own.waitFor({ state: "attached" });
  return { page, account: (await own.textContent()) ?? "", errors };
}

async function say(page: Page, text: string): Promise<void> {
  await page.locator(".composer textarea").fill(text);
  await page.locator(".composer textarea").press("Enter");
}

async function rename(page: Page, name: string): Promise<void> {
  await page.locator(".me .rename").click();
  await page.locator(".me input").fill(name);
  await page.locator(".me input").press("Enter");
  await page.locator(".me .name", { hasText: name }).waitFor();
}

/** Publishes by programs, so many each that no account is over its rate. @returns The first one's seq. */
async function fill(
  server: TestServer,
  channel: string,
  texts: readonly string[],
): Promise<unknown> {
  let first: unknown;
  for (let i = 0; i < texts.length; i += 50) {
    await using client = await NativeClient.open(server);
    for (const text of texts.slice(i, i + 50)) {
      const { seq } = await client.do("publish", { channel, data: { text } });
      first ??= seq;
    }
  }
  return first;
}

const heard = (page: Page, text: string) =>
  page.locator(".message .text").getByText(text, { exact: true }).waitFor();
const texts = (page: Page) => page.locator(".message .text").allInnerTexts();
/** Waits until a conversation is the one that one writes in. */
const opened = (page: Page, name: string) => page.locator("h1", { hasText: name }).waitFor();
const focused = (page: Page) =>
  page.evaluate(() => {
    const { tagName, className } = document.activeElement ?? document.body;
    return `${tagName} ${className}`.trim();
  });

Deno.test("two people in a room: one makes it, the other comes by its link; what isn't read is counted, and one leaves", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visit(browser, server);
  await ada.page.locator(".join input").fill(" #Team 4 ");
  await ada.page.locator(".join input").press("Enter");
  await ada.page.locator("h1", { hasText: "Team-4" }).waitFor();
  assertMatch(ada.page.url(), /#room:Team-4$/);
  const bob = await visit(browser, server, "#room:Team-4");
  await bob.page.locator(".present, .members li").nth(1).waitFor();
  await say(ada.page, "Are you there?");
  await heard(bob.page, "Are you there?");
  await bob.page.locator(".talk", { hasText: "lobby" }).click();
  await say(ada.page, "Line one\nline two https://x.example/a?b=1, and javascript:alert(1)");
  const room = bob.page.locator(".talk", { hasText: "Team-4" });
  await room.locator(".badge", { hasText: "1" }).waitFor();
  await room.locator(".last", { hasText: "Line one" }).waitFor();
  assertEquals(await texts(bob.page), [], "the lobby has nothing of it");
  await bob.page.reload();
  await room.locator(".badge", { hasText: "1" }).waitFor();
  await room.click();
  await bob.page.locator(".new").waitFor();
  const link = bob.page.locator(".message .text a");
  assertEquals(await link.count(), 1);
  assertEquals([await link.getAttribute("href"), await link.getAttribute("rel")], [
    "https://x.example/a?b=1",
    "noopener noreferrer",
  ]);
  assertEquals(
    (await texts(bob.page)).at(-1),
    "Line one\nline two https://x.example/a?b=1, and javascript:alert(1)",
  );
  await room.locator(".badge").waitFor({ state: "detached" });
  await bob.page.getByRole("button", { name: "Leave room" }).click();
  await room.waitFor({ state: "detached" });
  await bob.page.locator("h1", { hasText: "lobby" }).waitFor();
  await bob.page.reload();
  await bob.page.locator("h1", { hasText: "lobby" }).waitFor();
  assertEquals(await room.count(), 0);
  await ada.page.locator(".members li").nth(1).waitFor({ state: "detached" });
  for (const { errors } of [ada, bob]) assertEquals(errors, []);
});

Deno.test("a mention is completed, marked, counted and notified, and notifications are asked for on a click alone", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visit(browser, server);
  const bob = await visit(browser, server);
  // What the browser would show outside of the page.
  await ada.page.addInitScript(() => {
    const seen: string[] = [];
    let permission = "default";
    class Recorded {
      onclick = () => {};
      constructor(title: string, { body }: { body: string }) {
        seen.push(`${title} | ${body}`);
        Object.assign(globalThis, { lastNotification: this });
      }
      close() {}
      static get permission() {
        return permission;
      }
      static requestPermission() {
        seen.push("asked");
        return Promise.resolve(permission = "granted");
      }
    }
    Object.assign(globalThis, { Notification: Recorded, seen });
  });
  const seen = () => ada.page.evaluate<string[]>("seen");
  await ada.page.reload();
  await rename(ada.page, "Ada 爱达");
  await ada.page.locator(".join input").fill("dev");
  await ada.page.locator(".join input").press("Enter");
  await ada.page.locator("h1", { hasText: "dev" }).waitFor();
  assertEquals(await seen(), []);
  await ada.page.getByRole("button", { name: "Notify me" }).click();
  await ada.page.getByRole("button", { name: "Notify me", pressed: true }).waitFor();
  const box = bob.page.locator(".composer textarea");
  await bob.page.locator(".members .name", { hasText: "Ada 爱达" }).waitFor();
  await box.pressSequentially("hi @zz");
  assertEquals(await bob.page.locator(".completions").count(), 0, "no name begins so");
  await box.fill("");
  await box.pressSequentially("hi @ad");
  await bob.page.getByRole("option", { name: /Ada 爱达/, selected: true }).waitFor();
  assertEquals(await findBarriers(bob.page), []);
  await box.press("Enter");
  assertEquals(await box.inputValue(), "hi @Ada 爱达 ");
  assertEquals(await texts(bob.page), [], "the Enter picked a name and sent nothing");
  await box.press("Enter");
  const lobby = ada.page.locator(".talk", { hasText: "lobby" });
  await lobby.locator(".badge.called", { hasText: "1" }).waitFor();
  await ada.page.waitForFunction(() => document.title.startsWith("(1) "));
  const told = (n: number) =>
    ada.page.waitForFunction((n) => Reflect.get(globalThis, "seen").length >= n, n);
  await told(2);
  await say(bob.page, "nobody in particular");
  await say(bob.page, "bye @Ada 爱达");
  await lobby.locator(".badge", { hasText: "3" }).waitFor();
  await ada.page.waitForFunction(() => document.title.startsWith("(2) "));
  await told(3);
  const [asked, ...notes] = (await seen()).map((text) => text.replace(/[\u2068\u2069]/g, ""));
  const mentioned = `${bob.account} mentioned you in #lobby`;
  assertEquals(
    [asked, notes],
    ["asked", [`${mentioned} | hi @Ada 爱达`, `${mentioned} | bye @Ada 爱达`]],
    "what is for everyone is counted and not notified",
  );
  await ada.page.evaluate("lastNotification.onclick()");
  await ada.page.locator("h1", { hasText: "lobby" }).waitFor();
  await ada.page.locator(".message.calls-me .mention.own", { hasText: "@Ada 爱达" }).nth(1)
    .waitFor();
  assertEquals(await bob.page.locator(".message.calls-me").count(), 0);
  await ada.page.waitForFunction(() => document.title === "Chat · Fanfare");
  assertEquals(await findBarriers(ada.page), []);
  for (const { errors } of [ada, bob]) assertEquals(errors, []);
});

Deno.test("a reply quotes what the log says, leads to it however far, and nobody puts words into another's mouth", async () => {
  await using server = await startServer();
  const first = await fill(server, "room:lobby", [
    "the first",
    ...Array.from({ length: 330 }, (_, i) => `more ${i}`),
  ]);
  await using browser = await launchBrowser();
  const ada = await visit(browser, server);
  const bob = await visit(browser, server);
  await heard(ada.page, "more 329");
  await say(bob.page, "Which one?");
  const line = ada.page.locator(".message", { hasText: "Which one?" });
  await line.hover();
  await line.getByRole("button", { name: /^Reply to/ }).click();
  await ada.page.locator(".replying", { hasText: "Which one?" }).waitFor();
  await ada.page.locator(".composer textarea").press("Escape");
  await ada.page.locator(".replying").waitFor({ state: "detached" });
  await line.hover();
  await line.getByRole("button", { name: /^Reply to/ }).click();
  await say(ada.page, "This one");
  await bob.page.locator(".message", { hasText: "This one" }).locator(".quote", {
    hasText: "Which one?",
  }).waitFor();
  await using forger = await NativeClient.open(server);
  const forge = (reply: unknown) =>
    forger.do("publish", { channel: "room:lobby", data: { text: "forged", reply } });
  await forge({ seq: first, from: bob.account, text: "I resign" });
  await forge({ seq: 999_999_999, text: "I resign" });
  await forge({ seq: { __html: "<b>" }, text: "I resign" });
  const forged = ada.page.locator(".message", { hasText: "forged" });
  await forged.nth(2).waitFor();
  await forged.nth(0).locator(".quote", { hasText: "the first" }).waitFor();
  assertEquals(await ada.page.getByText("I resign").count(), 0);
  assertEquals(await forged.locator(".quote").count(), 1, "a later one or an object is no reply");
  await forged.nth(0).locator(".quote").click();
  await heard(ada.page, "the first");
  await ada.page.locator("article:focus", { hasText: "the first" }).waitFor();
  // Between what was looked for and what was there some are missing, and can be had.
  await ada.page.locator(".gap").scrollIntoViewIfNeeded();
  const gap = ada.page.locator(".gap button");
  while (await gap.count() > 0) {
    await gap.click();
    await ada.page.waitForFunction(() => document.querySelector(".gap button:disabled") === null);
    await ada.page.mouse.move(640, 400);
    await ada.page.mouse.wheel(0, 20_000);
    await ada.page.waitForTimeout(50);
  }
  const toEnd = ada.page.locator(".to-end");
  if (await toEnd.isVisible()) await toEnd.click();
  await heard(ada.page, "Which one?");
  for (const { errors } of [ada, bob]) assertEquals(errors, []);
});

Deno.test("on a phone one sees the conversations or one of them, nothing scrolls sideways, and one's finger finds all", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const bob = await visit(browser, server);
  const phone = await visit(browser, server, "", {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  await say(bob.page, `A long word: ${"x".repeat(300)}`);
  const { page } = phone;
  await page.locator(".message").waitFor();
  assertEquals(await page.locator(".side").isVisible(), false);
  await page.getByRole("link", { name: "All conversations" }).tap();
  await page.locator(".talk-place").waitFor({ state: "hidden" });
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const _language of [1, 2]) {
      await page.locator(".top .right button").tap();
      assertEquals(await findBarriers(page), [], colorScheme);
    }
  }
  await page.locator(".members a", { hasText: bob.account }).tap();
  await page.locator("h1", { hasText: bob.account }).waitFor();
  await page.locator(".composer textarea").tap();
  await page.locator(".composer textarea").fill("from my phone");
  await page.getByRole("button", { name: "Send", exact: true }).tap();
  await bob.page.locator(".talk", { hasText: "from my phone" }).locator(".badge.called").waitFor();
  await say(bob.page, "back in the lobby");
  await page.locator(".to-list .badge", { hasText: "1" }).waitFor();
  await page.goBack();
  await page.locator(".side").waitFor();
  await page.goBack();
  await page.locator("h1", { hasText: "lobby" }).waitFor();
  await heard(page, "back in the lobby");
  for (const hash of ["", "#list"]) {
    await page.goto(`${server.url}/to_chat/${hash}`);
    await page.locator(".me .name").waitFor({ state: "attached" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assertEquals(wide <= 0, true, `${hash} scrolls sideways`);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("main a, main button, main textarea")].flatMap((element) => {
        const { width, height } = element.getBoundingClientRect();
        return width > 0 && height < 32 && getComputedStyle(element).opacity !== "0"
          ? element.outerHTML.slice(0, 80)
          : [];
      })
    );
    assertEquals(small, [], "too small for a finger");
  }
  for (const { errors } of [phone, bob]) assertEquals(errors, []);
});

Deno.test("everything by keyboard: writing, reading, replying, a name, a room, a private word", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const bob = await visit(browser, server);
  const { page, errors } = await visit(browser, server);
  const { keyboard } = page;
  await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
  await bob.page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
  await bob.page.keyboard.type("Hello");
  await bob.page.keyboard.press("Enter");
  await heard(page, "Hello");
  await keyboard.type("one");
  await keyboard.press("Enter");
  await keyboard.type("two");
  await keyboard.press("Enter");
  await page.locator(".message").nth(2).waitFor();
  await page.locator(".tray").first().waitFor({ state: "detached" });
  for (let i = 0; i < 3; i++) await keyboard.press("ArrowUp");
  assertMatch(await page.locator("article:focus").innerText(), /Hello/);
  await keyboard.press("Enter");
  assertEquals(await focused(page), "TEXTAREA");
  await keyboard.type("hello to you");
  await keyboard.press("Enter");
  await bob.page.locator(".message", { hasText: "hello to you" }).locator(".quote").waitFor();
  await keyboard.press("ArrowUp");
  await keyboard.press("Escape");
  assertEquals(await focused(page), "TEXTAREA");
  // Everything that can be used is reached by Tab, each with a name, and seen when it is.
  const reached: string[] = [];
  for (let i = 0; i < 40; i++) {
    await keyboard.press("Tab");
    const name = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === null || element === document.body) return "";
      const { outlineStyle } = getComputedStyle(element);
      return `${element.tagName} ${
        element.getAttribute("aria-label") ?? element.textContent?.trim() ?? ""
      } ${outlineStyle}`;
    });
    if (reached.includes(name)) break;
    reached.push(name);
  }
  assertEquals(reached.filter((name) => name.endsWith("none")), []);
  for (
    const part of ["Name of a room", "Choose a name", "Notify me", "Messages", "Send", "lobby"]
  ) {
    assert(
      reached.some((name) => name.includes(part)),
      `${part} isn't among ${reached.join(", ")}`,
    );
  }
  await page.locator(".me .rename").focus();
  await keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.tagName === "INPUT");
  await keyboard.type("Eve");
  await keyboard.press("Enter");
  await bob.page.locator(".members .name", { hasText: "Eve" }).waitFor();
  await page.waitForFunction(() => document.activeElement?.matches(".rename") ?? false);
  await page.locator(".join input").focus();
  await keyboard.type("a/b");
  await keyboard.press("Enter");
  await page.getByRole("alert").getByText("letters, digits").waitFor();
  await page.locator(".join input").press("ControlOrMeta+a");
  await keyboard.type("keys");
  await keyboard.press("Enter");
  await page.locator("h1", { hasText: "keys" }).waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
  await page.locator(".talk", { hasText: "lobby" }).focus();
  await keyboard.press("Enter");
  await page.locator(".members a", { hasText: bob.account }).focus();
  await keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
  await keyboard.type("just us");
  await keyboard.press("Enter");
  await bob.page.locator(".talk .last", { hasText: "just us" }).waitFor();
  // Going through the receivers by arrow keys takes nobody away from them.
  await page.locator(".composer select").focus();
  await keyboard.press("Home");
  await page.locator("h1", { hasText: "lobby" }).waitFor();
  assertEquals(await page.evaluate(() => document.activeElement?.tagName), "SELECT");
  assertEquals([errors, bob.errors], [[], []]);
});

Deno.test("Chinese is composed by an input method: its Enter picks a word, only the next one sends", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page, errors } = await visit(browser, server);
  const box = page.locator(".composer textarea");
  await box.focus();
  const cdp = await page.context().newCDPSession(page);
  const enter = async () => {
    // While it composes, browsers tell a key that the method takes as 229.
    const key = { key: "Process", code: "Enter", windowsVirtualKeyCode: 229 };
    await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...key });
    await cdp.send("Input.dispatchKeyEvent", { type: "keyUp", ...key });
  };
  for (const text of ["n", "ni", "nihao"]) {
    await cdp.send("Input.imeSetComposition", {
      text,
      selectionStart: text.length,
      selectionEnd: text.length,
    });
  }
  await enter();
  // An Enter that comes as one, while something is composed.
  await page.keyboard.press("Enter");
  assertEquals(await page.locator(".message").count(), 0);
  await cdp.send("Input.imeSetComposition", { text: "你好", selectionStart: 2, selectionEnd: 2 });
  assertEquals((await box.inputValue()).trimEnd(), "你好");
  await cdp.send("Input.insertText", { text: "你好" });
  assertEquals(await page.locator(".message").count(), 0);
  await page.keyboard.press("Enter");
  await heard(page, "你好");
  assertEquals([await box.inputValue(), await texts(page), errors], ["", ["你好"], []]);
});

Deno.test("older messages come as one scrolls up, what one reads stays where it is, and the newest is a click away", async () => {
  await using server = await startServer();
  await fill(server, "room:lobby", Array.from({ length: 400 }, (_, i) => `message ${i + 1}`));
  await using browser = await launchBrowser();
  const { page, errors } = await visit(browser, server);
  await heard(page, "message 400");
  await page.mouse.move(640, 400);
  const place = () =>
    page.evaluate(() => {
      const box = document.querySelector(".timeline");
      const top = box?.getBoundingClientRect().top ?? 0;
      const first = [...box?.querySelectorAll("article") ?? []].find((one) =>
        one.getBoundingClientRect().top >= top
      );
      return {
        text: first?.querySelector(".text")?.textContent ?? "",
        at: first?.getBoundingClientRect().top ?? 0,
      };
    });
  let jumps = 0;
  for (let i = 0; i < 400 && !await page.getByText("This is the beginning.").isVisible(); i++) {
    await page.mouse.wheel(0, -400);
    await page.waitForTimeout(20);
    const before = await place();
    await page.waitForTimeout(60);
    const after = await place();
    // A wheel may still be on its way; what is drawn above must not push.
    if (before.text === after.text && after.at < before.at - 1) jumps += 1;
    const [a, b] = [before.text, after.text].map((text) => Number(/\d+/.exec(text)?.[0]));
    if (a !== undefined && b !== undefined && b > a) jumps += 1;
  }
  await heard(page, "message 1");
  assertEquals(jumps, 0);
  const drawn = await page.locator("article").count();
  assertEquals(drawn <= 300, true, `${drawn} rows are drawn`);
  const before = await place();
  await fill(server, "room:lobby", ["while you read"]);
  await page.locator(".to-end", { hasText: "1 new message" }).waitFor();
  assertEquals(await place(), before, "what comes moves nothing");
  await page.locator(".to-end").click();
  await heard(page, "while you read");
  await page.locator(".to-end").waitFor({ state: "detached" });
  assertEquals(await focused(page), "DIV timeline", "where the button was nobody can be");
  assertEquals(errors, []);
});

Deno.test("what was missed beyond recovery is shown as a gap, and loaded on a click", async () => {
  await using server = await startServer({ limits: { recovery: 10 } });
  await using browser = await launchBrowser();
  const { page } = await visit(browser, server);
  await say(page, "before");
  await heard(page, "before");
  await page.locator(".tray").waitFor({ state: "detached" });
  await page.context().setOffline(true);
  await page.locator(".banner").waitFor();
  await fill(server, "room:lobby", Array.from({ length: 130 }, (_, i) => `missed ${i + 1}`));
  await page.context().setOffline(false);
  await heard(page, "missed 130");
  await page.locator(".to-end").click({ timeout: 500 }).catch(() => {});
  for (let i = 0; i < 60 && await page.locator(".gap").count() === 0; i++) {
    await page.mouse.move(640, 400);
    await page.mouse.wheel(0, -600);
    await page.waitForTimeout(50);
  }
  assertEquals(await findBarriers(page), []);
  for (; await page.locator(".gap button").count() > 0; await page.waitForTimeout(50)) {
    await page.locator(".gap button").click();
  }
  await heard(page, "missed 1");
  await heard(page, "missed 2");
  assertEquals(await focused(page), "DIV timeline", "where the button was nobody can be");
});

Deno.test("among forty rooms the page stays in its window, and the conversation that is opened is seen in the list", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page, account, errors } = await visit(browser, server);
  const rooms = Array.from({ length: 40 }, (_, i) => `room:team-${i}`);
  await page.evaluate(
    (kept) => localStorage.setItem("fanfare.chat", JSON.stringify(kept)),
    { rooms, read: {}, last: {}, said: {} },
  );
  await page.reload();
  await page.locator(".talk").nth(40).waitFor();
  const write = async (name: string, text: string) => {
    await using client = await NativeClient.open(server);
    const other = String((await client.do("hello", { name })).account);
    const channel = `dm:${[account, other].sort().join(".")}`;
    await client.do("publish", { channel, data: { text } });
    return other;
  };
  await write("Carol", "not read");
  await page.getByRole("button", { name: "1 unread" }).waitFor();
  await page.getByRole("button", { name: "1 unread" }).focus();
  const other = await write("عمر", "a word");
  const direct = page.locator(".talk", { hasText: "a word" });
  await direct.locator(".badge", { hasText: "1" }).waitFor();
  const below = page.getByRole("button", { name: "2 unread" });
  await below.waitFor();
  assertEquals(await below.evaluate((button) => document.activeElement === button), true);
  assertEquals(await findBarriers(page), []);
  await below.focus();
  await page.keyboard.press("Enter");
  await below.waitFor({ state: "detached" });
  assertEquals(await direct.evaluate((link) => document.activeElement === link), true);
  await page.evaluate((other) => location.hash = `#dm:${other}`, other);
  await heard(page, "a word");
  await page.locator(".talk[aria-current]", { hasText: "a word" }).waitFor();
  const { top, left, bottom, scrolled, height } = await page.evaluate(() => {
    const link = document.querySelector(".talk[aria-current]");
    const name = link?.querySelector(".name") ?? document.body;
    const range = document.createRange();
    range.selectNodeContents(name);
    return {
      top: document.querySelector("header.top")?.getBoundingClientRect().top,
      bottom: link?.getBoundingClientRect().bottom ?? Infinity,
      left: range.getBoundingClientRect().left - name.getBoundingClientRect().left,
      scrolled: document.documentElement.scrollHeight,
      height: innerHeight,
    };
  });
  assertEquals([top, scrolled], [0, height], "nothing hidden makes it longer");
  assert(bottom <= height);
  assert(left < 1, "a name from right to left stands where all names do");
  assertEquals(errors, []);
});

Deno.test("where the browser doesn't see to it, the page makes the box as high as what is written, up to a bound", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page } = await visit(browser, server);
  await page.addInitScript(() => {
    const { supports } = CSS;
    CSS.supports = (...asked: string[]) =>
      asked[0] !== "field-sizing" && Reflect.apply(supports, CSS, asked);
    // As in WebKit before 26.2.
    const old = new CSSStyleSheet();
    old.replaceSync(".composer textarea { field-sizing: fixed !important; }");
    document.adoptedStyleSheets = [old];
  });
  await page.reload();
  const box = page.locator(".composer textarea");
  const height = async () => (await box.boundingBox())?.height ?? 0;
  await box.fill("one line");
  const line = await height();
  await box.fill("a line that is wrapped ".repeat(8));
  const wrapped = await height();
  assert(wrapped > line + 20, `${line} ${wrapped}`);
  assertEquals(await box.evaluate((box) => box.scrollHeight <= box.clientHeight), true);
  await box.fill("a line that is wrapped ".repeat(200));
  assert(await height() < 200, "no higher than that");
  await box.press("Enter");
  await page.locator(".message").waitFor();
  assertEquals(await height(), line);
});

Deno.test("who goes on to write while a new name is on its way keeps the focus there", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page } = await visit(browser, server);
  await page.locator(".me .rename").click();
  await page.locator(".me input").fill("Ada");
  await page.evaluate(() => {
    document.querySelector<HTMLFormElement>(".me form")?.requestSubmit();
    document.querySelector<HTMLElement>(".composer textarea")?.focus();
  });
  await page.locator(".me .name", { hasText: "Ada" }).waitFor();
  assertEquals(await focused(page), "TEXTAREA");
  await rename(page, "Ada B");
  assertMatch(await focused(page), /BUTTON .*rename/, "else it goes back to where it came from");
});

Deno.test("who types is shown to the others, and drafts wait in their conversations", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visit(browser, server);
  const bob = await visit(browser, server);
  await rename(ada.page, "Ada");
  await ada.page.locator(".members li").nth(1).waitFor();
  await bob.page.locator(".members .name", { hasText: "Ada" }).waitFor();
  await ada.page.locator(".composer textarea").pressSequentially("I think");
  await bob.page.locator(".typing", { hasText: "Ada" }).waitFor();
  assertEquals((await ada.page.locator(".typing").innerText()).trim(), "");
  // Who types is shown for a few seconds: whoever is to see it is there before.
  await bob.page.locator(".members a", { hasText: "Ada" }).click();
  await opened(bob.page, "Ada");
  await ada.page.locator(".composer textarea").pressSequentially("…");
  await ada.page.locator(".composer textarea").press("Backspace");
  await ada.page.locator(".members a", { hasText: bob.account }).click();
  await opened(ada.page, bob.account);
  // In each conversation it is told anew, however short ago it was in another.
  await ada.page.locator(".composer textarea").pressSequentially("psst");
  await bob.page.locator(".typing", { hasText: "Ada" }).waitFor();
  await bob.page.locator(".talk", { hasText: "lobby" }).click();
  await opened(bob.page, "lobby");
  await ada.page.locator(".talk", { hasText: "lobby" }).click();
  await ada.page.waitForFunction(() => document.querySelector("textarea")?.value === "I think");
  await ada.page.locator(".composer textarea").press("Enter");
  await heard(bob.page, "I think");
  await bob.page.waitForFunction(() =>
    document.querySelector(".typing")?.textContent?.trim() === ""
  );
  // Between two nobody else hears even that.
  const eve = await visit(browser, server);
  await bob.page.locator(".members a", { hasText: "Ada" }).click();
  await opened(bob.page, "Ada");
  await ada.page.locator(".members a", { hasText: bob.account }).click();
  await opened(ada.page, bob.account);
  await ada.page.locator(".composer textarea").press("End");
  await ada.page.locator(".composer textarea").pressSequentially(", are you there?");
  await bob.page.locator(".typing", { hasText: "Ada" }).waitFor();
  await ada.page.locator(".composer textarea").press("Enter");
  await heard(bob.page, "psst, are you there?");
  await say(ada.page, "end");
  await heard(bob.page, "end");
  assertEquals([await texts(eve.page), (await eve.page.locator(".typing").innerText()).trim()], [
    ["I think"],
    "",
  ]);
});

Deno.test("whatever a program puts into a message, a name or a push is shown as text", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const { page, errors } = await visit(browser, server);
  const run = `<img src=x onerror="document.title='run'">`;
  await using client = await NativeClient.open(server);
  await client.do("rename", { name: `<script>1` });
  const datas: unknown[] = [
    { text: run, reply: { seq: run } },
    { text: { __html: run } },
    { type: "img", props: { onerror: "document.title='run'" }, __k: null, constructor: null },
    run,
    { text: `javascript:alert(1) data:text/html,${run} https://a.example/"onmouseover="x` },
    { text: "\u202Egnp.exe \u0007 @" + "x".repeat(500) },
    [null, { __html: run }],
    7,
  ];
  for (const data of datas) await client.do("publish", { channel: "room:lobby", data });
  await page.locator(".message").nth(datas.length - 1).waitFor();
  assertEquals(await page.locator("main img, main script").count(), 0);
  assertEquals(await page.title(), "Chat · Fanfare");
  assertEquals(
    await page.locator(".message a").evaluateAll((all) =>
      all.map((one) => one.getAttribute("href"))
    ),
    [
      "https://a.example/",
    ],
  );
  await page.locator(".message .name").first().getByText("<script>1").waitFor();
  const push = {
    text: run,
    title: run,
    tags: [run, { __html: run }],
    priority: "5",
    click: "javascript:alert(1)",
  };
  await client.do("publish", { channel: "push:all", data: push });
  await client.do("publish", {
    channel: "push:all",
    data: { title: { __html: run }, click: "data:text/html,x" },
  });
  await page.goto(`${server.url}/to_recmsg/`);
  await page.locator(".card").nth(1).waitFor();
  assertEquals(await page.locator("main img, main script, .card a").count(), 0);
  const titles = await page.locator(".card .title").allInnerTexts();
  assertEquals(titles.map((title) => title.trim()), [run]);
  assertEquals(errors, []);
});
