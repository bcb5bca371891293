/** Text that would leave its place, in real Chromium (threats.md M5, M6): piled up marks, directions, control characters. */
import { assert, assertEquals } from "@std/assert";
import type { Browser, Locator, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const PILED = `a${"\u0301".repeat(60)}`;

async function open(
  browser: Browser,
  server: TestServer,
  path: string,
): Promise<Page> {
  const context = await browser.newContext({
    locale: "en-US",
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto(server.url + path);
  return page;
}

/** Counts the pixels outside of a box that differ clearly between two pictures: by more than what smoothing makes of them. */
async function differing(
  page: Page,
  pictures: string[],
  box: Box,
): Promise<number> {
  const blank = await page.context().newPage();
  const count = await blank.evaluate(async ({ pictures, box }) => {
    const [a, b] = await Promise.all(pictures.map(async (picture) => {
      const image = new Image();
      image.src = `data:image/png;base64,${picture}`;
      await image.decode();
      const drawing = new OffscreenCanvas(image.width, image.height).getContext(
        "2d",
      );
      drawing?.drawImage(image, 0, 0);
      return drawing?.getImageData(0, 0, image.width, image.height);
    }));
    if (!a || !b) throw new Error("No picture");
    let count = 0;
    for (let i = 0; i < a.data.length; i += 4) {
      const [x, y] = [i / 4 % a.width, Math.floor(i / 4 / a.width)];
      const inside = x >= Math.floor(box.x) &&
        x < Math.ceil(box.x + box.width) &&
        y >= Math.floor(box.y) && y < Math.ceil(box.y + box.height);
      if (inside) continue;
      if (
        [0, 1, 2].some((k) => Math.abs((a.data[i + k] ?? 0) - (b.data[i + k] ?? 0)) > 64)
      ) count++;
    }
    return count;
  }, { pictures, box });
  await blank.close();
  return count;
}

/** Counts what a style of an element changes outside of a box. */
async function changed(
  page: Page,
  element: Locator,
  box: Box,
  style: [string, string],
) {
  const set = (value: string) =>
    element.evaluate((one, [name, value]) => {
      if (one instanceof HTMLElement) {
        one.style.setProperty(name ?? "", value ?? "");
      }
    }, [style[0], value]);
  const take = async () => (await page.screenshot({ caret: "hide" })).toString("base64");
  const before = await take();
  await set(style[1]);
  const after = await take();
  await set("");
  return await differing(page, [before, after], box);
}

const boxOf = async (element: Locator): Promise<Box> =>
  await element.boundingBox() ?? { x: 0, y: 0, width: 0, height: 0 };

/** Asserts that nothing of an element is drawn outside of a box around it. */
async function assertInside(
  page: Page,
  selector: string,
  around: string,
): Promise<void> {
  const element = page.locator(selector).first();
  await element.waitFor();
  let outside = NaN;
  // A page that is still being drawn changes by itself; what reaches out does so each time.
  for (let tries = 0; tries < 5 && outside !== 0; tries++) {
    const box = await boxOf(page.locator(around).first());
    outside = await changed(page, element, box, ["visibility", "hidden"]);
  }
  assertEquals(outside, 0, selector);
}

Deno.test("M6: marks that are piled up draw over nothing but their own message, name, quote, line and title", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const room = `room:${"a\u0301\u0301".normalize("NFC")}${"\u0301".repeat(25)}`
    .normalize("NFC");
  await bob.do("hello", { name: `b${"\u0301".repeat(19)}` });
  for (const channel of ["room:lobby", room]) {
    await bob.do("subscribe", { channel });
    for (const text of ["above", PILED, "below"]) {
      await bob.do("publish", { channel, data: { text } });
    }
  }
  const page = await open(browser, server, "/to_chat/");
  const piled = page.locator(".message", { hasText: PILED.slice(0, 10) });
  await piled.waitFor();
  const { seq } = await bob.do("publish", {
    channel: "room:lobby",
    data: { text: PILED },
  });
  await bob.do("publish", {
    channel: "room:lobby",
    data: { text: "reply", reply: { seq } },
  });
  await page.locator(".quote .excerpt").waitFor();
  await page.locator(".message .text", { hasText: "reply" }).hover();
  // To see that the marks reach out where nothing clips them.
  const text = piled.first().locator(".text");
  const free = await changed(page, text, await boxOf(piled.first()), [
    "overflow",
    "visible",
  ]);
  assert(free > 50, `${free} pixels: marks that are really piled up`);
  await assertInside(page, ".message:nth-of-type(2) .text", ".message:nth-of-type(2) .text");
  await assertInside(page, ".message .name", ".message .name");
  await assertInside(page, ".message .avatar", ".message .avatar");
  await assertInside(page, ".quote .excerpt", ".quote");
  await assertInside(page, ".quote .name", ".quote");
  await assertInside(page, ".members .name", ".members a");
  await page.context().setOffline(true);
  await page.locator(".banner").waitFor();
  await page.locator(".composer textarea").fill(PILED);
  await page.locator(".composer textarea").press("Enter");
  await assertInside(page, ".unsent .said", ".unsent");
  await page.context().setOffline(false);
  await page.locator(".tray").waitFor({ state: "detached" });
  await assertInside(page, ".talk .said", ".talk");
  await page.evaluate((room) => location.hash = `#${room}`, room);
  await page.locator("h1", { hasText: room.slice(5, 9) }).waitFor();
  await page.locator(".message").nth(2).waitFor();
  await assertInside(page, "h1 bdi", "header.head");
  await assertInside(page, ".talk[aria-current] .name", ".talk[aria-current]");
  await page.getByRole("button", { name: "Leave room" }).click();
  // It goes before it could be looked at twice.
  const toast = page.locator(".toast");
  assertEquals(
    await toast.evaluate((toast) => getComputedStyle(toast).overflow),
    "clip",
  );
});

Deno.test("M6: a push with piled up marks stays in its card, on the page that shows what is typed too", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  for (
    const data of [{ text: "below" }, {
      text: PILED,
      title: PILED,
      tags: [PILED],
    }, { text: "a" }]
  ) {
    await bob.do("publish", { channel: "push:all", data });
  }
  const receiver = await open(browser, server, "/to_recmsg/");
  await receiver.locator(".push").nth(2).waitFor();
  for (const part of [".text", ".name", ".tags"]) {
    await assertInside(
      receiver,
      `.push:nth-of-type(2) ${part}`,
      ".push:nth-of-type(2) .card",
    );
  }
  const sender = await open(browser, server, "/to_sendmsg/");
  await sender.locator("#msg").fill(PILED);
  await assertInside(sender, ".preview .text", ".preview .card");
});

Deno.test("marks that belong to a text, and the ring of a link, are seen whole", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  for (const text of ["Ǻ Ệ ẵ q̣̈", "https://x.example/ring"]) {
    await bob.do("publish", { channel: "room:lobby", data: { text } });
  }
  const page = await open(browser, server, "/to_chat/");
  const link = page.locator(".message a");
  await link.waitFor();
  const text = page.locator(".message .text").first();
  const none = { x: 0, y: 0, width: 0, height: 0 };
  assertEquals(await changed(page, text, none, ["overflow", "visible"]), 0);
  await link.focus();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Tab");
  const beyond = await page.locator(".message a:focus-visible").evaluate(
    (link) => {
      const { outlineOffset, outlineWidth } = getComputedStyle(link);
      const ring = parseFloat(outlineOffset) + parseFloat(outlineWidth);
      const inner = link.getBoundingClientRect();
      const outer = (link.parentElement ?? link).getBoundingClientRect();
      return [inner.left - ring - outer.left, inner.top - ring - outer.top];
    },
  );
  assertEquals(beyond.map((room) => room >= 0), [true, true], `${beyond}`);
});

