/** Requests to the JSON API as programs make them, and event streams as they read them. */
import type { TestServer } from "./server.ts";

/** An answer whose body was read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** What a request is made of. */
export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly text?: string;
}

/**
 * Sends a request.
 *
 * @param server Where.
 * @param path Its path and query.
 * @param ask What it is made of; with a body it is a POST.
 * @returns The answer; a body of JSON is parsed, another is text.
 */
export async function http(
  server: Pick<TestServer, "url">,
  path: string,
  ask: Ask = {},
): Promise<Answer> {
  const body = ask.json === undefined ? ask.text : JSON.stringify(ask.json);
  const response = await fetch(server.url + path, {
    method: ask.method ?? (body === undefined ? "GET" : "POST"),
    headers: {
      ...(ask.json === undefined ? {} : { "content-type": "application/json" }),
      ...ask.headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  const isJson = /[/+]json\b/.test(type) && text !== "";
  const { status, headers } = response;
  return { status, headers, body: isJson ? JSON.parse(text) : text };
}

/** One event of a stream: its fields. */
export type StreamEvent = Readonly<Record<string, string>>;

/** An event stream whose events are read one after the other. */
export class EventStream implements AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  /** Comment lines so far. */
  comments = 0;
  readonly #reader: ReadableStreamDefaultReader<string> | undefined;
  readonly #abort: AbortController;
  #rest = "";

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.headers = response.headers;
    this.#reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    this.#abort = abort;
  }

  /**
   * Opens one.
   *
   * @param server Where.
   * @param path Its path and query.
   * @param headers Of the request.
   * @returns The stream, whatever it was answered with.
   */
  static async open(
    server: Pick<TestServer, "url">,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(server.url + path, { headers, signal: abort.signal });
    return new EventStream(response, abort);
  }

  /**
   * Reads the next event; comments are passed over.
   *
   * @returns Its fields, or undefined at the end.
   */
  async next(): Promise<StreamEvent | undefined> {
    for (;;) {
      const end = this.#rest.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 2);
        const lines = block.split("\n").filter((line) => line !== "");
        this.comments += lines.filter((line) => line.startsWith(":")).length;
        const fields = lines.filter((line) => !line.startsWith(":")).map((line) =>
          [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const
        );
        if (fields.length > 0) return Object.fromEntries(fields);
        continue;
      }
      const part = await this.#read();
      if (part === undefined) return undefined;
      this.#rest += part;
    }
  }

  /**
   * Reads on to the next event of a kind.
   *
   * @param event Its name.
   * @returns Its data, parsed; with its id.
   * @throws {Error} If the stream ends before.
   */
  async until(event: string): Promise<{ id: string; data: Record<string, unknown> }> {
    for (;;) {
      const next = await this.next();
      if (next === undefined) throw new Error(`The stream ended before an event "${event}"`);
      if (next.event !== event) continue;
      return { id: next.id ?? "", data: JSON.parse(next.data ?? "null") };
    }
  }

  /** Cuts it. */
  cut(): void {
    this.#abort.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await this.#reader?.cancel().catch(() => {});
  }

  async #read(): Promise<string | undefined> {
    try {
      return (await this.#reader?.read())?.value;
    } catch {
      // Cut, by whichever side.
      return undefined;
    }
  }
}
