/**
 * How the chat page opens and runs in Chromium: `deno run -A tests/programs/bench/page.ts [--messages 10000] [--seconds 10]`. Bytes and
 * first paint from empty caches; frames under a flood, with little loaded and with ten thousand messages; what a key takes
 * then; and the frames of the page that receives pushes, with as many as it keeps.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { launchBrowser } from "../../helpers/browser.ts";
import { countFrames, flood, openAnew } from "../../helpers/page_figures.ts";
import { NativeClient, startServer } from "../../helpers/server.ts";
import { percentile, table } from "../../helpers/load/figures.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "10000" },
    seconds: { type: "string", default: "10" },
  },
});
const MESSAGES = Number(values.messages);
const SECONDS = Number(values.seconds);
const OPENINGS = 7;
const RATE = 200;
const LOBBY = "room:lobby";
const PUSHES = "push:all";
/** As many as the page keeps. */
const PUSHED = 1000;
/** What a client may leave unanswered. */
const PENDING = 200;

const rows: (readonly (string | number)[])[] = [];
await using server = await startServer();
await using browser = await launchBrowser();

for (const [path, ready] of [["/to_chat/", ".composer"], ["/to_recmsg/", "h1"]] as const) {
  const all = [];
  for (let i = 0; i < OPENINGS; i++) all.push(await openAnew(browser, server.url + path, ready));
  const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b);
  const paints = sorted(all.map(({ paint }) => paint));
  const drawn = sorted(all.map(({ drawn }) => drawn));
  rows.push([`${path} can be used, median`, `${percentile(drawn, 0.5).toFixed(0)} ms`]);
  const [first] = all;
  rows.push([`${path} from empty caches`, `${first?.bytes} B in ${first?.requests} requests`]);
  rows.push([
    `${path} first paint, median (all)`,
    `${percentile(paints, 0.5).toFixed(0)} ms (${paints.map((ms) => ms.toFixed(0)).join(" ")})`,
  ]);
}

const page = await (await browser.newContext({ locale: "en-US" })).newPage();
await page.goto(`${server.url}/to_chat/`);
await page.locator(".me .name").waitFor();
rows.push(["frames at rest", await frames(page)]);
rows.push([`frames at ${RATE} messages/s`, await frames(page, LOBBY)]);
await lay(LOBBY, MESSAGES);
const loading = performance.now();
await loadAll(page);
rows.push([
  `${MESSAGES} older messages, scrolled through`,
  `${((performance.now() - loading) / 1000).toFixed(1)} s, ${await page.locator("article")
    .count()} rows drawn`,
]);
rows.push([`frames while scrolling through them`, await scrolling(page)]);
await page.locator(".to-end").click();
rows.push([`a key, drawn (${MESSAGES} loaded)`, await typing(page)]);
rows.push([`frames at ${RATE} messages/s, ${MESSAGES} loaded`, await frames(page, LOBBY)]);
await page.goto(`${server.url}/to_recmsg/`);
await page.locator(".empty").waitFor();
await lay(PUSHES, PUSHED);
await page.locator(".push .text", { hasText: `message ${PUSHED - 1}` }).waitFor();
rows.push([`/to_recmsg/ frames at ${RATE} pushes/s, ${PUSHED} there`, await frames(page, PUSHES)]);
await scrollAll(page);
rows.push([
  `the same, ${await page.locator(".push").count()} scrolled through`,
  await frames(page, PUSHES),
]);
console.log(table([["what", "figure"], ...rows]));
await browser.close();

async function frames(page: Page, flooded?: string): Promise<string> {
  const [{ rate, longest }] = await Promise.all([
    countFrames(page, SECONDS),
    flooded && flood(server, flooded, RATE, SECONDS),
  ]);
  return `${rate.toFixed(1)}/s, longest ${longest.toFixed(0)} ms`;
}

async function lay(channel: string, count: number): Promise<void> {
  await using client = await NativeClient.open(server);
  for (let i = 0; i < count; i += PENDING) {
    const batch = Array.from(
      { length: Math.min(PENDING, count - i) },
      (_, k) => client.do("publish", { channel, data: { text: `message ${i + k}` } }),
    );
    await Promise.all(batch);
  }
}

async function loadAll(page: Page): Promise<void> {
  await page.reload();
  await page.locator("article").nth(40).waitFor();
  await page.evaluate(async () => {
    const start = () =>
      document.querySelector(".timeline .start")?.textContent?.includes("beginning");
    while (!start()) {
      const box = document.querySelector(".timeline");
      if (box !== null) box.scrollTop = 0;
      await new Promise(requestAnimationFrame);
    }
  });
}

/** To the end of all pushes, as somebody who reads them all. */
async function scrollAll(page: Page): Promise<void> {
  await page.evaluate(async (all) => {
    while (document.querySelectorAll(".push").length < all) {
      scrollTo(0, document.documentElement.scrollHeight);
      await new Promise(requestAnimationFrame);
    }
  }, PUSHED);
}

async function scrolling(page: Page): Promise<string> {
  const scroll = page.evaluate(async (seconds) => {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      document.querySelector(".timeline")?.scrollBy(0, 90);
      await new Promise(requestAnimationFrame);
    }
  }, SECONDS);
  const [{ rate, longest }] = await Promise.all([countFrames(page, SECONDS), scroll]);
  return `${rate.toFixed(1)}/s, longest ${longest.toFixed(0)} ms`;
}

async function typing(page: Page): Promise<string> {
  await page.locator(".composer textarea").focus();
  const times: number[] = [];
  for (const key of "the quick brown fox jumps over the lazy dog") {
    const drawn = page.evaluate(() =>
      new Promise<number>((resolve) =>
        document.addEventListener("keydown", ({ timeStamp }) => {
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - timeStamp)));
        }, { once: true })
      )
    );
    await page.evaluate(() => {});
    await page.keyboard.press(key === " " ? "Space" : key);
    times.push(await drawn);
  }
  times.sort((a, b) => a - b);
  return `median ${percentile(times, 0.5).toFixed(1)} ms, p95 ${
    percentile(times, 0.95).toFixed(1)
  } ms`;
}
