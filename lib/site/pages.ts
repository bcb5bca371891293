/** Pages and their assets: our own, the libraries out of the npm cache, and a folder of the user's. */
import { serveFile } from "@std/http/file-server";
import { dirname, join } from "node:path";
import { fileURLToPath as fromFileUrl } from "node:url";
import { TextCache } from "../web/text_cache.ts";
import { withPlainTags } from "../web/text_responses.ts";
import { fileOf, PAGES, servedText, staticFile, WORKER } from "./addresses.ts";
import { makeShell, modulesOf, type Shell } from "./app_shell.ts";

// What browsers import by name.
const LIBRARIES = ["preact", "preact/hooks", "@preact/signals", "@preact/signals-core", "htm"];

// The worker fetches the shell and nothing else.
const WORKER_POLICY = "default-src 'none'; connect-src 'self'";

const PLACE = /<script type="importmap">\s*\{\}\s*<\/script>/;

// What our pages need of a device: nothing but telling people something.
const PERMISSIONS = [
  "camera",
  "display-capture",
  "geolocation",
  "hid",
  "microphone",
  "midi",
  "payment",
  "serial",
  "usb",
].map((name) => `${name}=()`).join(", ");

/** Serves pages and assets. */
export class Pages {
  readonly #libraries = new Map<string, string>();
  readonly #heads: ReadonlyMap<string, string>;
  readonly #shell: Shell;
  readonly #policy: string;
  readonly #own: string | undefined;
  readonly #texts = new TextCache();

