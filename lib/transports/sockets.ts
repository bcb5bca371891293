/** The sockets of an edge: from the handshake that is let in to the end of the last one. */
import { generate as connectionId } from "@std/uuid/v7";
import type { Who } from "../auth/access.ts";
import type { Origin } from "../bus/bus.ts";
import type { Series } from "../observability/counters.ts";
import { log } from "../observability/logger.ts";
import { CLOSE, type Refusal, refuse } from "../protocol/refusals.ts";
import type { Codec } from "../codecs/codec.ts";
import { AcceptedWebSocket, type Host, type Opened } from "./websocket.ts";
import { admit } from "../bus/requests.ts";
import { IdleSweep } from "../delivery/idle_sweep.ts";
import { ClosingSockets } from "../delivery/closing.ts";
import { Connection, type Socket } from "../delivery/connection.ts";
import type { Caller } from "../auth/caller.ts";
import { problem } from "../web/responses.ts";
import { AWAY } from "../bus/draining.ts";
import { native } from "../codecs/native.ts";
import type { EdgeContext, Session } from "../sessions/edge_context.ts";
import { LITTLE } from "../delivery/send_budget.ts";
import { StreamSocket } from "./event_stream.ts";

/** Seconds after which a silent connection is closed; Deno pings at half of it. */
export const IDLE_SECONDS = 30;

/** How long a stream may say nothing, in milliseconds: proxies cut what is silent for half a minute. */
export const SILENCE = 15_000;

const CROWDED_RETRY = 2000;

/** What becomes of a handshake that is let in. */
export interface Welcome {
  readonly codec: Codec;
  /** Whose connection it is. */
  readonly who: Who;
  /** The subprotocol that was agreed on. */
  readonly protocol?: string;
  /** Of the answer. */
  readonly headers: Headers;
  /** Decides which frames are sent; all where it is absent. */
  readonly passes?: (frame: string) => boolean;
  /** Begins the session, once the socket is open. */
  begin(connection: Connection): Session;
}

/** What a stream tells. */
export interface Source {
  readonly codec: Codec;
  /** Whose it is. */
  readonly who: Who;
  /** Makes what is sent every {@linkcode SILENCE}; absent where the stream ends by itself. */
  readonly keepalive?: () => string;
  /** Of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Begins to read. */
  begin(connection: Connection): void | Promise<void>;
}

