import { type Browser, chromium } from "playwright-core";
import { findChromium } from "./chromium.ts";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts a headless Chromium with a new profile and with fonts for Chinese:
 * `await using browser = await launchBrowser()`.
 *
 * @returns The browser; it ends when it is disposed of.
 * @throws {Error} If there is none and none can be unpacked, or it doesn't start.
 */
export async function launchBrowser(): Promise<Browser> {
  const { executablePath, libraries } = await findChromium();
  const env: Record<string, string> = {
    ...Deno.env.toObject(),
    FONTCONFIG_FILE: new URL("fonts.conf", import.meta.url).pathname,
  };
  if (libraries) env.LD_LIBRARY_PATH = libraries;
  return await chromium.launch({ executablePath, args: FLAGS, env });
}
