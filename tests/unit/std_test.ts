import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { deadline } from "@std/async/deadline";
import { getCookies, setCookie } from "@std/http/cookie";
import { eTag, ifNoneMatch } from "@std/http/etag";
import { serveFile } from "@std/http/file-server";
import { accepts, acceptsEncodings, acceptsLanguages } from "@std/http/negotiation";
import { isErrorStatus, STATUS_CODE, STATUS_TEXT } from "@std/http/status";
import { type Route, route } from "@std/http/unstable-route";
import {
  parseSignedCookie,
  signCookie,
  verifySignedCookie,
} from "@std/http/unstable-signed-cookie";
import { extractTimestamp, generate, validate } from "@std/uuid/v7";

// What is asked of @std here holds for the packages on JSR as for the stand-ins in lib/std.

function fails(fn: () => unknown, part = ""): void {
  assertThrows(fn, AssertionError, part);
}

Deno.test("@std/assert: equality looks inside", () => {
  const cycle = () => {
    const node: { next?: unknown } = {};
    node.next = { node };
    return node;
  };
  const same: [unknown, unknown][] = [
    [0, -0],
    [NaN, NaN],
    [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])],
    [new Map([[{ k: 1 }, "v"]]), new Map([[{ k: 1 }, "v"]])],
    [new Uint8Array([1, 2, 3]).subarray(1), new Uint8Array([2, 3])],
    [new Float64Array([0, NaN]), new Float64Array([-0, NaN])],
    [new Uint8Array([1]).buffer, new Uint8Array([1]).buffer],
    [new Date(5), new Date(5)],
    [/a/g, /a/g],
    [new URL("http://a/b"), new URL("http://a/b")],
    [cycle(), cycle()],
    [{ [Symbol.for("s")]: 1 }, { [Symbol.for("s")]: 1 }],
  ];
  for (const [a, b] of same) {
    assertEquals(a, b);
    fails(() => assertNotEquals(a, b));
  }
  const different: [unknown, unknown][] = [
    [1, "1"],
    [null, undefined],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [[1, 2], [2, 1]],
    [[], {}],
    [new Set([1]), new Set([2])],
    [new Map([["a", 1]]), new Map([["a", 2]])],
    [new Uint8Array([1]), new Uint16Array([1])],
    [new Uint8Array([1]).buffer, new Uint8Array([2]).buffer],
    [new Date(5), new Date(6)],
    [/a/g, /a/i],
    [new Error("x"), new Error("y")],
    [new Error("x"), new TypeError("x")],
    [new class A {}(), new class B {}()],
    [{ [Symbol.for("s")]: 1 }, { [Symbol.for("s")]: 2 }],
    [() => 1, () => 1],
  ];
  for (const [a, b] of different) {
    assertNotEquals(a, b);
    fails(() => assertEquals(a, b), "Values are not equal");
  }
});

Deno.test("@std/assert: a failed equality tells the lines that differ", () => {
  const error = assertThrows(
    () => assertEquals({ name: "Ada", age: 1 }, { name: "Ada", age: 2 }, "people"),
    AssertionError,
    "Values are not equal: people",
  );
  assertMatch(error.message, /- {3}.*age: 1/);
  assertMatch(error.message, /\+ {3}.*age: 2/);
  assertMatch(error.message, /^\S* {4}.*name: "Ada"/m);
});

Deno.test("@std/assert: the same thing is more than an equal one", () => {
  const list = [1];
  assertStrictEquals(list, list);
  fails(() => assertStrictEquals([1], list), "not reference-equal");
  fails(() => assertStrictEquals(0, -0), "Values are not strictly equal");
});

Deno.test("@std/assert: assertThrows checks class and message, and returns the error", () => {
  const boom = () => {
    throw new RangeError("Cannot count: too many");
  };
  assertEquals(assertThrows(boom, RangeError, "too many").message, "Cannot count: too many");
  assertInstanceOf(assertThrows(boom), RangeError);
  fails(() => assertThrows(boom, TypeError), "TypeError");
  fails(() => assertThrows(boom, RangeError, "too few"), "too few");
  fails(() => assertThrows(() => 1), "Expected function to throw");
  fails(() => assertThrows(() => 1, "note"), "note");
});

