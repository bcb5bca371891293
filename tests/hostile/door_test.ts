/** Heads that are too large or name a wrong host, proxies that name no client, pages of other origins (threats.md H15–H20). */
import { assertEquals, assertLess } from "@std/assert";
import { connect as connectHttp2 } from "node:http2";
import { RequestPolicy, UNKNOWN_ADDRESS } from "../../lib/http/request_policy.ts";
import {
  ADDRESS_BYTES,
  CREDENTIAL_BYTES,
  HEAD_BYTES,
  VALUE_BYTES,
} from "../../lib/http/request_head.ts";
import { within } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { ask, HANDSHAKE, type RawRequest } from "../helpers/raw_http.ts";
import { startServer, TestSocket } from "../helpers/server.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const PUSH: RawRequest = { method: "POST", path: "/send/", headers: FORM, body: "msg=x" };

const codeOf = (body: string) => body === "" ? undefined : JSON.parse(body).code;

/** A value of so many bytes that is no value of any header. */
const long = (bytes: number, by = "a") => by.repeat(bytes);

Deno.test("H15: a value, an address and a head are served up to their bounds, and get 431 beyond", async () => {
  await using server = await startServer();
  const { host } = server;
  const statusOf = async (headers: Record<string, string>, path = "/healthz") => {
    const { status, body } = await ask(host, { path, headers });
    if (status === 431) assertEquals(codeOf(body), "too_large");
    return status;
  };
  const parsed = ["if-none-match", "accept-encoding", "last-event-id", "origin", "title", "x-tags"];
  const bounds: [string, number][] = [
    ["cookie", CREDENTIAL_BYTES],
    ["authorization", CREDENTIAL_BYTES],
    ...["connection", "range", "idempotency-key", "x-forwarded-for"].map((name) =>
      [name, VALUE_BYTES] as [string, number]
    ),
    ...parsed.map((name) => [name, VALUE_BYTES] as [string, number]),
  ];
  for (const [name, most] of bounds) {
    assertEquals(await statusOf({ [name]: long(most) }), 200, name);
    assertEquals(await statusOf({ [name]: long(most + 1) }), 431, name);
  }
  // What nobody here parses counts only towards the whole.
  assertEquals(await statusOf({ "x-forwarded-client-cert": long(20_000) }), 200);
  const two = (bytes: number) => ({ "x-a": long(bytes), "x-b": long(bytes) });
  assertEquals(await statusOf(two(HEAD_BYTES / 2 - 200)), 200);
  assertEquals(await statusOf(two(HEAD_BYTES / 2)), 431);
  const address = (bytes: number) => `/healthz?${long(bytes)}`;
  assertEquals(await statusOf({}, address(ADDRESS_BYTES - 100)), 200);
  assertEquals(await statusOf({}, address(ADDRESS_BYTES)), 431);
  // Before all other refusals.
  const late = await ask(host, {
    method: "BREW",
    path: "/ws?token=x",
    headers: { host: "evil.example", cookie: long(9000) },
  });
  assertEquals(late.status, 431);
});

Deno.test("H15: what Deno refuses by itself: heads over 64 KiB and over 128 headers, with an empty 400", async () => {
  await using server = await startServer();
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, "a"]));
  const cases: [RawRequest, number][] = [
    [{ headers: { "x-a": long(65_000) } }, 431],
    [{ headers: { "x-a": long(66_000) } }, 400],
    [{ path: `/${long(65_000)}` }, 431],
    [{ path: `/${long(66_000)}` }, 400],
    [{ path: "/healthz", headers: many(100) }, 200],
    [{ path: "/healthz", headers: many(200) }, 400],
  ];
  for (const [request, status] of cases) {
    const answer = await ask(server.host, request);
    assertEquals(answer.status, status);
    if (status === 400) assertEquals(answer.body, "");
  }
});

Deno.test("H15: heads of 60,000 blanks from eight connections hold up nobody", async () => {
  await using server = await startServer();
  const { host } = server;
  const hostile = ["if-none-match", "connection", "cookie", "accept-encoding", "title", "range"];
  let done = false;
  const attack = async (name: string) => {
    for (let i = 0; i < 10; i++) {
      await ask(host, { path: "/", headers: { [name]: `a${long(60_000, " ")}a` } });
      await ask(host, { path: "/", headers: { [name]: `a${long(VALUE_BYTES - 2, " ")}a` } });
    }
  };
  const attacks = Promise.all([...hostile, ...hostile.slice(0, 2)].map(attack)).then(() => {
    done = true;
  });
  let slowest = 0;
  while (!done) {
    const began = performance.now();
    assertEquals((await ask(host, { path: "/healthz" })).status, 200);
    slowest = Math.max(slowest, performance.now() - began);
  }
  await attacks;
  assertLess(slowest, 500);
});

