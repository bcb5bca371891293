/** Hostile handshakes and HTTP, row by row (threats.md H1–H14). */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { join } from "node:path";
import { BODIES_BYTES, HttpRefused, readBody } from "../../lib/web/responses.ts";
import { bodyLimit, DEFAULT_LIMITS } from "../../lib/config/limits.ts";
import {
  ask,
  connect,
  HANDSHAKE,
  type RawRequest,
  readAnswer,
  sendAll,
  written,
} from "../helpers/raw_http.ts";
import { accountOf, NativeClient, startServer, TestSocket } from "../helpers/server.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const encoder = new TextEncoder();

const codeOf = (body: string) => body === "" ? undefined : JSON.parse(body).code;

Deno.test("H1: foreign origins and their tricks are refused with 403, on sockets and forms", async () => {
  await using server = await startServer({ origins: ["https://friend.example"] });
  const { host } = server;
  const port = Number(host.split(":")[1]);
  const tricks: Record<string, string>[] = [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: `http://${host}.evil.example` },
    { origin: `http://evil${host}` },
    { origin: `http://evil.example/${host}` },
    { origin: `http://127.0.0.1:${port + 1}` },
    { origin: "http://127.0.0.1" },
    { origin: `https://${host}` },
    { origin: `http://localhost:${port}` },
    { origin: "http://friend.example" },
    { origin: "https://friend.example.evil.example" },
    { origin: "https://evil-friend.example" },
    { origin: `http://${host}`, "sec-fetch-site": "cross-site" },
    { origin: `http://${host}`, "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "" },
  ];
  for (const headers of tricks) {
    for (const path of ["/ws", "/link/", "/chat/"]) {
      const { status, body } = await ask(host, { path, headers: { ...HANDSHAKE, ...headers } });
      assertEquals(
        [status, codeOf(body)],
        [403, "forbidden"],
        `${path} ${JSON.stringify(headers)}`,
      );
    }
    for (const path of ["/send/", "/msg_send/", "/token/"]) {
      const request = { method: "POST", path, headers: { ...FORM, ...headers }, body: "msg=x" };
      assertEquals((await ask(host, request)).status, 403, `${path} ${JSON.stringify(headers)}`);
    }
  }
  const right: Record<string, string>[] = [
    { origin: `http://${host}` },
    { origin: `http://${host}`, "sec-fetch-site": "same-origin" },
    { origin: "https://friend.example", "sec-fetch-site": "cross-site" },
  ];
  for (const headers of right) {
    const { status } = await ask(host, { path: "/ws", headers: { ...HANDSHAKE, ...headers } });
    assertEquals(status, 101, JSON.stringify(headers));
  }
});

Deno.test("H2: without an Origin, which no browser leaves out, the same rules hold", async () => {
  await using server = await startServer();
  const { host } = server;
  assertEquals((await ask(host, { path: "/ws", headers: HANDSHAKE })).status, 101);
  const push = { method: "POST", path: "/send/", headers: FORM, body: "msg=x" };
  assertEquals((await ask(host, push)).status, 200);
  const chat = { ...push, path: "/msg_send/", body: "type=1&txt=x&userfrom=00000000" };
  assertEquals((await ask(host, chat)).status, 403);
});

Deno.test("H3: a Host that isn't ours is refused: another name, two, garbage", async () => {
  await using server = await startServer({ origins: ["https://chat.example"], host: "127.0.0.1" });
  const { host } = server;
  const port = host.split(":")[1] ?? "";
  const cases: [string | string[], number][] = [
    [host, 200],
    [`localhost:${port}`, 200],
    ["LOCALHOST", 200],
    ["192.0.2.1", 200],
    [`[::1]:${port}`, 200],
    ["chat.example", 200],
    ["evil.example", 421],
    ["chat.example.evil.example", 421],
    ["evil-chat.example", 421],
    ["127.0.0.1.evil.example", 421],
    ["localhost.evil.example", 421],
    ["localhost.", 421],
    [[host, "evil.example"], 400],
    ["a b<>", 400],
    ["user@127.0.0.1", 400],
    ["user:word@127.0.0.1", 400],
    ["127.0.0.1:99999", 400],
    ["[::1", 400],
  ];
  for (const [name, status] of cases) {
    const answer = await ask(host, { path: "/to_chat/", headers: { host: name } });
    assertEquals(answer.status, status, String(name));
    if (status !== 200) assertEquals(answer.headers.has("set-cookie"), false);
  }
  const absolute = await ask(host, { path: "http://evil.example/to_chat/" });
  assertEquals(absolute.status, 400);
});