Deno.test("@std/assert: assertRejects does so for promises, and a throw is no rejection", async () => {
  const boom = () => Promise.reject(new RangeError("Cannot count: too many"));
  assertEquals((await assertRejects(boom, RangeError, "many")).message, "Cannot count: too many");
  assertInstanceOf(await assertRejects(boom), RangeError);
  await assertRejects(() => assertRejects(boom, TypeError), AssertionError, "TypeError");
  await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
    "Expected function to reject",
  );
  const thrower = (): Promise<void> => {
    throw new RangeError("at once");
  };
  await assertRejects(
    () => assertRejects(thrower),
    AssertionError,
    "Function throws when expected to reject",
  );
});

Deno.test("@std/assert: assertObjectMatch passes over what isn't asked for", () => {
  interface Shape {
    a: number;
    list: unknown[];
    map: Map<string, unknown>;
  }
  const actual: Shape = { a: 1, list: [{ x: 1, y: 2 }, 2], map: new Map([["k", { x: 1, y: 2 }]]) };
  assertObjectMatch(actual, { a: 1 });
  assertObjectMatch(actual, { list: [{ x: 1 }] });
  assertObjectMatch(actual, { map: new Map([["k", { y: 2 }]]) });
  fails(() => assertObjectMatch(actual, { a: 2 }));
  fails(() => assertObjectMatch(actual, { b: 1 }));
  fails(() => assertObjectMatch(actual, { list: [{ x: 1 }, 2, 3] }));
});

Deno.test("@std/assert: the small ones", () => {
  assert(1);
  assertFalse(0);
  assertExists("");
  assertGreater(2, 1);
  assertGreaterOrEqual(2, 2);
  assertLess(1, 2);
  assertLessOrEqual(2, 2);
  assertStringIncludes("fanfare", "fan");
  assertMatch("fanfare", /^fan/);
  assertInstanceOf(new Date(), Date);

  fails(() => assert(0, "no"), "no");
  fails(() => assertFalse(1, "yes"), "yes");
  fails(() => assertExists(null), "null");
  fails(() => assertGreater(1, 1), "Expect 1 > 1");
  fails(() => assertGreaterOrEqual(1, 2), "Expect 1 >= 2");
  fails(() => assertLess(NaN, 1));
  fails(() => assertLessOrEqual(2, 1), "Expect 2 <= 1");
  fails(() => assertStringIncludes("fanfare", "far out"), "far out");
  fails(() => assertMatch("fanfare", /x/), "/x/");
  fails(() => assertInstanceOf({}, Date), "Date");
  fails(() => fail("stop"), "Failed assertion: stop");
});

Deno.test("@std/http/cookie: reads what a browser sends", () => {
  const headers = new Headers({ cookie: "a=1; b=x=y; empty=; a=2" });
  const cookies = getCookies(headers);
  assertEquals({ ...cookies }, { a: "2", b: "x=y", empty: "" });
  assertEquals(cookies.toString, undefined);
  assertEquals({ ...getCookies(new Headers()) }, {});
  assertThrows(() => getCookies(new Headers({ cookie: "=1" })), SyntaxError);
});

Deno.test("@std/http/cookie: writes every attribute", () => {
  const headers = new Headers();
  setCookie(headers, {
    name: "a",
    value: "1",
    secure: true,
    httpOnly: true,
    partitioned: true,
    maxAge: 0,
    domain: "example.com",
    sameSite: "Lax",
    path: "/x",
    expires: new Date(0),
    unparsed: ["k=v", "w"],
  });
  setCookie(headers, { name: "__Host-b", value: "2", domain: "example.com" });
  setCookie(headers, { name: "__Secure-c", value: "3" });
  setCookie(headers, { name: "", value: "4" });
  assertEquals(headers.getSetCookie(), [
    "a=1; Secure; HttpOnly; Partitioned; Max-Age=0; Domain=example.com; SameSite=Lax; Path=/x; " +
    "Expires=Thu, 01 Jan 1970 00:00:00 GMT; k=v; w",
    "__Host-b=2; Secure; Path=/",
    "__Secure-c=3; Secure",
  ]);
});

