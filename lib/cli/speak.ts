/** The commands that speak to a server, by the client library of the pages. */
import { deadline } from "@std/async/deadline";
import { connect, FanfareError, memoryStore, State } from "../../static/client/fanfare.js";
import { toJson } from "../protocol/json.ts";
import { readNamed } from "../config/system_errors.ts";
import { linesOf, wholeText } from "./input.ts";
import type { Range, Reading, Request, Sending, Server } from "./options.ts";
import { plain, type Terminal } from "./terminal.ts";

/** Exit code where no server could be reached in time (EX_UNAVAILABLE of sysexits.h). */
export const EXIT_UNREACHED = 69;

type Client = ReturnType<typeof connect>;

interface Message {
  readonly channel: string;
  readonly seq: number;
  readonly time: number;
  readonly from: string | null;
  readonly name?: string;
  readonly data: unknown;
}

// Messages on their way at once: the outbox has room for a thousand.
const ON_THE_WAY = 500;
const PAGE = 200;

/** No server answered in time. */
class Unreached extends Error {}

/**
 * Does what a command asks for.
 *
 * @param request The command.
 * @param terminal Where it writes.
 * @returns The exit code.
 * @throws {Error} If the server refuses, or a file can't be read.
 */
export async function speak(request: Request, terminal: Terminal): Promise<number> {
  try {
    switch (request.name) {
      case "publish":
        return await publish(request, terminal);
      case "subscribe":
        return await subscribe(request, terminal);
      case "history":
        return await history(request, terminal);
    }
  } catch (error) {
    if (!(error instanceof Unreached)) throw error;
    terminal.tell(error.message);
    return EXIT_UNREACHED;
  }
}

type Publish = Extract<Request, { name: "publish" }>;

async function publish(request: Publish, terminal: Terminal): Promise<number> {
  const { channel, key, timeout } = request;
  const texts = request.lines
    ? linesOf(Deno.stdin.readable)
    : [request.text === "-" ? await wholeText(Deno.stdin.readable) : request.text];
  const client = await open(request, timeout);
  let sent = 0;
  let failed: unknown;
  const going = new Set<Promise<void>>();
  try {
    for await (const text of texts) {
      if (failed !== undefined) break;
      const publication = client.publish(
        channel,
        dataOf(text, request),
        key === undefined ? {} : { key },
      );
      const one = answer(publication, timeout, request.url).then((place) => {
        sent += 1;
        terminal.report(toJson(place));
        terminal.progress(sent, undefined, "messages");
      }).catch((error) => void (failed ??= error)).finally(() => going.delete(one));
      going.add(one);
      if (going.size >= ON_THE_WAY) await Promise.race(going);
    }
  } catch (error) {
    failed ??= error;
  }
  // What went before a line that can't be read is told all the same.
  try {
    await Promise.all(going);
  } finally {
    client.close();
  }
  if (failed !== undefined) throw failed;
  return 0;
}

function dataOf(text: string, { data }: Sending): unknown {
  if (!data) return { text };
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`Cannot publish ${JSON.stringify(text.slice(0, 60))}: it isn't JSON`);
  }
}

type Subscribe = Extract<Request, { name: "subscribe" }>;

async function subscribe(request: Subscribe, terminal: Terminal): Promise<number> {
  const { channels, count } = request;
  // It waits for its server as long as it takes: that is what it is for.
  const client = await open(request, Infinity, (sentence) => terminal.tell(sentence));
  const since = placeOf(request, client);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let written = 0;
  const write = (messages: readonly Message[], gap: boolean, channel: string) => {
    if (gap) terminal.tell(`Messages of ${channel} are missing here: they are no longer kept`);
    for (const message of messages) {
      if (count > 0 && written === count) return;
      terminal.line(shown(message, request, terminal));
      written += 1;
      if (written === count) resolve(0);
    }
  };
  client.on("state", () => {
    if (client.state === State.waiting) terminal.tell("The connection is lost, it is made anew");
    if (client.state === State.closed) reject(new Error("The server refuses this client"));
  });
  for (const channel of channels) {
    client.subscribe(channel, {
      ...(since === undefined ? {} : { since }),
      ...(request.history === 0 ? {} : { history: request.history }),
      onMessages: (messages, gap) => write(messages, gap, channel),
      onError: ({ message }) => reject(new Error(`Cannot read ${channel}: ${message}`)),
    });
  }
  const stop = () => resolve(0);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, stop);
  try {
    return await promise;
  } finally {
    client.close();
  }
}

function placeOf(
  { since }: Reading,
  { epoch }: Client,
): { epoch: string; seq: number } | undefined {
  return since && { epoch: since.epoch ?? epoch ?? "", seq: since.seq };
}

type History = Extract<Request, { name: "history" }>;

async function history(request: History, terminal: Terminal): Promise<number> {
  const client = await open(request, request.timeout);
  try {
    const { after, limit } = request;
    // What comes oldest first needn't be held; the newest are read backwards.
    const pages = after === undefined
      ? await backwards(client, request)
      : forwards(client, request);
    let written = 0;
    for await (const messages of pages) {
      for (const message of messages) terminal.line(shown(message, request, terminal));
      written += messages.length;
      terminal.progress(written, limit === 0 ? undefined : limit, "messages");
    }
    return 0;
  } finally {
    client.close();
  }
}

