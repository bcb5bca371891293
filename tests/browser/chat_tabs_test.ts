/** The chat page in several tabs of one browser, and over reloads: what was read, which rooms there are, drafts, notifications. */
import { assertEquals } from "@std/assert";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { startServer, type TestServer } from "../helpers/server.ts";

async function context(browser: Browser): Promise<BrowserContext> {
  const made = await browser.newContext({
    locale: "en-US",
    viewport: { width: 1280, height: 800 },
  });
  made.setDefaultTimeout(30_000);
  return made;
}

async function open(context: BrowserContext, server: TestServer, hash = ""): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${server.url}/to_chat/${hash}`);
  await page.locator(".me .name").waitFor();
  return page;
}

/** A page that isn't the one in front: in a headless browser all have the focus. */
const lookAway = (page: Page) =>
  page.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event("blur"));
  });

async function say(page: Page, text: string): Promise<void> {
  await page.locator(".composer textarea").fill(text);
  await page.locator(".composer textarea").press("Enter");
}

/** Waits for what several pages tell, or one that asks its worker. */
async function until(happened: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!await happened()) {
    if (performance.now() > deadline) throw new Error("It didn't happen within 10 s");
    await new Promise((done) => setTimeout(done, 50));
  }
}

const heard = (page: Page, text: string) =>
  page.locator(".message .text", { hasText: text }).waitFor();
const room = (page: Page, name: string) => page.locator(".talk", { hasText: name });
const account = async (page: Page) => await page.locator(".me .name").innerText();

Deno.test("what one tab shows is neither unread nor notified in another, and of two that don't show it one notifies", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await context(browser);
  await ada.addInitScript(() => {
    const seen: string[] = [];
    class Recorded {
      constructor(_title: string, { body }: { body: string }) {
        seen.push(body);
      }
      close() {}
      static permission = "granted";
    }
    Object.assign(globalThis, { Notification: Recorded, seen });
    localStorage.setItem("fanfare.alerts", `{"notify":true,"sound":false}`);
  });
  const one = await open(ada, server);
  const two = await open(ada, server);
  await lookAway(two);
  const bob = await open(await context(browser), server);
  const own = await account(one);
  const seen = async () =>
    (await Promise.all([one, two].map((page) => page.evaluate<string[]>("seen")))).flat();
  await say(bob, `@${own} first`);
  await heard(one, `@${own} first`);
  await heard(two, `@${own} first`);
  await two.waitForFunction(() => document.title === "Chat · Fanfare");
  await room(two, "lobby").locator(".badge").waitFor({ state: "detached" });
  await one.goto(`${server.url}/to_chat/#room:elsewhere`);
  await one.locator("h1", { hasText: "elsewhere" }).waitFor();
  await say(bob, `@${own} second`);
  await room(one, "lobby").locator(".badge.called", { hasText: "1" }).waitFor();
  await room(two, "lobby").locator(".badge.called", { hasText: "1" }).waitFor();
  await until(async () => (await seen()).length > 0);
  // The other would have told by now: what comes later is told after it.
  await say(bob, `@${own} third`);
  await room(one, "lobby").locator(".badge.called", { hasText: "2" }).waitFor();
  await until(async () => (await seen()).includes(`@${own} third`));
  assertEquals((await seen()).toSorted(), [`@${own} second`, `@${own} third`]);
  await room(one, "lobby").click();
  await room(two, "lobby").locator(".badge").waitFor({ state: "detached" });
  await two.waitForFunction(() => document.title === "Chat · Fanfare");
});

Deno.test("a room that is left in one tab is left in the other, and neither brings it back", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await context(browser);
  const one = await open(ada, server, "#room:dev");
  const two = await open(ada, server);
  await room(two, "dev").click();
  await two.locator("h1", { hasText: "dev" }).waitFor();
  await one.locator(".join input").fill("ops");
  await one.locator(".join input").press("Enter");
  await room(two, "ops").waitFor();
  await room(one, "dev").click();
  await one.getByRole("button", { name: "Leave room" }).click();
  await room(two, "dev").waitFor({ state: "detached" });
  await two.locator("h1", { hasText: "lobby" }).waitFor();
  assertEquals(new URL(two.url()).hash, "#room:lobby");
  const bob = await open(await context(browser), server);
  await say(bob, "after that");
  // Both keep what came: each the rooms that there are, not those that it once knew.
  await heard(two, "after that");
  await one.waitForFunction(() => localStorage.getItem("fanfare.chat")?.includes("after that"));
  for (const page of [two, one]) {
    await page.reload();
    await room(page, "ops").waitFor();
    assertEquals(await room(page, "dev").count(), 0);
  }
});

