/** The JSON API (protocol.md, "HTTP"), over edges in this isolate and in several. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type Answer, type Ask, http } from "../helpers/http.ts";
import { ask } from "../helpers/raw_http.ts";
import { cookieOf, NativeClient, startServer, testIsolates } from "../helpers/server.ts";

const TOKEN = "0123456789abcdef0123";
const ADMIN = { authorization: `Bearer ${TOKEN}` };

async function closed(changes: Parameters<typeof startServer>[0] = {}) {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  return await startServer({ adminTokenFile, ...changes });
}

function codeOf({ status, body }: Answer): string {
  return `${status} ${Object(body).code}`;
}

Deno.test(
  "a message is published once by its key, read in pages, and told as everywhere else",
  async () => {
    await using server = await startServer();
    const cookie = await cookieOf(server);
    const path = "/api/channels/room:lobby/messages";
    const first = await http(server, path, { headers: { cookie }, json: { data: 1, key: "k" } });
    assertEquals(first.status, 201);
    const { seq, time } = Object(first.body);
    assertEquals(first.body, { channel: "room:lobby", seq, time });
    const repeats: Ask[] = [
      { headers: { cookie }, json: { data: 2, key: "k" } },
      { headers: { cookie, "idempotency-key": "k" }, json: { data: 3 } },
      { headers: { cookie, "idempotency-key": '"k"' }, json: { data: 3, key: "k" } },
    ];
    for (const again of repeats) {
      const { status, body } = await http(server, path, again);
      assertEquals([status, body], [200, { channel: "room:lobby", seq, time, duplicate: true }]);
    }
    const differing = {
      headers: { cookie, "idempotency-key": "other" },
      json: { data: 1, key: "k" },
    };
    assertEquals(codeOf(await http(server, path, differing)), "400 bad_request");
    for (let i = 2; i <= 5; i++) {
      await http(server, path, {
        headers: { cookie },
        json: { data: i },
      });
    }
    await using client = await NativeClient.open(server, { cookie });
    const { messages: all } = await client.do("history", { channel: "room:lobby", limit: 200 });
    const list = all instanceof Array ? all : [];
    assertEquals(list.map(({ data }) => data), [1, 2, 3, 4, 5]);
    const page = async (query: string) =>
      (await http(server, `${path}${query}`, { headers: { cookie } })).body;
    assertEquals(await page(""), { messages: list, more: false });
    assertEquals(await page("?limit=2"), { messages: list.slice(3), more: true });
    const third = list[2].seq;
    assertEquals(await page(`?limit=2&before=${third}`), {
      messages: list.slice(0, 2),
      more: false,
    });
    assertEquals(await page(`?limit=1&before=${third}`), {
      messages: list.slice(1, 2),
      more: true,
    });
    assertEquals(await page(`?limit=1&after=${third}`), { messages: list.slice(3, 4), more: true });
    assertEquals(await page(`?after=${third}`), { messages: list.slice(3), more: false });
  },
);

Deno.test(
  "up to a hundred messages are published together: all or none, answered in order",
  async () => {
    await using server = await closed();
    const many = Array.from({ length: 100 }, (_, i) => ({
      channel: i % 2 ? "room:a" : "push:b",
      data: i,
      key: `k${i % 99}`,
    }));
    const told = await http(server, "/api/messages", { headers: ADMIN, json: many });
    assertEquals(told.status, 201);
    const answers = told.body instanceof Array ? told.body : [];
    assertEquals(answers.map(({ channel }) => channel), many.map(({ channel }) => channel));
    // The hundredth repeats the key of the first, in another channel: it is a message of its own.
    const seqs = answers.map(({ seq }) => seq);
    assertEquals(seqs, [...seqs].sort((a, b) => a - b));
    assertEquals(new Set(seqs).size, 100);
    const again = await http(server, "/api/messages", { headers: ADMIN, json: many });
    assertEquals(again.status, 200);
    assertEquals(again.body, answers.map((one) => ({ ...one, duplicate: true })));
    const before = await http(server, "/api/channels/room:a/messages", { headers: ADMIN });
    for (
      const [wrong, code] of [
        [[...many.slice(0, 3), { channel: "room:a" }], "400 bad_request"],
        [[...many.slice(0, 3), { channel: "room:a", data: "x".repeat(65_536) }], "413 too_large"],
        [[{ channel: "room:a", data: "new" }, { channel: "dm:a.b", data: 1 }], "403 forbidden"],
        [[], "400 bad_request"],
        [[...many, { channel: "room:a", data: 1 }], "400 bad_request"],
        [{ channel: "room:a", data: 1 }, "400 bad_request"],
      ] as const
    ) {
      assertEquals(
        codeOf(await http(server, "/api/messages", { headers: ADMIN, json: wrong })),
        code,
      );
    }
    const after = await http(server, "/api/channels/room:a/messages", { headers: ADMIN });
    assertEquals(after.body, before.body);
  },
);

Deno.test("a batch to an account that never was is refused whole", async () => {
  await using server = await startServer();
  const cookie = await cookieOf(server);
  await http(server, "/api/channels/room:a/messages", { headers: { cookie }, json: { data: 0 } });
  const { body } = await http(server, "/api/me", { headers: { cookie } });
  const [a, b] = [String(Object(body).account), "zzzzzzzz"].sort();
  const json = [{ channel: "room:a", data: 1 }, { channel: `dm:${a}.${b}`, data: 1 }];
  const refused = await http(server, "/api/messages", { headers: { cookie }, json });
  assertEquals(codeOf(refused), "404 not_found");
  const page = await http(server, "/api/channels/room:a/messages", { headers: { cookie } });
  assertEquals(Object(page.body).messages.length, 1);
});

Deno.test(
  "the rate holds over HTTP: told as it goes, refused whole with Retry-After",
  async () => {
    await using server = await startServer({ limits: { rate: 10, burst: 30 } });
    const path = "/api/channels/push:a/messages";
    const first = await http(server, path, { json: { data: 1 } });
    assertEquals(first.headers.get("ratelimit-policy"), '"publish";q=30;w=3');
    assertMatch(first.headers.get("ratelimit") ?? "", /^"publish";r=29;t=1$/);
    const many = Array.from({ length: 25 }, (_, i) => ({ channel: "push:a", data: i }));
    assertEquals((await http(server, "/api/messages", { json: many })).status, 201);
    const refused = await http(server, "/api/messages", { json: many });
    assertEquals(codeOf(refused), "429 rate_limited");
    const retry = Number(refused.headers.get("retry-after"));
    assert(retry >= 1 && retry <= 3, String(retry));
    assertEquals(refused.headers.get("ratelimit"), `"publish";r=0;t=${retry}`);
    const page = await http(server, `${path}?limit=200`);
    assertEquals(Object(page.body).messages.length, 26);
  },
);

testIsolates("presence, me and the list of channels", async (workers) => {
  await using server = await closed({ workers });
  const cookie = await cookieOf(server);
  await using client = await NativeClient.open(server, { cookie });
  const { account } = await client.do("hello", { name: "Ada" });
  await client.do("subscribe", { channel: "room:lobby", presence: true });
  await using other = await NativeClient.open(server, ADMIN);
  await other.do("subscribe", { channel: "room:lobby" });
  await other.do("subscribe", { channel: "push:quiet" });
  await client.do("publish", { channel: "room:lobby", data: 1 });
  const { seq } = await client.do("publish", { channel: "room:lobby", data: 2 });
  const me = await http(server, "/api/me", { headers: { cookie } });
  assertEquals(me.body, { account, name: "Ada" });
  const room = await http(server, "/api/channels/room:lobby/presence", { headers: { cookie } });
  assertEquals(Object(room.body).count, 1);
  assertEquals(Object(room.body).members, [{ account, name: "Ada" }]);
  const all = await http(server, "/api/channels", { headers: ADMIN });
  assertEquals(all.body, {
    channels: [
      { channel: "push:quiet", subscribers: 1, seq: 0, rate: 0 },
      { channel: "room:lobby", subscribers: 2, seq, rate: 0.033 },
    ],
    more: false,
  });
  const paged = await http(server, "/api/channels?limit=1", { headers: ADMIN });
  assertEquals(Object(paged.body).more, true);
  const rest = await http(server, "/api/channels?after=push:quiet", { headers: ADMIN });
  assertEquals(Object(rest.body).channels.length, 1);
});

Deno.test("H11: another type is 415, what isn't the JSON that is asked for 400, each with what is wrong", async () => {
  await using server = await startServer();
  const path = "/api/channels/push:a/messages";
  for (
    const type of ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""]
  ) {
    for (
      const [where, text] of [[path, '{"data":1}'], [
        "/api/messages",
        '[{"channel":"push:a","data":1}]',
      ]]
    ) {
      const answer = await ask(server.host, {
        method: "POST",
        path: where,
        headers: type === "" ? {} : { "content-type": type },
        body: text,
      });
      assertEquals([answer.status, answer.headers.get("accept")], [415, "application/json"]);
      assertEquals(answer.headers.get("content-type"), "application/problem+json");
    }
  }
  for (
    const text of [
      "",
      "{",
      "null",
      "[]",
      "1",
      '{"data":1,"more":1}',
      '{"key":"k"}',
      '{"data":1,"key":1}',
      '{"data":1,"key":""}',
      `{"data":1,"key":"${"k".repeat(129)}"}`,
      '{"data":{"__proto__":1}}',
      '{"data":"\\ud800"}',
      '{"data":"\\u0000"}',
      `{"data":${"[".repeat(33)}${"]".repeat(33)}}`,
      '{"__proto__":{"data":1}}',
    ]
  ) {
    const headers = { "content-type": "application/json; charset=utf-8" };
    const refused = await http(server, path, { headers, text });
    assertEquals(codeOf(refused), "400 bad_request", text);
  }
  const bytes = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]);
  const headers = { "content-type": "application/json" };
  const response = await fetch(server.url + path, { method: "POST", headers, body: bytes });
  assertEquals(response.status, 400);
  await response.body?.cancel();
  const packed = { ...headers, "content-encoding": "zstd" };
  const unknown = await http(server, path, { headers: packed, text: '{"data":1}' });
  const taken = unknown.headers.get("accept-encoding");
  assertEquals([unknown.status, taken], [415, "identity, gzip, deflate, br"]);
  const page = await http(server, path);
  assertEquals(page.body, { messages: [], more: false });
});

Deno.test("a key in a header is the same in UTF-8 as in JSON; many messages have each its own", async () => {
  await using server = await startServer();
  const path = "/api/channels/push:a/messages";
  const key = "Schlüssel-鍵";
  const { body } = await http(server, path, { json: { data: 1, key } });
  const named = { "content-type": "application/json", "idempotency-key": key };
  const again = await ask(server.host, {
    method: "POST",
    path,
    headers: named,
    body: JSON.stringify({ data: 2, key }),
  });
  assertEquals([again.status, JSON.parse(again.body).seq], [200, Object(body).seq]);
  const many = [{ channel: "push:a", data: 3 }];
  const one = { headers: { "idempotency-key": "k" }, json: many };
  const refused = await http(server, "/api/messages", one);
  assertEquals(codeOf(refused), "400 bad_request");
  assertMatch(String(Object(refused.body).detail), /Idempotency-Key/);
  const { body: none } = await http(server, "/api/messages", { json: [null] });
  assertEquals(Object(none).detail, '"0" must be an object');
});

Deno.test(
  "the list of channels is whole page by page, in any script, and has no direct ones",
  async () => {
    await using server = await closed();
    const names = ["push:ﬀ", "push:𠮷", "push:a", "room:z"];
    const json = names.slice(0, 3).map((channel) => ({ channel, data: 1 }));
    await http(server, "/api/messages", { headers: ADMIN, json });
    await using client = await NativeClient.open(server);
    const { account } = await client.do("hello", {});
    await client.do("subscribe", { channel: "room:z" });
    await client.do("subscribe", { channel: `dm:${account}.${account}` });
    await client.do("subscribe", { channel: "dm:*" });
    const listed: string[] = [];
    for (let more = true; more;) {
      const after = encodeURIComponent(listed.at(-1) ?? "");
      const { body } = await http(server, `/api/channels?limit=1&after=${after}`, {
        headers: ADMIN,
      });
      listed.push(...Object(body).channels.map(({ channel }: { channel: string }) => channel));
      more = Object(body).more;
    }
    assertEquals(listed, ["push:a", "push:ﬀ", "push:𠮷", "room:z"]);
  },
);

Deno.test("an answer that can't be given is a problem like others: named, hardened, and read by allowed origins", async () => {
  const origin = "https://app.example";
  await using server = await startServer({ open: true, origins: [origin] });
  const path = "/api/channels/push:a/messages";
  await http(server, path, { json: { data: "a text" } });
  const db = new DatabaseSync(`${server.data}/fanfare.db`, { timeout: 5000 });
  db.exec(`UPDATE messages SET data = '"another"'`);
  db.close();
  const answer = await http(server, path, { headers: { origin } });
  assertEquals(codeOf(answer), "500 internal");
  assertEquals(JSON.stringify(answer.body).includes("checksum"), false);
  assertMatch(answer.headers.get("x-request-id") ?? "", /^[0-9a-f]{12}$/);
  assertEquals(answer.headers.get("x-content-type-options"), "nosniff");
  assertEquals(answer.headers.get("access-control-allow-origin"), origin);
});

Deno.test("refusals come in their order: method, who, form, may, rate", async () => {
  await using server = await closed({ limits: { rate: 1, burst: 1 } });
  const cookie = await cookieOf(server);
  const form = { "content-type": "text/plain" };
  const push = "/api/channels/push:a/messages";
  const room = "/api/channels/room:a/messages";
  const long = "x".repeat(300_000);
  const steps: [string, Parameters<typeof http>[2], string][] = [
    [push, { method: "DELETE" }, "405 bad_request"],
    [push, { headers: form, text: "x" }, "401 unauthorized"],
    [push, { headers: { ...form, authorization: "Bearer wrong" }, text: "x" }, "401 unauthorized"],
    [push, { headers: { ...form, cookie }, text: "x" }, "415 bad_request"],
    [push, { headers: { cookie }, json: {} }, "400 bad_request"],
    [push, { headers: { cookie }, json: { data: 1 } }, "403 forbidden"],
    [room, { headers: {} }, "401 unauthorized"],
    ["/api/channels/dm:a.b/messages?limit=0", { headers: { cookie } }, "400 bad_request"],
    ["/api/channels/dm:a.b/messages", { headers: { cookie } }, "403 forbidden"],
    ["/api/channels/nothing/messages", { headers: { cookie } }, "400 bad_request"],
    ["/api/channels/nothing/messages", { headers: form, text: "x" }, "401 unauthorized"],
    [
      "/api/channels/nothing/messages",
      { headers: { ...form, cookie }, text: "x" },
      "415 bad_request",
    ],
    ["/api/channels/nothing/messages", { headers: { cookie }, json: long }, "413 too_large"],
    [
      "/api/channels/nothing/messages",
      { headers: { cookie }, json: { data: 1 } },
      "400 bad_request",
    ],
    ["/push/a%20b", { text: "x" }, "401 unauthorized"],
    ["/push/a%20b", { headers: { cookie }, text: long }, "413 too_large"],
    ["/push/a%20b", { headers: { cookie }, text: "x" }, "400 bad_request"],
    ["/api/channels/room%3A%ff/messages", { headers: { cookie } }, "400 bad_request"],
    ["/api/channels", {}, "401 unauthorized"],
    ["/api/channels?limit=0", {}, "401 unauthorized"],
    ["/api/channels?limit=0", { headers: { cookie } }, "400 bad_request"],
    ["/api/channels", { headers: { cookie } }, "403 forbidden"],
    ["/api/withdrawals", { headers: form, text: "x" }, "401 unauthorized"],
    ["/api/withdrawals", { headers: { ...form, cookie }, text: "x" }, "415 bad_request"],
    ["/api/withdrawals", { headers: { cookie }, json: {} }, "400 bad_request"],
    ["/api/withdrawals", { headers: { cookie }, json: { jti: "x" } }, "403 forbidden"],
    ["/api/me", {}, "401 unauthorized"],
    ["/api/nothing", {}, "404 not_found"],
  ];
  for (const [path, request, expected] of steps) {
    const answer = await http(server, path, request);
    assertEquals(codeOf(answer), expected, `${path} ${JSON.stringify(request)}`);
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
    assertEquals(Object(answer.body).status, answer.status);
    assertEquals(answer.headers.has("set-cookie"), false);
  }
  const detail = async (path: string) =>
    String(Object((await http(server, path, { text: "x" })).body).detail);
  assertMatch(await detail("/push/a"), /^This server is closed: pushing needs the admin token/);
  assertMatch(await detail(push), /^This server is closed: pushing needs the admin token/);
  assertMatch(await detail(room), /^This needs an account/);
  assertEquals((await http(server, room, { headers: { cookie }, json: { data: 1 } })).status, 201);
  assertEquals(
    codeOf(await http(server, room, { headers: { cookie }, json: { data: 1 } })),
    "429 rate_limited",
  );
  for (
    const query of [
      "limit=201",
      "limit=x",
      "before=1&after=2",
      "before=-1",
      "limit=1&limit=2",
      "befor=1",
      "after=9007199254740993",
    ]
  ) {
    assertEquals(
      codeOf(await http(server, `${room}?${query}`, { headers: { cookie } })),
      "400 bad_request",
      query,
    );
  }
});

Deno.test("a page has a tag, is packed where that pays, and HEAD is GET without a body", async () => {
  await using server = await startServer();
  const path = "/api/channels/push:a/messages";
  await http(server, path, { json: { data: "x".repeat(3000) } });
  const plain = await ask(server.host, { path });
  const tag = plain.headers.get("etag") ?? "";
  const held = await ask(server.host, { path, headers: { "if-none-match": tag } });
  assertEquals([held.status, held.body], [304, ""]);
  const packed = await fetch(server.url + path, { headers: { "accept-encoding": "gzip" } });
  assertEquals(packed.headers.get("vary")?.includes("Accept-Encoding"), true);
  assertEquals(await packed.text(), plain.body);
  const raw = await ask(server.host, { path, headers: { "accept-encoding": "gzip" } });
  assertEquals(raw.headers.get("content-encoding"), "gzip");
  assert(Number(raw.headers.get("content-length")) < 400);
  const head = await fetch(server.url + path, { method: "HEAD" });
  assertEquals(head.headers.get("etag"), tag);
  assertEquals(await head.text(), "");
  await http(server, path, { json: { data: 2 } });
  const changed = await ask(server.host, { path, headers: { "if-none-match": tag } });
  assertEquals(changed.status, 200);
});

Deno.test("who says nothing of encodings, or names none, is given text as it is", async () => {
  await using server = await startServer();
  await http(server, "/api/messages", {
    json: [{ channel: "push:a", data: "x".repeat(3000) }],
  });
  const paths = [
    "/openapi.yaml",
    "/fanfare.js",
    "/docs/recipes.md",
    "/to_chat/",
    "/api/channels/push:a/messages",
    "/push/a/json?poll=1",
  ];
  for (const path of paths) {
    for (const encodings of [undefined, "", "gzip;q=0, br;q=0", "*;q=0"]) {
      const headers = encodings === undefined ? {} : { "accept-encoding": encodings };
      const answer = await ask(server.host, { path, headers });
      assertEquals(
        [answer.status, answer.headers.get("content-encoding")],
        [200, null],
        `${path} ${encodings}`,
      );
    }
    const answer = await ask(server.host, { path, headers: { "accept-encoding": "gzip, br;q=0" } });
    assertEquals(answer.headers.get("content-encoding"), "gzip", path);
  }
});

Deno.test("long lists and what is polled are packed too, for who reads gzip", async () => {
  await using server = await closed();
  const many = Array.from({ length: 100 }, (_, i) => ({ channel: `push:p${i}`, data: i }));
  await http(server, "/api/messages", { headers: ADMIN, json: many });
  const text = "x".repeat(3000);
  await http(server, "/push/long", { headers: ADMIN, text });
  await using client = await NativeClient.open(server, ADMIN);
  await client.do("subscribe", { channel: "push:long" });
  for (let i = 0; i < 40; i++) {
    await http(server, `/api/accounts/muted-${i}/mute`, { method: "PUT", headers: ADMIN });
  }
  for (
    const [path, packed] of [
      ["/api/channels", true],
      ["/api/channels/push:long/presence", false],
      ["/api/me", false],
      ["/api/mutes", true],
      ["/metrics", true],
      ["/push/long/json?poll=1", true],
      ["/push/long/sse?poll=1", true],
    ] as const
  ) {
    const headers = { ...ADMIN, "accept-encoding": "gzip" };
    const { headers: told } = await ask(server.host, { path, headers });
    assertEquals(told.get("content-encoding"), packed ? "gzip" : null, path);
    assertEquals(told.get("vary")?.includes("Accept-Encoding"), true, path);
    const response = await fetch(server.url + path, { headers });
    const plain = await http(server, path, {
      headers: { ...ADMIN, "accept-encoding": "identity" },
    });
    const body = await response.text();
    // Of the numbers some are others each time.
    if (path === "/metrics") assertMatch(body, /^# HELP fanfare_/);
    else assertEquals(path.startsWith("/api") ? JSON.parse(body) : body, plain.body, path);
    const tag = plain.headers.get("etag");
    assertEquals(tag !== null, path.startsWith("/api"), path);
    if (tag === null) continue;
    const again = await http(server, path, { headers: { ...ADMIN, "if-none-match": tag } });
    assertEquals(again.status, 304, path);
  }
});

Deno.test("pages of allowed origins read and publish with a token, others nothing", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile, origins: ["https://app.example"] });
  const path = "/api/channels/push:a/messages";
  const preflight = (origin: string) =>
    ask(server.host, {
      method: "OPTIONS",
      path,
      headers: { origin, "access-control-request-method": "POST" },
    });
  const { status, headers } = await preflight("https://app.example");
  assertEquals(status, 204);
  assertEquals(headers.get("access-control-allow-origin"), "https://app.example");
  assertEquals(headers.get("access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
  assertEquals(headers.has("access-control-allow-credentials"), false);
  const named = headers.get("access-control-allow-headers")?.split(", ") ?? [];
  for (const name of ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "*"]) {
    assert(named.includes(name), name);
  }
  const foreign = await preflight("https://evil.example");
  assertEquals(foreign.headers.has("access-control-allow-origin"), false);
  const post = (origin: string) =>
    ask(server.host, {
      method: "POST",
      path,
      headers: { origin, ...ADMIN, "content-type": "application/json" },
      body: '{"data":1}',
    });
  const allowed = await post("https://app.example");
  assertEquals([allowed.status, allowed.headers.get("access-control-allow-origin")], [
    201,
    "https://app.example",
  ]);
  assertEquals((await post("https://evil.example")).status, 403);
  const page = await ask(server.host, {
    path: "/to_chat/",
    headers: { origin: "https://app.example" },
  });
  assertEquals(page.headers.has("access-control-allow-origin"), false);
});
