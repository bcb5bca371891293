// @ts-check
/**
 * The service worker: keeps the shell of the pages, so that one can be opened without a network, and nothing else. What it
 * keeps is one set: the server says which files with which hashes belong together, and the set is kept whole or not at all.
 * Another set is another text of this file, which is how browsers learn of it.
 */

/** URL → integrity. Filled in by the server (lib/site/app_shell.ts). @type {Record<string, string>} */
const SHELL = {};
/** Names the set; pages carry it in a header. */
const VERSION = "";

const CACHE = `fanfare-shell-${VERSION}`;
/** How long the network may take before the kept page is shown, in milliseconds. */
const PATIENCE = 3000;
const MOST_PAGES = 100;
/** How many files are asked for at a time: the page that is open comes first. */
const AT_ONCE = 4;
/** Files of pages: an older page may load one that this set doesn't have. */
const ASSET = /^\/(?:static|lib)\/.*[^/]$/;
/** Where a set has a note of each page that was opened from it: the next worker may be asked for the rest of such a page. */
const NOTES = "/opened/";

/**
 * @typedef {Event & {waitUntil: (work: Promise<unknown>) => void}} LifeEvent
 * @typedef {LifeEvent & {request: Request, clientId: string, resultingClientId: string, respondWith: (response: Promise<Response>) => void}} FetchEvent
 * @typedef {LifeEvent & {notification: {data: unknown, close: () => void}}} ClickEvent
 * @typedef {{url: string, postMessage: (message: unknown) => void, focus: () => Promise<unknown>}} Page
 * @typedef {{matchAll: (which: object) => Promise<Page[]>, get: (id: string) => Promise<unknown>, openWindow: (url: string) => Promise<unknown>}} Pages
 * @typedef {{addEventListener: (type: string, listener: (event: any) => void) => void, skipWaiting: () => Promise<void>, clients: Pages,
 *   registration: {installing: unknown, waiting: unknown}}} Worker
 */
const worker = /** @type {Worker} */ (/** @type {unknown} */ (globalThis));

/** Of which version a page is that was opened; the kept one where it came from here. @type {Map<string, {kept: boolean, version: string | null}>} */
const opened = new Map();

worker.addEventListener("install", (/** @type {LifeEvent} */ event) => {
  event.waitUntil(fill().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (/** @type {LifeEvent} */ event) => {
  event.waitUntil(dropOthers());
});

worker.addEventListener("fetch", (/** @type {FetchEvent} */ event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") {
    const page = pathname.endsWith("/") ? pathname : `${pathname}/`;
    if (Object.hasOwn(SHELL, page)) event.respondWith(openPage(event, page));
  } else if (search === "" && ASSET.test(pathname)) {
    event.respondWith(load(event, pathname));
  }
});

// Of a notification that a page had shown: back to that page, or to a new one where it is gone.
worker.addEventListener("notificationclick", (/** @type {ClickEvent} */ event) => {
  const { data, close } = event.notification;
  close.call(event.notification);
  const { path, hash } = Object(data);
  if (typeof path === "string" && typeof hash === "string") event.waitUntil(show(path, hash));
});

/** @param {string} path A page. @param {string} hash What it is to show. */
async function show(path, hash) {
  const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = windows.find(({ url }) => new URL(url).pathname.replace(/\/?$/, "/") === path);
  if (page === undefined) return void await worker.clients.openWindow(path + hash);
  page.postMessage({ hash });
  await page.focus();
}

async function fill() {
  const wanted = Object.entries(SHELL).values();
  /** @type {[string, Response][]} */
  const files = [];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    // Each takes the next one from the same list.
    for (const [url, integrity] of wanted) files.push([url, await get(url, integrity)]);
  }));
  const cache = await caches.open(CACHE);
  await Promise.all(files.map(([url, response]) => cache.put(url, response)));
}

/** @param {string} url A file of the shell. @param {string} integrity Its hash. @returns {Promise<Response>} The file. */
async function get(url, integrity) {
  const options = /** @type {const} */ ({ integrity, priority: "low" });
  // What the page has loaded just now isn't asked for again, as long as it is the right one.
  const response = await fetch(url, { ...options, cache: "force-cache" })
    // A server that is being replaced may give files of both: those don't fit, and there is a next time.
    .catch(() => fetch(url, { ...options, cache: "reload" }));
  if (!response.ok || response.redirected) throw new TypeError(`Cannot keep "${url}"`);
  return response;
}

