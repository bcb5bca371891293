/** The edge's server: routes, who may come in, sockets, and the end. */
import { type Route, route } from "@std/http/unstable-route";
import { generate as connectionId } from "@std/uuid/v7";
import { NOBODY, type Who } from "../access.ts";
import { log } from "../logger.ts";
import { CLOSE, refuse } from "../protocol/codes.ts";
import type { Codec } from "../protocol/codec.ts";
import { Connection } from "./connection.ts";
import { firstChat } from "./first_chat.ts";
import { firstPush } from "./first_push.ts";
import { FirstChatSession, firstPushSession, OnlineList } from "./first_session.ts";
import { send, sendChat } from "./forms.ts";
import { HttpRefused, json, problem } from "./http.ts";
import { closingLine, native } from "./native.ts";
import { PAGES, type Pages } from "./pages.ts";
import { type EdgeParts, NativeSession, type Session } from "./session.ts";

/** The native subprotocol. */
export const SUBPROTOCOL = "fanfare.v1";

/** Seconds after which a silent connection is closed; Deno pings at half of it. */
export const IDLE_SECONDS = 30;

/** How an edge serves. */
export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  /** Origins besides its own from which browsers may come. */
  readonly origins: readonly string[];
  readonly pages: Pages;
}

// The last stragglers of a full server are told after this many milliseconds.
const LEAVE_SPREAD = 5000;
const LEAVE_GRACE = 1500;
const LEAVE_LOOK = 20;
const SHUTDOWN_DEADLINE = 2000;

// Addresses end up in logs and histories: a token there isn't taken, and whoever sent it is told (hostile.md H5).
const TOKEN_IN_QUERY = /[?&](?:access_)?token=/i;

type Handle = (request: Request, who: Who, headers: Headers) => Response | Promise<Response>;

interface Point {
  readonly path: string;
  readonly methods: readonly string[];
  readonly handle: Handle;
}

/** An edge that serves. */
export class EdgeServer {
  readonly #edge: EdgeParts;
  readonly #options: ServeOptions;
  readonly #online: OnlineList;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #connections = new Set<Connection>();
  #leaving = false;

  /**
   * Begins to serve.
   *
   * @param edge The edge's parts.
   * @param options Where and how.
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(edge: EdgeParts, options: ServeOptions) {
    this.#edge = edge;
    this.#options = options;
    this.#online = new OnlineList(edge);
    const routed = route(this.#routes(), () => this.#notFound());
    this.#server = Deno.serve({
      hostname: options.host,
      port: options.port,
      onListen: () => {},
      onError: (error) => {
        log.error("request.failed", { error: String(error) });
        return problem(refuse("internal", "The server couldn't answer"));
      },
    }, (request, { remoteAddr }) => this.#guard(request, routed, remoteAddr));
  }

  /** Where it listens. */
  get address(): Deno.NetAddr {
    return this.#server.addr;
  }

  /** Refuses new work from now on; what was accepted goes on. */
  refuseNew(): void {
    this.#leaving = true;
  }

