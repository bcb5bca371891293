/** The service worker over updates: what is kept is one set, and pages are never put together from two. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { makeShell } from "../../lib/site/app_shell.ts";
import { launchBrowser } from "../helpers/browser.ts";

const WORKER = await Deno.readTextFile(
  new URL("../../static/ui/service_worker.js", import.meta.url),
);

/** A site of a page and a script, which is replaced as a server is that is updated. */
class Site implements AsyncDisposable {
  /** What it serves now. */
  readonly files = new Map<string, string>();
  version = "";
  /** How long the answers of a path take. */
  readonly delays = new Map<string, number>();
  /** With which status. */
  readonly statuses = new Map<string, number>();
  /** What was asked for, in order. */
  readonly asked: string[] = [];
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  #slow: Promise<void> = Promise.resolve();

  /** Once the last slow answer was given. */
  quiet(): Promise<void> {
    return this.#slow;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** @param name What page and script say. @param worker Whether browsers are told of it. @param more What its worker does besides. @param path The script's. */
  async deploy(name: string, worker = true, more = "", path = "/static/a.js"): Promise<void> {
    const script = `document.getElementById("script").textContent = "${name}";`;
    const html =
      `<!doctype html><title>${name}</title><p id="page">${name}</p><p id="script"></p><script type="module" src="${path}"></script>`;
    const read = () => Promise.resolve(script);
    const shell = await makeShell(WORKER + more, { "/": html }, {}, read);
    this.files.set("/", html).set(path, script);
    this.version = shell.version;
    if (worker) this.files.set("/sw.js", shell.worker);
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    this.asked.push(path);
    const body = this.files.get(path);
    if (body === undefined) return new Response(null, { status: 404 });
    const delay = this.delays.get(path) ?? 0;
    if (delay > 0) await (this.#slow = new Promise((resolve) => setTimeout(resolve, delay)));
    const headers = {
      "content-type": path.endsWith(".js") ? "text/javascript" : "text/html",
      "cache-control": "no-cache",
      "fanfare-shell": this.version,
    };
    return new Response(body, { status: this.statuses.get(path) ?? 200, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** What page and script say. */
async function shown(page: Page): Promise<string> {
  await page.locator("#page").waitFor();
  await page.waitForFunction(() => document.getElementById("script")?.textContent !== "");
  return (await page.locator("p").allInnerTexts()).join(" ");
}

/** Has the page kept. */
const register = (page: Page) =>
  page.evaluate(() =>
    navigator.serviceWorker.register("/sw.js").then(() => navigator.serviceWorker.ready)
      .then(() => true)
  );

/** Has the next worker take over. */
const update = (page: Page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration?.update();
    const taken = () => registration?.installing === null && registration.waiting === null;
    while (!taken() || registration?.active?.state !== "activated") {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

const kept = (page: Page) => page.evaluate(() => caches.keys());

Deno.test("a new version is taken at the next load, kept as a whole, and the old one is dropped", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await site.deploy("one");
  await page.goto(site.url);
  await register(page);
  assertEquals(await kept(page), [`fanfare-shell-${site.version}`]);
  await page.context().setOffline(true);
  await page.reload();
  assertEquals(await shown(page), "one one");
  await page.context().setOffline(false);

  // Half of an update: the worker says what the files are not yet. It isn't kept, the old set is.
  await site.deploy("two");
  const script = site.files.get("/static/a.js") ?? "";
  site.files.set("/static/a.js", "// not this one");
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration?.update();
    const worker = registration?.installing;
    while (worker && !["redundant", "activated"].includes(worker.state)) {
      await new Promise((resolve) => worker.addEventListener("statechange", resolve));
    }
  });
  await page.context().setOffline(true);
  await page.reload();
  assertEquals(await shown(page), "one one");
  await page.context().setOffline(false);

  // A slow page is the kept one, and so is all that it loads, though the new script is there at once.
  site.files.set("/static/a.js", script);
  site.delays.set("/", 5000);
  await page.reload();
  assertEquals(await shown(page), "one one");
  site.delays.clear();
  // A browser asks for a URL once at a time.
  await site.quiet();

  // Whatever takes over meanwhile, that page is given the rest of what was kept with it.
  await update(page);
  const rest = await page.evaluate(() => fetch("/static/a.js").then((file) => file.text()));
  assertMatch(rest, /"one"/);

  await page.reload();
  assertEquals(await shown(page), "two two");
  await page.reload();
  await page.waitForFunction(
    (name) => caches.keys().then((names) => names.length === 1 && names[0] === name),
    `fanfare-shell-${site.version}`,
  );
  await page.context().setOffline(true);
  await page.reload();
  assertEquals(await shown(page), "two two");
});

Deno.test("a kept page is given the rest of its files when an update has moved them", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  await site.deploy("one");
  await page.goto(site.url);
  await register(page);
  await page.context().setOffline(true);
  await page.reload();
  await page.context().setOffline(false);
  site.files.clear();
  await site.deploy("two", true, "", "/static/pages/a.js");
  await update(page);
  const rest = await page.evaluate(() => fetch("/static/a.js").then((file) => file.text()));
  assertMatch(rest, /"one"/);
  await page.reload();
  assertEquals(await shown(page), "two two");
});

Deno.test("what a page has loaded isn't asked for again to be kept, unless it is another by now", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const keep = async (page: Page) => {
    await register(page);
    await page.context().setOffline(true);
    await page.reload();
    await page.context().setOffline(false);
    return await shown(page);
  };
  await site.deploy("one");
  const page = await browser.newPage();
  await page.goto(site.url);
  assertEquals(await keep(page), "one one");
  const files = site.asked.filter((path) => path === "/" || path.startsWith("/static/"));
  assertEquals(files.sort(), ["/", "/static/a.js"]);
  const late = await (await browser.newContext()).newPage();
  await late.goto(site.url);
  await site.deploy("two");
  assertEquals(await keep(late), "two two");
});

Deno.test("a page of a version that isn't kept gets no file that is", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await site.deploy("one");
  await page.goto(site.url);
  await register(page);
  await site.deploy("two", false);
  site.statuses.set("/static/a.js", 503);
  await page.reload();
  assertEquals(await page.locator("p").allInnerTexts(), ["two", ""]);
  site.statuses.set("/", 503);
  await page.reload();
  assertEquals(await shown(page), "one one", "a server that is away leaves what is kept");
});

Deno.test("what is kept and can't be read keeps nobody from what the server has", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await site.deploy("one");
  await page.goto(site.url);
  await register(page);
  await page.reload();
  // A disk that fails: the page was opened by another worker, and this one has to ask for the set.
  const fail = "caches.keys = caches.open = () => Promise.reject(new Error('No disk'));";
  await site.deploy("two", true, `addEventListener("activate", () => { ${fail} });`);
  await update(page);
  const asked = () =>
    page.evaluate(() => fetch("/static/a.js").then((file) => file.text(), () => "no answer"));
  assertMatch(await asked(), /"two"/);
  await page.reload();
  assertEquals(await shown(page), "two two");
  // Late, and the only answer that there is.
  site.delays.set("/static/a.js", 4000);
  assertMatch(await asked(), /"two"/);
});

Deno.test("a worker that still serves doesn't drop what the next one keeps", async () => {
  await using site = new Site();
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await site.deploy("one");
  const first = new Map(site.files);
  const { version } = site;
  await page.goto(site.url);
  await register(page);
  await page.reload();
  // One of two servers is another already: its worker has all that it keeps, and a page of the first is opened meanwhile.
  await site.deploy(
    "two",
    true,
    `
    addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then(() => new Promise((go) => {
      new BroadcastChannel("go").onmessage = go;
    }))));
  `,
  );
  const next = `fanfare-shell-${site.version}`;
  await page.evaluate(() =>
    navigator.serviceWorker.getRegistration().then((registration) => registration?.update())
  );
  await page.waitForFunction((name) => caches.has(name), next);
  for (const [path, text] of first) if (path !== "/sw.js") site.files.set(path, text);
  site.version = version;
  await page.reload();
  assertEquals(await shown(page), "one one");
  await page.reload();
  assertEquals(await shown(page), "one one");
  assertEquals((await kept(page)).includes(next), true);
  await page.evaluate(() => new BroadcastChannel("go").postMessage("go"));
});