async function dropOthers() {
  // What another worker keeps just now is no old set: that one drops the others once it takes over.
  const { installing, waiting } = worker.registration;
  if (installing || waiting) return;
  const others = (await sets()).filter((name) => name !== CACHE);
  await Promise.all(others.map(async (name) => {
    const pages = await noted(await caches.open(name));
    if (pages.every(({ stands }) => !stands)) await caches.delete(name);
  }));
}

/** @returns {Promise<string[]>} The names of all sets that are kept. */
async function sets() {
  return (await caches.keys()).filter((name) => name.startsWith("fanfare-shell-"));
}

/** @param {Cache} set A set. @returns {Promise<{note: Request, stands: boolean}[]>} Which pages were opened from it, and whether they still stand. */
async function noted(set) {
  const notes = (await set.keys()).filter(({ url }) => new URL(url).pathname.startsWith(NOTES));
  return await Promise.all(notes.map(async (note) => {
    const id = new URL(note.url).pathname.slice(NOTES.length);
    return { note, stands: await worker.clients.get(id) !== undefined };
  }));
}

/** @param {string} id Of a page that was opened from the set. */
async function note(id) {
  await (await caches.open(CACHE)).put(NOTES + id, new Response());
}

/** @param {string} id Of the page that is opening: notes of others that are gone go. */
async function forgetOthers(id) {
  const set = await caches.open(CACHE);
  const gone = (await noted(set)).filter(({ note, stands }) =>
    !stands && !note.url.endsWith(NOTES + id)
  );
  await Promise.all(gone.map(({ note }) => set.delete(note)));
}

/** @param {string} id Of a page that this worker didn't open. @returns {Promise<Cache | undefined>} The set that it was opened from. */
async function setOf(id) {
  for (const name of await sets()) {
    const set = await caches.open(name);
    if (await set.match(NOTES + id) !== undefined) return set;
  }
  return undefined;
}

/** @param {FetchEvent} event A navigation. @param {string} page The page's URL here. @returns {Promise<Response>} The page. */
async function openPage(event, page) {
  const { response, kept } = await networkFirst(event.request, page);
  const version = kept ? VERSION : response.headers.get("fanfare-shell");
  opened.set(event.resultingClientId, { kept, version });
  if (opened.size > MOST_PAGES) opened.delete([...opened.keys()][0] ?? "");
  if (kept) {
    // Whether another page stands may be known late: nobody waits for that.
    event.waitUntil(forgetOthers(event.resultingClientId));
    // Where there is no room for a note the page opens all the same.
    await note(event.resultingClientId).catch(() => {});
  } else if (version === VERSION) event.waitUntil(dropOthers());
  return response;
}

// A page and what it loads are of one version: a kept page gets what was kept with it, and one of another version never.
/** @param {FetchEvent} event For a file. @param {string} path Its URL here. @returns {Promise<Response>} The file. */
async function load({ request, clientId }, path) {
  const page = opened.get(clientId);
  if (page?.kept) return await find(path) ?? fetch(request);
  if (page !== undefined && page.version !== VERSION) return fetch(request);
  // Where what is kept can't be read there is still the server.
  const set = page === undefined ? await setOf(clientId).catch(() => undefined) : undefined;
  if (set !== undefined) return await set.match(path, { ignoreVary: true }) ?? fetch(request);
  return (await networkFirst(request, path)).response;
}

/**
 * @param {Request} request What is asked for.
 * @param {string} url Its URL here.
 * @returns {Promise<{response: Response, kept: boolean}>} The server's answer, or what is kept where it gives none in time.
 */
async function networkFirst(request, url) {
  const network = fetch(request);
  // Where it isn't awaited any more, its failure is nobody's.
  network.catch(() => {});
  try {
    const response = await soon(network);
    if (![502, 503, 504].includes(response.status)) return { response, kept: false };
    // The server is away, and somebody before it says so.
    const found = await find(url);
    return { response: found ?? response, kept: found !== undefined };
  } catch {
    const found = await find(url);
    return { response: found ?? await network, kept: found !== undefined };
  }
}

/** @param {Promise<Response>} network A response under way. @returns {Promise<Response>} The response, or a rejection after {@linkcode PATIENCE}. */
async function soon(network) {
  /** @type {Promise<never>} */
  const late = new Promise((_, reject) => {
    const signal = AbortSignal.timeout(PATIENCE);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return await Promise.race([network, late]);
}

/** @param {string} url A URL of the shell. @returns {Promise<Response | undefined>} What is kept; nothing where that can't be read: there is still the server. */
async function find(url) {
  return await caches.open(CACHE).then((set) => set.match(url, { ignoreVary: true }))
    .catch(() => undefined);
}
