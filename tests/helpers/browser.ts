import { type Browser, chromium } from "playwright-core";
import { findChromium } from "./chromium.ts";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  // Drawn without OpenGL in software and without a process for it: a sixth less processor time.
  "--disable-software-rasterizer",
  "--in-process-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let running: Promise<Browser> | undefined;

Deno.test.afterAll(async () => {
  await (await running)?.close();
  running = undefined;
});

/**
 * Gives a test a headless Chromium with fonts for Chinese: `await using browser = await launchBrowser()`. The tests of a file share
 * one process; a test's contexts are closed when it is disposed of, so each test has profiles of its own.
 *
 * @returns The browser.
 * @throws {Error} If there is none and none can be unpacked, or it doesn't start.
 */
export async function launchBrowser(): Promise<Browser> {
  // One that crashed serves no other test.
  if ((await running)?.isConnected() !== true) running = start();
  const browser = await (running ??= start());
  const closeContexts = async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
  };
  Object.defineProperty(browser, Symbol.asyncDispose, { value: closeContexts, configurable: true });
  return browser;
}

async function start(): Promise<Browser> {
  const { executablePath, libraries } = await findChromium();
  const env: Record<string, string> = {
    ...Deno.env.toObject(),
    FONTCONFIG_FILE: new URL("fonts.conf", import.meta.url).pathname,
  };
  if (libraries) env.LD_LIBRARY_PATH = libraries;
  return await chromium.launch({ executablePath, args: FLAGS, env });
}
