/** The edge's server: routes, who may come in, sockets, and the end. */
import { deadline } from "@std/async/deadline";
import { type Route as MatchedRoute, route as match } from "@std/http/unstable-route";
import type { AccessSettings, Who } from "../auth/access.ts";
import { isLoopback } from "../config/address.ts";
import type { Readers } from "../bus/bus.ts";
import type { Series } from "../observability/counters.ts";
import type { Farewell } from "../isolates/messages.ts";
import { MOST_MUTES } from "../config/limits.ts";
import { log } from "../observability/logger.ts";
import { METRICS_TYPE } from "../observability/metrics.ts";
import { CLOSE, type Refusal, refuse } from "../protocol/refusals.ts";
import { apiRoutes } from "./routes/api.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { ask, showToken, UNANSWERED } from "../bus/requests.ts";
import { whoIn } from "../sessions/browser_sessions.ts";
import type { Caller } from "../auth/caller.ts";
import { RequestPolicy, type RequestPolicySettings } from "./request_policy.ts";
import type { Connection } from "../delivery/connection.ts";
import { eventRoutes } from "./routes/events.ts";
import { send, sendChat, takeToken } from "./routes/demo_forms.ts";
import { HandshakeQueue } from "../transports/handshake_queue.ts";
import { announcesBody, refuseHead, showsToken } from "./request_head.ts";
import { socketRoutes } from "./routes/websockets.ts";
import {
  bearerIn,
  BodyBroken,
  harden,
  HttpRefused,
  json,
  notFound,
  problem,
  setWork,
  SMALL_BODY,
  unauthorized,
} from "../web/responses.ts";
import { sendFresh } from "../web/text_responses.ts";
import { AWAY, LEAVING, untilLeaving } from "../bus/draining.ts";
import { Listener, type Server } from "./listener.ts";
import { moderationRoutes } from "./routes/moderation.ts";
import type { Pages } from "../site/pages.ts";
import type { Route } from "./routes/route.ts";
import type { EdgeContext } from "../sessions/edge_context.ts";
import { refusedAsNtfy } from "./routes/ntfy_account.ts";
import { pushRoutes } from "./routes/push.ts";
import { RefusedRequests } from "./refusal_rates.ts";
import { siteRoutes } from "./routes/site.ts";
import { CROWDED, Sockets } from "../transports/sockets.ts";
import { dropRequestSpan } from "../bus/traced.ts";

/** How an edge serves. */
export interface ServeOptions extends RequestPolicySettings {
  readonly port: number;
  /** A socket in the file system, in the place of the port. */
  readonly unix: string | undefined;
  readonly pages: Pages;
  /** Whether other isolates listen on the same port. */
  readonly reusePort: boolean;
  /** Tells the numbers of the whole process, in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** Whether this machine's own programs may read them without the admin token. */
  readonly open: boolean;
  /** That of the log. */
  readonly folder: string;
  /** Whether the runtime makes spans of requests. */
  readonly tracing: boolean;
}

const GOING = "The server is going away";
const LEAVE_GRACE = 1500;
const LEAVE_LOOK = 20;
const SHUTDOWN_DEADLINE = 2000;

// How long the core may take to say whether the log can be written, in milliseconds: behind a disk that stands still it doesn't.
const READY_TIME = 2000;

// Requests of one edge have so long from then on, where others serve.
const REQUEST_GRACE = 300;

// What is said last has so long to get out of sockets that take something.
const CUT_GRACE = 100;

// As much of a method is logged: clients may invent one.
const LONGEST_METHOD = 16;

// In characters; others name a few channels at most.
const LONG_ADDRESS = 512;

/** An edge that serves. */
export class EdgeServer {
  readonly #edge: EdgeContext;
  // The same for requests: what they begin is refused once this leaves.
  readonly #requests: EdgeContext;
  readonly #options: ServeOptions;
  readonly #server: Listener;
  readonly #sockets: Sockets;
  readonly #policy: RequestPolicy;
  readonly #handshakes: HandshakeQueue;
  readonly #abort = new AbortController();
  // Sends away who waits for an answer.
  readonly #asking = new Set<() => void>();
  // Routes are asked with a request alone; who brought it is kept beside.
  readonly #callers = new WeakMap<Request, Caller>();
  readonly #refused: RefusedRequests;
  #leaving = false;
  readonly #schemes: readonly string[];
  // From here on bodies break off that whole clients send.
  #ending = false;