Deno.test("H4: a handshake that isn't one says what is missing", async () => {
  await using server = await startServer();
  const { host } = server;
  const cases: [RawRequest, number][] = [
    [{ headers: {} }, 426],
    [{ headers: { ...HANDSHAKE, connection: "keep-alive" } }, 426],
    [{ headers: { ...HANDSHAKE, upgrade: "h2c" } }, 426],
    [{ headers: { ...HANDSHAKE, "sec-websocket-version": "8" } }, 426],
    [{ headers: { ...HANDSHAKE, "sec-websocket-version": undefined } }, 426],
    [{ headers: { ...HANDSHAKE, "sec-websocket-key": undefined } }, 400],
    [{ headers: { ...HANDSHAKE, "sec-websocket-key": "short==" } }, 400],
    [{ headers: { ...HANDSHAKE, "sec-websocket-key": "A".repeat(24) } }, 400],
    [{ headers: HANDSHAKE, method: "POST" }, 405],
    [{ headers: { ...HANDSHAKE, "sec-websocket-protocol": "fanfare.v9, chat" } }, 400],
    [{ headers: { ...HANDSHAKE, "sec-websocket-protocol": "chat, fanfare.v1" } }, 101],
    [{ headers: HANDSHAKE }, 101],
  ];
  for (const [request, status] of cases) {
    const answer = await ask(host, { path: "/ws", ...request });
    assertEquals(answer.status, status, JSON.stringify(request));
    if (status === 426) {
      assertEquals(answer.headers.get("upgrade"), "websocket");
      assertEquals(answer.headers.get("sec-websocket-version"), "13");
    }
    if (status === 405) assertEquals(answer.headers.get("allow"), "GET, OPTIONS");
  }
});

Deno.test("H5: a token in an address is refused wherever it is", async () => {
  await using server = await startServer();
  const paths = [
    "/ws?token=x",
    "/readyz?a=b&access_token=x",
    "/send/?TOKEN=x",
    "/?token=",
    "/readyz?%74oken=x",
    // As clients of ntfy bring theirs.
    "/push/a/json?poll=1&auth=QmVhcmVyIHg",
  ];
  for (const path of paths) {
    const method = path.startsWith("/send") ? "POST" : "GET";
    const answer = await ask(server.host, { method, path, headers: { ...HANDSHAKE } });
    assertEquals([answer.status, codeOf(answer.body)], [401, "unauthorized"], path);
    assertEquals(answer.headers.get("www-authenticate"), "Bearer");
  }
});