Deno.test("@std/http/cookie: refuses what would break the line", () => {
  const set = (cookie: Partial<Parameters<typeof setCookie>[1]>) => () =>
    setCookie(new Headers(), { name: "a", value: "1", ...cookie });
  assertThrows(set({ name: "a b" }), SyntaxError);
  assertThrows(set({ name: "ä" }), SyntaxError);
  assertThrows(set({ value: "a;b" }), SyntaxError);
  assertThrows(set({ value: "a b" }), SyntaxError);
  assertThrows(set({ value: "ä" }), SyntaxError);
  assertThrows(set({ path: "/;x" }), SyntaxError);
  assertThrows(set({ domain: "-a.com" }), SyntaxError);
  assertThrows(set({ domain: "a.com." }), SyntaxError);
  assertThrows(set({ maxAge: -1 }), RangeError);
});

function hmacKey(secret: string): Promise<CryptoKey> {
  return crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
}

Deno.test("@std/http/unstable-signed-cookie: a changed value or key is seen", async () => {
  const key = await hmacKey("secret");
  const signed = await signCookie("a.b", key);
  assertMatch(signed, /^a\.b\.[0-9a-f]{64}$/);
  assertEquals(parseSignedCookie(signed), "a.b");
  assertEquals(parseSignedCookie("plain"), "plain");
  assert(await verifySignedCookie(signed, key));
  assertFalse(await verifySignedCookie(signed.replace("a.b", "a.c"), key));
  assertFalse(await verifySignedCookie(signed, await hmacKey("other")));
  assertFalse(await verifySignedCookie("plain", key));
  assertFalse(await verifySignedCookie("a.", key));
  await assertRejects(() => verifySignedCookie("a.abc", key), RangeError);
  await assertRejects(() => verifySignedCookie("a.zz", key), TypeError);
});

Deno.test("@std/http/etag: tags of text, bytes and files", async () => {
  assertEquals(await eTag(""), `"0-47DEQpj8HBSa+/TImW+5JCeuQeR"`);
  assertEquals(await eTag("abc"), `"3-ungWv48Bz+pBQUDeXa4iI7ADYaO"`);
  assertEquals(await eTag(new TextEncoder().encode("abc")), await eTag("abc"));
  assertEquals(await eTag("abc", { weak: true }), `W/"3-ungWv48Bz+pBQUDeXa4iI7ADYaO"`);
  const file = { size: 16, mtime: new Date(0) };
  assertMatch(await eTag(file) ?? "", /^W\/"10-[A-Za-z0-9+/]{27}"$/);
  assertMatch(await eTag(file, { weak: false, algorithm: "SHA-512" }) ?? "", /^"10-.{27}"$/);
  assertEquals(await eTag({ size: 16, mtime: null }), undefined);
});

Deno.test("@std/http/etag: ifNoneMatch is false where the client has it", () => {
  assertFalse(ifNoneMatch(`"a"`, `"a"`));
  assertFalse(ifNoneMatch(`"x" , W/"a"`, `"a"`));
  assertFalse(ifNoneMatch(`"a"`, `W/"a"`));
  assertFalse(ifNoneMatch(" * ", `"a"`));
  assert(ifNoneMatch(`"x"`, `"a"`));
  assert(ifNoneMatch(null, `"a"`));
  assert(ifNoneMatch("*", undefined));
});