/** The order in which the characters of an element's text stand, from left to right. */
const order = (element: Locator) =>
  element.evaluate((element) => {
    const range = document.createRange();
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const signs: { left: number; sign: string }[] = [];
    for (
      let node = walker.nextNode();
      node !== null;
      node = walker.nextNode()
    ) {
      for (const [i, sign] of [...node.nodeValue ?? ""].entries()) {
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        const { left, width } = range.getBoundingClientRect();
        if (width > 0 && sign.trim() !== "") signs.push({ left, sign });
      }
    }
    return signs.sort((a, b) => a.left - b.left).map(({ sign }) => sign).join(
      "",
    );
  });

Deno.test("M6: where two people's texts meet neither turns the other, whatever signs they have", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const { account } = await bob.do("hello", { name: "עמר 5" });
  const page = await open(browser, server, "/to_chat/");
  const channel = "room:lobby";
  await bob.do("subscribe", { channel });
  await page.locator(".members .name", { hasText: "עמר" }).waitFor();
  const said = page.locator(".talk .last");
  const { seq } = await bob.do("publish", {
    channel,
    data: { text: "12 apples" },
  });
  await said.getByText("12 apples").waitFor();
  assertEquals(await order(said), "5רמע:12apples");
  await bob.do("publish", { channel, data: { text: "7 ok", reply: { seq } } });
  await page.locator(".quote .excerpt").waitFor();
  assertEquals(await order(page.locator(".quote")), "5רמע12apples");
  await bob.do("signal", { channel, data: { typing: true } });
  await page.locator(".typing", { hasText: "עמר" }).waitFor();
  assertEquals(await order(page.locator(".typing")), "5רמעistyping…");
  await page.locator(".message", { hasText: "12 apples" }).first().hover();
  await page.locator(".message", { hasText: "12 apples" }).first().locator(
    ".act-reply",
  ).click();
  assertEquals(
    await order(page.locator(".replying .what")),
    "Replyingto5רמע12apples",
  );
  const option = page.locator(`.composer option[value="${account}"]`);
  assertEquals(await option.textContent(), `\u2068עמר 5\u2069 · ${account}`);
  // Signs that end an isolate end only their own.
  await bob.do("publish", {
    channel,
    data: { text: "\u2069\u2069\u202eabc 1" },
  });
  await said.getByText("abc 1").waitFor();
  assertEquals(await order(said), "5רמע:1cba");
  await bob.do("publish", {
    channel: "push:all",
    data: { title: "\u2069\u202eabc", text: "x", priority: 5 },
  });
  await page.goto(`${server.url}/to_recmsg/`);
  await page.locator(".card .title").waitFor();
  assertEquals(await order(page.locator(".card .title")), "cbaUrgent");
});

Deno.test("M5: control characters are shown as \ufffd in every place, and end no line", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const text = "a\u0007b\u001b[31mc\u0085d";
  const shown = "a\ufffdb\ufffd[31mc\ufffdd";
  const channel = "room:lobby";
  const { seq } = await bob.do("publish", { channel, data: { text } });
  await bob.do("publish", { channel, data: { text, reply: { seq } } });
  await bob.do("publish", { channel: "push:all", data: { text } });
  const page = await open(browser, server, "/to_chat/");
  await page.locator(".quote .excerpt").waitFor();
  for (
    const place of [".message .text", ".quote .excerpt", ".talk .last .said"]
  ) {
    assertEquals(await page.locator(place).first().textContent(), shown, place);
  }
  await page.goto(`${server.url}/to_recmsg/`);
  assertEquals(await page.locator(".push .text").first().textContent(), shown);
});