Deno.test("H6: what a proxy says is believed only with --trust-proxy", async () => {
  const forwarded = {
    "x-forwarded-for": "198.51.100.7, 192.0.2.1",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "chat.example",
  };
  const asks = async (trustProxy: boolean) => {
    const limits = { rate: 1, burst: 1 };
    await using server = await startServer({
      ...{ open: true, trustProxy },
      limits,
      origins: ["https://chat.example"],
    });
    const page = await ask(server.host, { path: "/to_chat/", headers: forwarded });
    const push = (address: string) =>
      ask(server.host, {
        method: "POST",
        path: "/send/",
        headers: { ...FORM, "x-forwarded-for": address },
        body: "msg=x",
      });
    const pushes = [
      await push("198.51.100.7"),
      await push("198.51.100.8"),
      await push("198.51.100.7, 198.51.100.8"),
      await push("no address"),
    ];
    const evil = await ask(server.host, {
      headers: { "x-forwarded-for": "192.0.2.1", "x-forwarded-host": "evil.example" },
    });
    const own = await ask(server.host, {
      path: "/ws",
      headers: { ...HANDSHAKE, ...forwarded, origin: "https://chat.example" },
    });
    return {
      cookie: page.headers.get("set-cookie") ?? "",
      pushes: pushes.map(({ status }) => status),
      evil: evil.status,
      own: own.status,
    };
  };
  const without = await asks(false);
  assertEquals(/^fanfare_[0-9a-f]{4}=/.test(without.cookie), true);
  assertEquals(/secure/i.test(without.cookie), false);
  // All are the loopback's.
  assertEquals(without.pushes, [200, 429, 429, 429]);
  assertEquals([without.evil, without.own], [200, 101]);
  const believed = await asks(true);
  assertEquals(
    /^__Host-fanfare_[0-9a-f]{4}=.*; Secure; HttpOnly; .*SameSite=Lax; Path=\/$/.test(
      believed.cookie,
    ),
    true,
  );
  // The last address is what our own proxy saw.
  assertEquals(believed.pushes, [200, 200, 429, 400]);
  assertEquals([believed.evil, believed.own], [421, 101]);
});

Deno.test("behind TLS a cookie that was planted without it isn't looked at", async () => {
  await using server = await startServer({ trustProxy: true });
  const from = { "x-forwarded-for": "192.0.2.1" };
  const plain = await ask(server.host, { path: "/to_chat/", headers: from });
  const planted = plain.headers.get("set-cookie")?.split(";")[0] ?? "";
  const headers = { ...from, "x-forwarded-proto": "https", cookie: planted };
  const page = await ask(server.host, { path: "/to_chat/", headers });
  assertEquals(page.headers.get("set-cookie")?.startsWith("__Host-"), true);
  const own = page.headers.get("set-cookie")?.split(";")[0] ?? "";
  const again = await ask(server.host, { path: "/to_chat/", headers: { ...headers, cookie: own } });
  assertEquals(again.headers.has("set-cookie"), false);
});

Deno.test("H8: wrong methods are told the right ones; HEAD is GET without a body; OPTIONS allows", async () => {
  await using server = await startServer();
  const { host } = server;
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X-Y"]) {
    const { status, headers } = await ask(host, { method, path: "/to_chat/" });
    assertEquals([status, headers.get("allow")], [405, "GET, HEAD, OPTIONS"], method);
  }
  for (const path of ["/send/", "/msg_send/", "/token/"]) {
    for (const method of ["GET", "HEAD", "PUT", "TRACE"]) {
      const { status, headers } = await ask(host, { method, path });
      assertEquals([status, headers.get("allow")], [405, "POST, OPTIONS"], `${method} ${path}`);
    }
  }
  for (
    const path of [
      "/to_chat/",
      "/static/ui/styles/style.css",
      "/fanfare.js",
      "/healthz",
      "/nothing",
    ]
  ) {
    const [get, head] = [await ask(host, { path }), await ask(host, { method: "HEAD", path })];
    assertEquals([head.status, head.body], [get.status, ""], path);
    assertEquals(head.headers.get("content-type"), get.headers.get("content-type"), path);
  }
  for (
    const [path, allow] of [["/to_chat/", "GET, HEAD, OPTIONS"], [
      "/send/",
      "POST, OPTIONS",
    ]] as const
  ) {
    const { status, headers } = await ask(host, { method: "OPTIONS", path });
    assertEquals([status, headers.get("allow")], [204, allow]);
  }
});