/** Heads whose Host is none, in any of its ways. */
const NO_HOSTS: readonly (string | undefined)[] = [
  undefined,
  "",
  "127.0.0.1/push/all?",
  "127.0.0.1/",
  "127.0.0.1?",
  "127.0.0.1#",
  "127.0.0.1\\",
  "user@127.0.0.1",
  "user:word@127.0.0.1",
  "@127.0.0.1",
  "a b",
  "127.0.0.1 ,x",
  "127.0.0.1:",
  "127.0.0.1:x",
  "127.0.0.1:65536",
  "127.0.0.1:-1",
  "127.0.0.1:000080000",
  "256.1.1.1",
  "[::1",
  "::1",
  "[::1]x",
  "[::g]",
  "[fe80::1%25eth0]",
  "%31%32%37.0.0.1",
  "l\u00f6calhost",
  "localhost,localhost",
  "http://localhost",
  long(256),
];

Deno.test("H16: a Host that is none gets 400 and changes no address; without one liveness is told all the same", async () => {
  await using server = await startServer();
  const { host } = server;
  for (const name of NO_HOSTS) {
    for (const path of ["/to_chat/", "/api/me", "/ws"]) {
      const headers = { ...(path === "/ws" ? HANDSHAKE : {}), host: name };
      const { status, body } = await ask(host, { path, headers });
      assertEquals([status, codeOf(body)], [400, "bad_request"], `${name} ${path}`);
    }
    const push = await ask(host, { ...PUSH, headers: { ...FORM, host: name } });
    assertEquals(push.status, 400, name);
  }
  for (const path of ["/healthz", "/readyz"]) {
    assertEquals((await ask(host, { path, headers: { host: undefined } })).status, 200);
    assertEquals((await ask(host, `GET ${path} HTTP/1.0\r\n\r\n`)).status, 200);
  }
  const page = await (await fetch(`${server.url}/api/channels/push:all/messages`)).json();
  assertEquals(page.messages, []);
});

Deno.test("H16: an address that names another host than Host gets 400: absolute forms, CONNECT, h2c", async () => {
  await using server = await startServer();
  const { host } = server;
  const targets: [string, number][] = [
    [`http://${host}/healthz`, 200],
    [`http://${host.toUpperCase()}/healthz`, 200],
    ["http://localhost/healthz", 400],
    [`http://${host}.evil.example/healthz`, 400],
    [`http://x@${host}/healthz`, 400],
    [`https://${host}/healthz`, 400],
    ["ftp://evil.example/healthz", 400],
    ["//evil.example/healthz", 404],
  ];
  for (const [path, status] of targets) {
    assertEquals((await ask(host, { path })).status, status, path);
  }
  const connecting = await ask(host, { method: "CONNECT", path: host });
  assertEquals(connecting.status, 400);
  // Two are the runtime's own to refuse.
  const two = await ask(host, { path: "/healthz", headers: { host: [host, host] } });
  assertEquals([two.status, two.body], [400, ""]);
  assertEquals(await statusByHttp2(server.url, "/to_chat/"), 400);
  assertEquals(await statusByHttp2(server.url, "/healthz"), 200);
});

/** What HTTP/2 without TLS is answered with, where the host is in the address alone. */
async function statusByHttp2(url: string, path: string): Promise<number> {
  const session = connectHttp2(url);
  const request = session.request({ ":path": path });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  request.on("response", (headers) => resolve(Number(headers[":status"])));
  request.on("error", reject);
  request.resume();
  request.end();
  try {
    return await within(promise, 10_000, "an answer by HTTP/2");
  } finally {
    session.destroy();
  }
}

