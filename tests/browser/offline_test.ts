/** Without a network, in real Chromium: what was typed is kept, survives a reload, and arrives once and in order. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { startServer, type TestServer } from "../helpers/server.ts";
import { storeStory, STORY } from "../unit/static/store_story.ts";

async function open(
  context: BrowserContext,
  server: TestServer,
  path = "/to_chat/",
): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
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
const pending = (page: Page) => page.locator(".unsent.pending .said").allInnerTexts();

Deno.test("offline: three messages are typed, the page is reloaded, and online all arrive once and in order", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visitor(browser, server);
  const bob = await visitor(browser, server);
  const account = await ada.locator(".me .name").innerText();
  await say(bob, "said before");
  await ada.locator(".message .text").getByText("said before").waitFor();
  await ada.context().setOffline(true);
  await say(ada, "one", "two", "three");
  await ada.reload();
  await ada.locator(".unsent.pending").nth(2).waitFor();
  assertEquals(await texts(ada), ["said before"], "the timeline ends with what was said");
  assertEquals(await pending(ada), ["one", "two", "three"], "all can be read");
  assertEquals(await ada.locator(".me .name").innerText(), account);
  assertEquals(await texts(bob), ["said before"]);
  // Whatever comes first when the connection is back, nothing that one reads may go or be there twice, not for a moment.
  await ada.evaluate(() => {
    const missed: string[] = [];
    Object.assign(globalThis, { missed });
    new MutationObserver(() => {
      const shown = [...document.querySelectorAll(".message .text, .unsent .said")].map((one) =>
        one.textContent
      );
      for (const text of ["said before", "one", "two", "three"]) {
        if (shown.filter((one) => one === text).length !== 1) missed.push(text);
      }
    }).observe(document, { subtree: true, childList: true, characterData: true });
  });
  await ada.context().setOffline(false);
  await bob.locator(".message .text").getByText("three").waitFor();
  await ada.locator(".tray").waitFor({ state: "detached" });
  for (const page of [ada, bob]) {
    assertEquals(await texts(page), ["said before", "one", "two", "three"]);
  }
  assertEquals(await ada.evaluate("missed"), []);
  await ada.locator(".banner").waitFor({ state: "detached" });
  await say(ada, "end");
  await bob.locator(".message .text").getByText("end").waitFor();
  assertEquals(await texts(bob), ["said before", "one", "two", "three", "end"]);
});

Deno.test("two tabs offline: each keeps its own over a reload, and one that is closed leaves its own to the other", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const one = await visitor(browser, server);
  const two = await open(one.context(), server);
  const bob = await visitor(browser, server);
  await one.context().setOffline(true);
  await say(one, "from one");
  await say(two, "from two", "and again");
  await two.reload();
  await two.locator(".unsent.pending").nth(1).waitFor();
  assertEquals([await pending(one), await pending(two)], [["from one"], ["from two", "and again"]]);
  await one.close();
  await two.context().setOffline(false);
  await bob.locator(".message .text").getByText("from one").waitFor();
  await bob.locator(".message .text").getByText("and again").waitFor();
  await two.locator(".tray").waitFor({ state: "detached" });
  await say(two, "end");
  await bob.locator(".message .text").getByText("end").waitFor();
  const heard = await texts(bob);
  assertEquals(heard.toSorted(), ["and again", "end", "from one", "from two"]);
  assertEquals(heard.indexOf("from two") < heard.indexOf("and again"), true);
});

Deno.test("what fails says why, and is tried again, changed or discarded by keyboard", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const ada = await visitor(browser, server);
  const bob = await visitor(browser, server);
  await say(ada, "x".repeat(70_000));
  const failed = ada.locator(".unsent.failed");
  await failed.getByText("it is too long").waitFor();
  assertEquals(await findBarriers(ada), []);
  // The same again would be refused again.
  assertEquals(await failed.getByRole("button", { name: "Try again" }).count(), 0);
  const box = ada.locator(".composer textarea");
  await box.fill("begun");
  await failed.getByRole("button", { name: "Edit" }).press("Enter");
  await failed.waitFor({ state: "detached" });
  assertEquals(await ada.evaluate(() => document.activeElement?.tagName), "TEXTAREA");
  assertEquals(await box.inputValue(), `${"x".repeat(70_000)}\nbegun`);
  await box.press("Enter");
  await failed.getByText("it is too long").waitFor();
  await failed.getByRole("button", { name: "Discard" }).press("Enter");
  await failed.waitFor({ state: "detached" });
  // The button is gone: who pressed it goes on writing.
  assertEquals(await ada.evaluate(() => document.activeElement?.tagName), "TEXTAREA");
  await ada.context().setOffline(true);
  await say(ada, "as who I was");
  await ada.locator(".unsent.pending").waitFor();
  // The socket is silent and stays open: it is the client that notices.
  await ada.locator(".banner", { hasText: "You are offline" }).waitFor();
  await ada.context().clearCookies();
  await ada.context().setOffline(false);
  await failed.getByText("written from another account").waitFor();
  await ada.reload();
  await failed.getByText("written from another account").waitFor();
  assertEquals(await texts(bob), []);
  await failed.getByRole("button", { name: "Try again" }).click();
  await bob.locator(".message .text").getByText("as who I was").waitFor();
  await failed.waitFor({ state: "detached" });
});

Deno.test("where a browser keeps nothing, the page doesn't say that it does, and sends what was typed all the same", async () => {
  await using browser = await launchBrowser();
  const nothing = [
    () => Object.defineProperty(globalThis, "indexedDB", { value: undefined }),
    // A private window that has one and won't open it.
    () =>
      Object.assign(IDBFactory.prototype, {
        open() {
          throw new DOMException("Not here", "SecurityError");
        },
      }),
  ];
  await Promise.all(nothing.map(async (init, i) => {
    await using server = await startServer();
    const context = await browser.newContext({ locale: "en-US" });
    await context.addInitScript(init);
    const ada = await open(context, server);
    const bob = await visitor(browser, server);
    assertMatch(await ada.locator(".me .name").innerText(), /^[0-9a-f]{8}$/);
    await context.setOffline(true);
    await ada.locator(".banner", { hasText: "if this page stays open" }).waitFor();
    await say(ada, `from memory ${i}`);
    await context.setOffline(false);
    await bob.locator(".message .text").getByText(`from memory ${i}`).waitFor();
  }));
});

Deno.test("each page opens without a network, under its own policy; kept is the shell and nothing else", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await visitor(browser, server);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await fetch(`${server.url}/send/`, { method: "POST", body: new URLSearchParams({ msg: "x" }) });
  for (const path of ["/", "/to_chat/", "/to_recmsg/", "/to_sendmsg/", "/healthz"]) {
    await page.goto(server.url + path);
  }
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const cache = await caches.open(names[0] ?? "");
    return { names, urls: (await cache.keys()).map(({ url }) => new URL(url).pathname) };
  });
  assertEquals(kept.names.length, 1);
  const shell = /const SHELL = (\{[^}]*\})/.exec(await (await fetch(`${server.url}/sw.js`)).text());
  assertEquals(kept.urls.toSorted(), Object.keys(JSON.parse(shell?.[1] ?? "{}")).toSorted());
  await page.context().setOffline(true);
  for (const path of ["/", "/to_chat", "/to_recmsg/", "/to_sendmsg/?from=here"]) {
    const response = await page.goto(server.url + path);
    assertMatch(response?.headers()["content-security-policy"] ?? "", /trusted-types fanfare$/);
    await page.locator("h1").waitFor();
  }
  assertEquals(errors, []);
  await page.context().setOffline(false);
  await page.goto(`${server.url}/to_chat/`);
  assertEquals((await page.context().cookies()).length, 1);
});

Deno.test("a push that is typed offline arrives later, and a closed server says what it needs", async () => {
  const token = await Deno.makeTempFile();
  await Deno.writeTextFile(token, "a token that is long enough");
  await using server = await startServer();
  await using closed = await startServer({ adminTokenFile: token });
  await using browser = await launchBrowser();
  const receiver = await open(await browser.newContext({ locale: "en-US" }), server, "/to_recmsg/");
  const sender = await open(await browser.newContext({ locale: "en-US" }), server, "/to_sendmsg/");
  await sender.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  const push = async (page: Page, text: string) => {
    await page.locator("#msg").fill(text);
    await page.locator("form.one button").click();
  };
  await push(sender, "online");
  await sender.locator(".toast", { hasText: "Pushed" }).waitFor();
  await sender.context().setOffline(true);
  await push(sender, "offline");
  await sender.locator(".pushes .pending", { hasText: "offline" }).waitFor();
  await sender.reload();
  await sender.locator(".pushes .pending", { hasText: "offline" }).waitFor();
  assertEquals(await findBarriers(sender), []);
  await sender.context().setOffline(false);
  await receiver.locator(".pushes .text").getByText("offline").waitFor();
  await sender.locator(".pushes .pending").waitFor({ state: "detached" });
  const refused = await open(await browser.newContext({ locale: "en-US" }), closed, "/to_sendmsg/");
  await push(refused, "not for all");
  await refused.locator(".pushes .failed", { hasText: "admin token" }).waitFor();
  assertEquals(await findBarriers(refused), []);
  await refused.getByRole("button", { name: "Discard" }).click();
  await refused.locator(".pushes .push").waitFor({ state: "detached" });
  await Deno.remove(token);
});

Deno.test("IndexedDB keeps, forgets, hands over once, and knows who is alive, as memory does", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await open(await browser.newContext(), server, "/");
  const told = await page.evaluate<unknown[]>(`(async () => {
    const { browserStore } = await import("/fanfare/store.js");
    return await (${storeStory})(browserStore("story"));
  })()`);
  assertEquals(told, STORY);
});

// What is done to a browser before a page of ours is opened in it; each stands alone, since a browser gets it as text.
const SPOILT: Record<string, () => void> = {
  "is a newer version's": () => {
    indexedDB.open("fanfare", 7);
  },
  "isn't ours": () => {
    indexedDB.open("fanfare", 1).onupgradeneeded = () => {};
  },
  "may not be opened": () => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("No", "SecurityError");
    };
  },
  "may not be looked at": () => {
    Object.defineProperty(globalThis, "indexedDB", {
      get() {
        throw new DOMException("No", "SecurityError");
      },
    });
  },
  "never opens": () => {
    IDBFactory.prototype.open = () => Object.create(null);
  },
  "is full": () => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("No", "QuotaExceededError");
    };
  },
};

/** The page goes on from memory and says so, whatever was done to the browser's database. */
async function goOn(browser: Browser, spoil: () => void): Promise<void> {
  await using server = await startServer();
  const context = await browser.newContext({ locale: "en-US" });
  const errors: string[] = [];
  const before = await open(context, server, "/healthz");
  await before.evaluate(spoil);
  await context.addInitScript(spoil);
  const ada = await context.newPage();
  ada.setDefaultTimeout(30_000);
  ada.on("pageerror", (error) => errors.push(error.message));
  await ada.goto(`${server.url}/to_chat/`);
  assertMatch(await ada.locator(".me .name").innerText(), /^[0-9a-f]{8}$/);
  const bob = await visitor(browser, server);
  await say(ada, "online");
  await bob.locator(".message .text").getByText("online").waitFor();
  await context.setOffline(true);
  await say(ada, "from memory");
  await ada.locator(".banner", { hasText: "if this page stays open" }).waitFor();
  await context.setOffline(false);
  await bob.locator(".message .text").getByText("from memory").waitFor();
  assertEquals(await texts(bob), ["online", "from memory"]);
  assertEquals(errors, []);
}

// Each waits for the same times, so all do together.
Deno.test("where the browser's database can't be had, is another's or is full, the page goes on from memory and says so", async () => {
  await using browser = await launchBrowser();
  await Promise.all(
    Object.entries(SPOILT).map(([what, spoil]) =>
      goOn(browser, spoil).catch((cause) => {
        throw new Error(`Where the database ${what}`, { cause });
      })
    ),
  );
});