Deno.test("H9: a GET with a large body, or one of no known length, is 413: the runtime would keep it for as long as a stream goes on", async () => {
  await using server = await startServer();
  const chunked = { "transfer-encoding": "chunked" };
  for (const path of ["/", "/readyz", "/events?channel=push:all", "/push/all/json"]) {
    for (const headers of [chunked, { "content-length": "8193" }]) {
      const { status, body } = await ask(server.host, { path, headers });
      assertEquals([status, JSON.parse(body).code], [413, "too_large"], path);
    }
  }
  // Some clients send an empty object with every request.
  for (const body of ["", "{}", "x".repeat(8192)]) {
    assertEquals((await ask(server.host, { path: "/", body })).status, 200);
  }
});

Deno.test("H9: a body over the limit is 413 while it is read: by its length, chunked, packed; at the limit it isn't", async () => {
  await using server = await startServer();
  const limit = bodyLimit(DEFAULT_LIMITS);
  const body = (bytes: number) => `x=${"y".repeat(bytes - 2)}`;
  const post = (payload: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/send/`, {
      method: "POST",
      headers: { ...FORM, ...headers },
      body: payload,
    })
      .then(async (response) => [response.status, (await response.json()).code]);
  // It has no field "msg": whatever was read to its end is 400.
  assertEquals(await post(body(limit)), [400, "bad_request"]);
  assertEquals(await post(body(limit + 1)), [413, "too_large"]);
  for (
    const [name, pack] of [["gzip", gzipSync], ["deflate", deflateSync], [
      "br",
      brotliCompressSync,
    ]] as const
  ) {
    const packed = (bytes: number) => new Uint8Array(pack(body(bytes)));
    assertEquals(
      await post(packed(limit), { "content-encoding": name }),
      [400, "bad_request"],
      name,
    );
    assertEquals(
      await post(packed(limit + 1), { "content-encoding": name }),
      [413, "too_large"],
      name,
    );
    // A bomb: 64 MiB in as many kilobytes.
    assertEquals(
      await post(packed(67_108_864), { "content-encoding": name }),
      [413, "too_large"],
      name,
    );
    assertEquals(
      await post("no such thing", { "content-encoding": name }),
      [400, "bad_request"],
      name,
    );
  }
  assertEquals(await post("msg=x", { "content-encoding": "zstd" }), [415, "bad_request"]);
  const packed = new Uint8Array(gzipSync("msg=packed"));
  assertEquals((await post(packed, { "content-encoding": "gzip" }))[0], 200);
  // Chunked, and without an end: refused when it is too much, not when it is over.
  using conn = await connect(server.host);
  const head = written(server.host, {
    method: "POST",
    path: "/send/",
    headers: { ...FORM, "transfer-encoding": "chunked" },
  });
  await sendAll(conn, encoder.encode(head));
  const answer = readAnswer(conn);
  const chunk = encoder.encode(`4000\r\n${"y".repeat(0x4000)}\r\n`);
  for (let sent = 0; sent <= limit; sent += 0x4000) await sendAll(conn, chunk);
  assertEquals((await answer).status, 413);
});

Deno.test("bodies that are never finished hold so much and no more: then others are told to come back, until those are gone", async () => {
  await using server = await startServer();
  const length = bodyLimit(DEFAULT_LIMITS) - 1000;
  const head = written(server.host, {
    method: "POST",
    path: "/send/",
    headers: { ...FORM, "content-length": String(length + 1) },
  });
  const unfinished = encoder.encode(head + "y".repeat(length));
  const conns: Deno.TcpConn[] = [];
  for (let sent = 0; sent + length <= BODIES_BYTES; sent += length) {
    const conn = await connect(server.host);
    conns.push(conn);
    await sendAll(conn, unfinished);
  }
  const push = (body: string) =>
    ask(server.host, { method: "POST", path: "/send/", headers: FORM, body });
  const large = "x".repeat(length);
  let full = await push(large);
  // The last of them may still be on its way; without a field "msg" what is read is 400.
  for (let tries = 0; full.status === 400 && tries < 50; tries++) full = await push(large);
  assertEquals([full.status, codeOf(full.body), full.headers.get("retry-after")], [
    503,
    "unavailable",
    "2",
  ]);
  // To the brim: that is no reason to refuse what is small.
  const rest = BODIES_BYTES % length;
  const brim = await connect(server.host);
  conns.push(brim);
  await sendAll(brim, encoder.encode(head + "y".repeat(rest)));
  const middling = "x".repeat(20_000);
  for (let tries = 0; (await push(middling)).status !== 503; tries++) assertLess(tries, 1000);
  assertEquals((await push("msg=small")).status, 200);
  for (const conn of conns) conn.close();
  for (let tries = 0; (await push(large)).status !== 400; tries++) assertLess(tries, 1000);
});

Deno.test("small bodies that are never finished have an end too, however many there are", async () => {
  const chunk = new Uint8Array(8192);
  const ends: (() => void)[] = [];
  const read = async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk);
        ends.push(() => controller.error(new Error("gone")));
      },
    });
    try {
      return await readBody(new Request("http://localhost/", { method: "POST", body }), 10_000);
    } catch (error) {
      return error instanceof HttpRefused ? error.status : error;
    }
  };
  const reads = Array.from({ length: 2 * BODIES_BYTES / chunk.length }, read);
  assertEquals(await Promise.race([...reads, read()]), 503);
  for (const end of ends) end();
  assertEquals(new Set(await Promise.all(reads)), new Set([400]));
});

Deno.test("H10: a body that trickles is 408 within 15 s", async () => {
  await using server = await startServer();
  using conn = await connect(server.host);
  const headers = { ...FORM, "content-length": "1000" };
  const begun = performance.now();
  await sendAll(
    conn,
    encoder.encode(written(server.host, { method: "POST", path: "/send/", headers })),
  );
  const answer = readAnswer(conn);
  const trickle = setInterval(() => void conn.write(encoder.encode("m")).catch(() => {}), 1000);
  const { status } = await answer;
  clearInterval(trickle);
  assertEquals(status, 408);
  assertLess(performance.now() - begun, 15_000);
});

Deno.test("H12: no address leads outside of what is served", async () => {
  const pages = await Deno.makeTempDir();
  await Deno.writeTextFile(join(pages, "ours.html"), "<p>ours");
  await Deno.writeTextFile(join(pages, ".hidden"), "secret");
  const secret = await Deno.makeTempFile();
  await Deno.writeTextFile(secret, "secret");
  await Deno.symlink(secret, join(pages, "link.txt"));
  await using server = await startServer({ pages });
  const up = [
    "..",
    "%2e%2e",
    "%2E.",
    "..%2f",
    "..%5c",
    "%252e%252e",
    "..\\",
    "....//",
    "%c0%ae%c0%ae",
  ];
  const targets = ["main.ts", "deno.json", "data/cookie.key", "lib/auth/access.ts", "etc/passwd"];
  const paths = ["static", "lib", "fanfare", "pages"].flatMap((root) =>
    up.flatMap((step) =>
      targets.flatMap((
        target,
      ) => [`/${root}/${step}/${target}`, `/${root}/${`${step}/`.repeat(9)}${target}`])
    )
  );
  paths.push("/static/chat/%00.js", "/static/%00", "/static/.git/config", "/static/chat/.env.js");
  paths.push(
    "/pages/.hidden",
    "/pages/link.txt",
    "/pages/%2ehidden",
    "/pages/ours.html%00",
    "/pages//etc/passwd",
  );
  paths.push(
    "/static//etc/passwd.js",
    `/static/${"a".repeat(5000)}.js`,
    "/lib/preact@0.js",
    "/static/chat",
    "/%zz",
    "/pages/%zz",
  );
  for (const path of paths) {
    const { status, body } = await ask(server.host, { path });
    assertEquals([status, body.includes("secret")], [404, false], path);
  }
  assertEquals((await ask(server.host, { path: "/pages/ours.html" })).status, 200);
  await Deno.remove(pages, { recursive: true });
  await Deno.remove(secret);
});

Deno.test("H13: line feeds in what is sent end no header, no frame, no name", async () => {
  await using server = await startServer();
  await using link = await TestSocket.open(`ws://${server.host}/link/`);
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "push:all" });
  const text = "one\r\nSet-Cookie: a=b\r\n\r\ndata: two\u2028three";
  const sent = await fetch(`${server.url}/send/`, {
    method: "POST",
    body: new URLSearchParams({ msg: text }),
  });
  await sent.body?.cancel();
  assertEquals(sent.headers.has("set-cookie"), false);
  const shown = text.replaceAll("\r\n", "\n");
  assertEquals(await link.next(), shown);
  assertEquals(Object((await client.hear("message")).data).text, shown);
  assertEquals("error" in await client.ask("rename", { name: "a\r\nb" }), true);
  for (
    const path of [
      "/%0d%0aX-Injected:1",
      "/static/a%0aX-Injected:1.js",
      "/send/?%0d%0aX-Injected:%201",
    ]
  ) {
    const { headers } = await ask(server.host, { path });
    assertEquals(headers.has("x-injected"), false, path);
  }
});