/** What streams are answered with: nobody on the way keeps them back or takes them for a file. */
export const STREAMING = { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" };

/** Upgrades requests and follows their sockets. Each is counted until it is gone, closed or not. */
export class Sockets {
  readonly #edge: EdgeContext;
  readonly #connections = new IdleSweep();
  readonly #closings = new ClosingSockets();
  readonly #host: Host<Welcome>;
  #handshakes = 0;
  #ended = false;

  /** @param edge The context of the edge. */
  constructor(edge: EdgeContext) {
    this.#edge = edge;
    edge.hub.budget.watch(this.#connections);
    this.#host = {
      frame: edge.limits.frame,
      closings: this.#closings,
      shaken: () => this.#handshakes -= 1,
      refused: ({ origin }, code) => {
        log.refused("frame.refused", { ...origin, code });
        edge.counters.refused("command", code === CLOSE.tooLarge ? "too_large" : "bad_request");
      },
      opened: (socket, origin, welcome) => {
        // Between the answer of a handshake and the opening of its socket all may have been sent away.
        if (this.#ended) return void socket.close(CLOSE.leaving, "The server went away");
        return this.#begin(socket, origin, welcome);
      },
      silent: (origin) => {
        log.info("connection.silent", { ...origin });
        edge.counters.add("silent_closed_total");
      },
      gone: (origin, connection) => this.#forget(origin, connection),
    };
  }

  /** Those that are there, with those that we closed and whose clients don't go (threats.md F4). */
  get connections(): readonly Connection[] {
    return [...this.#connections];
  }

  /** Begins nothing from now on: what a session reads may be closed. Those that are there stay. */
  end(): void {
    this.#ended = true;
  }

  /** Whether some are about to be closed, and wait for a moment in which their clients send nothing. */
  get waits(): boolean {
    return this.#closings.size > 0;
  }

  /** Closes those at once. */
  finish(): void {
    this.#closings.finish();
  }

  /** How many there are. */
  get size(): number {
    return this.#connections.size;
  }

  /** How many of them we closed and whose clients don't go. */
  get closing(): number {
    return this.connections.filter(({ open }) => !open).length;
  }

  /** What is so now, for whoever watches. */
  get gauges(): Series {
    const { closing } = this;
    return {
      connections: this.size - closing,
      stuck_sockets: closing,
      slow_readers: this.#edge.hub.waiting,
      unsent_bytes: this.connections.reduce((sum, { unsent }) => sum + unsent, 0),
    };
  }

  /**
   * Answers a handshake.
   *
   * @param request The request.
   * @param caller Where it comes from.
   * @param welcome What becomes of it.
   * @returns 101, or why not.
   */
  async upgrade(request: Request, { address }: Caller, welcome: Welcome): Promise<Response> {
    const wrong = badHandshake(request.headers);
    if (wrong !== undefined) return wrong;
    const { handshakes } = this.#edge.limits;
    if (handshakes > 0 && this.#handshakes >= handshakes) return problem(CROWDED);
    this.#handshakes += 1;
    const id = connectionId();
    const origin = { connection: id, address };
    const refusal = await this.#admit(origin, welcome.who);
    if (refusal !== undefined) {
      this.#handshakes -= 1;
      log.refused("connection.refused", { connection: id, address, code: refusal.code });
      return problem(refusal);
    }
    // From here on nothing is awaited: Deno wants the answer of an upgrade in the turn in which it was made.
    try {
      const { protocol, headers } = welcome;
      const { socket, response } = Deno.upgradeWebSocket(request, {
        idleTimeout: IDLE_SECONDS,
        ...(protocol === undefined ? {} : { protocol }),
      });
      new AcceptedWebSocket(socket, origin, welcome, this.#host);
      for (const cookie of headers.getSetCookie()) response.headers.append("set-cookie", cookie);
      return response;
    } catch (error) {
      this.#handshakes -= 1;
      this.#forget(origin, undefined);
      log.refused("connection.refused", { connection: id, address, error: String(error) });
      return problem(refuse("bad_request", "The handshake can't be answered"));
    }
  }

  /**
   * Answers with a stream of messages: one that goes on until its client or the server goes, or one that ends where its reading
   * does.
   *
   * @param caller Where the request comes from.
   * @param source What is told on it.
   * @returns The answer, or why there is none.
   */
  async stream({ address }: Caller, source: Source): Promise<Response> {
    const { codec, who, begin, keepalive, headers } = source;
    const origin = { connection: connectionId(), address };
    const refusal = await this.#admit(origin, who);
    if (refusal !== undefined) return this.#refuse(origin, refusal);
    const { socket, connection } = this.#open(origin, who, codec, keepalive === undefined);
    const { id } = connection;
    if (keepalive !== undefined) {
      const beat = setInterval(() => connection.tell(keepalive()), SILENCE);
      connection.onEnd = () => clearInterval(beat);
    }
    this.#edge.expiry.hold(connection, who);
    try {
      await begin(connection);
    } catch (error) {
      log.error("log.unreadable", { connection: id, error: String(error) });
      socket.close(CLOSE.tooSlow);
      return problem(refuse("internal", "The log can't be read"));
    }
    return new Response(socket.body, { headers: { ...STREAMING, ...headers } });
  }

  /**
   * Counts an answer among the connections of its client, from before it is made until it is taken.
   *
   * @param caller Where the request comes from.
   * @param who Whose it is.
   * @param make Makes the answer.
   * @returns The answer, or why there is none.
   * @throws {Error} What `make` throws.
   */
  async answer(
    { address }: Caller,
    who: Who,
    make: () => Promise<Response>,
  ): Promise<Response> {
    const origin = { connection: connectionId(), address };
    const refusal = await this.#admit(origin, who);
    if (refusal !== undefined) return this.#refuse(origin, refusal);
    let body: Uint8Array<ArrayBuffer> | undefined;
    try {
      const response = await make();
      if (response.body === null) return response;
      const { status, headers } = response;
      const bytes = new Uint8Array(await response.arrayBuffer());
      // The system takes so little from us whether its client reads or not.
      if (bytes.length <= LITTLE) return new Response(bytes, { status, headers });
      body = bytes;
      const { socket } = this.#open(origin, who, native, true);
      this.#edge.hub.budget.add(bytes.length);
      socket.write(bytes);
      socket.finish();
      return new Response(socket.body, { status, headers });
    } finally {
      if (body === undefined) this.#forget(origin, undefined);
    }
  }

  #refuse({ connection, address }: Required<Origin>, refusal: Refusal): Response {
    log.refused("connection.refused", { connection, address, code: refusal.code });
    return problem(refusal);
  }

  #open(
    origin: Required<Origin>,
    who: Who,
    codec: Codec,
    whole: boolean,
  ): { readonly socket: StreamSocket; readonly connection: Connection } {
    const { connection: id, address } = origin;
    const gone = () => {
      connection.end();
      this.#forget(origin, connection);
      log.debug("connection.closed", { connection: id, address });
    };
    const taken = () => this.#edge.hub.taken(connection);
    const socket = new StreamSocket({ gone, taken }, whole);
    const connection = this.#hold(new Connection(id, socket, codec, this.#edge.hub, address), who);
    return { socket, connection };
  }

  #hold(connection: Connection, { account }: Who): Connection {
    const { id, codec, address } = connection;
    connection.meter = this.#edge.hub.rates.of(address, account);
    this.#connections.add(connection);
    this.#edge.counters.add("connections_total");
    log.debug("connection.open", { connection: id, codec: codec.name, address });
    return connection;
  }

  async #admit(origin: Required<Origin>, who: Who): Promise<Refusal | undefined> {
    const refusal = await admit(this.#edge.bus, origin, who);
    if (refusal !== undefined || !this.#ended) return refusal;
    this.#forget(origin, undefined);
    return AWAY;
  }

  #begin(
    socket: Socket,
    { connection: id, address }: Required<Origin>,
    welcome: Welcome,
  ): Opened {
    const { codec, who, begin, passes } = welcome;
    const sink = passes === undefined ? socket : new FilteredSocket(socket, passes);
    const connection = this.#hold(new Connection(id, sink, codec, this.#edge.hub, address), who);
    this.#edge.expiry.hold(connection, who);
    return { connection, session: begin(connection) };
  }

  #forget({ connection: id }: Required<Origin>, connection: Connection | undefined): void {
    this.#edge.bus.send({ op: "dismiss", connection: id });
    if (connection === undefined) return;
    this.#edge.expiry.forget(connection);
    this.#connections.delete(connection);
  }
}

/** A socket that sends only some frames: lines are shared by all readers of a channel, a filter is one reader's. */
class FilteredSocket implements Socket {
  readonly #socket: Socket;
  readonly #passes: (frame: string) => boolean;

  constructor(socket: Socket, passes: (frame: string) => boolean) {
    [this.#socket, this.#passes] = [socket, passes];
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  get readyState(): Socket["readyState"] {
    return this.#socket.readyState;
  }

  send(frame: string): void {
    if (this.#passes(frame)) this.#socket.send(frame);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }
}

/** What is said where too many come at once. */
export const CROWDED: Refusal = {
  ...refuse("unavailable", "Too many connections are being made at once, come back"),
  retry: CROWDED_RETRY,
};

/**
 * Refuses a handshake that Deno's server would let through or throw at (architecture.md, "Traps of the runtime";
 * threats.md H4).
 *
 * @param headers The request's.
 * @returns The answer, 426 or 400; undefined where it is one.
 */
export function badHandshake(headers: Headers): Response | undefined {
  const upgrade = headers.get("upgrade")?.toLowerCase();
  const options = headers.get("connection")?.toLowerCase().split(",") ?? [];
  const connection = options.map((option) => option.trim());
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
