/** Midnight on pages that are left open, in real Chromium with a clock that is set: nothing else happens there. */
import { assertEquals } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer, type TestServer } from "../helpers/server.ts";

/** Opens a page ten seconds before the midnight after a message. */
async function beforeMidnight(
  browser: Browser,
  server: TestServer,
  { path, time }: { path: string; time: unknown },
): Promise<Page> {
  const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC" });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const midnight = new Date(Number(time)).setUTCHours(24, 0, 0, 0);
  await page.clock.install({ time: midnight - 10_000 });
  await page.goto(server.url + path);
  return page;
}

Deno.test("right after midnight the chat's days and times are of yesterday, without an event", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const { time } = await bob.do("publish", { channel: "room:lobby", data: { text: "late" } });
  const page = await beforeMidnight(browser, server, { path: "/to_chat/", time });
  await page.locator(".day", { hasText: "Today" }).waitFor();
  const last = page.locator(".talk time");
  assertEquals(/^\d\d:\d\d [AP]M$/.test(await last.innerText()), true);
  await page.clock.runFor(10_100);
  await page.locator(".day", { hasText: "Yesterday" }).waitFor();
  const weekday = new Intl.DateTimeFormat("en", { weekday: "short", timeZone: "UTC" });
  assertEquals(await last.innerText(), weekday.format(Number(time)));
  // The machine sleeps for a day, and wakes up with the page in front.
  await page.clock.fastForward(24 * 3_600_000);
  const day = new Intl.DateTimeFormat("en", {
    ...{ weekday: "long", month: "long", day: "numeric", timeZone: "UTC" },
  });
  await page.locator(".day", { hasText: day.format(Number(time)) }).waitFor();
});

Deno.test("right after midnight the receiver's cards say of which day they are, and so does what stands above them", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  await using bob = await NativeClient.open(server);
  const { time } = await bob.do("publish", { channel: "push:all", data: { text: "late" } });
  const page = await beforeMidnight(browser, server, { path: "/to_recmsg/", time });
  const card = page.locator(".card time");
  await card.waitFor();
  const before = await card.innerText();
  assertEquals(await page.locator(".day").count(), 0);
  await page.clock.runFor(10_100);
  await page.locator(".day", { hasText: "Yesterday" }).waitFor();
  const date = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
  assertEquals(await card.innerText(), `${date.format(Number(time))}, ${before}`);
});
