/** The shell of the pages: which files a browser keeps so that they open without a network, and the worker that keeps them. */

/** What a browser keeps. */
export interface Shell {
  /** Names the set: another one has another version. */
  readonly version: string;
  /** The service worker, which knows each file and its hash. */
  readonly worker: string;
}

const PLACES = { shell: /^const SHELL = \{\};$/m, version: /^const VERSION = "";$/m };

/**
 * Follows pages to all that they load, and fills the service worker in.
 *
 * @param worker The worker's text, with places for the set and its version.
 * @param pages The pages: URL → HTML.
 * @param names What may be imported by name: name → URL.
 * @param read Reads what is served at a URL; undefined where there is nothing.
 * @returns The shell.
 * @throws {Error} If the worker has no places, or a page loads what isn't there.
 */
export async function makeShell(
  worker: string,
  pages: Readonly<Record<string, string>>,
  names: Readonly<Record<string, string>>,
  read: (url: string) => Promise<string | undefined>,
): Promise<Shell> {
  const files = await follow(pages, names, read);
  const hashed = await Promise.all(
    [...files].sort(([a], [b]) => a < b ? -1 : 1).map(async ([url, text]) =>
      [url, `sha256-${await digest(text)}`] as const
    ),
  );
  const set = JSON.stringify(Object.fromEntries(hashed), null, 2);
  const version = (await digest(set)).replace(/[^A-Za-z0-9]/g, "").slice(0, 16);
  if (!PLACES.shell.test(worker) || !PLACES.version.test(worker)) {
    throw new Error("Cannot make the service worker: it has no places for the shell");
  }
  return {
    version,
    worker: worker.replace(PLACES.shell, () => `const SHELL = ${set};`)
      .replace(PLACES.version, () => `const VERSION = "${version}";`),
  };
}

/**
 * Follows one page to the modules that it loads, so that it can name them all and none waits for another.
 *
 * @param html The page.
 * @param names What may be imported by name: name → URL.
 * @param read Reads what is served at a URL; undefined where there is nothing.
 * @returns Their URLs, those first that the page itself asks for.
 * @throws {Error} If one isn't there.
 */
export async function modulesOf(
  html: string,
  names: Readonly<Record<string, string>>,
  read: (url: string) => Promise<string | undefined>,
): Promise<string[]> {
  return [...(await follow({ "/": html }, names, read)).keys()].filter((url) =>
    url.endsWith(".js")
  );
}

async function follow(
  pages: Readonly<Record<string, string>>,
  names: Readonly<Record<string, string>>,
  read: (url: string) => Promise<string | undefined>,
): Promise<Map<string, string>> {
  const files = new Map(Object.entries(pages));
  for (const [url, text] of files) {
    for (
      const name of url.endsWith("/") ? linked(text) : url.endsWith(".js") ? imported(text) : []
    ) {
      const target = /^[./]/.test(name)
        ? new URL(name, `http://shell${url}`).pathname
        : names[name];
      if (target === undefined || files.has(target)) continue;
      const found = await read(target);
      if (found === undefined) throw new Error(`Cannot find "${target}", which "${url}" loads`);
      // A map takes what is added while it is gone through.
      files.set(target, found);
    }
  }
  return files;
}

function linked(html: string): string[] {
  return [...html.matchAll(/\b(?:src|href)="(\/[^"]+\.\w+)"/g)].map(([, url = ""]) => url);
}

// As our own modules are written and as minifiers write them; a name in a comment begins with a star or a blank.
function imported(js: string): string[] {
  const statements = /(?:^|;)(?:import|export)\b(?:[^"'();]*?\bfrom)?\s*["']([^"']+)["']/gm;
  return [...js.matchAll(statements)].map(([, name = ""]) => name);
}

async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toBase64();
}