Deno.test("a draft and what it replies to wait in their room, over a reload and a refusal too", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const bob = await open(await context(browser), server);
  const home = await context(browser);
  let end = () => {};
  await home.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    end = () => void socket.close({ code: 1008 });
  });
  const ada = await open(home, server);
  const box = ada.locator(".composer textarea");
  const quote = ada.locator(".replying", { hasText: "Which one?" });
  await say(bob, "Which one?");
  const line = ada.locator(".message", { hasText: "Which one?" });
  await line.hover();
  await line.getByRole("button", { name: /^Reply to/ }).click();
  await box.fill("This");
  await ada.locator(".join input").fill("dev");
  await ada.locator(".join input").press("Enter");
  await ada.locator("h1", { hasText: "dev" }).waitFor();
  assertEquals([await box.inputValue(), await ada.locator(".replying").count()], ["", 0]);
  await box.fill("elsewhere");
  await ada.reload();
  await ada.waitForFunction(() => document.querySelector("textarea")?.value === "elsewhere");
  await room(ada, "lobby").click();
  await quote.waitFor();
  assertEquals(await box.inputValue(), "This");
  // The server ends the connection for good: what is sent now isn't taken, and comes back whole.
  end();
  await ada.locator(".banner", { hasText: "ended the connection" }).waitFor();
  await box.press("Enter");
  await ada.locator(".toast.bad", { hasText: "no connection" }).waitFor();
  await quote.waitFor();
  assertEquals(await box.inputValue(), "This");
  await ada.reload();
  await quote.waitFor();
  await box.fill("This one");
  await box.press("Enter");
  await bob.locator(".message", { hasText: "This one" }).locator(".quote", {
    hasText: "Which one?",
  }).waitFor();
  assertEquals([await box.inputValue(), await quote.count()], ["", 0]);
  await ada.reload();
  await heard(ada, "This one");
  assertEquals([await box.inputValue(), await quote.count()], ["", 0]);
});

Deno.test("a mention is completed only where the caret is, and Shift+Tab goes back", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const bob = await account(await open(await context(browser), server));
  const ada = await open(await context(browser), server);
  const box = ada.locator(".composer textarea");
  const offered = ada.locator(".completions").getByRole("option", { name: bob });
  await ada.locator(".members li").nth(1).waitFor();
  await box.pressSequentially(`hi @${bob.slice(0, 3)}`);
  await offered.waitFor();
  await box.press("Shift+Tab");
  assertEquals(await ada.evaluate(() => document.activeElement?.tagName), "SELECT");
  assertEquals(await box.inputValue(), `hi @${bob.slice(0, 3)}`);
  await box.press("End");
  await box.pressSequentially(bob.slice(3, 4));
  await offered.waitFor();
  await box.press("Home");
  await offered.waitFor({ state: "detached" });
  await box.press("Enter");
  await heard(ada, `hi @${bob.slice(0, 4)}`);
  await box.pressSequentially(`@${bob.slice(0, 3)}`);
  await offered.waitFor();
  // A key may come before the page is told that the caret has moved.
  const taken = await box.evaluate((box: HTMLTextAreaElement) => {
    box.setSelectionRange(0, 0);
    const event = new KeyboardEvent("keydown", { key: "Tab", bubbles: true, cancelable: true });
    return !box.dispatchEvent(event);
  });
  assertEquals([taken, await box.inputValue()], [false, `@${bob.slice(0, 3)}`]);
  await box.press("End");
  await box.pressSequentially(bob.slice(3, 4));
  await offered.waitFor();
  await box.press("Tab");
  assertEquals(await box.inputValue(), `@${bob} `);
});

Deno.test("where pages may show no notifications a worker does; a click leads to the message, and reading takes it away", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const phone = await context(browser);
  // What the system would show; a headless browser has none.
  await phone.addInitScript(() => {
    class Refused {
      constructor() {
        throw new TypeError("Illegal constructor");
      }
      static permission = "granted";
      static requestPermission = () => Promise.resolve("granted");
    }
    const notes: { title: string; options: { tag: string; body: string; data: unknown } }[] = [];
    const remove = (tag: string) =>
      notes.splice(0, Infinity, ...notes.filter((note) => note.options.tag !== tag));
    Object.assign(globalThis, { Notification: Refused, notes });
    Object.assign(ServiceWorkerRegistration.prototype, {
      showNotification(title: string, options: (typeof notes)[number]["options"]) {
        remove(options.tag);
        notes.push({ title, options });
        return Promise.resolve();
      },
      getNotifications({ tag }: { tag: string }) {
        const own = notes.filter(({ options }) => options.tag === tag);
        return Promise.resolve(own.map(() => ({ close: () => remove(tag) })));
      },
    });
  });
  const ada = await open(phone, server, "#room:elsewhere");
  await ada.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await ada.getByRole("button", { name: "Notify me" }).click();
  const bob = await open(await context(browser), server);
  const own = await account(ada);
  const notes = () =>
    ada.evaluate<{ title: string; options: { tag: string; body: string; data: unknown } }[]>(
      "notes",
    );
  const shown = (n: number) => until(async () => (await notes()).length === n);
  const them = await account(bob);
  await say(bob, `@${own} look`);
  await shown(1);
  const [{ title, options } = { title: "", options: { tag: "", body: "", data: {} } }] =
    await notes();
  assertEquals([title, options.body, options.tag], [
    `\u2068${them}\u2069 mentioned you in #\u2068lobby\u2069`,
    `@${own} look`,
    "room:lobby",
  ]);
  // What a click on it tells the worker.
  await phone.serviceWorkers()[0]?.evaluate((data) => {
    const event = new Event("notificationclick");
    Object.assign(event, { notification: { data, close() {} }, waitUntil() {} });
    dispatchEvent(event);
  }, options.data);
  await ada.locator("h1", { hasText: "lobby" }).waitFor();
  await shown(0);
  await room(ada, "elsewhere").click();
  await ada.locator("h1", { hasText: "elsewhere" }).waitFor();
  await say(bob, `@${own} again`);
  await shown(1);
  await room(ada, "lobby").click();
  await shown(0);
});