  private constructor(
    libraries: Map<string, string>,
    heads: ReadonlyMap<string, string>,
    hash: string,
    shell: Shell,
    own?: string,
  ) {
    this.#libraries = libraries;
    this.#heads = heads;
    this.#shell = shell;
    this.#own = own;
    this.#policy = [
      "default-src 'none'",
      `script-src 'self' 'sha256-${hash}'`,
      "style-src 'self'",
      "img-src 'self' data:",
      "connect-src 'self'",
      "manifest-src 'self'",
      "worker-src 'self'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types fanfare",
    ].join("; ");
  }

  /**
   * Finds the libraries.
   *
   * @param own A folder of the user's pages, served under `/pages/`.
   * @returns Ready to serve.
   * @throws {Error} If a library or the folder isn't there.
   */
  static async open(own?: string): Promise<Pages> {
    const libraries = new Map<string, string>();
    const imports: Record<string, string> = {};
    for (const name of LIBRARIES) {
      const file = fromFileUrl(import.meta.resolve(name));
      const url = `/lib/${name}@${await versionOf(file)}.js`;
      libraries.set(url, file);
      imports[name] = url;
    }
    const importMap = JSON.stringify({ imports });
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(importMap));
    const folder = own === undefined ? undefined : await Deno.realPath(own);
    const heads = await headsOf(libraries, imports, importMap);
    const shell = await shellOf(libraries, imports, heads);
    return new Pages(libraries, heads, new Uint8Array(digest).toBase64(), shell, folder);
  }

  /**
   * Serves one of our pages.
   *
   * @param request A GET or HEAD.
   * @param shell The shell's file, from {@linkcode PAGES}.
   * @returns The page.
   */
  async page(request: Request, shell: string): Promise<Response> {
    const text = await pageText(shell, this.#heads.get(shell));
    const type = "text/html; charset=utf-8";
    return withHeaders(await this.#texts.page(request, shell, text, type), {
      "cache-control": "private, no-cache",
      "content-security-policy": this.#policy,
      "fanfare-shell": this.#shell.version,
      "cross-origin-embedder-policy": "require-corp",
      "permissions-policy": PERMISSIONS,
    });
  }

  /**
   * Serves the service worker.
   *
   * @param request A GET or HEAD.
   * @returns The script.
   */
  async worker(request: Request): Promise<Response> {
    const type = "text/javascript; charset=utf-8";
    return withHeaders(await this.#texts.page(request, "/sw.js", this.#shell.worker, type), {
      "cache-control": "no-cache",
      "content-security-policy": WORKER_POLICY,
    });
  }

  /**
   * Serves a file of ours or of a library.
   *
   * @param request A GET or HEAD.
   * @param path What stands in the URL, as it stands there.
   * @returns The file, or undefined where there is none.
   */
  async asset(request: Request, path: string): Promise<Response | undefined> {
    const library = this.#libraries.get(path);
    const file = library ?? fileOf(path);
    if (file === undefined) return undefined;
    // Modules may end in .mjs or .js; what they are here is their URL's.
    const response =
      await this.#texts.file(request, path, file, (text) => servedText(path, text)) ??
        await serveFile(withPlainTags(request), file);
    if (library !== undefined) {
      return withHeaders(response, {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=31536000, immutable",
      });
    }
    return response.status === 404 ? undefined : withHeaders(response, {
      "cache-control": "no-cache",
      ...(path.endsWith(".yaml") ? { "content-type": "application/yaml; charset=utf-8" } : {}),
    });
  }

  /**
   * Serves a file of the user's folder, with a policy that lets its own scripts and styles run.
   *
   * @param request A GET or HEAD.
   * @param path What follows `/pages/` in the URL.
   * @returns The file, or undefined where there is none.
   */
  async own(request: Request, path: string): Promise<Response | undefined> {
    const name = this.#own === undefined
      ? undefined
      : decode(path === "" || path.endsWith("/") ? `${path}index.html` : path);
    if (name === undefined || this.#own === undefined) return undefined;
    const real = await Deno.realPath(join(this.#own, ...name)).catch(() => undefined);
    // A link in the folder may point anywhere; what is served stays inside.
    if (real === undefined || !real.startsWith(join(this.#own, "/"))) return undefined;
    const response = await serveFile(withPlainTags(request), real);
    if (response.status === 404) return undefined;
    return withHeaders(response, {
      "cache-control": "private, no-cache",
      "content-security-policy":
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'",
      "x-frame-options": "SAMEORIGIN",
    });
  }
}

async function pageText(shell: string, head = ""): Promise<string> {
  const html = await Deno.readTextFile(staticFile(shell));
  const filled = html.replace(PLACE, () => head);
  if (filled !== html) return filled;
  throw new Error(`Cannot serve "${shell}": it has no place for the import map`);
}

type Names = Readonly<Record<string, string>>;

/** @returns For each shell what stands in its head: the import map, and all modules, so that they are asked for at once. */
async function headsOf(
  libraries: ReadonlyMap<string, string>,
  imports: Names,
  importMap: string,
): Promise<Map<string, string>> {
  const heads = new Map<string, string>();
  for (const shell of Object.values(PAGES)) {
    const html = await Deno.readTextFile(staticFile(shell));
    const modules = await modulesOf(html, imports, readServed(libraries));
    const links = modules.map((url) => `<link rel="modulepreload" href="${url}">`);
    // A module that is asked for before the import map stands makes older browsers refuse the map.
    heads.set(shell, [`<script type="importmap">${importMap}</script>`, ...links].join("\n    "));
  }
  return heads;
}

function readServed(
  libraries: ReadonlyMap<string, string>,
): (url: string) => Promise<string | undefined> {
  return async (url) => {
    const file = libraries.get(url) ?? fileOf(url);
    const text = file && await Deno.readTextFile(file).catch(() => undefined);
    return text === undefined ? undefined : servedText(url, text);
  };
}

async function shellOf(
  libraries: ReadonlyMap<string, string>,
  imports: Names,
  heads: ReadonlyMap<string, string>,
): Promise<Shell> {
  const pages: Record<string, string> = {};
  for (const [path, shell] of Object.entries(PAGES)) {
    pages[`${path}/`] = await pageText(shell, heads.get(shell));
  }
  const worker = await Deno.readTextFile(staticFile(WORKER));
  return await makeShell(worker, pages, imports, readServed(libraries));
}

async function versionOf(file: string): Promise<string> {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await Deno.readTextFile(join(folder, "package.json")).catch(() => undefined);
    const found: unknown = text === undefined ? undefined : JSON.parse(text);
    if (typeof found === "object" && found !== null && "version" in found) {
      return String(found.version);
    }
  }
  throw new Error(`Cannot find the version of "${file}": no package.json above it`);
}

function decode(path: string): string[] | undefined {
  try {
    const segments = path.split("/").map(decodeURIComponent);
    const right = segments.every((segment) =>
      segment !== "" && !segment.startsWith(".") && !/[/\\\0]/.test(segment)
    );
    return right ? segments : undefined;
  } catch {
    return undefined;
  }
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) {
    response.headers.set(name, value);
  }
  return response;
}