Deno.test("H14: a form that another site posts in a visitor's name is refused, and nobody sees it", async () => {
  await using server = await startServer();
  const page = await ask(server.host, { path: "/to_chat/" });
  const cookie = page.headers.get("set-cookie")?.split(";")[0] ?? "";
  const account = await accountOf(server, cookie);
  await using link = await TestSocket.open(`ws://${server.host}/link/`);
  await using chat = await NativeClient.open(server);
  await chat.do("subscribe", { channel: "room:lobby" });
  const post = (headers: Record<string, string>, path: string, body: string) =>
    ask(server.host, { method: "POST", path, headers: { ...FORM, cookie, ...headers }, body });
  const say = `type=1&txt=forged&userfrom=${account}&userto=`;
  const foreign = { origin: "http://evil.example", "sec-fetch-site": "cross-site" };
  assertEquals((await post(foreign, "/send/", "msg=forged")).status, 403);
  assertEquals((await post(foreign, "/msg_send/", say)).status, 403);
  assertEquals((await post({}, "/send/", "msg=real")).status, 200);
  assertEquals((await post({}, "/msg_send/", say.replace("forged", "real"))).status, 200);
  assertEquals(await link.next(), "real");
  assertEquals(Object((await chat.hear("message")).data).text, "real");
});

