/** What people type, and what programs send in their place, is text to the end on every page (threats.md M7). */
import { assertEquals, assertGreater } from "@std/assert";
import type { Locator, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

// Each would call `ran`, or ask the server for /ran, if it were anything but text.
const INJECTIONS = [
  "<script>ran()</script>",
  "<img src=/ran onerror=ran()>",
  "<svg onload=ran()>",
  "<svg><script>ran()</script></svg>",
  "<body onload=ran()>",
  "<iframe src=javascript:ran()>",
  "<iframe srcdoc='<script>parent.ran()</script>'>",
  "<a href=javascript:ran()>x</a>",
  "javascript:ran()",
  "data:text/html,<script>ran()</script>",
  "vbscript:ran()",
  "<math><a xlink:href=javascript:ran()>x",
  "<details open ontoggle=ran()>",
  "<input autofocus onfocus=ran()>",
  "<video><source onerror=ran()>",
  "<object data=/ran>",
  "<embed src=/ran>",
  "<link rel=stylesheet href=/ran>",
  "<style>@import '/ran'</style>",
  "<div style='background:url(/ran)'>",
  "<meta http-equiv=refresh content='0;url=/ran'>",
  "<base href=/ran/>",
  "<form action=/ran><button autofocus>",
  "</textarea><script>ran()</script>",
  '"><script>ran()</script>',
  "'-ran()-'",
  "${ran()}",
  "{{constructor.constructor('ran()')()}}",
  "<!--><img src=/ran onerror=ran()>-->",
  "&lt;script&gt;ran()&lt;/script&gt;",
  "<noscript><p title='</noscript><img src=/ran onerror=ran()>'>",
  "\u202e<img src=/ran onerror=ran()>",
];

const PAGES = ["/", "/to_chat/", "/to_recmsg/", "/to_sendmsg/"];

/** Opens a page on which nothing may run but what is the page's own; what did is added to `ran`. */
async function watched(page: Page, server: TestServer, ran: string[]): Promise<void> {
  await page.exposeFunction("ran", () => ran.push("a call"));
  page.on("dialog", (dialog) => {
    ran.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (new URL(request.url()).pathname.startsWith("/ran")) ran.push(`a request: ${request.url()}`);
  });
  // What the policy had to stop got too far as well.
  page.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text())) {
      ran.push(message.text());
    }
  });
  page.on("framenavigated", (frame) => {
    if (!frame.url().startsWith(server.url) && frame.url() !== "about:blank") ran.push(frame.url());
  });
  await page.goto(server.url);
}

// Elements and attributes that none of our pages has by itself.
const foreign = () =>
  [...document.querySelectorAll("*")].filter((element) =>
    /^(?:iframe|object|embed|base|math|video|details|style)$/i.test(element.tagName) ||
    element.tagName === "SCRIPT" && !element.closest("head") ||
    [...element.attributes].some(({ name, value }) =>
        name.startsWith("on") ||
        /^(?:javascript|data|vbscript):/i.test(value.trim()) && name !== "content"
      ) && !element.matches("[value], input, textarea")
  ).map((element) => element.outerHTML.slice(0, 200));

