/** What a page costs and how it runs, measured in Chromium itself. */
import type { Browser, Page } from "playwright-core";
import { NativeClient, type TestServer } from "./server.ts";

/** What it takes to open a page. */
export interface Opening {
  /** Milliseconds to the first contentful paint. */
  readonly paint: number;
  /** Milliseconds until what one came for is drawn. */
  readonly drawn: number;
  /** Bytes over the wire until it was at rest, heads of answers included. */
  readonly bytes: number;
  readonly requests: number;
}

/** How many accounts share a flood, so that none is over its rate. */
const SPEAKERS = 20;

/**
 * Opens a page with empty caches.
 *
 * @param browser A browser.
 * @param url The page.
 * @param ready What shows that it is drawn.
 * @returns What it took.
 */
export async function openAnew(browser: Browser, url: string, ready: string): Promise<Opening> {
  const context = await browser.newContext({ locale: "en-US" });
  try {
    const page = await context.newPage();
    const cdp = await context.newCDPSession(page);
    let [bytes, requests] = [0, 0];
    cdp.on("Network.loadingFinished", ({ encodedDataLength }) => {
      bytes += encodedDataLength;
      requests += 1;
    });
    await cdp.send("Network.enable");
    await page.addInitScript((ready) => {
      const look = () => {
        if (document.querySelector(ready) === null) requestAnimationFrame(look);
        else Object.assign(globalThis, { drawn: performance.now() });
      };
      look();
    }, ready);
    await page.goto(url, { waitUntil: "load" });
    const drawn =
      await (await page.waitForFunction<number | undefined>("globalThis.drawn")).jsonValue() ??
        Infinity;
    await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length);
    const paint = await page.evaluate(() =>
      performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity
    );
    return { paint, drawn, bytes, requests };
  } finally {
    await context.close();
  }
}

/**
 * Counts the frames of a page.
 *
 * @param page The page.
 * @param seconds For how long.
 * @returns Frames a second, and the longest time between two, in milliseconds.
 */
export async function countFrames(
  page: Page,
  seconds: number,
): Promise<{ rate: number; longest: number }> {
  return await page.evaluate(
    (seconds) =>
      new Promise<{ rate: number; longest: number }>((resolve) => {
        const start = performance.now();
        let [frames, last, longest] = [0, start, 0];
        const frame = () => {
          const now = performance.now();
          frames += 1;
          longest = Math.max(longest, now - last);
          last = now;
          if (now - start < seconds * 1000) return requestAnimationFrame(frame);
          resolve({ rate: frames * 1000 / (now - start), longest });
        };
        requestAnimationFrame(frame);
      }),
    seconds,
  );
}

/**
 * Publishes evenly into a channel.
 *
 * @param server Where.
 * @param channel Which.
 * @param rate Messages a second.
 * @param seconds For how long.
 * @returns How many were published.
 */
export async function flood(
  server: Pick<TestServer, "host">,
  channel: string,
  rate: number,
  seconds: number,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const clients: NativeClient[] = [];
  for (let i = 0; i < SPEAKERS; i++) clients.push(stack.use(await NativeClient.open(server)));
  const start = performance.now();
  const answers: Promise<unknown>[] = [];
  const total = rate * seconds;
  while (answers.length < total) {
    const due = Math.min(total, Math.ceil((performance.now() - start) * rate / 1000));
    while (answers.length < due) {
      const n = answers.length + 1;
      const text = n % 4 === 0
        ? `flood ${n}: see https://example.org/${n} and tell @ada, please, what you think of it`
        : `flood ${n}: nothing to see here`;
      const client = clients[n % SPEAKERS];
      if (client !== undefined) answers.push(client.do("publish", { channel, data: { text } }));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(answers);
  return answers.length;
}