Deno.test("every answer says that it isn't to be sniffed, framed or run; pages have the strict policy on top", async () => {
  await using server = await startServer();
  const paths = [
    "/",
    "/to_chat/",
    "/to_recmsg/",
    "/to_sendmsg/",
    "/nothing",
    "/send/",
    "/healthz",
    "/sw.js",
    "/static/ui/icon.svg",
    "/fanfare.js",
  ];
  for (const path of paths) {
    const { headers } = await ask(server.host, { path });
    for (
      const [name, value] of [
        ["x-content-type-options", "nosniff"],
        ["referrer-policy", "no-referrer"],
        ["cross-origin-opener-policy", "same-origin"],
        ["cross-origin-resource-policy", "same-origin"],
        ["x-frame-options", "DENY"],
      ] as const
    ) assertEquals(headers.get(name), value, `${path} ${name}`);
    const policy = headers.get("content-security-policy") ?? "";
    assertEquals(policy.startsWith("default-src 'none'"), true, path);
    assertEquals(/unsafe-(?:inline|eval)|\*/.test(policy), false, path);
    const page = /^\/(?:to_\w+\/)?$/.test(path);
    if (!page) continue;
    for (
      const part of [
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "require-trusted-types-for 'script'",
      ]
    ) {
      assertEquals(policy.includes(part), true, `${path} ${part}`);
    }
    assertEquals(headers.get("cross-origin-embedder-policy"), "require-corp");
    assertGreater((headers.get("permissions-policy") ?? "").length, 20);
  }
});