Deno.test("H16: on a socket file the Host is what programs send there, and no less checked", async () => {
  using folder = tempFolder("disk");
  const unix = `${folder.path}/s`;
  await using _server = await startServer({ unix, workers: 0 });
  const askThere = async (line: string, host: string) => {
    using conn = await Deno.connect({ transport: "unix", path: unix });
    const text = `GET ${line} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
    await conn.write(new TextEncoder().encode(text));
    return Number((await new Response(conn.readable).text()).slice("HTTP/1.1 ".length, 12));
  };
  const cases: [string, string, number][] = [
    ["/to_chat/", "Host: localhost\r\n", 200],
    ["http://localhost/to_chat/", "Host: localhost\r\n", 200],
    ["/to_chat/", "Host: 127.0.0.1:8000\r\n", 200],
    ["/to_chat/", "", 400],
    ["/to_chat/", "Host: \r\n", 400],
    ["/to_chat/", "Host: localhost/push/all?\r\n", 400],
    ["/to_chat/", "Host: evil.example\r\n", 421],
    ["/healthz", "", 200],
  ];
  for (const [line, host, status] of cases) {
    assertEquals(await askThere(line, host), status, `${line} ${host}`);
  }
});

Deno.test("H3: a server that is open by default serves loopback names alone; a proxied one is closed", async () => {
  const pushes = async (changes: Parameters<typeof startServer>[0], names: readonly string[]) => {
    await using server = await startServer(changes);
    const headers = changes?.trustProxy ? { ...FORM, "x-forwarded-for": "127.0.0.1" } : FORM;
    const statuses: number[] = [];
    for (const host of names) {
      const answer = await ask(server.host, { ...PUSH, headers: { ...headers, host } });
      statuses.push(answer.status);
    }
    return statuses;
  };
  const names = [
    "127.0.0.1",
    "localhost:8000",
    "[::1]:1",
    "127.9.9.9",
    "192.0.2.1",
    "evil.example",
  ];
  assertEquals(await pushes({}, names), [200, 200, 200, 200, 421, 421]);
  const closed = [401, 401, 401, 401, 401, 421];
  assertEquals(await pushes({ trustProxy: true }, names), closed);
  assertEquals(await pushes({ origins: ["https://chat.example"] }, names), closed);
  assertEquals(
    await pushes({ open: true, trustProxy: true }, names),
    [200, 200, 200, 200, 200, 421],
  );
  assertEquals(
    await pushes({ open: true, origins: ["https://chat.example"] }, [...names, "chat.example"]),
    [200, 200, 200, 200, 200, 421, 200],
  );
});

Deno.test("H17: a proxy that doesn't name one client gets 400, probes aside; whom it names never counts as loopback", async () => {
  const limits = { perAddress: 1 };
  await using server = await startServer({ trustProxy: true, open: true, limits });
  const { host } = server;
  const statusOf = async (from: string | readonly string[] | undefined, path = "/to_chat/") =>
    (await ask(host, { path, headers: { "x-forwarded-for": from } })).status;
  const right = [
    "192.0.2.1",
    "192.0.2.1:4711",
    "2001:db8::1",
    "[2001:db8::1]",
    "[2001:db8::1]:4711",
    "::ffff:192.0.2.1",
    "unknown, 192.0.2.1",
    "127.0.0.1",
  ];
  for (const from of right) assertEquals(await statusOf(from), 200, from);
  const wrong = [
    undefined,
    "",
    ",",
    "192.0.2.1,",
    "192.0.2.1, unknown",
    "192.0.2.1 192.0.2.2",
    "unknown",
    "_hidden",
    "192.0.2",
    "192.0.2.256",
    "0192.0.2.1",
    "192.0.2.1:x",
    "[2001:db8::1",
    "2001:db8::g",
    "client.example",
    long(4000, "1"),
  ];
  for (const from of wrong) {
    assertEquals(await statusOf(from), 400, from);
    for (const path of ["/healthz", "/readyz"]) assertEquals(await statusOf(from, path), 200);
  }
  const names = { "x-forwarded-for": "127.0.0.1" };
  await using _first = await TestSocket.open(`ws://${host}/ws`, { headers: names });
  const second = await ask(host, { path: "/ws", headers: { ...HANDSHAKE, ...names } });
  assertEquals(second.status, 429);
});

Deno.test("H17: the log tells of a proxy that names no client once a minute, with how often", () => {
  let now = 0;
  const told: number[] = [];
  const settings = { host: "127.0.0.1", origins: [], trustProxy: true, localOnly: false };
  const door = new RequestPolicy({ ...settings, tls: undefined }, {
    now: () => now,
    unaddressed: (count) => told.push(count),
  });
  const request = new Request("http://127.0.0.1/to_chat/", { headers: { host: "127.0.0.1" } });
  const refused = () => door.refusal(request, { address: UNKNOWN_ADDRESS, secure: false })?.status;
  for (let i = 0; i < 1000; i++) assertEquals(refused(), 400);
  assertEquals(told, [1]);
  now = 59_999;
  refused();
  assertEquals(told, [1]);
  now = 60_000;
  refused();
  assertEquals(told, [1, 1001]);
});

Deno.test("H18: a scheme counts by its meaning: https and wss in any case, the last of a list", async () => {
  await using server = await startServer({ trustProxy: true });
  const from = { "x-forwarded-for": "192.0.2.1" };
  const cases: [string | readonly string[] | undefined, boolean][] = [
    ["https", true],
    ["HTTPS", true],
    ["wss", true],
    ["WSS", true],
    ["http, https", true],
    ["http,wss", true],
    [["http", "https"], true],
    [" https ", true],
    ["http", false],
    ["ws", false],
    ["https, http", false],
    ["httpsx", false],
    ["", false],
    [undefined, false],
  ];
  for (const [scheme, secure] of cases) {
    const headers = { ...from, "x-forwarded-proto": scheme };
    const page = await ask(server.host, { path: "/to_chat/", headers });
    const cookie = page.headers.get("set-cookie") ?? "";
    assertEquals([/^__Host-/.test(cookie), /; Secure;/.test(cookie)], [secure, secure]);
    // Page and socket are of one account, and one origin.
    const origin = `${secure ? "https" : "http"}://${server.host}`;
    const socket = await ask(server.host, {
      path: "/ws",
      headers: { ...HANDSHAKE, ...headers, origin, cookie: cookie.split(";")[0] },
    });
    assertEquals([socket.status, socket.headers.has("set-cookie")], [101, false]);
  }
});

Deno.test("H20: a page of another origin gets 403 for what is read and streamed, unless --origin allows it", async () => {
  const origin = "https://friend.example";
  await using server = await startServer({ open: true, origins: [origin] });
  const { host } = server;
  const reads = [
    "/events?channel=push:all",
    "/events/?channel=push:all",
    "/api/me",
    "/api/channels/push:all/messages",
    "/push/all/json?poll=1",
    "/push/all/sse?poll=1",
    "/metrics",
  ];
  const foreign: Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: `https://${host}` },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
  ];
  for (const path of reads) {
    for (const headers of foreign) {
      for (const method of ["GET", "HEAD"]) {
        const { status } = await ask(host, { method, path, headers });
        assertEquals(status, 403, `${method} ${path} ${JSON.stringify(headers)}`);
      }
    }
  }
  const own: Record<string, string>[] = [
    {},
    { origin: `http://${host}` },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none" },
    { origin, "sec-fetch-site": "cross-site" },
  ];
  for (const headers of own) {
    const { status } = await ask(host, { path: "/push/all/json?poll=1", headers });
    assertEquals(status, 200, JSON.stringify(headers));
  }
  // A link to a page, a library and the descriptions are anyone's.
  for (const path of ["/to_chat/", "/fanfare.js", "/openapi.yaml", "/docs", "/healthz"]) {
    const { status } = await ask(host, { path, headers: { "sec-fetch-site": "cross-site" } });
    assertEquals(status, 200, path);
  }
});

Deno.test("an allowed origin of an app or an extension speaks as one of a site does", async () => {
  const origins = ["capacitor://localhost", "chrome-extension://abcdefghijklmnop"];
  await using server = await startServer({ open: true, origins });
  for (const origin of origins) {
    const headers = { origin, "sec-fetch-site": "cross-site" };
    const read = await ask(server.host, { path: "/push/all/json?poll=1", headers });
    assertEquals([read.status, read.headers.get("access-control-allow-origin")], [200, origin]);
    const socket = await ask(server.host, { path: "/ws", headers: { ...HANDSHAKE, ...headers } });
    assertEquals(socket.status, 101);
  }
  const other = { ...HANDSHAKE, origin: "capacitor://evil" };
  assertEquals((await ask(server.host, { path: "/ws", headers: other })).status, 403);
  // An extension's name is no name of this server.
  const host = "abcdefghijklmnop";
  assertEquals((await ask(server.host, { path: "/to_chat/", headers: { host } })).status, 421);
});