  /**
   * Begins to serve.
   *
   * @param edge The context of the edge.
   * @param options Where and how.
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(edge: EdgeContext, options: ServeOptions) {
    this.#edge = edge;
    this.#refused = new RefusedRequests(edge);
    this.#requests = { ...edge, bus: untilLeaving(edge.bus, () => this.#leaving) };
    this.#options = options;
    this.#sockets = new Sockets(this.#requests);
    this.#policy = new RequestPolicy(options);
    this.#handshakes = new HandshakeQueue(edge.limits.handshakes);
    const routed = match(this.#routes(), notFound);
    const { unix, host: hostname, port, reusePort, tls } = options;
    // Programs that take a socket file for a proxy send `http`.
    this.#schemes = unix !== undefined
      ? ["http+unix", "http"]
      : [tls === undefined ? "http" : "https"];
    const both = {
      signal: this.#abort.signal,
      onListen: () => {},
      onError: failed,
    };
    const handle = (request: Request, { remoteAddr }: { remoteAddr: Deno.Addr }) => {
      if (options.tracing) dropRequestSpan();
      return this.#answer(request, this.#guard(request, routed, remoteAddr));
    };
    const open = (again = port): Server =>
      unix === undefined
        ? Deno.serve({ ...both, ...tls, hostname, port: again, reusePort }, handle)
        : Deno.serve({ ...both, path: unix }, handle);
    this.#server = new Listener(open, {
      folder: options.folder,
      counters: edge.counters,
      signal: this.#abort.signal,
    });
  }

  /** Where it listens. */
  get address(): Deno.NetAddr | Deno.UnixAddr {
    return this.#server.addr;
  }

  /** What is so now, for whoever watches. */
  get gauges(): Series {
    return this.#sockets.gauges;
  }

  /** The channels that are read here. */
  get readers(): Readers {
    return this.#edge.hub.readers;
  }

  /**
   * Goes by other secrets from now on; whoever showed what doesn't hold any more is closed.
   *
   * @param settings What access goes by.
   */
  renew(settings: AccessSettings): void {
    this.#edge.access.renew(settings);
    this.#edge.expiry.review();
  }

  /** Others are muted now: reads who. */
  moderate(): void {
    const { access, clock, hub } = this.#edge;
    try {
      access.mute(hub.reader.mutes(clock(), "", MOST_MUTES));
    } catch (error) {
      log.error("log.unreadable", { error: String(error) });
    }
  }

  /** Refuses new work from now on; what was accepted goes on. */
  refuseNew(): void {
    this.#leaving = true;
  }

  /**
   * Says goodbye to all, once each has its answers, and ends.
   *
   * @param farewell How.
   */
  async leave(farewell: Farewell): Promise<void> {
    if (farewell.cut) return await this.#cutAll(farewell.retry);
    const { connections } = this.#sockets;
    const spread = Math.min(farewell.spread, connections.length);
    const retry = farewell.retry + spread;
    for (const [i, connection] of connections.entries()) {
      if (spread === 0) sayGoodbye(connection, retry);
      else setTimeout(() => sayGoodbye(connection, retry), (i / connections.length) * spread);
    }
    // Answers that still wait for room in a socket have until here.
    const late = performance.now() + spread + LEAVE_GRACE;
    const goes = () => this.#sockets.waits || connections.some(({ open }) => open);
    while (goes() && performance.now() < late) await pause(LEAVE_LOOK);
    if (farewell.stays) {
      this.#endAll(retry);
      const late = performance.now() + REQUEST_GRACE;
      while (this.#asking.size > 0 && performance.now() < late) await pause(LEAVE_LOOK);
      return await this.#cutAll(retry);
    }
    // Whoever came meanwhile, or is still owed something, is told in the turn in which the server ends: nobody comes in between.
    this.#endAll(retry);
    this.#ending = true;
    const end = this.#server.shutdown();
    // One edge of several has less time: its isolate goes, and would leave them hanging.
    if (farewell.spread === 0) {
      await deadline(end, REQUEST_GRACE).catch(() => {});
      this.#sendAway();
    }
    await deadline(end, SHUTDOWN_DEADLINE).catch(() => {});
    // Not every runtime closes sockets then; and nobody may read the log from here on.
    this.#sockets.end();
    this.#endAll(retry);
  }

  #endAll(retry: number): void {
    for (const connection of this.#sockets.connections) {
      connection.finish(CLOSE.leaving, GOING, retry);
    }
    this.#sockets.finish();
  }

