/** A window of any browser that can be driven: what Firefox and WebKit have in common. */

/** What a browser has to be able to do; {@linkcode Window} is made of it. */
export interface Driven {
  /** Opens an address and waits until it is loaded. */
  go(url: string): Promise<void>;
  /** Runs the source of a function in the page; its answer, or what its promise comes to, is a JSON text. */
  call(source: string): Promise<string>;
  /** Presses keys one after the other, as WebDriver names them. */
  press(keys: readonly string[]): Promise<void>;
  /** Closes it. */
  end(): Promise<void>;
}

/** Names of keys that are no letters. */
export const KEYS = { tab: "\uE004", enter: "\uE007", up: "\uE013" };

const PATIENCE = 15_000;
const AGAIN_AFTER = 50;

/** A window with a profile of its own: somebody who looks at a page. */
export class Window implements AsyncDisposable {
  readonly #driven: Driven;

  /** @param driven The browser's own. */
  constructor(driven: Driven) {
    this.#driven = driven;
  }

  /** @param url What is opened. */
  async go(url: string): Promise<void> {
    await this.#driven.go(url);
  }

  /**
   * Runs a function in the page. It knows nothing of what is around it here.
   *
   * @param run The function.
   * @param given What it is called with: JSON values.
   * @returns What it returns, as JSON.
   */
  async run<A extends unknown[], T>(run: (...given: A) => T, ...given: A): Promise<Awaited<T>> {
    const values = JSON.stringify(given).slice(1, -1);
    const text = await this.#driven.call(
      `async () => JSON.stringify((await (${run})(${values})) ?? null)`,
    );
    return JSON.parse(text);
  }

  /**
   * Waits until something is so in the page.
   *
   * @param isSo Tells whether it is.
   * @param given What it is called with.
   * @throws {Error} If it isn't in time.
   */
  async until<A extends unknown[]>(isSo: (...given: A) => boolean, ...given: A): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (!await this.run(isSo, ...given)) {
      if (Date.now() > deadline) throw new Error(`Not so in ${PATIENCE} ms: ${isSo}`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER));
    }
  }

  /**
   * Types, with the keyboard.
   *
   * @param selector Where; an empty one is where the focus is.
   * @param keys Letters, and what is in {@linkcode KEYS}.
   */
  async type(selector: string, keys: string): Promise<void> {
    if (selector !== "") {
      await this.until((selector) => document.querySelector(selector) !== null, selector);
      await this.run((selector) => {
        const box = document.querySelector(selector);
        if (box instanceof HTMLElement) box.focus();
      }, selector);
    }
    await this.#driven.press([...keys]);
  }

  /**
   * Clicks what is there and has a text in it.
   *
   * @param selector Which.
   * @param text What it says.
   */
  async click(selector: string, text = ""): Promise<void> {
    const clicked = (selector: string, text: string) => {
      const all = [...document.querySelectorAll(selector)];
      const one = all.find(({ textContent }) => textContent?.includes(text));
      if (one instanceof HTMLElement) one.click();
      return one !== undefined;
    };
    await this.until(clicked, selector, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driven.end();
  }
}