// A field that closes when the server has answered may do so in between.
async function type(field: Locator, text: string, open: () => Promise<void>): Promise<void> {
  for (let tries = 1;; tries++) {
    await open();
    try {
      await field.fill(text, { timeout: 1000 });
      return await field.press("Enter", { timeout: 1000 });
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}

function labels(page: Page): Promise<string[]> {
  return page.getByRole("textbox").evaluateAll((fields) =>
    fields.map((field) =>
      field.getAttribute("aria-label") ??
        (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement
          ? field.labels?.[0]?.innerText ?? ""
          : "")
    )
  );
}

async function assertOnlyText(page: Page, server: TestServer, ran: readonly string[]) {
  for (const path of PAGES) {
    await page.goto(server.url + path);
    await page.locator("h1").first().waitFor();
    // Whatever was going to run has run once the page has had its data and drawn it twice.
    await page.waitForLoadState("networkidle");
    await page.evaluate(() =>
      new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
    );
    assertEquals(await page.evaluate(foreign), [], path);
    assertEquals(ran, [], path);
  }
}

/** Types every injection into every field of a page, and counts them for each. */
async function fillAll(
  page: Page,
  server: TestServer,
  path: string,
  tried: Record<string, number>,
): Promise<void> {
  await page.goto(server.url + path);
  await page.locator("h1").first().waitFor();
  // Some fields are behind a button, such as that for one's name.
  const name = page.getByRole("button", { name: /name/i }).first();
  const openName = async () => {
    if (await name.isVisible()) await name.click();
  };
  await openName();
  for (const label of await labels(page)) {
    for (const injection of INJECTIONS) {
      const field = page.getByRole("textbox", { name: label, exact: true });
      await type(field, injection, async () => {
        // One that closes when it is done opens again by its button.
        await field.or(name).first().waitFor();
        if (!await field.isVisible()) await openName();
      });
      tried[`${path} ${label}`] = (tried[`${path} ${label}`] ?? 0) + 1;
    }
  }
}

Deno.test("M7: thirty injections in every field of every page are shown as text, and none runs", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const context = await browser.newContext({ locale: "en-US" });
  context.setDefaultTimeout(30_000);
  const tried: Record<string, number> = {};
  const ran: string[] = [];
  const page = await context.newPage();
  await Promise.all(PAGES.map(async (path, i) => {
    const one = i === 0 ? page : await context.newPage();
    await watched(one, server, ran);
    await fillAll(one, server, path, tried);
  }));
  // The name and the message of the chat, the message of the sender.
  assertGreater(Object.keys(tried).length, 2);
  for (const [field, count] of Object.entries(tried)) assertEquals(count, INJECTIONS.length, field);
  await assertOnlyText(page, server, ran);
  await page.goto(`${server.url}/to_recmsg/`);
  await page.getByText("<script>ran()</script>", { exact: true }).first().waitFor();
});

Deno.test("M7: what programs publish in the place of texts, names, titles and links runs on no page", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("hello", {});
  for (const injection of INJECTIONS) {
    await client.ask("rename", { name: injection.slice(0, 40).trim() });
    const shapes: unknown[] = [
      injection,
      {
        text: injection,
        title: injection,
        tags: [injection],
        click: injection,
        priority: injection,
      },
      { text: { __html: injection }, dangerouslySetInnerHTML: { __html: injection } },
      {
        type: "script",
        props: { children: "ran()", dangerouslySetInnerHTML: { __html: injection } },
        key: null,
        ref: null,
        constructor: null,
        __v: 1,
      },
      {
        text: injection,
        click: "javascript:ran()",
        icon: "javascript:ran()",
        href: "javascript:ran()",
      },
      [injection, { __html: injection }],
    ];
    for (const channel of ["push:all", "room:lobby"]) {
      for (const data of shapes) await client.do("publish", { channel, data });
    }
  }
  await using browser = await launchBrowser();
  const context = await browser.newContext({ locale: "en-US" });
  const page = await context.newPage();
  const ran: string[] = [];
  await watched(page, server, ran);
  await assertOnlyText(page, server, ran);
  for (const path of ["/to_recmsg/", "/to_chat/"]) {
    await page.goto(server.url + path);
    await page.getByText("ran()").first().waitFor();
    // Whatever is a link leads to where links may.
    const links = await page.evaluate(() =>
      [...document.links].map(({ href }) => new URL(href).protocol)
    );
    assertEquals(links.filter((protocol) => !/^(?:https?|mailto):$/.test(protocol)), []);
    for (const link of await page.getByRole("link").all()) {
      await link.hover({ trial: true }).catch(() => {});
    }
  }
  assertEquals(ran, []);
});