async function withFile<T>(
  name: string,
  text: string,
  fn: (path: string, at: Date) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/${name}`;
    const at = new Date("2024-05-06T07:08:09.500Z");
    await Deno.writeTextFile(path, text);
    await Deno.utime(path, at, at);
    return await fn(path, at);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function ask(headers: HeadersInit = {}, method = "GET"): Request {
  return new Request("http://localhost/", { method, headers });
}

Deno.test("@std/http/file-server: a file, its headers, and a client that has it", async () => {
  await withFile("page.html", "<p>hello</p>", async (path) => {
    const full = await serveFile(ask(), path);
    assertEquals(full.status, 200);
    assertEquals(full.headers.get("content-type"), "text/html; charset=UTF-8");
    assertEquals(full.headers.get("content-length"), "12");
    assertEquals(full.headers.get("accept-ranges"), "bytes");
    assertEquals(full.headers.get("last-modified"), "Mon, 06 May 2024 07:08:09 GMT");
    assertEquals(await full.text(), "<p>hello</p>");
    const etag = full.headers.get("etag") ?? fail("no etag");

    const head = await serveFile(ask({}, "HEAD"), path);
    assertEquals([head.status, head.body], [200, null]);
    assertEquals(head.headers.get("content-length"), "12");
    assertEquals(head.headers.get("etag"), etag);

    const cached = await serveFile(ask({ "if-none-match": etag }), path);
    assertEquals([cached.status, cached.statusText, cached.body], [304, "Not Modified", null]);
    assertEquals(cached.headers.get("etag"), etag);
    const since = "Mon, 06 May 2024 07:08:09 GMT";
    assertEquals((await serveFile(ask({ "if-modified-since": since }), path)).status, 304);

    const stale: HeadersInit[] = [
      { "if-none-match": `"other"`, "if-modified-since": since },
      { "if-modified-since": "Mon, 06 May 2024 07:08:08 GMT" },
    ];
    for (const headers of stale) {
      const response = await serveFile(ask(headers), path);
      assertEquals(response.status, 200);
      await response.body?.cancel();
    }
  });
});

Deno.test("@std/http/file-server: one range of a file", async () => {
  await withFile("digits.txt", "0123456789", async (path) => {
    const cases: [string, number, string, string | null][] = [
      ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=-2", 206, "89", "bytes 8-9/10"],
      ["bytes=-20", 206, "0123456789", "bytes 0-9/10"],
      ["bytes=8-99", 206, "89", "bytes 8-9/10"],
      ["bytes=10-", 416, "Range Not Satisfiable", "bytes */10"],
      ["bytes=5-2", 416, "Range Not Satisfiable", "bytes */10"],
      ["bytes=-", 200, "0123456789", null],
      ["bytes=0-1,3-4", 200, "0123456789", null],
      ["lines=1-2", 200, "0123456789", null],
    ];
    for (const [range, status, text, contentRange] of cases) {
      const response = await serveFile(ask({ range }), path);
      assertEquals(response.status, status, range);
      assertEquals(response.headers.get("content-range"), contentRange, range);
      assertEquals(await response.text(), text, range);
    }
  });
  await withFile("empty.txt", "", async (path) => {
    const response = await serveFile(ask({ range: "bytes=0-3" }), path);
    assertEquals([response.status, await response.text()], [200, ""]);
  });
});

Deno.test("@std/http/file-server: what is no file, and no way to ask", async () => {
  await withFile("a.unknown", "x", async (path) => {
    const response = await serveFile(ask(), path);
    assertEquals(response.headers.get("content-type"), null);
    await response.body?.cancel();
    assertEquals((await serveFile(ask(), `${path}.not`)).status, 404);
    assertEquals((await serveFile(ask(), path.replace("/a.unknown", ""))).status, 404);
    const post = new Request("http://localhost/", { method: "POST", body: "x" });
    const refused = await serveFile(post, path);
    assertEquals([refused.status, await refused.text()], [405, "Method Not Allowed"]);
  });
});

Deno.test("@std/http/negotiation: media types", () => {
  const request = ask({
    accept: "text/html, application/json;q=0.9, text/*;q=0.5, text/plain;format=flowed, */*;q=0.1",
  });
  assertEquals(accepts(request), [
    "text/html",
    "text/plain",
    "application/json",
    "text/*",
    "*/*",
  ]);
  assertEquals(accepts(request, "application/json", "text/html"), "text/html");
  assertEquals(accepts(request, "image/png", "text/css"), "text/css");
  assertEquals(
    accepts(request, "text/plain", "text/plain;format=flowed"),
    "text/plain;format=flowed",
  );
  assertEquals(accepts(ask({ accept: "text/html;q=0, */*" }), "text/html"), undefined);
  assertEquals(accepts(ask({ accept: "text/html" }), "application/json"), undefined);
  assertEquals(accepts(ask({ accept: "TEXT/HTML; Q=0.3" }), "text/html"), "text/html");
  assertEquals(accepts(ask()), ["*/*"]);
  assertEquals(accepts(ask(), "text/css", "text/html"), "text/css");
});

Deno.test("@std/http/negotiation: encodings", () => {
  const request = ask({ "accept-encoding": "deflate;q=0.5, gzip, br;q=0" });
  assertEquals(acceptsEncodings(request), ["gzip", "deflate", "identity"]);
  assertEquals(acceptsEncodings(request, "br", "deflate", "gzip"), "gzip");
  assertEquals(acceptsEncodings(request, "br", "identity"), "identity");
  assertEquals(acceptsEncodings(request, "br"), undefined);
  const any = ask({ "accept-encoding": "*;q=0.2, GZIP;q=0.1" });
  assertEquals(acceptsEncodings(any), ["*", "GZIP"]);
  assertEquals(acceptsEncodings(any, "gzip", "br"), "br");
  assertEquals(acceptsEncodings(ask()), ["*"]);
});

Deno.test("@std/http/negotiation: languages", () => {
  const request = ask({ "accept-language": "zh-CN, zh;q=0.9, en;q=0.8, *;q=0.5, fr;q=0" });
  assertEquals(acceptsLanguages(request), ["zh-CN", "zh", "en", "*"]);
  assertEquals(acceptsLanguages(request, "en", "zh"), "zh");
  assertEquals(acceptsLanguages(request, "zh-TW", "zh-CN"), "zh-CN");
  assertEquals(acceptsLanguages(request, "fr", "de"), "de");
  assertEquals(acceptsLanguages(ask({ "accept-language": "en-GB" }), "en-US"), "en-US");
  assertEquals(acceptsLanguages(ask({ "accept-language": "en" }), "zh"), undefined);
  assertEquals(acceptsLanguages(ask()), ["*"]);
  assertEquals(acceptsLanguages(ask(), "en", "zh"), "en");
});

Deno.test("@std/http/status: names, phrases, errors", () => {
  assertEquals(STATUS_CODE.TooManyRequests, 429);
  assertEquals(STATUS_TEXT[STATUS_CODE.NotFound], "Not Found");
  assertEquals(
    Object.values(STATUS_CODE).map(String).sort(),
    Object.keys(STATUS_TEXT).sort(),
  );
  for (const status of [400, 425, 451, 500, 511]) assert(isErrorStatus(status));
  for (const status of [200, 304, 399, 499, 600]) assertFalse(isErrorStatus(status));
});

Deno.test("@std/http/unstable-route: the first route that fits answers", async () => {
  const routes: Route[] = [
    {
      pattern: new URLPattern({ pathname: "/channels/:name{/}?" }),
      method: ["get", "HEAD"],
      handler: (_request, params) => new Response(params.pathname.groups.name),
    },
    {
      pattern: new URLPattern({ pathname: "/channels/*" }),
      handler: (request) => new Response(`any ${request.method}`),
    },
  ];
  const handler = route(routes, () => new Response("default", { status: 404 }));
  const text = async (path: string, method = "GET") =>
    await (await handler(new Request(`http://localhost${path}`, { method }))).text();
  assertEquals(await text("/channels/a"), "a");
  assertEquals(await text("/channels/a/?x=1"), "a");
  assertEquals(await text("/channels/a/b"), "any GET");
  assertEquals(await text("/channels/a", "POST"), "any POST");
  assertEquals(await text("/other"), "default");
});