Deno.test("a server that comes back without its data keeps nobody's reply, and their text stays; a name goes to all tabs", async () => {
  await using browser = await launchBrowser();
  const ada = await context(browser);
  const before = await startServer();
  const port = Number(new URL(before.url).port);
  const page = await open(ada, before);
  try {
    const other = await open(ada, before);
    await page.getByRole("button", { name: /name/ }).click();
    await page.getByLabel("Your name").fill("Ada");
    await page.getByLabel("Your name").press("Enter");
    await other.locator(".me .name", { hasText: "Ada" }).waitFor();
    await other.close();
    await say(page, "of the old log");
    await heard(page, "of the old log");
    await page.locator(".message[data-seq]").hover();
    await page.getByRole("button", { name: /^Reply to/ }).click();
    await page.locator(".composer textarea").fill("about that");
    await page.locator(".replying").waitFor();
  } finally {
    await before[Symbol.asyncDispose]();
  }
  await using after = await startServer({ port });
  await page.locator(".empty").waitFor({ timeout: 20_000 });
  await page.locator(".replying").waitFor({ state: "detached" });
  assertEquals(await page.locator(".composer textarea").inputValue(), "about that");
  await page.locator(".composer textarea").press("Enter");
  await page.locator(".message[data-seq]", { hasText: "about that" }).waitFor();
  assertEquals(after.url, before.url);
});

Deno.test("with fifty rooms a phone's list still ends with oneself and who is there, one below the other", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const phone = await context(browser);
  await phone.addInitScript(() => {
    const rooms = Array.from({ length: 50 }, (_, i) => `room:r${i}`);
    localStorage.setItem("fanfare.chat", JSON.stringify({ rooms }));
  });
  const page = await open(phone, server);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole("link", { name: "All conversations" }).click();
  await page.getByRole("button", { name: "Choose a name" }).click();
  await page.getByLabel("Your name").fill("Ada");
  await page.getByLabel("Your name").press("Enter");
  await page.locator(".people .name", { hasText: "Ada" }).waitFor();
  const places = await page.evaluate(() =>
    [".talk:last-of-type", ".join", ".me", ".people"].map((selector) => {
      const { top, bottom } = [...document.querySelectorAll(selector)].at(-1)!
        .getBoundingClientRect();
      return [top, bottom] as const;
    })
  );
  for (const [i, [top]] of places.entries()) {
    assertEquals(i === 0 || top >= (places[i - 1]?.[1] ?? 0), true, JSON.stringify(places));
  }
});

Deno.test("of those who write at the same moment each is told of, and who floods is told of once", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await context(browser);
  await ada.addInitScript(() => {
    const seen: string[] = [];
    class Recorded {
      constructor(title: string, { body }: { body: string }) {
        seen.push(`${title.replace(/[\u2068\u2069]/g, "")}: ${body}`);
      }
      close() {}
      static permission = "granted";
    }
    // Nobody draws a page that is hidden: what comes is taken in by its timer.
    Object.assign(globalThis, { Notification: Recorded, seen, requestAnimationFrame: () => 0 });
    localStorage.setItem("fanfare.alerts", `{"notify":true,"sound":false}`);
  });
  const page = await open(ada, server);
  await lookAway(page);
  const own = await account(page);
  const friends = await Promise.all(
    [1, 2].map(async () => await open(await context(browser), server)),
  );
  const names = await Promise.all(friends.map(account));
  // All are there before one is taken in.
  await ada.setOffline(true);
  await page.evaluate(() => dispatchEvent(new Event("offline")));
  for (const [i, friend] of friends.entries()) {
    const [a, b] = [own, names[i] ?? ""].toSorted();
    for (const text of ["one", "two"]) {
      const channel = encodeURIComponent(`dm:${a}.${b}`);
      const data = { data: { text: `${text} of ${names[i]}` } };
      const url = `${server.url}/api/channels/${channel}/messages`;
      assertEquals((await friend.request.post(url, { data })).status(), 201);
    }
  }
  await ada.setOffline(false);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await until(async () => await page.evaluate<number>("seen.length") >= 2);
  assertEquals(
    (await page.evaluate<string[]>("seen")).toSorted(),
    names.map((name) => `${name} wrote to you: two of ${name}`).toSorted(),
  );
});
