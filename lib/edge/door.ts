/** Who stands at the door: where a request comes from, and whether it may come in at all (hostile.md H1–H3, H6, H14). */
import { plainAddress } from "../address.ts";
import type { EdgeSettings } from "../isolate.ts";
import { refuse } from "../protocol/codes.ts";
import { problem } from "./http.ts";

/** Where a request comes from. */
export interface Caller {
  /** Its address, or with `--trust-proxy` the one that the proxy saw. */
  readonly address: string;
  /** Whether it came by TLS, as the proxy says. */
  readonly secure: boolean;
}

/** What the door goes by. */
export interface DoorSettings {
  /** The address or name that is listened on. */
  readonly host: string;
  /** Origins besides its own from which browsers may come. */
  readonly origins: readonly string[];
  /** Whether what comes is from a proxy of ours, whose `X-Forwarded-*` are true. */
  readonly trustProxy: boolean;
  /** Our own end of TLS, where there is one. */
  readonly tls: EdgeSettings["tls"];
}

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[.*\])$/;
const SAFE = ["GET", "HEAD", "OPTIONS"];

// What programs use from pages of other origins.
const SHARED = /^\/(?:api|events|push|fanfare|fanfare\.js|openapi\.yaml|asyncapi\.yaml)(?:\/|$)/;
const EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
// The star is for all that ntfy's names are, and what tracing adds; browsers don't count Authorization in.
const ALLOWED =
  "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Message, Title, Priority, Tags, Click, *";

/** Looks at each request before anything else does. */
export class Door {
  readonly #settings: DoorSettings;
  readonly #names: ReadonlySet<string>;

  /** @param settings What it goes by. */
  constructor(settings: DoorSettings) {
    this.#settings = settings;
    const { host, origins } = settings;
    const named = origins.map((origin) => new URL(origin).hostname);
    this.#names = new Set([host.toLowerCase(), "localhost", ...named]);
  }

  /**
   * Tells where a request comes from.
   *
   * @param headers The request's.
   * @param remote The other end of its connection.
   * @returns Its caller.
   */
  caller(headers: Headers, remote: Deno.Addr): Caller {
    // Whoever comes by a socket in the file system is on this machine.
    const peer = "hostname" in remote
      ? plainAddress(remote.hostname) ?? remote.hostname
      : "127.0.0.1";
    const secure = this.#settings.tls !== undefined;
    if (!this.#settings.trustProxy) return { address: peer, secure };
    const seen = lastOf(headers, "x-forwarded-for")?.replace(/^\[(.*)\](?::\d+)?$/, "$1")
      .replace(/^([\d.]+):\d+$/, "$1");
    const address = seen === undefined ? undefined : plainAddress(seen);
    const told = lastOf(headers, "x-forwarded-proto");
    return { address: address ?? peer, secure: told === undefined ? secure : told === "https" };
  }

  /**
   * Decides whether a request may come in: DNS rebinding, and other sites' pages in a visitor's browser.
   *
   * @param request The request.
   * @param caller Where it comes from.
   * @returns The answer to one that may not.
   */
  refusal(request: Request, { secure }: Caller): Response | undefined {
    const own = this.#own(request, secure);
    if (own === undefined || own.username !== "" || own.password !== "") {
      return problem(refuse("bad_request", "The Host header isn't a host"));
    }
    if (!this.#names.has(own.hostname) && !ADDRESS.test(own.hostname)) {
      const sentence = `This server isn't "${own.hostname}"; see --origin`;
      return problem(refuse("bad_request", sentence), 421);
    }
    const { headers, method } = request;
    if (SAFE.includes(method) && !headers.has("upgrade")) return undefined;
    const origin = headers.get("origin");
    if (origin !== null && this.#settings.origins.includes(origin)) return undefined;
    const site = headers.get("sec-fetch-site");
    const foreign = site === "cross-site" || site === "same-site";
    if (!foreign && (origin === null || origin === own.origin)) return undefined;
    return problem(refuse("forbidden", "Requests from another origin are refused; see --origin"));
  }

  /**
   * Lets pages of allowed origins read an answer of the API.
   *
   * @param request The request.
   * @param response Its answer.
   * @returns The same answer.
   */
  share(request: Request, response: Response): Response {
    const { url } = request;
    if (!URL.canParse(url) || !SHARED.test(new URL(url).pathname)) return response;
    const { headers } = response;
    headers.append("vary", "Origin");
    const origin = request.headers.get("origin");
    if (origin === null || !this.#settings.origins.includes(origin)) return response;
    // Without credentials: what a browser of ours may do is for our own pages; others bring a token.
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-expose-headers", EXPOSED);
    if (request.method !== "OPTIONS") return response;
    headers.set("access-control-allow-methods", headers.get("allow") ?? "");
    headers.set("access-control-allow-headers", ALLOWED);
    headers.set("access-control-max-age", "600");
    return response;
  }

  // The address that the visitor sees, so that its pages are known as our own.
  #own(request: Request, secure: boolean): URL | undefined {
    if (!URL.canParse(request.url)) return undefined;
    const url = new URL(request.url);
    const seen = this.#settings.trustProxy
      ? lastOf(request.headers, "x-forwarded-host") ?? url.host
      : url.host;
    const own = `${secure ? "https" : "http"}://${seen}`;
    if (/[/?#\\]/.test(seen) || !URL.canParse(own)) return undefined;
    const parsed = new URL(own);
    parsed.username = url.username;
    return parsed;
  }
}

// The last one is what our proxy added; those before it are what it was told.
function lastOf(headers: Headers, name: string): string | undefined {
  const last = headers.get(name)?.split(",").at(-1)?.trim();
  return last === "" ? undefined : last;
}
