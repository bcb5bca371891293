/** HTTP by hand over TCP: for requests that no client would send, and for what a WebSocket hides of a handshake. */

/** What was answered. */
export interface RawAnswer {
  /** 0 where the connection ended without an answer. */
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** The headers of a handshake that is right. */
export const HANDSHAKE = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
};

/** What a request is made of; what isn't given is as it should be. */
export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  /** One that is undefined is left out; a list is as many lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: string;
}

/**
 * Writes a request as it goes over the wire.
 *
 * @param host The server's `host:port`.
 * @param request The request.
 * @returns Its text.
 */
export function written(host: string, request: RawRequest): string {
  const { method = "GET", path = "/", headers = {}, body } = request;
  const length = body === undefined
    ? {}
    : { "content-length": String(encoder.encode(body).length) };
  const all = { host, connection: "close", ...length, ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`)
  );
  return [`${method} ${path} HTTP/1.1`, ...lines, "", body ?? ""].join("\r\n");
}

const encoder = new TextEncoder();

/**
 * Sends a request and reads the answer.
 *
 * @param host The server's `host:port`.
 * @param request The request, or its text.
 * @returns The answer; of a switch to WebSocket only the head.
 */
export async function ask(host: string, request: RawRequest | string): Promise<RawAnswer> {
  using conn = await connect(host);
  const text = typeof request === "string" ? request : written(host, request);
  // Whoever is refused early may find the connection closed before all of it is sent.
  const sent = sendAll(conn, encoder.encode(text)).catch(() => {});
  const answer = await readAnswer(conn);
  await Promise.race([sent, Promise.resolve()]);
  return answer;
}

/**
 * Connects.
 *
 * @param host `host:port`.
 * @returns The connection.
 */
export async function connect(host: string): Promise<Deno.TcpConn> {
  const [hostname = "", port] = host.split(":");
  return await Deno.connect({ hostname, port: Number(port) });
}

/**
 * Sends all of something.
 *
 * @param conn Where.
 * @param bytes What.
 */
export async function sendAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/**
 * Reads one answer to its end.
 *
 * @param conn From where.
 * @returns The answer.
 */
export async function readAnswer(conn: Deno.TcpConn): Promise<RawAnswer> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const count = await conn.read(buffer).catch(() => null);
    if (count !== null) text += decoder.decode(buffer.subarray(0, count), { stream: true });
    const answer = answerIn(text);
    if (count === null) return answer ?? { status: 0, headers: new Headers(), body: "" };
    const { status, headers, body } = answer ?? {};
    const length = headers?.get("content-length") ?? undefined;
    const whole = length !== undefined && encoder.encode(body).length >= Number(length);
    if (answer !== undefined && (status === 101 || whole)) return answer;
  }
}

/** Undefined until the head is there; nginx answers a request line that it takes for HTTP/0.9 without one. */
function answerIn(text: string): RawAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(text) ?? [];
  if (end < 0 || status === undefined) return undefined;
  const headers = new Headers();
  for (const line of text.slice(0, end).split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(status), headers, body: text.slice(end + 4) };
}
