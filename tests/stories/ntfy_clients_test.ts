/** What Home Assistant's integration and ntfy's command line ask besides pushes, as their sources have it; Basic; ids. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { idOf, seqInId } from "../../lib/codecs/ntfy.ts";
import { Log } from "../../lib/store/writer.ts";
import { EventStream, http } from "../helpers/http.ts";
import { messages, tempFolder } from "../helpers/log.ts";
import { NativeClient, startServer, TestSocket } from "../helpers/server.ts";

const TOKEN = "an admin token with a colon: here";

const basic = (user: string, password: string) => ({
  authorization: `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`,
});

async function closedServer(changes: Parameters<typeof startServer>[0] = {}) {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  return await startServer({ adminTokenFile, open: false, ...changes });
}

const lines = (body: unknown) =>
  String(body).split("\n").filter(Boolean).map((line) => JSON.parse(line));

Deno.test("Basic with the token as its password is taken wherever a bearer is", async () => {
  await using server = await closedServer();
  const headers = basic("anyone", TOKEN);
  for (const user of ["anyone", "", "用户"]) {
    const shown = basic(user, TOKEN);
    const push = await http(server, "/push/a", { text: "x", headers: shown });
    assertEquals(push.status, 201, user);
  }
  const json = { topic: "a", message: "x" };
  const post = (path: string) => http(server, path, { json, headers });
  assertEquals([(await post("/push")).status, (await post("/push/")).status], [
    200,
    200,
  ]);
  assertEquals((await http(server, "/metrics", { headers })).status, 200);
  assertEquals((await http(server, "/api/channels", { headers })).status, 200);
  await using stream = await EventStream.open(
    server,
    "/events?channel=push:a",
    headers,
  );
  assertEquals(stream.status, 200);
  await using client = await NativeClient.open(server, headers);
  assertEquals((await client.do("hello", {})).account, null);
  await client.do("publish", { channel: "push:a", data: 1 });
  const socket = await TestSocket.open(`ws://${server.host}/push/a/ws`, {
    headers,
  });
  assertEquals(JSON.parse(await socket.next()).event, "open");
  await socket.close();
});

Deno.test("Basic that isn't right is refused as a wrong token is, and never taken for nothing", async () => {
  await using server = await closedServer();
  const wrong = [basic("a", "wrong"), basic("a", ""), {
    authorization: "Basic",
  }];
  const garbled = ["Basic !!!", "basic Zg", "BASIC /w=="].map((
    authorization,
  ) => ({ authorization }));
  for (const headers of [...wrong, ...garbled]) {
    const answer = await http(server, "/push/a", { text: "x", headers });
    assertEquals([answer.status, Object(answer.body).code], [
      401,
      "unauthorized",
    ]);
    assertEquals(answer.headers.get("www-authenticate"), "Bearer");
  }
  await assertRejects(() =>
    TestSocket.open(`ws://${server.host}/ws`, { headers: basic("a", "wrong") })
  );
  const guessed = await Promise.all(
    Array.from(
      { length: 30 },
      () => http(server, "/api/me", { headers: basic("a", "b") }),
    ),
  );
  assertEquals(
    new Set(guessed.map(({ status }) => status)),
    new Set([401, 429]),
  );
});

Deno.test(
  "what Home Assistant's integration asks is answered in its form, refusals too",
  async () => {
    await using server = await closedServer();
    const headers = basic("home", TOKEN);
    const bearer = { authorization: `Bearer ${TOKEN}` };
    const account = async (headers: Record<string, string> = {}) =>
      Object((await http(server, "/push/v1/account", { headers })).body);
    const { username, role, stats } = await account(headers);
    assertEquals([username, role], ["home", "admin"]);
    for (
      const name of [
        "messages",
        "emails",
        "calls",
        "reservations",
        "attachment_total_size",
      ]
    ) {
      assertEquals([stats[name], stats[`${name}_remaining`]], [0, 0], name);
    }
    assertEquals((await account(bearer)).username, "admin");
    assertEquals([(await account()).username, (await account()).role], [
      "*",
      "anonymous",
    ]);
    const json = { label: "Home Assistant", expires: 0 };
    const kept = await http(server, "/push/v1/account/token", {
      json,
      headers,
    });
    assertEquals([kept.status, kept.body], [200, { token: TOKEN }]);
    assertEquals(kept.headers.get("cache-control"), "no-store");
    const may = await http(server, "/push/a,b/auth", { headers });
    assertEquals([may.status, may.body], [200, { success: true }]);
    assertEquals((await http(server, "/push/v1/health")).body, {
      healthy: true,
    });
    const refused = async (
      path: string,
      ask: Parameters<typeof http>[2],
      code: number,
    ) => {
      const { status, body, headers } = await http(server, path, ask);
      assertEquals(
        Object.keys(Object(body)).sort(),
        ["code", "error", "http"],
        path,
      );
      assertEquals([status, Object(body).http, Object(body).code], [
        Math.floor(code / 100),
        status,
        code,
      ]);
      assertEquals(headers.get("content-type"), "application/json");
      assertMatch(headers.get("x-request-id") ?? "", /^[0-9a-f]{12}$/);
    };
    await refused(
      "/push/v1/account",
      { headers: basic("home", "wrong") },
      40101,
    );
    await refused("/push/v1/account/token", { json }, 40101);
    await refused("/push/v1/version", { headers }, 40401);
    await refused("/push/a,%20/auth", { headers }, 40000);
    await refused("/push", { json: { topic: "a", message: "x" } }, 40101);
    await refused(
      "/push",
      { json: { topic: "a", delay: "9am" }, headers },
      40000,
    );
    await refused("/push/", { text: "{", headers }, 40000);
  },
);

Deno.test("a topic that has the name of ntfy's version is one like any other", async () => {
  await using server = await startServer();
  for (const name of ["v1", "account", "auth"]) {
    assertEquals(
      (await http(server, `/push/${name}`, { text: name })).status,
      201,
    );
    const { body } = await http(server, `/push/${name}/json?poll=1`);
    assertEquals(lines(body).map(({ message }) => message), [name]);
    assertEquals((await http(server, `/push/${name}/auth`)).body, {
      success: true,
    });
  }
});

Deno.test(
  "filters hold on a WebSocket, for what is kept and for what comes",
  async () => {
    await using server = await startServer();
    const push = (text: string, query: string) =>
      http(server, `/push/a?${query}`, { method: "POST", text });
    await push("low", "p=1&ta=x");
    await push("high", "p=4&ta=x,y");
    const open = (query: string) =>
      TestSocket.open(`ws://${server.host}/push/a/ws?since=all&${query}`);
    const sockets = await Promise.all(
      ["priority=4,5", "tags=x,y", "title=T", "message=live", "p=1"].map(open),
    );
    await push("live", "p=5&ta=x,y&t=T");
    await push("other", "p=1");
    await push("last", "p=5&ta=x,y&t=T");
    const expected = [
      ["high", "live", "last"],
      ["high", "live", "last"],
      ["live", "last"],
      ["live"],
      [
        "low",
        "other",
      ],
    ];
    for (const [i, socket] of sockets.entries()) {
      assertEquals(JSON.parse(await socket.next()).event, "open");
      for (const text of expected[i] ?? []) {
        assertEquals(JSON.parse(await socket.next()).message, text);
      }
      await socket.close();
      assertEquals(socket.frames.length, 1 + (expected[i] ?? []).length);
    }
    const refused = await http(server, "/push/a/ws?p=6");
    assertEquals(refused.status, 400);
  },
);

Deno.test("an id is taken for no time at any seq, and another log's for none of this one's", async () => {
  using folder = tempFolder("disk");
  const log = new Log(`${folder.path}/fanfare.db`, () => "epoch");
  // Where a bare seq is a time of 2008.
  const first = 1_200_000_000;
  const time = Date.now();
  const data = '{"text":"m"}';
  log.apply(
    messages(first, 5, () => ({ channel: "push:a", from: null, data, time })),
  );
  log.close();
  await using server = await startServer({ data: folder.path });
  const poll = async (since: string) =>
    lines((await http(server, `/push/a/json?poll=1&since=${since}`)).body).map((
      { id },
    ) => id);
  const ids = await poll("all");
  assertEquals(
    ids,
    Array.from({ length: 5 }, (_, i) => idOf("epoch", first + i)),
  );
  for (const [i, id] of ids.entries()) {
    assertEquals(await poll(id), ids.slice(i + 1));
  }
  assertEquals(await poll(idOf("another", first + 3)), ids);
  assertEquals(await poll(idOf("epoch", first + 50)), ids);
  assertEquals((await poll(`${first + 2}`)).length, 5);
  const { body } = await http(
    server,
    `/push/a/json?poll=1&since=all&id=${ids[2]}`,
  );
  assertEquals(lines(body).length, 1);
});

Deno.test("an id of any epoch is letters and the seq, and is read by its own epoch alone", () => {
  for (const epoch of ["", "a", crypto.randomUUID(), "纪元"]) {
    for (
      const seq of [
        0,
        7,
        999_999_999,
        1_790_000_000,
        Number.MAX_SAFE_INTEGER - 1,
      ]
    ) {
      const id = idOf(epoch, seq);
      assertMatch(id, /^[a-z]{6}\d+$/);
      assertEquals(seqInId(epoch, id), seq < 1e15 ? seq : "unknown");
      assertEquals(seqInId(`${epoch}.`, id), "unknown");
    }
  }
  for (
    const id of [
      "",
      "all",
      "none",
      "latest",
      "17",
      "10m",
      "1h30m",
      "1790000000",
      "a b1",
      "é1",
    ]
  ) {
    assertEquals(seqInId("epoch", id), undefined, id);
  }
});
