/** A server in this process, on a free port, with a data folder of its own. */
import { type Config, readConfig } from "../../lib/config/config.ts";
import type { Limits } from "../../lib/config/limits.ts";
import { serve, type ServeParts } from "../../lib/app.ts";
import { UNBOUNDED } from "./limits.ts";

/** What differs from the defaults; of the limits those on how many and how often only hold where they are named. */
export type Changes = Partial<Omit<Config, "limits">> & { readonly limits?: Partial<Limits> };

/** A server under test. */
export interface TestServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly data: string;
  /** Puts other isolates in the place of those that serve. */
  replaceEdges(): Promise<void>;
  /** How many isolates took the place of another. */
  replacements(): number;
  /** Has it go by other settings, as at SIGHUP. */
  renew(changes: Changes): Promise<void>;
  /** Ends it and starts another on the same data and port, once something was done without it. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
}

// Without isolates the edge is beside the core; with several they meet on the bus alone.
const ISOLATES = [0, 3];

/**
 * Registers a story for each number of isolates, where more than one shows something of its own.
 *
 * @param name The test's.
 * @param test What it does; it is given the number, for `workers` of its server.
 * @param counts The numbers: none and several, where it doesn't say others.
 */
export function testIsolates(
  name: string,
  test: (workers: number) => Promise<void>,
  counts: readonly number[] = ISOLATES,
): void {
  for (const workers of counts) {
    Deno.test(`${name} (${workers} isolates)`, () => test(workers));
  }
}

/**
 * Starts a server; `await using` ends it.
 *
 * @param changes What differs from the defaults.
 * @param parts What differs from the program.
 * @returns The server.
 */
export async function startServer(
  changes: Changes = {},
  parts: ServeParts = {},
): Promise<TestServer> {
  const config = readConfig([], () => undefined);
  if (typeof config === "string") throw new Error("Cannot start: the configuration is none");
  const data = changes.data ?? await Deno.makeTempDir({ prefix: "fanfare-test-" });
  const limits = { ...UNBOUNDED, ...changes.limits };
  const whole = { ...config, workers: 0, ...changes, data, limits };
  let running = await serve({ ...whole, port: changes.port ?? 0 }, parts);
  const { port } = new URL(running.url);
  const host = `127.0.0.1:${port}`;
  return {
    host,
    url: `http://${host}`,
    data,
    replaceEdges: () => running.replaceEdges(),
    replacements: () => running.replacements,
    renew: (changes) =>
      running.renew({ ...whole, ...changes, limits: { ...limits, ...changes.limits } }),
    async restart(meanwhile) {
      await running.stop();
      await meanwhile?.();
      running = await serve({ ...whole, port: Number(port) }, parts);
    },
    async [Symbol.asyncDispose]() {
      await running.stop();
      if (changes.data === undefined) await Deno.remove(data, { recursive: true });
    },
  };
}

/**
 * Opens a page as a browser would, for its cookie.
 *
 * @param server The server.
 * @param path The page.
 * @param headers Of the request, such as what a proxy adds.
 * @returns The cookie's `name=value`.
 */
export async function cookieOf(
  server: Pick<TestServer, "url">,
  path = "/to_chat/",
  headers: Record<string, string> = {},
): Promise<string> {
  const response = await fetch(server.url + path, { headers });
  await response.body?.cancel();
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0];
  if (cookie === undefined) throw new Error(`Cannot find a cookie: ${path} gave none`);
  return cookie;
}

