/** Admits or refuses requests by their origin: host, client address, forwarding headers, foreign pages (threats.md H1–H3, H6, H14). */
import type { Caller } from "../auth/caller.ts";
import { isLoopback, plainAddress } from "../config/address.ts";
import type { EdgeSettings } from "../isolates/messages.ts";
import { log } from "../observability/logger.ts";
import { refuse } from "../protocol/refusals.ts";
import { isHost, isProbe } from "./request_head.ts";
import { problem } from "../web/responses.ts";

/** The settings of the request policy. */
export interface RequestPolicySettings {
  /** The address or name that is listened on. */
  readonly host: string;
  /** Origins besides its own from which browsers may come. */
  readonly origins: readonly string[];
  /** Whether what comes is from a proxy of ours, whose `X-Forwarded-*` are true. */
  readonly trustProxy: boolean;
  /** Whether only loopback names are served: the server is open because nobody else reaches it. */
  readonly localOnly: boolean;
  /** Our own end of TLS, where there is one. */
  readonly tls: EdgeSettings["tls"];
}

/** What stands for the address of a client that the proxy didn't name. */
export const UNKNOWN_ADDRESS = "unknown";

// Longer than any address with brackets and a port.
const LONGEST_ADDRESS = 64;

// How often the log tells of requests whose address the proxy left out, in milliseconds.
const TELL_AGAIN = 60_000;

// As URL writes it: an IPv4 address, or an IPv6 one in brackets.
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]{2,39}\])$/;

// The API and what is streamed: a foreign page can't read it, and shan't use up a visitor's quotas with it.
const GUARDED = /^\/(?:api|events|push|v1|metrics)(?:\/|$)/;

// What programs use from pages of other origins.
const SHARED = /^\/(?:api|events|push|fanfare|fanfare\.js|openapi\.yaml|asyncapi\.yaml)(?:\/|$)/;
const EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
// The star is for all that ntfy's names are, and what tracing adds; browsers don't count Authorization in.
const ALLOWED =
  "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Message, Title, Priority, Tags, Click, *";

/** What differs from the program in a test. */
export interface RequestPolicyOptions {
  /** Milliseconds, never going down. */
  readonly now?: () => number;
  /** Told of requests whose address a proxy left out, at most once a minute, with how many there were. */
  readonly unaddressed?: (count: number) => void;
}

/** Admits or refuses a request by where it comes from, before its path or its account are looked at. */
export class RequestPolicy {
  readonly #settings: RequestPolicySettings;
  readonly #names: ReadonlySet<string>;
  readonly #options: Required<RequestPolicyOptions>;
  #unaddressed = 0;
  #tellAt = 0;

  /**
   * @param settings Its settings.
   * @param options What differs from the program.
   */
  constructor(settings: RequestPolicySettings, options: RequestPolicyOptions = {}) {
    this.#settings = settings;
    this.#options = {
      now: () => performance.now(),
      unaddressed: (count) => log.warning("proxy.unnamed", { count }),
      ...options,
    };
    const { host, origins } = settings;
    const named = origins.filter((origin) => /^https?:/.test(origin))
      .map((origin) => new URL(origin).hostname);
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
    const secure = this.#settings.tls !== undefined;
    if (this.#settings.trustProxy) {
      const seen = addressIn(lastOf(headers, "x-forwarded-for") ?? "") ?? UNKNOWN_ADDRESS;
      const scheme = lastOf(headers, "x-forwarded-proto")?.toLowerCase();
      return {
        // Whatever loopback addresses may do is for programs that connect by themselves.
        address: isLoopback(seen) ? `${seen} by proxy` : seen,
        secure: scheme === undefined ? secure : scheme === "https" || scheme === "wss",
      };
    }
    // Whoever comes by a socket in the file system is on this machine.
    const peer = "hostname" in remote ? remote.hostname : "127.0.0.1";
    return { address: plainAddress(peer) ?? peer, secure };
  }

  /**
   * Decides whether a request may come in: DNS rebinding, other sites' pages in a visitor's browser, and a proxy that doesn't
   * tell its clients apart. Its head was checked before (head.ts).
   *
   * @param request The request.
   * @param caller Where it comes from.
   * @returns The answer to one that may not.
   */
  refusal(request: Request, { address, secure }: Caller): Response | undefined {
    const probe = isProbe(request);
    if (probe && !request.headers.has("host")) return undefined;
    const own = this.#own(request, secure);
    if (own === undefined) return problem(refuse("bad_request", NO_FORWARDED_HOST));
    if (!this.#isNamed(own.hostname)) {
      return problem(refuse("bad_request", this.#misdirected(own.hostname)), 421);
    }
    if (address === UNKNOWN_ADDRESS && !probe) {
      this.#tellUnaddressed();
      return problem(refuse("bad_request", NO_ADDRESS));
    }
    return this.#foreign(request, own)
      ? problem(refuse("forbidden", "Requests from another origin are refused; see --origin"))
      : undefined;
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
    const seen = this.#settings.trustProxy
      ? lastOf(request.headers, "x-forwarded-host")
      : undefined;
    if (seen !== undefined && !isHost(seen)) return undefined;
    const host = seen ?? new URL(request.url).host;
    return new URL(`${secure ? "https" : "http"}://${host}`);
  }

  #isNamed(hostname: string): boolean {
    if (this.#settings.localOnly) return isLoopback(hostname.replace(/^\[|\]$/g, ""));
    return this.#names.has(hostname) || ADDRESS.test(hostname);
  }

  #misdirected(hostname: string): string {
    return this.#settings.localOnly
      ? `This server is open on this machine alone and isn't "${hostname}"; see --origin and --trust-proxy`
      : `This server isn't "${hostname}"; see --origin`;
  }

  #foreign({ url, method, headers }: Request, own: URL): boolean {
    const reads = method === "GET" || method === "HEAD";
    const harmless = method === "OPTIONS" || (reads && !GUARDED.test(new URL(url).pathname));
    if (harmless && !headers.has("upgrade")) return false;
    const origin = headers.get("origin");
    if (origin !== null && this.#settings.origins.includes(origin)) return false;
    const site = headers.get("sec-fetch-site");
    if (site === "cross-site" || site === "same-site") return true;
    return origin !== null && origin !== own.origin;
  }

  #tellUnaddressed(): void {
    this.#unaddressed += 1;
    const now = this.#options.now();
    if (now < this.#tellAt) return;
    this.#options.unaddressed(this.#unaddressed);
    this.#unaddressed = 0;
    this.#tellAt = now + TELL_AGAIN;
  }
}

const NO_ADDRESS =
  "The proxy must name its client: X-Forwarded-For needs an IP address, which comes last if there are several";
const NO_FORWARDED_HOST =
  "X-Forwarded-Host is wrong: expected a host name or an IP address, and a port up to 65535";

// The last one is what our proxy added; those before it are what it was told.
function lastOf(headers: Headers, name: string): string | undefined {
  const value = headers.get(name) ?? "";
  const last = value.slice(value.lastIndexOf(",") + 1).trim();
  return last === "" ? undefined : last;
}

// Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711.
function addressIn(text: string): string | undefined {
  if (text.length > LONGEST_ADDRESS) return undefined;
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(text) ?? [];
  return plainAddress(bracketed ?? plain ?? text);
}