  // Says goodbye to all and ends, whatever they still have to send or to take: all that sockets hold is free afterwards.
  async #cutAll(retry: number): Promise<void> {
    this.#leaving = true;
    for (const connection of this.#sockets.connections) sayGoodbye(connection, retry);
    this.#sendAway();
    await pause(CUT_GRACE);
    this.#sendAway();
    this.#sockets.end();
    for (const connection of this.#sockets.connections) connection.end();
    // One that is shut down already can't be cut any more: its isolate ends.
    if (!this.#ending) this.#abort.abort();
    await deadline(this.#server.finished, SHUTDOWN_DEADLINE).catch(() => {});
  }

  #sendAway(): void {
    for (const away of this.#asking) away();
  }

  // Deno (2.9.6) never closes a connection whose request isn't answered when its server or its isolate ends: each is answered.
  #answer(request: Request, answered: Promise<Response>): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const away = () => {
      this.#asking.delete(away);
      resolve(this.#sealed(request, problem(AWAY)));
      // What it comes to all the same is nobody's: a stream would wait for a reader.
      answered.then((late) => late.body?.cancel()).catch(() => {});
    };
    this.#asking.add(away);
    answered.then(resolve, reject).finally(() => this.#asking.delete(away));
    return promise;
  }

  async #guard(
    request: Request,
    routed: ReturnType<typeof match>,
    from: Deno.Addr,
  ): Promise<Response> {
    const broken = refuseHead(request, this.#schemes);
    const caller = this.#policy.caller(request.headers, from);
    this.#callers.set(request, caller);
    let response: Response;
    try {
      const refusal = this.#refused.refusal(request, caller.address) ?? broken ??
        this.#policy.refusal(request, caller);
      // Where a long address leads, and what its query says, takes milliseconds.
      const long = refusal === undefined && request.url.length > LONG_ADDRESS;
      if (long) await this.#edge.hub.slices.turn();
      const waits = refusal === undefined && request.headers.has("upgrade");
      if (waits && !await this.#handshakes.enter()) response = problem(CROWDED);
      else response = refusal ?? await routed(request);
    } catch (error) {
      if (!(error instanceof HttpRefused)) response = failed(error);
      else if (this.#ending && error instanceof BodyBroken) response = problem(LEAVING);
      else response = problem(error.refusal, error.status, error.headers);
    }
    return this.#sealed(request, await refusedAsNtfy(request, response));
  }

  // What every answer has, whoever gives it.
  #sealed(request: Request, response: Response): Response {
    const { status } = response;
    if (status >= 400) {
      const { address = "" } = this.#callers.get(request) ?? {};
      this.#edge.counters.refused("request", status);
      this.#refused.count(request, address, status);
      // Whoever was refused can name it, and an operator finds it.
      const id = requestId();
      const method = request.method.slice(0, LONGEST_METHOD);
      log.refused("request.refused", { request: id, method, status, address });
      response.headers.set("x-request-id", id);
    }
    return status === 101 ? response : this.#policy.share(request, harden(response));
  }

  #routes(): MatchedRoute[] {
    const read = ["GET", "HEAD"];
    const routes: Route[] = [
      ...siteRoutes(this.#requests, this.#options.pages),
      ...socketRoutes(this.#edge, this.#sockets),
      {
        path: "/send{/}?",
        methods: ["POST"],
        handle: (request, who, caller) => send(request, who, caller, this.#requests),
      },
      {
        path: "/msg_send{/}?",
        methods: ["POST"],
        handle: (request, who, caller) => sendChat(request, who, caller, this.#requests),
      },
      {
        path: "/token{/}?",
        methods: ["POST"],
        handle: (request, _, caller) => takeToken(request, caller, this.#edge),
      },
      ...apiRoutes(this.#requests, this.#sockets),
      ...moderationRoutes(this.#requests),
      ...sessionRoutes(this.#requests),
      ...eventRoutes(this.#requests, this.#sockets),
      ...pushRoutes(this.#requests, this.#sockets),
      { path: "/healthz", methods: read, handle: () => json({ status: "alive" }) },
      { path: "/readyz", methods: read, handle: () => this.#ready() },
      {
        path: "/metrics",
        methods: read,
        handle: (request, who, caller) => this.#metrics(request, who, caller),
      },
    ];
    return routes.map(({ path, methods, handle }) => ({
      pattern: new URLPattern({ pathname: path }),
      handler: (request, { pathname }) =>
        this.#handle(request, { path, methods, handle }, pathname.groups),
    }));
  }

  async #handle(
    request: Request,
    { path, methods, handle }: Route,
    groups: Readonly<Record<string, string | undefined>>,
  ): Promise<Response> {
    const allow = [...methods, "OPTIONS"].join(", ");
    if (request.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: { allow } });
    }
    if (!methods.includes(request.method)) {
      const sentence = `${request.method} isn't done here, only ${methods.join(" and ")}`;
      return problem(refuse("bad_request", sentence), 405, { allow });
    }
    const caller = this.#callers.get(request) ?? { address: "", secure: false };
    if (showsToken(request)) {
      return unauthorized("A token comes in the Authorization header, never in an address");
    }
    const found = await this.#who(request.headers, caller);
    if ("refusal" in found) {
      const { code, message } = found.refusal;
      return code === "unauthorized" ? unauthorized(message) : problem(found.refusal);
    }
    const over = this.#refused.refusal(request, caller.address, found.who.account);
    if (over !== undefined) return over;
    const { rates, slices } = this.#edge.hub;
    setWork(request, {
      turn: () => slices.turn(),
      meter: rates.of(caller.address, found.who.account),
    });
    // One that names many channels takes milliseconds before it reads anything.
    if (request.url.length > LONG_ADDRESS) await slices.turn();
    if (["GET", "HEAD"].includes(request.method) && announcesBody(request)) {
      return problem(
        refuse("too_large", `${request.method} takes no body over ${SMALL_BODY} bytes`),
      );
    }
    // What comes while it leaves gets all other refusals first; what was taken before is answered.
    const late = this.#leaving && path !== "/healthz" && path !== "/readyz";
    const response = await handle(request, found.who, caller, decoded(groups));
    if (late && response.status < 400) {
      await response.body?.cancel();
      return problem(LEAVING);
    }
    return request.method === "HEAD" ? await headOf(response) : response;
  }

  async #who(
    headers: Headers,
    caller: Caller,
  ): Promise<{ readonly who: Who } | { readonly refusal: Refusal }> {
    const { access, bus } = this.#edge;
    const bearer = bearerIn(headers);
    if (bearer === undefined) return { who: await whoIn(this.#requests, headers, caller) };
    return await showToken(access, bus, bearer, caller.address);
  }

  async #ready(): Promise<Response> {
    if (this.#leaving) return problem(LEAVING);
    // What it was told may be older than a refusal that another isolate has passed on.
    const asked = this.#edge.hub.writable
      ? ask(this.#edge.bus, { op: "ready" }).then((refusal) => refusal === undefined)
      : Promise.resolve(false);
    const writable = await deadline(asked, READY_TIME).catch(() => undefined);
    if (writable === true) return json({ status: "ready" });
    const why = writable === undefined ? "The log doesn't answer" : "The log can't be written now";
    return problem(refuse("unavailable", why));
  }

  // Only this machine's own programs need no token; what comes through a proxy never has a loopback address.
  async #metrics(request: Request, { admin }: Who, { address }: Caller): Promise<Response> {
    if (!admin && !(this.#options.open && isLoopback(address))) {
      return unauthorized("The metrics need the admin token");
    }
    return await sendFresh(request, await this.#options.metrics(), {
      "content-type": METRICS_TYPE,
      "cache-control": "no-store",
      vary: "Accept-Encoding",
    });
  }
}

async function headOf(response: Response): Promise<Response> {
  const { status, headers, body } = response;
  if (status === 304) return response;
  // Of a stream nobody knows the length; with no body at all the runtime would say 0.
  if (body === null) return new Response(new Blob([]).stream(), { status, headers });
  const { byteLength } = await response.arrayBuffer();
  headers.set("content-length", String(byteLength));
  return new Response(null, { status, headers });
}

function decoded(groups: Readonly<Record<string, string | undefined>>): Record<string, string> {
  try {
    return Object.fromEntries(
      Object.entries(groups).filter(([name]) => !/^\d/.test(name)).map((
        [name, text = ""],
      ) => [name, decodeURIComponent(text)]),
    );
  } catch {
    throw new HttpRefused(400, "bad_request", "The address isn't UTF-8 in percent encoding");
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sayGoodbye(connection: Connection, retry: number): void {
  connection.leave(CLOSE.leaving, GOING, retry);
}

// What went wrong is for the operator; whoever asked is told that it did, and nothing of what.
function failed(error: unknown): Response {
  log.error("request.failed", { error: String(error) });
  return problem(UNANSWERED);
}

function requestId(): string {
  return crypto.getRandomValues(new Uint8Array(6)).toHex();
}
