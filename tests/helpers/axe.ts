import axe, { type Result } from "axe-core";
import type { Page } from "playwright-core";

/** Windows in which a page is looked at: every pair of a language, a colour scheme and a width is among them. */
export const VIEWS = [
  { locale: "en-US", dark: false, width: 320 },
  { locale: "en-US", dark: true, width: 1280 },
  { locale: "zh-CN", dark: true, width: 320 },
  { locale: "zh-CN", dark: false, width: 1280 },
];

/**
 * Looks for what shuts people out of a page: runs axe in it, under whatever policy it has.
 *
 * @param page A page that is loaded; its animations are waited for.
 * @param selector The part of it to look at, the whole page if it is left out.
 * @returns One line for each element that breaks a rule; empty if all is well.
 */
export async function findBarriers(page: Page, selector?: string): Promise<string[]> {
  if (!await page.evaluate<boolean>(`"axe" in globalThis`)) await page.evaluate(axe.source);
  // What is half faded in has no contrast yet.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})))
      .then(() => {})
  );
  const context = selector === undefined ? "document" : JSON.stringify(selector);
  const results = await page.evaluate<Result[]>(
    `axe.run(${context}, { resultTypes: ["violations"] }).then(({ violations }) => violations)`,
  );
  return results.flatMap(({ id, impact, help, nodes }) =>
    nodes.map(({ target, html }) => `${impact} ${id}: ${help}, at ${target.join(" ")}: ${html}`)
  );
}
