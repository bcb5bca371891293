/** Each frame and each refusal of the first protocol (demo-protocol.md), on real sockets. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  cookieOf,
  NativeClient,
  startServer,
  testIsolates,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

async function post(
  server: TestServer,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown>; type: string | null }> {
  const response = await fetch(server.url + path, {
    method: "POST",
    body: new URLSearchParams(fields),
    headers,
  });
  return {
    status: response.status,
    body: await response.json(),
    type: response.headers.get("content-type"),
  };
}

interface Chatter {
  readonly socket: TestSocket;
  readonly account: string;
  readonly cookie: string;
}

async function joinChat(server: TestServer, cookie?: string): Promise<Chatter> {
  const own = cookie ?? await cookieOf(server);
  const socket = await TestSocket.open(`ws://${server.host}/chat/`, { headers: { cookie: own } });
  socket.send("test");
  const greeting = JSON.parse(await socket.next());
  return { socket, account: greeting.userid, cookie: own };
}

function say(server: TestServer, from: Chatter, txt: string, to?: string) {
  const fields = {
    type: to === undefined ? "1" : "2",
    txt,
    userfrom: from.account,
    userto: to ?? "",
  };
  return post(server, "/msg_send/", fields, { cookie: from.cookie });
}

const isList = (frame: string) => JSON.parse(frame).type === 0;
const isChat = (frame: string) => JSON.parse(frame).type === 1;

testIsolates(
  "a push reaches every receiver as its text, one frame each, from both spellings of the path",
  async (workers) => {
    await using server = await startServer({ workers });
    await using one = await TestSocket.open(`ws://${server.host}/link/`);
    await using other = await TestSocket.open(`ws://${server.host}/link`);
    one.send("test");
    for (const [path, msg] of [["/send/", "héllo <b>"], ["/send", "a\nb"]] as const) {
      const { status, body, type } = await post(server, path, { msg });
      assertEquals([status, body, type], [200, { msg: "success" }, "application/json"]);
      assertEquals(await one.next(), msg);
      assertEquals(await other.next(), msg);
    }
  },
);

Deno.test("what a receiver says besides `test` is ignored", async () => {
  await using server = await startServer();
  await using link = await TestSocket.open(`ws://${server.host}/link/`);
  for (const frame of ["", "{", "testing", '{"id":1,"ping":{}}']) link.send(frame);
  await post(server, "/send/", { msg: "still here" });
  assertEquals(await link.next(), "still here");
});

testIsolates(
  "the greeting tells the account and the list, and everyone hears when the list changes",
  async (workers) => {
    await using server = await startServer({ workers });
    const ada = await joinChat(server);
    assertMatch(ada.account, /^[0-9a-f]{8}$/);
    assertEquals(JSON.parse(ada.socket.frames[0] ?? ""), {
      type: 0,
      userlist: [ada.account],
      userid: ada.account,
    });
    const bob = await joinChat(server);
    const joined = JSON.parse(await ada.socket.until(isList));
    assertEquals(joined, { type: 0, userlist: [ada.account, bob.account], user: null });
    await bob.socket.close();
    const left = JSON.parse(await ada.socket.until(isList));
    assertEquals(left, { type: 0, userlist: [ada.account], user: null });
    await ada.socket.close();
  },
);

Deno.test("the account stays with its cookie, over connections and a restart", async () => {
  await using server = await startServer();
  const first = await joinChat(server);
  await first.socket.close();
  await server.restart();
  const again = await joinChat(server, first.cookie);
  assertEquals(again.account, first.account);
  await again.socket.close();
});

testIsolates("a group message reaches the room, its sender included", async (workers) => {
  await using server = await startServer({ workers });
  const ada = await joinChat(server);
  const bob = await joinChat(server);
  assertEquals(await say(server, ada, "hi <all>"), {
    status: 200,
    body: { msg: "success" },
    type: "application/json",
  });
  const frame = { type: 1, data: { msg: "hi <all>", user: ada.account } };
  assertEquals(JSON.parse(await ada.socket.until(isChat)), frame);
  assertEquals(JSON.parse(await bob.socket.until(isChat)), frame);
  await ada.socket.close();
  await bob.socket.close();
});

testIsolates(
  "a private message reaches both, once, and no third; one to oneself comes once",
  async (workers) => {
    await using server = await startServer({ workers });
    const [ada, bob, eve] = [
      await joinChat(server),
      await joinChat(server),
      await joinChat(server),
    ];
    await say(server, ada, "psst", bob.account);
    await say(server, ada, "note", ada.account);
    await say(server, ada, "end");
    const texts = async ({ socket }: Chatter) => {
      const seen: string[] = [];
      while (seen.at(-1) !== "end") seen.push(JSON.parse(await socket.until(isChat)).data.msg);
      return seen;
    };
    assertEquals(await texts(ada), ["psst", "note", "end"]);
    assertEquals(await texts(bob), ["psst", "end"]);
    assertEquals(await texts(eve), ["end"]);
    for (const { socket } of [ada, bob, eve]) await socket.close();
  },
);

testIsolates(
  "one that is known but away gets its private message when it comes back, and not again",
  async (workers) => {
    await using server = await startServer({ workers });
    const ada = await joinChat(server);
    const bob = await joinChat(server);
    await bob.socket.close();
    assertEquals((await say(server, ada, "later", bob.account)).status, 200);
    await server.restart();
    const back = await joinChat(server, bob.cookie);
    assertEquals(JSON.parse(await back.socket.until(isChat)).data, {
      msg: "later",
      user: ada.account,
    });
    await back.socket.close();
    const again = await joinChat(server, bob.cookie);
    const ada2 = await joinChat(server, ada.cookie);
    await say(server, ada2, "new", bob.account);
    assertEquals(JSON.parse(await again.socket.until(isChat)).data.msg, "new");
    for (const { socket } of [again, ada2]) await socket.close();
  },
);

Deno.test(
  "chat refuses: no cookie, another's account, none, unknown receiver, missing fields",
  async () => {
    await using server = await startServer();
    const ada = await joinChat(server);
    const bob = await joinChat(server);
    const fields = { type: "1", txt: "forged", userfrom: ada.account, userto: "" };
    const cookie = { cookie: ada.cookie };
    const { userfrom: _, ...anonymous } = fields;
    const { txt: __, ...wordless } = fields;
    const { type: ___, ...typeless } = fields;
    const tries: [Record<string, string>, Record<string, string>, number][] = [
      [fields, {}, 403],
      [{ ...fields, userfrom: bob.account }, cookie, 403],
      [anonymous, cookie, 403],
      [{ ...fields, type: "2", userto: "00000000" }, cookie, 404],
      [{ ...fields, type: "2", userto: "no such" }, cookie, 404],
      [wordless, cookie, 400],
      [typeless, cookie, 400],
      [{ ...fields, type: "2" }, cookie, 400],
      [{ ...fields, txt: "a\0b" }, cookie, 400],
      [fields, { cookie: ada.cookie.slice(0, -1) + (ada.cookie.endsWith("0") ? "1" : "0") }, 403],
      [fields, { ...cookie, origin: "http://evil.example" }, 403],
    ];
    for (const [form, headers, status] of tries) {
      const answer = await post(server, "/msg_send/", form, headers);
      assertEquals(
        [answer.status, answer.type],
        [status, "application/problem+json"],
        JSON.stringify(form),
      );
      assert(typeof answer.body.detail === "string" && answer.body.detail.length > 10);
    }
    await say(server, ada, "real");
    assertEquals(JSON.parse(await bob.socket.until(isChat)).data.msg, "real");
    await ada.socket.close();
    await bob.socket.close();
  },
);

Deno.test(
  "forms are refused by type, size and missing field; paths and methods by sentence",
  async () => {
    await using server = await startServer();
    assertEquals((await post(server, "/send/", { text: "x" })).status, 400);
    assertEquals((await post(server, "/send/", { msg: "x".repeat(300_000) })).status, 413);
    assertEquals((await post(server, "/send/", { msg: "x".repeat(70_000) })).status, 413);
    const wrong = await fetch(`${server.url}/send/`, { method: "POST", body: '{"msg":"x"}' });
    assertEquals([wrong.status, (await wrong.json()).code], [400, "bad_request"]);
    const get = await fetch(`${server.url}/send/`);
    assertEquals([get.status, get.headers.get("allow")], [405, "POST, OPTIONS"]);
    await get.body?.cancel();
    for (
      const path of ["/nothing", "/static/../main.ts", "/static/%2e%2e/main.ts", "/pages/x.html"]
    ) {
      const none = await fetch(server.url + path);
      assertEquals([none.status, (await none.json()).code], [404, "not_found"], path);
    }
    const plain = await fetch(`${server.url}/chat/`);
    assertEquals([plain.status, plain.headers.get("sec-websocket-version")], [426, "13"]);
    await plain.body?.cancel();
  },
);

Deno.test(
  "a page of another origin can neither push nor open a socket, unless its origin is allowed",
  async () => {
    await using server = await startServer({ open: true, origins: ["http://friend.example"] });
    for (
      const origin of [
        "http://evil.example",
        "null",
        `http://${server.host}.evil.example`,
        "http://127.0.0.1:1",
      ]
    ) {
      assertEquals((await post(server, "/send/", { msg: "x" }, { origin })).status, 403, origin);
      const opened = await TestSocket.open(`ws://${server.host}/link/`, { headers: { origin } })
        .catch(() => undefined);
      assertEquals(opened, undefined, origin);
    }
    assertEquals(
      (await post(server, "/send/", { msg: "x" }, { "sec-fetch-site": "cross-site" })).status,
      403,
    );
    assertEquals(
      (await post(server, "/send/", { msg: "x" }, { origin: "http://friend.example" })).status,
      200,
    );
    await using link = await TestSocket.open(`ws://${server.host}/link/`, {
      headers: { origin: server.url },
    });
    await post(server, "/send/", { msg: "own" }, { origin: server.url });
    assertEquals(await link.next(), "own");
  },
);

Deno.test("a closed server pushes for the admin token alone", async () => {
  const tokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(tokenFile, "0123456789abcdef0123\n");
  await using server = await startServer({ adminTokenFile: tokenFile });
  await using link = await TestSocket.open(`ws://${server.host}/link/`);
  assertEquals((await post(server, "/send/", { msg: "x" })).status, 401);
  assertEquals(
    (await post(server, "/send/", { msg: "x" }, { authorization: "Bearer wrong" })).status,
    401,
  );
  const right = { authorization: "Bearer 0123456789abcdef0123" };
  assertEquals((await post(server, "/send/", { msg: "mine" }, right)).status, 200);
  assertEquals(await link.next(), "mine");
  await Deno.remove(tokenFile);
});

Deno.test("a binary or broken frame ends its own connection and no other", async () => {
  await using server = await startServer();
  await using link = await TestSocket.open(`ws://${server.host}/link/`);
  const chat = await TestSocket.open(`ws://${server.host}/chat/`);
  chat.send(new Uint8Array([1, 2, 3]));
  assertEquals(await chat.closed, 1003);
  await post(server, "/send/", { msg: "fine" });
  assertEquals(await link.next(), "fine");
});

Deno.test("`/chat/` gives an account with its handshake, `/link/` gives none", async () => {
  await using server = await startServer();
  const handshake = async (path: string) => {
    const [hostname, port] = server.host.split(":");
    using tcp = await Deno.connect({ hostname, port: Number(port) });
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${server.host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
    ];
    lines.push("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "");
    await tcp.write(new TextEncoder().encode(lines.join("\r\n")));
    const buffer = new Uint8Array(4096);
    return new TextDecoder().decode(buffer.subarray(0, await tcp.read(buffer) ?? 0));
  };
  const chat = await handshake("/chat/");
  assertMatch(chat, /^HTTP\/1\.1 101/);
  assertMatch(chat, /set-cookie: fanfare_[0-9a-f]{4}=[A-Za-z0-9_-]{43};.*HttpOnly.*SameSite=Lax/i);
  const link = await handshake("/link/");
  assertMatch(link, /^HTTP\/1\.1 101/);
  assertEquals(/set-cookie/i.test(link), false);
});

Deno.test("beyond 1,000 the list has the first 1,000 and one's own", async () => {
  await using server = await startServer();
  await using crowd = await NativeClient.open(server);
  await crowd.do("hello", {});
  const others = await Promise.all(Array.from({ length: 1000 }, () => NativeClient.open(server)));
  for (const other of others) await other.do("subscribe", { channel: "room:lobby" });
  const last = await joinChat(server);
  const greeting = JSON.parse(last.socket.frames[0] ?? "");
  assertEquals(greeting.userlist.length, 1001);
  assertEquals(greeting.userlist.at(-1), last.account);
  const more = await joinChat(server);
  const told = JSON.parse(await last.socket.until(isList));
  assertEquals([told.userlist.length, told.userlist.at(-1)], [1001, last.account]);
  await Promise.all([
    ...others.map(({ socket }) => socket.close()),
    last.socket.close(),
    more.socket.close(),
  ]);
});
