/** A proxy on loopback that counts what a program downloads, from wherever this machine gets it. */

import { Buffer } from "node:buffer";

const LONGEST_HEAD = 16_384;

/** A proxy that counts; disposing of it closes it. */
export class CountingProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #sockets = new Set<Deno.Conn>();
  #received = 0;
  #open = true;

  private constructor() {
    this.#accept();
  }

  /**
   * Starts one.
   *
   * @returns The proxy.
   */
  static listen(): CountingProxy {
    return new CountingProxy();
  }

  /** How many bytes came from the network so far, heads and TLS included. */
  get received(): number {
    return this.#received;
  }

  /** The environment of a program whose network is this proxy. */
  get env(): Record<string, string> {
    const url = `http://127.0.0.1:${this.#listener.addr.port}`;
    const names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
    const proxies = Object.fromEntries(names.map((name) => [name, url]));
    return { ...proxies, ALL_PROXY: "", all_proxy: "", NO_PROXY: "", no_proxy: "" };
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      // A connection that fails shows in the program whose network this is.
      this.#serve(client).catch(() => {}).finally(() => this.#close(client));
    }
  }

  async #serve(client: Deno.Conn): Promise<void> {
    const { head, rest } = await readHead(client);
    const { server, first, answer } = await reach(head);
    if (!this.#open) return server.close();
    this.#sockets.add(client).add(server);
    try {
      await writeAll(client, answer);
      await writeAll(server, first + rest);
      await Promise.all([this.#pipe(server, client, true), this.#pipe(client, server, false)]);
    } finally {
      this.#close(server);
    }
  }

  async #pipe(from: Deno.Conn, to: Deno.Conn, counted: boolean): Promise<void> {
    const part = new Uint8Array(65_536);
    for (let size; (size = await from.read(part)) !== null;) {
      if (counted) this.#received += size;
      for (let at = 0; at < size;) at += await to.write(part.subarray(at, size));
    }
    await to.closeWrite();
  }

  #close(socket: Deno.Conn): void {
    this.#sockets.delete(socket);
    try {
      socket.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#open = false;
    this.#listener.close();
    for (const socket of this.#sockets) this.#close(socket);
  }
}

/** Latin-1 keeps each byte as one character. */
async function readHead(client: Deno.Conn): Promise<{ head: string; rest: string }> {
  let text = "";
  const part = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const size = await client.read(part);
    if (size === null || text.length > LONGEST_HEAD) throw new Error("Cannot read the head");
    text += Buffer.from(part.subarray(0, size)).toString("latin1");
  }
  const end = text.indexOf("\r\n\r\n") + 4;
  return { head: text.slice(0, end), rest: text.slice(end) };
}

interface Route {
  readonly server: Deno.Conn;
  /** What the server is sent first. */
  readonly first: string;
  /** What the client is answered at once. */
  readonly answer: string;
}

/** Connects as this machine does: through its proxy, if it has one. */
async function reach(head: string): Promise<Route> {
  const [, method = "", target = ""] = /^(\S+) (\S+) HTTP\/1\.1\r\n/.exec(head) ?? [];
  const tunnel = method === "CONNECT";
  const url = new URL(tunnel ? `https://${target}` : target);
  const proxy = proxyFor(url);
  if (proxy !== undefined) {
    const auth = proxy.username === ""
      ? ""
      : `Proxy-Authorization: Basic ${
        btoa(decodeURIComponent(`${proxy.username}:${proxy.password}`))
      }\r\n`;
    return { server: await connect(proxy), first: head.replace("\r\n", `\r\n${auth}`), answer: "" };
  }
  const server = await connect(url);
  if (tunnel) return { server, first: "", answer: "HTTP/1.1 200 OK\r\n\r\n" };
  const path = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nConnection: close\r\n`;
  const rest = head.slice(head.indexOf("\r\n") + 2).replace(/^(?:proxy-)?connection:.*\r\n/gim, "");
  return { server, first: path + rest, answer: "" };
}

function connect({ hostname, port, protocol }: URL): Promise<Deno.Conn> {
  return Deno.connect({ hostname, port: Number(port) || (protocol === "http:" ? 80 : 443) });
}

function proxyFor({ protocol, hostname }: URL): URL | undefined {
  const env = (name: string) => Deno.env.get(name.toUpperCase()) || Deno.env.get(name) || "";
  const exempt = env("no_proxy").split(",").map((name) => name.trim().replace(/^\*?\./, ""));
  if (exempt.some((name) => name === "*" || `.${hostname}`.endsWith(`.${name}`))) return undefined;
  const proxy = env(protocol === "https:" ? "https_proxy" : "http_proxy") || env("all_proxy");
  return proxy === "" ? undefined : new URL(proxy);
}

async function writeAll(socket: Deno.Conn, text: string): Promise<void> {
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}