/** A WebSocket whose frames are read one after the other. */
export class TestSocket implements AsyncDisposable {
  /** All frames so far. */
  readonly frames: string[] = [];
  /** Ends with the close code. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  #read = 0;
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.frames.push(String(data));
      this.#wake();
    };
    this.closed = new Promise((resolve) => socket.onclose = ({ code }) => resolve(code));
  }

  /**
   * Opens a socket.
   *
   * @param url `ws://…`
   * @param options Headers and subprotocols of the handshake.
   * @returns The socket, open.
   * @throws {Error} If the handshake is refused.
   */
  static async open(
    url: string,
    options: { headers?: Record<string, string>; protocols?: string[] } = {},
  ): Promise<TestSocket> {
    // The DOM's types know no headers, Deno's constructor does.
    const socket: WebSocket = Reflect.construct(WebSocket, [url, options]);
    const test = new TestSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) =>
        reject(
          new Error(`Cannot open ${url}: ${event instanceof ErrorEvent ? event.message : ""}`),
        );
    });
    socket.onerror = null;
    return test;
  }

  /** @param frame A frame to send. */
  send(frame: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(frame);
  }

  /**
   * Waits for the next frame.
   *
   * @param patience Milliseconds.
   * @returns The frame.
   * @throws {Error} If none comes in time.
   */
  async next(patience = 20_000): Promise<string> {
    const deadline = Date.now() + patience;
    while (this.frames.length <= this.#read) {
      const left = deadline - Date.now();
      if (left <= 0) {
        throw new Error(`No frame came in ${patience} ms after ${JSON.stringify(this.frames)}`);
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return this.frames[this.#read++] ?? "";
  }

  /**
   * Waits for a frame that fits; those before it are passed over.
   *
   * @param fits What to look for.
   * @param patience Milliseconds for each frame.
   * @returns The frame.
   */
  async until(fits: (frame: string) => boolean, patience = 20_000): Promise<string> {
    for (;;) {
      const frame = await this.next(patience);
      if (fits(frame)) return frame;
    }
  }

  /** Closes it and waits for the end. */
  async close(): Promise<void> {
    if (this.#socket.readyState < WebSocket.CLOSING) this.#socket.close();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A native client that sends commands and sorts what comes into answers and the rest. */
export class NativeClient implements AsyncDisposable {
  /** What came without an id, in order. */
  readonly told: Record<string, unknown>[] = [];
  readonly #answers = new Map<number, Record<string, unknown>>();
  readonly #socket: TestSocket;
  #id = 0;
  #taking: Promise<void> | undefined;

  private constructor(socket: TestSocket) {
    this.#socket = socket;
  }

  /**
   * Connects.
   *
   * @param server Where.
   * @param headers Of the handshake, such as a cookie.
   * @returns The client.
   */
  static async open(
    server: Pick<TestServer, "host">,
    headers: Record<string, string> = {},
  ): Promise<NativeClient> {
    const options = { headers, protocols: ["fanfare.v1"] };
    return new NativeClient(await TestSocket.open(`ws://${server.host}/ws`, options));
  }

  /** The socket beneath. */
  get socket(): TestSocket {
    return this.#socket;
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @param verb The verb.
   * @param body Its body.
   * @returns The whole answer: `{id, verb: …}` or `{id, error: …}`.
   */
  async ask(verb: string, body: unknown): Promise<Record<string, unknown>> {
    const id = ++this.#id;
    this.#socket.send(JSON.stringify({ id, [verb]: body }));
    for (;;) {
      const answer = this.#answers.get(id);
      if (answer !== undefined) return answer;
      await this.#take();
    }
  }

  /**
   * Sends a command that has to be done.
   *
   * @param verb The verb.
   * @param body Its body.
   * @returns What it was answered with.
   * @throws {Error} If it was refused.
   */
  async do(verb: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await this.ask(verb, body);
    const done = answer[verb];
    if (typeof done === "object" && done !== null) return { ...done };
    throw new Error(`Refused: ${JSON.stringify(answer)}`);
  }

  /**
   * Waits for something that is told without being asked.
   *
   * @param kind `message`, `presence`, `signal` or `closing`.
   * @returns The first that wasn't taken yet.
   */
  async hear(kind: string): Promise<Record<string, unknown>> {
    for (;;) {
      const at = this.told.findIndex((line) => kind in line);
      const found = at < 0 ? undefined : this.told.splice(at, 1)[0]?.[kind];
      if (typeof found === "object" && found !== null) return { ...found };
      await this.#take();
    }
  }

  // Several may wait at once; each looks again after each frame.
  #take(): Promise<void> {
    return this.#taking ??= this.#takeFrame().finally(() => this.#taking = undefined);
  }

  async #takeFrame(): Promise<void> {
    for (const line of (await this.#socket.next()).split("\n")) {
      const value: Record<string, unknown> = JSON.parse(line);
      if (typeof value.id === "number") this.#answers.set(value.id, value);
      else this.told.push(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket.close();
  }
}

/**
 * Has a browser's session recorded, as by its first command.
 *
 * @param server Where.
 * @param cookie The browser's.
 * @param headers More that its handshake has.
 * @returns Its account.
 */
export async function accountOf(
  server: Pick<TestServer, "host">,
  cookie: string,
  headers: Record<string, string> = {},
): Promise<string> {
  await using client = await NativeClient.open(server, { ...headers, cookie });
  return String((await client.do("hello", {})).account);
}
