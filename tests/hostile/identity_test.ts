/** Hostile cookies and tokens, and what the log keeps of them (threats.md I1, I4, H5). */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { type LogLine, spawnServer } from "../helpers/child_server.ts";
import { http } from "../helpers/http.ts";
import { ask, HANDSHAKE, type RawAnswer } from "../helpers/raw_http.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };

async function accountOf(server: TestServer, cookie: string): Promise<unknown> {
  const { body } = await http(server, "/api/me", { headers: { cookie } });
  return Object(body).account;
}

Deno.test("I1: a cookie that isn't whole is none: changed in any bit of any place, cut, long, of another server, of another name", async () => {
  await using server = await startServer();
  await using stranger = await startServer();
  const guest = async (server: TestServer) => {
    const cookie = await cookieOf(server);
    await using client = await NativeClient.open(server, { cookie });
    return { cookie, account: (await client.do("hello", {})).account };
  };
  const { cookie, account } = await guest(server);
  assertEquals(await accountOf(server, cookie), account);
  const [name = "", value = ""] = cookie.split("=");
  const broken = [
    value.slice(0, -1),
    value.slice(1),
    "",
    ".",
    String(account),
    `${account}.${"0".repeat(64)}`,
    `${value}${value}`,
    `${value}a`,
    `${value.slice(0, -1)}.`,
    `${value}=`,
    "x".repeat(4096),
    `${"x".repeat(4096)}.${value}`,
  ];
  for (const other of broken) {
    const answer = await ask(server.host, {
      path: "/to_chat/",
      headers: { cookie: `${name}=${other}` },
    });
    assertEquals(answer.headers.has("set-cookie"), true, other.slice(0, 80));
  }
  const [, foreign = ""] = (await guest(stranger)).cookie.split("=");
  const others = [foreign, value.toUpperCase(), value.toLowerCase()];
  for (let at = 0; at < value.length; at++) {
    for (const bit of [1, 2, 32]) {
      const changed = String.fromCharCode(value.charCodeAt(at) ^ bit);
      // No header carries a control character.
      if (/[\x21-\x7e]/.test(changed)) {
        others.push(value.slice(0, at) + changed + value.slice(at + 1));
      }
    }
  }
  for (const other of [...broken, ...others]) {
    const told = await accountOf(server, `${name}=${other}`);
    assertEquals(told === null || told === undefined, true, other.slice(0, 80));
  }
  assertEquals(await accountOf(server, `${name}x=${value}`), undefined);
  // Of two the first that is somebody's counts; so many are looked at and no more.
  assertEquals(await accountOf(server, `${name}=x; ${cookie}`), account);
  assertEquals(await accountOf(server, `${await cookieOf(server)}; ${cookie}`), account);
  const second = await guest(server);
  assertEquals(await accountOf(server, `${cookie}; ${second.cookie}`), account);
  assertEquals(await accountOf(server, `${second.cookie}; ${cookie}`), second.account);
  const many = `${Array.from({ length: 50 }, () => `${name}=x`).join("; ")}; ${cookie}`;
  assertEquals(await accountOf(server, many), undefined);
});

Deno.test("I4: without the admin token 401, in the same words however near it was; after twenty wrong ones a minute 429", async () => {
  await using server = await startServer({ trustProxy: true });
  const token = (await Deno.readTextFile(`${server.data}/admin.token`)).trim();
  const show = (bearer: string, address: string): Promise<RawAnswer> =>
    ask(server.host, {
      headers: { authorization: `Bearer ${bearer}`, "x-forwarded-for": address },
    });
  const near = token.slice(0, -1) + (token.endsWith("A") ? "B" : "A");
  const bodies = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const answer = await show(
      ["x", near, `${token}x`, "", token.slice(1)][i % 5] ?? "",
      "192.0.2.1",
    );
    assertEquals(answer.status, 401);
    bodies.add(answer.body);
  }
  assertEquals(bodies.size, 1);
  for (const bearer of ["x", near, token]) {
    const answer = await show(bearer, "192.0.2.1");
    assertEquals([answer.status, JSON.parse(answer.body).code], [429, "rate_limited"]);
    assertGreater(Number(answer.headers.get("retry-after")), 0);
  }
  assertEquals((await show(token, "192.0.2.2")).status, 200);
  // By `hello` and by the send page's form it is the same count.
  await using client = await TestSocket.open(`ws://${server.host}/ws`, {
    headers: { "x-forwarded-for": "192.0.2.1" },
  });
  client.send(JSON.stringify({ id: 1, hello: { token } }));
  const { error } = JSON.parse(await client.next());
  assertEquals(error.code, "rate_limited");
  const form = {
    method: "POST",
    path: "/token/",
    headers: { ...FORM, "x-forwarded-for": "192.0.2.1" },
    body: `token=${encodeURIComponent(token)}`,
  };
  const refused = await ask(server.host, form);
  assertEquals([refused.status, refused.headers.has("set-cookie")], [429, false]);
  const right = await ask(server.host, {
    ...form,
    headers: { ...form.headers, "x-forwarded-for": "192.0.2.2" },
  });
  assertEquals([right.status, right.headers.has("set-cookie")], [200, true]);
});