  /** Says goodbye to all, spread over up to 5 s, and ends. */
  async leave(): Promise<void> {
    this.refuseNew();
    const connections = [...this.#connections];
    const spread = Math.min(LEAVE_SPREAD, connections.length);
    const retry = 1000 + spread;
    for (const [i, connection] of connections.entries()) {
      const last = connection.codec === native
        ? closingLine("The server is going away", retry)
        : undefined;
      const at = (i / connections.length) * spread;
      setTimeout(() => connection.leave(CLOSE.leaving, "The server is going away", last), at);
    }
    // Answers that still wait for room in a socket have until here; ending the server closes what is left.
    const deadline = performance.now() + spread + LEAVE_GRACE;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, LEAVE_LOOK));
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, SHUTDOWN_DEADLINE));
    await Promise.race([this.#server.shutdown(), late]);
    clearTimeout(timer);
  }

  async #guard(
    request: Request,
    routed: ReturnType<typeof route>,
    from: Deno.Addr,
  ): Promise<Response> {
    const refusal = this.#foreign(request);
    let response: Response;
    try {
      response = refusal ?? await routed(request);
    } catch (error) {
      if (!(error instanceof HttpRefused)) throw error;
      response = problem(error.refusal, error.status);
    }
    if (response.status >= 400) {
      const address = "hostname" in from ? from.hostname : "";
      log.info("request.refused", { method: request.method, status: response.status, address });
    }
    return response;
  }

  // DNS rebinding, and other sites' pages in a visitor's browser (hostile.md H1, H3, H14).
  #foreign(request: Request): Response | undefined {
    if (!URL.canParse(request.url)) {
      return problem(refuse("bad_request", "The Host header isn't a host"));
    }
    const url = new URL(request.url);
    const { host, origins } = this.#options;
    const known = [host, "localhost", ...origins.map((origin) => new URL(origin).hostname)];
    if (
      !known.includes(url.hostname) && !/^(?:\d{1,3}(?:\.\d{1,3}){3}|\[.*\])$/.test(url.hostname)
    ) {
      return problem(refuse("bad_request", `This server isn't "${url.hostname}"`), 421);
    }
    const changes = !["GET", "HEAD", "OPTIONS"].includes(request.method) ||
      request.headers.has("upgrade");
    if (!changes) return undefined;
    const origin = request.headers.get("origin");
    const site = request.headers.get("sec-fetch-site");
    const allowed = origin !== null && origins.includes(origin);
    if (
      allowed ||
      (origin ?? url.origin) === url.origin && site !== "cross-site" && site !== "same-site"
    ) {
      return undefined;
    }
    return problem(refuse("forbidden", "Requests from another origin are refused; see --origin"));
  }

  #routes(): Route[] {
    const read = ["GET", "HEAD"];
    const pages = Object.entries(PAGES).map(([path, shell]): Point => ({
      path: path === "" ? "/" : `${path}{/}?`,
      methods: read,
      handle: (request) => this.#page(request, () => this.#options.pages.page(request, shell)),
    }));
    const asset: Handle = async (request) =>
      await this.#options.pages.asset(request, new URL(request.url).pathname) ?? this.#notFound();
    const points: Point[] = [
      ...pages,
      { path: "/ws{/}?", methods: ["GET"], handle: (request, who) => this.#native(request, who) },
      { path: "/link{/}?", methods: ["GET"], handle: (request) => this.#link(request) },
      { path: "/chat{/}?", methods: ["GET"], handle: (request, who) => this.#chat(request, who) },
      {
        path: "/send{/}?",
        methods: ["POST"],
        handle: (request, who) => send(request, who, this.#edge),
      },
      {
        path: "/msg_send{/}?",
        methods: ["POST"],
        handle: (request, who) => sendChat(request, who, this.#edge),
      },
      { path: "/static/*", methods: read, handle: asset },
      { path: "/lib/*", methods: read, handle: asset },
      { path: "/sw.js", methods: read, handle: () => this.#options.pages.worker() },
      { path: "/fanfare.js", methods: read, handle: asset },
      { path: "/fanfare/*", methods: read, handle: asset },
      {
        path: "/pages/*",
        methods: read,
        handle: (request) =>
          this.#page(
            request,
            async () =>
              await this.#options.pages.own(
                request,
                new URL(request.url).pathname.slice("/pages/".length),
              ) ??
                this.#notFound(),
          ),
      },
      { path: "/healthz", methods: read, handle: () => json({ status: "alive" }) },
      { path: "/readyz", methods: read, handle: () => this.#ready() },
    ];
    return points.map(({ path, methods, handle }) => ({
      pattern: new URLPattern({ pathname: path }),
      handler: (request) => this.#point(request, methods, path, handle),
    }));
  }

  async #point(
    request: Request,
    methods: readonly string[],
    path: string,
    handle: Handle,
  ): Promise<Response> {
    const allow = [...methods, "OPTIONS"].join(", ");
    if (request.method === "OPTIONS") {
      return new Response(null, { status: 204, headers: { allow } });
    }
    if (!methods.includes(request.method)) {
      const sentence = `${request.method} isn't done here, only ${methods.join(" and ")}`;
      return problem(refuse("bad_request", sentence), 405, { allow });
    }
    const health = path === "/healthz" || path === "/readyz";
    if (this.#leaving && !health) {
      return problem({
        ...refuse("unavailable", "The server is going away, come back"),
        retry: 2000,
      });
    }
    const who = TOKEN_IN_QUERY.test(new URL(request.url).search)
      ? undefined
      : await this.#who(request.headers);
    if (who === undefined) {
      const headers = { "www-authenticate": "Bearer" };
      const sentence = "The token isn't valid; it comes in the Authorization header alone";
      return problem(refuse("unauthorized", sentence), 401, headers);
    }
    const response = await handle(request, who, request.headers);
    if (request.method !== "HEAD" || response.body === null) return response;
    await response.body.cancel();
    return new Response(null, { status: response.status, headers: response.headers });
  }

  async #who(headers: Headers): Promise<Who | undefined> {
    const bearer = /^bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
    if (bearer !== undefined) return this.#edge.access.token(bearer);
    const account = await this.#edge.access.account(headers);
    return account === undefined ? NOBODY : { account, admin: false };
  }

  #ready(): Response {
    if (this.#leaving) return problem(refuse("unavailable", "The server is going away"));
    return this.#edge.hub.writable
      ? json({ status: "ready" })
      : problem(refuse("unavailable", "The log can't be written now"));
  }

  #notFound(): Response {
    return problem(refuse("not_found", "There is nothing at this address"));
  }

  // A page gives its browser an account, so that its sockets and forms have one.
  async #page(request: Request, serve: () => Promise<Response>): Promise<Response> {
    const response = await serve();
    const html = response.headers.get("content-type")?.startsWith("text/html") ?? false;
    if (html && response.ok && await this.#edge.access.account(request.headers) === undefined) {
      await this.#edge.access.give(response.headers, this.#newAccount());
    }
    return response;
  }

  #newAccount(): string {
    for (;;) {
      const account = crypto.getRandomValues(new Uint8Array(4)).toHex();
      if (this.#edge.hub.reader.account(account) === undefined) return account;
    }
  }

  async #native(request: Request, who: Who): Promise<Response> {
    const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) =>
      name.trim()
    );
    if (offered !== undefined && !offered.includes(SUBPROTOCOL)) {
      return problem(
        refuse("bad_request", `Of the subprotocols only ${SUBPROTOCOL} is spoken here`),
      );
    }
    const given = this.#given(who);
    const protocol = offered === undefined ? undefined : SUBPROTOCOL;
    return await this.#upgrade(
      request,
      native,
      given,
      protocol,
      (connection) => new NativeSession(connection, given.who, this.#edge),
    );
  }

  async #chat(request: Request, who: Who): Promise<Response> {
    const given = this.#given(who.admin ? NOBODY : who);
    const { account } = given.who;
    return await this.#upgrade(
      request,
      firstChat,
      given,
      undefined,
      (connection) => new FirstChatSession(connection, account ?? "", this.#edge, this.#online),
    );
  }

  async #link(request: Request): Promise<Response> {
    return await this.#upgrade(
      request,
      firstPush,
      {},
      undefined,
      (connection) => firstPushSession(connection, this.#edge),
    );
  }

  #given(who: Who): { who: Who; fresh?: string } {
    if (who.admin || who.account !== null) return { who };
    const fresh = this.#newAccount();
    return { who: { account: fresh, admin: false }, fresh };
  }

  async #upgrade(
    request: Request,
    codec: Codec,
    { fresh }: { fresh?: string },
    protocol: string | undefined,
    begin: (connection: Connection) => Session,
  ): Promise<Response> {
    const refusal = badHandshake(request.headers);
    if (refusal !== undefined) return refusal;
    // Awaits come first: Deno wants the answer of an upgrade in the turn in which it was made.
    const headers = new Headers();
    if (fresh !== undefined) await this.#edge.access.give(headers, fresh);
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: IDLE_SECONDS,
      ...(protocol === undefined ? {} : { protocol }),
    });
    this.#follow(socket, codec, begin);
    for (const cookie of headers.getSetCookie()) response.headers.append("set-cookie", cookie);
    return response;
  }

  #follow(socket: WebSocket, codec: Codec, begin: (connection: Connection) => Session): void {
    let connection: Connection | undefined;
    let session: Session | undefined;
    socket.onopen = () => {
      connection = new Connection(connectionId(), socket, codec, this.#edge.hub);
      this.#connections.add(connection);
      session = begin(connection);
      log.debug("connection.open", { connection: connection.id, codec: codec.name });
    };
    socket.onmessage = ({ data }) => {
      if (connection === undefined || !connection.open) return;
      if (typeof data !== "string") return connection.close(CLOSE.binary, "Frames are text here");
      try {
        session?.receive(data);
      } catch (error) {
        // What is thrown here would end the process, and with it everybody else's connection.
        log.error("connection.failed", { connection: connection.id, error: String(error) });
        connection.close(CLOSE.later, "The server couldn't go on");
      }
    };
    socket.onclose = ({ code }) => {
      if (connection === undefined) return;
      connection.end();
      this.#connections.delete(connection);
      log.debug("connection.closed", { connection: connection.id, code });
    };
    socket.onerror = () => connection?.end();
  }
}

// What Deno's server lets through, and what it throws at (hostile.md, first part and H4).
function badHandshake(headers: Headers): Response | undefined {
  const upgrade = headers.get("upgrade")?.toLowerCase();
  const connection = headers.get("connection")?.toLowerCase().split(/\s*,\s*/) ?? [];
  const version = headers.get("sec-websocket-version");
  if (upgrade !== "websocket" || !connection.includes("upgrade") || version !== "13") {
    const needed = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" };
    return problem(refuse("bad_request", "This address is a WebSocket, version 13"), 426, needed);
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "")) {
    return problem(refuse("bad_request", "Sec-WebSocket-Key must be 16 bytes in base64"));
  }
  return undefined;
}
