/** One connection of a native client: what it asks is answered, or the connection ends. Every wait has a limit. */

/** A message as protocol.md, "Messages" has it. */
export interface WireMessage {
  readonly channel: string;
  readonly seq: number;
  readonly time: number;
  readonly from: string | null;
  readonly name?: string;
  readonly key?: string;
  readonly data: unknown;
}

/** A line from the server; which members it has depends on what was asked. */
export interface Line {
  readonly id?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly retry?: number };
  readonly message?: WireMessage;
  readonly hello?: { readonly account: string; readonly name?: string; readonly epoch: string };
  readonly publish?: {
    readonly channel: string;
    readonly seq: number;
    readonly time: number;
    readonly duplicate?: boolean;
  };
  readonly subscribe?: {
    readonly channel: string;
    readonly epoch: string;
    readonly seq: number;
    readonly recovered?: boolean;
    readonly more?: boolean;
    readonly messages: readonly WireMessage[];
  };
  readonly history?: { readonly messages: readonly WireMessage[]; readonly more: boolean };
}

/** Who is told what comes. */
export interface WireEvents {
  /** Takes a line without an id. */
  told(line: Line): void;
  /** Something was never answered on a connection that lives: a fault of the server. */
  stuck(what: string): void;
}

/** After this many milliseconds without a word it asks whether anyone is there. */
const QUIET = 1000;
/** How long that may take: then the network is taken for dead. */
const SILENCE = 2500;
/** How long any answer may take while others come. */
const ANSWER_LIMIT = 15_000;
const OPEN_LIMIT = 5000;

/** A connection. */
export class Wire {
  /** Ends when it is closed or given up. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  readonly #events: WireEvents;
  readonly #asked = new Map<number, { at: number; what: string; told: (line: Line) => void }>();
  readonly #end: () => void;
  readonly #watch: ReturnType<typeof setInterval>;
  #id = 0;
  #heard = performance.now();
  #pinged = false;
  #open = true;

  private constructor(socket: WebSocket, events: WireEvents, sockets: Set<Promise<void>>) {
    this.#socket = socket;
    this.#events = events;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    socket.onmessage = ({ data }) => this.#receive(String(data));
    socket.onerror = () => this.drop();
    // A socket that was given up may stay until its other side goes; a run waits for all in the end.
    const gone = new Promise<void>((done) => {
      socket.onclose = () => {
        this.drop();
        done();
      };
    });
    sockets.add(gone);
    void gone.then(() => sockets.delete(gone));
    this.#watch = setInterval(() => this.#look(), QUIET / 4);
  }

  /**
   * Connects.
   *
   * @param url `ws://…`
   * @param cookie Whose connection.
   * @param events Who is told.
   * @param sockets Where every socket stays until it is really gone.
   * @returns The connection, or undefined where nobody answered.
   */
  static async open(
    url: string,
    cookie: string,
    events: WireEvents,
    sockets: Set<Promise<void>>,
  ): Promise<Wire | undefined> {
    // The DOM's types know no headers, Deno's constructor does. Past the proxy the server needs an address, too.
    const options = {
      headers: { cookie, "x-forwarded-for": "127.0.0.1" },
      protocols: ["fanfare.v1"],
    };
    const socket: WebSocket = Reflect.construct(WebSocket, [url, options]);
    const { promise: gone, resolve: done } = Promise.withResolvers<void>();
    sockets.add(gone);
    const open = await new Promise<boolean>((resolve) => {
      const late = setTimeout(() => resolve(false), OPEN_LIMIT);
      const told = (result: boolean) => {
        clearTimeout(late);
        resolve(result);
      };
      socket.onopen = () => told(true);
      socket.onerror = () => told(false);
      socket.onclose = () => {
        told(false);
        done();
      };
    });
    sockets.delete(gone);
    if (open) return new Wire(socket, events, sockets);
    if (socket.readyState !== WebSocket.CLOSED) {
      sockets.add(gone);
      void gone.then(() => sockets.delete(gone));
      socket.close();
    }
    return undefined;
  }

  /** Whether it can be used. */
  get open(): boolean {
    return this.#open;
  }

  /**
   * Makes a command whose answer is awaited.
   *
   * @param verb The verb.
   * @param body Its body.
   * @param told Takes the answer; never called where the connection ends before.
   * @returns The line, to be sent.
   */
  command(verb: string, body: unknown, told: (line: Line) => void): string {
    const id = ++this.#id;
    this.#asked.set(id, { at: performance.now(), what: verb, told });
    return JSON.stringify({ id, [verb]: body });
  }

  /** @param lines Commands, sent as one frame. */
  send(lines: readonly string[]): void {
    if (this.#open && lines.length > 0 && this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(lines.join("\n"));
    }
  }

  /**
   * Asks one thing and waits for it.
   *
   * @param verb The verb.
   * @param body Its body.
   * @returns The answer, or undefined where the connection ended before.
   */
  async ask(verb: string, body: unknown): Promise<Line | undefined> {
    const { promise, resolve } = Promise.withResolvers<Line>();
    this.send([this.command(verb, body, resolve)]);
    return await Promise.race([promise, this.ended.then(() => undefined)]);
  }

  /** Ends it without a word; nothing is heard from it any more. */
  drop(): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#watch);
    this.#asked.clear();
    if (this.#socket.readyState < WebSocket.CLOSING) this.#socket.close();
    this.#end();
  }

  #receive(frame: string): void {
    if (!this.#open) return;
    this.#heard = performance.now();
    this.#pinged = false;
    for (const text of frame.split("\n")) {
      const line: Line = JSON.parse(text);
      const asked = line.id === undefined ? undefined : this.#asked.get(line.id);
      if (asked === undefined) this.#events.told(line);
      else {
        this.#asked.delete(line.id ?? 0);
        asked.told(line);
      }
      if (!this.#open) return;
    }
  }

  #look(): void {
    const now = performance.now();
    const oldest = this.#asked.values().next().value;
    if (now - this.#heard > SILENCE && this.#pinged) return this.drop();
    if (oldest !== undefined && now - oldest.at > ANSWER_LIMIT) {
      this.#events.stuck(`"${oldest.what}" was not answered within ${ANSWER_LIMIT} ms`);
      return this.drop();
    }
    if (now - this.#heard > QUIET && !this.#pinged) {
      this.#pinged = true;
      this.send([this.command("ping", {}, () => {})]);
    }
  }
}