Deno.test("I4: a thousand wrong tokens are refused as fast as they come, and others notice nothing", async () => {
  await using server = await startServer();
  await using other = await NativeClient.open(server);
  const statuses: Record<number, number> = {};
  let slowest = 0;
  for (let i = 0; i < 1000; i += 50) {
    const wrong = Array.from(
      { length: 50 },
      (_, j) => ask(server.host, { headers: { authorization: `Bearer ${i + j}` } }),
    );
    const begun = performance.now();
    await other.do("ping", {});
    slowest = Math.max(slowest, performance.now() - begun);
    for (const { status } of await Promise.all(wrong)) {
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  }
  assertLess(statuses[401] ?? 0, 22);
  assertEquals((statuses[401] ?? 0) + (statuses[429] ?? 0), 1000);
  assertLess(slowest, 1000);
});

Deno.test("H5: no token, no cookie, no text and no name is in any line of the log; each refusal has a line with the address", async () => {
  const data = await Deno.makeTempDir();
  const lines: LogLine[] = [];
  {
    await using server = await spawnServer({ data, flags: ["--log-level", "debug"] });
    server.onLog = (line) => lines.push(line);
    const host = `127.0.0.1:${await server.listening}`;
    const token = (await Deno.readTextFile(`${data}/admin.token`)).trim();
    const page = await ask(host, { path: "/to_chat/" });
    const cookie = page.headers.get("set-cookie")?.split(";")[0] ?? "";
    await ask(host, { path: "/readyz?token=secret-in-query" });
    await ask(host, { headers: { authorization: "Bearer secret-in-header" } });
    await ask(host, { headers: { authorization: `Bearer ${token}` } });
    await ask(host, {
      path: "/ws",
      headers: { ...HANDSHAKE, origin: "http://secret-origin.example" },
    });
    await ask(host, {
      method: "POST",
      path: "/send/",
      headers: { ...FORM, cookie },
      body: "msg=secret-text",
    });
    await ask(host, {
      method: "POST",
      path: "/send/",
      headers: { ...FORM, cookie },
      body: "secret-field=1",
    });
    await ask(host, { method: "POST", path: "/token/", headers: FORM, body: "token=secret-form" });
    await using client = await NativeClient.open({ host }, { cookie });
    await client.ask("hello", { token: "secret-hello", name: "secret-name" });
    await client.ask("rename", { name: "secret-name" });
    await client.ask("publish", { channel: "room:a", data: "secret-text", key: "secret-key" });
    await client.ask("publish", { channel: "dm:a.b", data: "secret-text" });
    client.socket.send("secret-frame");
    await client.ask("ping", {});
    await client.socket.close();
    server.signal("SIGTERM");
    await server.ended;
    const text = JSON.stringify(lines);
    for (const secret of ["secret", token, cookie, cookie.split("=")[1] ?? "none"]) {
      assertEquals(text.includes(secret), false, secret);
    }
  }
  const named = (message: string) => lines.filter((line) => line.message === message);
  for (const event of ["request.refused", "command.refused", "token.wrong", "connection.open"]) {
    assertGreater(named(event).length, 0, event);
    for (const line of named(event)) assertEquals(line.address, "127.0.0.1", event);
  }
  for (const line of named("command.refused")) assertEquals(typeof line.connection, "string");
  await Deno.remove(data, { recursive: true });
});