Deno.test("@std/async: a deadline ends the wait for a promise, and only the wait", async () => {
  assertEquals(await deadline(Promise.resolve(1), 10_000), 1);
  await assertRejects(
    () => deadline(Promise.reject(new RangeError("no")), 10_000),
    RangeError,
    "no",
  );
  const { promise, resolve } = Promise.withResolvers<number>();
  await assertRejects(() => deadline(promise, 1), DOMException);
  const abort = new AbortController();
  const aborted = assertRejects(
    () => deadline(promise, 10_000, { signal: abort.signal }),
    DOMException,
  );
  abort.abort();
  await aborted;
  await assertRejects(() => deadline(promise, 10_000, { signal: abort.signal }), DOMException);
  resolve(2);
  assertEquals(await deadline(promise, 10_000), 2);
});

Deno.test("@std/uuid/v7: carries its time", () => {
  const time = 1645557742000;
  const id = generate(time);
  assert(validate(id));
  assertStringIncludes(id, "017f22e2-79b0-7");
  assertEquals(extractTimestamp(id), time);
  assertEquals(extractTimestamp("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), time);
  const before = Date.now();
  const now = extractTimestamp(generate());
  assertGreaterOrEqual(now, before);
  assertNotEquals(generate(time), generate(time));
  assertLess(generate(time), generate(time + 1));
  assertFalse(validate("fac8c1e0-ad1a-4204-a0d0-8126ae84495d"));
  assertThrows(() => extractTimestamp("x"), TypeError);
  assertThrows(() => generate(-1), RangeError);
  assertThrows(() => generate(1.5), RangeError);
});