async function* forwards(client: Client, request: History): AsyncGenerator<Message[]> {
  const { channel, timeout, url } = request;
  let left = request.limit || Infinity;
  for (let after = request.after ?? 0; left > 0;) {
    const limit = Math.min(PAGE, left);
    const { messages, more } = await answer(
      client.history(channel, { after, limit }),
      timeout,
      url,
    );
    yield messages;
    left -= messages.length;
    after = messages.at(-1)?.seq ?? after;
    if (!more) return;
  }
}

// All of a channel is read from its beginning on.
async function backwards(
  client: Client,
  request: History & Range,
): Promise<AsyncIterable<Message[]> | Message[][]> {
  const { channel, limit, timeout, url } = request;
  if (limit === 0 && request.before === undefined) {
    return forwards(client, { ...request, after: 0 });
  }
  const pages: Message[][] = [];
  let left = limit || Infinity;
  for (let before = request.before; left > 0;) {
    const range = { ...(before === undefined ? {} : { before }), limit: Math.min(PAGE, left) };
    const { messages, more } = await answer(client.history(channel, range), timeout, url);
    pages.unshift(messages);
    left -= messages.length;
    before = messages[0]?.seq;
    if (!more || before === undefined) break;
  }
  return pages;
}

function shown(message: Message, { json }: Server, terminal: Terminal): string {
  if (json || !terminal.people) return toJson(message);
  const { channel, time, from, name, data } = message;
  const text = typeof data === "object" && data !== null && "text" in data ? data.text : data;
  const when = new Date(time).toLocaleTimeString();
  const who = name ?? from ?? "";
  const said = typeof text === "string" ? text : JSON.stringify(text);
  return [
    terminal.colour(2, when),
    terminal.colour(36, plain(channel)),
    ...(who === "" ? [] : [terminal.colour(1, plain(who))]),
    plain(said),
  ].join(" ");
}

// Without a token a program is a browser: it has the account that the server gives it, over all of its connections.
async function open(
  { url, tokenFile }: Server,
  timeout: number,
  tell: (sentence: string) => void = () => {},
): Promise<Client> {
  const token = tokenFile === undefined
    ? undefined
    : (await readNamed(tokenFile, "token-file")).trim();
  const until = performance.now() + timeout;
  const page = token === undefined ? "/to_chat/" : "/healthz";
  const { base, way } = wayTo(url);
  const headers = await reach(new URL(page, base), { url, way, until, tell });
  const client = connect({
    url: base,
    store: memoryStore(),
    ...(token === undefined ? {} : { token }),
    // Browsers' sockets take neither headers nor a way, Deno's do.
    WebSocket: new Proxy(WebSocket, {
      construct: (target, [to, protocols]) =>
        Reflect.construct(target, [to, { protocols, headers, ...way }]),
    }),
  });
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
  const look = () => {
    if (client.state === State.open) resolve();
    if (client.state === State.closed) {
      reject(new Error(`The server at ${url} refuses this client`));
    }
  };
  const off = client.on("state", look);
  look();
  try {
    const left = until - performance.now();
    await (left === Infinity ? opened : deadline(opened, Math.max(0, left)));
  } catch (error) {
    client.close();
    throw error instanceof DOMException ? new Unreached(`No server answers at ${url}`) : error;
  } finally {
    off();
  }
  return client;
}

/** Another way than the network, as `fetch` and WebSockets take it. */
interface Way {
  readonly client?: Deno.HttpClient;
}

// On a socket file there is one server, which has no name: it is told one that every server takes.
function wayTo(url: string): { readonly base: string; readonly way: Way } {
  const [, path] = /^unix:(.+)$/.exec(url) ?? [];
  if (path === undefined) return { base: url, way: {} };
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  return { base: "http://localhost/", way: { client } };
}

const RETRY = 500;
const LONGEST_TRY = 10_000;

// A socket says nothing of why it can't be opened, an answer or its absence does. Pages give out the account's cookie.
async function reach(
  page: URL,
  { url, way, until, tell }: {
    url: string;
    way: Way;
    until: number;
    tell: (sentence: string) => void;
  },
): Promise<Record<string, string>> {
  page.protocol = page.protocol.replace("ws", "http");
  let why = "";
  for (let told = false;; told = true) {
    const left = Math.min(until - performance.now(), LONGEST_TRY);
    if (left <= 0) throw new Unreached(`No server answers at ${url}${why}`);
    try {
      const init = { ...way, signal: AbortSignal.timeout(left) };
      const response = await fetch(page, init);
      await response.body?.cancel();
      const [cookie] = response.headers.getSetCookie();
      if (cookie !== undefined) return { cookie: cookie.split(";", 1)[0] ?? "" };
      if (response.ok) return {};
      why = ` as it should: it is told ${response.status} ${response.statusText}`.trimEnd();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // The last try may be cut short: what it was before says more.
      if (why === "" || error.name !== "TimeoutError") why = `: ${reasonOf(error)}`;
    }
    if (!told) tell(`No server answers at ${url}${why}; it is tried again`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(RETRY, left)));
  }
}

// What is innermost says what it was: a certificate, a name, a refused connection.
function reasonOf(error: Error): string {
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return error.message.replace(/^.*?client error \(\w+\): /, "");
}

async function answer<T>(promise: Promise<T>, timeout: number, url: string): Promise<T> {
  try {
    return await deadline(promise, timeout);
  } catch (error) {
    if (error instanceof DOMException) {
      throw new Unreached(`The server at ${url} took too long to answer`);
    }
    // The program's line says what the server said.
    if (error instanceof FanfareError) throw new Error(error.message);
    throw error;
  }
}
