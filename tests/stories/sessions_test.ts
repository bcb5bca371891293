/** Sessions: an account only with the first act, ends that are felt everywhere, and what ends with them (protocol.md, "Sessions"). */
import { assert, assertEquals, assertLess, assertMatch, assertNotEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { EventStream, http } from "../helpers/http.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  testIsolates,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

const ACCOUNT = /^[0-9a-f]{8}$/;
const DAY = 86_400_000;

async function adminOf(server: TestServer): Promise<Record<string, string>> {
  const token = (await Deno.readTextFile(`${server.data}/admin.token`)).trim();
  return { authorization: `Bearer ${token}` };
}

async function meOf(server: TestServer, cookie: string): Promise<unknown> {
  const { status, body } = await http(server, "/api/me", {
    headers: { cookie },
  });
  return status === 200 ? Object(body).account : status;
}

/** A browser that has acted. */
async function guest(
  server: TestServer,
): Promise<{ cookie: string; account: string }> {
  const cookie = await cookieOf(server);
  const path = "/api/channels/room:a/messages";
  assertEquals(
    (await http(server, path, { headers: { cookie }, json: { data: 1 } }))
      .status,
    201,
  );
  return { cookie, account: String(await meOf(server, cookie)) };
}

testIsolates(
  "a session has no account until it acts: by a command, by `test`, or by a request that changes something",
  async (workers) => {
    await using server = await startServer({ workers });
    const acts: Record<string, (cookie: string) => Promise<unknown>> = {
      hello: async (cookie) => {
        await using client = await NativeClient.open(server, { cookie });
        return (await client.do("hello", {})).account;
      },
      "a command": async (cookie) => {
        await using client = await NativeClient.open(server, { cookie });
        await client.do("ping", {});
      },
      test: async (cookie) => {
        await using socket = await TestSocket.open(
          `ws://${server.host}/chat/`,
          {
            headers: { cookie },
          },
        );
        socket.send("test");
        return JSON.parse(await socket.next()).userid;
      },
      "POST /api": async (cookie) => {
        const ask = { headers: { cookie }, json: { data: 1 } };
        await http(server, "/api/channels/room:a/messages", ask);
      },
      "POST /send/": async (cookie) => {
        const body = new URLSearchParams({ msg: "hi" });
        const sent = await fetch(`${server.url}/send/`, {
          method: "POST",
          headers: { cookie },
          body,
        });
        assertEquals(await sent.json(), { msg: "success" });
      },
      "PUT /push/": async (cookie) => {
        const ask = { method: "PUT", headers: { cookie }, text: "hi" };
        assertEquals((await http(server, "/push/a", ask)).status, 201);
      },
    };
    const accounts = new Set<unknown>();
    for (const [name, act] of Object.entries(acts)) {
      const cookie = await cookieOf(server);
      assertMatch(cookie, /^fanfare_[0-9a-f]{4}=[A-Za-z0-9_-]{43}$/);
      assertEquals(await meOf(server, cookie), null, name);
      for (
        const path of [
          "/api/channels/room:a/messages",
          "/api/channels/push:a/messages",
        ]
      ) {
        assertEquals(
          (await http(server, path, { headers: { cookie } })).status,
          200,
          name,
        );
      }
      const own = await http(server, "/api/channels/dm:*/messages", {
        headers: { cookie },
      });
      assertEquals([own.status, await meOf(server, cookie)], [401, null], name);
      const told = await act(cookie);
      const account = await meOf(server, cookie);
      assertMatch(String(account), ACCOUNT, name);
      if (told !== undefined) assertEquals(told, account, name);
      accounts.add(account);
    }
    assertEquals(accounts.size, Object.keys(acts).length);
    // A page gives no other cookie to whoever has one, recorded or not.
    const cookie = await cookieOf(server);
    const again = await http(server, "/to_chat/", { headers: { cookie } });
    assertEquals(again.headers.getSetCookie(), []);
    assertEquals(await meOf(server, ""), 401);
  },
);

testIsolates(
  "many connections of one session that isn't recorded yet come to one account, whoever is first",
  async (workers) => {
    await using server = await startServer({ workers });
    const cookie = await cookieOf(server);
    const clients = await Promise.all(
      Array.from({ length: 12 }, () => NativeClient.open(server, { cookie })),
    );
    const json = { data: 1 };
    const [, ...greeted] = await Promise.all([
      http(server, "/api/channels/room:a/messages", {
        headers: { cookie },
        json,
      }),
      ...clients.map((client) => client.do("hello", {})),
    ]);
    assertEquals(new Set(greeted.map(({ account }) => account)).size, 1);
    assertEquals(greeted[0]?.account, await meOf(server, cookie));
    for (const client of clients) await client.socket.close();
  },
);

Deno.test("I6: cookies asked for by the hundred write nothing: no record, no row", async () => {
  await using server = await startServer();
  const rows = () => {
    const db = new DatabaseSync(`${server.data}/fanfare.db`, {
      readOnly: true,
    });
    try {
      return db.prepare(
        "SELECT (SELECT seq FROM log) + (SELECT count(*) FROM accounts) + (SELECT count(*) FROM sessions) AS n",
      ).get()?.n;
    } finally {
      db.close();
    }
  };
  const before = rows();
  const cookies = new Set<string>();
  for (let i = 0; i < 300; i++) {
    cookies.add(await cookieOf(server, ["/", "/to_chat/"][i % 2]));
  }
  for (const cookie of [...cookies].slice(0, 50)) {
    const socket = await TestSocket.open(`ws://${server.host}/ws`, {
      headers: { cookie },
    });
    await socket.close();
    await http(server, "/api/me", { headers: { cookie } });
  }
  assertEquals([cookies.size, rows()], [300, before]);
});

/** All that may be open under a session. */
async function openAll(server: TestServer, cookie: string) {
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => NativeClient.open(server, { cookie })),
  );
  for (const client of clients) {
    await client.do("subscribe", { channel: "room:a" });
  }
  const chat = await TestSocket.open(`ws://${server.host}/chat/`, {
    headers: { cookie },
  });
  chat.send("test");
  await chat.next();
  const streams = [
    await EventStream.open(server, "/events?channel=room:a&channel=dm:*", {
      cookie,
    }),
    await EventStream.open(server, "/push/a/sse", { cookie }),
  ];
  for (const { status } of streams) assertEquals(status, 200);
  // The last one never says anything.
  const quiet = await TestSocket.open(`ws://${server.host}/ws`, {
    headers: { cookie },
  });
  const sockets = [...clients.map(({ socket }) => socket), chat, quiet];
  const ends = async () => {
    const codes = await Promise.all(sockets.map(({ closed }) => closed));
    for (const stream of streams) while (await stream.next() !== undefined);
    return [...new Set(codes)];
  };
  return { ends, clients };
}

type End = (
  server: TestServer,
  browser: { cookie: string; account: string },
) => Promise<unknown>;

const ENDS: Record<string, End> = {
  "signed out": (server, { cookie }) =>
    http(server, "/api/session", { method: "DELETE", headers: { cookie } }),
  "by its id": async (server, { cookie }) => {
    const { body } = await http(server, "/api/me/sessions", {
      headers: { cookie },
    });
    const [session] = Object(body).sessions;
    assertEquals([session.current, Object(body).sessions.length], [true, 1]);
    const path = `/api/me/sessions/${session.id}`;
    return await http(server, path, { method: "DELETE", headers: { cookie } });
  },
  "all of one's own": (server, { cookie }) =>
    http(server, "/api/me/sessions?all", {
      method: "DELETE",
      headers: { cookie },
    }),
  "by the admin": async (server, { account }) =>
    await http(server, `/api/accounts/${account}/sessions`, {
      method: "DELETE",
      headers: await adminOf(server),
    }),
  "by a withdrawal": async (server, { account }) =>
    await http(server, "/api/withdrawals", {
      headers: await adminOf(server),
      json: { account },
    }),
};

testIsolates(
  "I5: what is open under a session closes with it within a second, and its cookie is good for nothing",
  async (workers) => {
    await using server = await startServer({ workers });
    const ended: string[] = [];
    const others: { cookie: string; account: string }[] = [];
    for (const [name, end] of Object.entries(ENDS)) {
      const browser = await guest(server);
      const other = await guest(server);
      await using stays = await NativeClient.open(server, {
        cookie: other.cookie,
      });
      const { ends } = await openAll(server, browser.cookie);
      const { cookie } = browser;
      const told = performance.now();
      const status = Object(await end(server, browser)).status;
      assertEquals(status, name === "by a withdrawal" ? 201 : 204, name);
      assertEquals(await ends(), [4500], name);
      assertLess(performance.now() - told, 1000, name);
      assertEquals(await meOf(server, cookie), 401, name);
      const path = "/api/channels/room:a/messages";
      const said = await http(server, path, {
        headers: { cookie },
        json: { data: 1 },
      });
      assertEquals(said.status, 401, name);
      // A page gives another session, which is another account.
      const page = await http(server, "/to_chat/", { headers: { cookie } });
      const fresh = page.headers.getSetCookie()[0]?.split(";")[0] ?? "";
      assertNotEquals(fresh, cookie);
      assertEquals(await meOf(server, fresh), null);
      await using client = await NativeClient.open(server, { cookie });
      assertNotEquals((await client.do("hello", {})).account, browser.account);
      await stays.do("ping", {});
      ended.push(cookie);
      others.push(other);
    }
    await server.restart();
    for (const cookie of ended) assertEquals(await meOf(server, cookie), 401);
    for (const { cookie, account } of others) assertEquals(await meOf(server, cookie), account);
  },
);

Deno.test("an account's other sessions, and nobody else's: ids, forms, and who may", async () => {
  await using server = await startServer();
  const [one, other] = [await guest(server), await guest(server)];
  const ask = async (method: string, path: string, cookie?: string) => {
    const headers: Record<string, string> = cookie === undefined ? {} : { cookie };
    return (await http(server, path, { method, headers })).status;
  };
  const { body } = await http(server, "/api/me/sessions", {
    headers: { cookie: other.cookie },
  });
  const [{ id, made, used }] = Object(body).sessions;
  assertMatch(id, /^[0-9a-f]{16}$/);
  assertEquals([used % DAY, made - used < 2 * DAY], [0, true]);
  assertEquals(await ask("DELETE", `/api/me/sessions/${id}`, one.cookie), 404);
  assertEquals(await ask("DELETE", "/api/me/sessions", one.cookie), 204);
  assertEquals(await ask("DELETE", "/api/me/sessions?none", one.cookie), 400);
  for (
    const path of ["/api/session", "/api/me/sessions", `/api/me/sessions/${id}`]
  ) {
    assertEquals(await ask("DELETE", path), 401);
  }
  assertEquals(
    await ask("DELETE", `/api/accounts/${other.account}/sessions`, one.cookie),
    403,
  );
  assertEquals(
    await ask("DELETE", `/api/accounts/${other.account}/sessions`),
    401,
  );
  const unrecorded = await cookieOf(server);
  assertEquals(await ask("DELETE", "/api/session", unrecorded), 204);
  assertEquals(await ask("DELETE", "/api/me/sessions?all", unrecorded), 204);
  assertEquals([
    await meOf(server, one.cookie),
    await meOf(server, other.cookie),
  ], [
    one.account,
    other.account,
  ]);
  const none = { method: "DELETE", headers: await adminOf(server) };
  assertEquals(
    (await http(server, "/api/accounts/nobody/sessions", none)).status,
    404,
  );
  assertEquals((await http(server, "/api/session", none)).status, 401);
});

Deno.test("a session is used once a day in the log; its cookie is given anew then, and idle ones go after a year", async () => {
  let now = Date.UTC(2026, 0, 5, 12);
  await using server = await startServer({}, { clock: () => now });
  const { cookie, account } = await guest(server);
  const idle = await guest(server);
  const usedOf = async () => {
    const { body } = await http(server, "/api/me/sessions", {
      headers: { cookie },
    });
    return Object(body).sessions[0].used / DAY;
  };
  const first = await usedOf();
  now += DAY;
  const page = () => http(server, "/to_chat/", { headers: { cookie } });
  assertEquals((await page()).headers.getSetCookie()[0]?.split(";")[0], cookie);
  while (await usedOf() !== first + 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals((await page()).headers.getSetCookie(), []);
  for (let month = 0; month < 13; month++) {
    now += 30 * DAY;
    assertEquals(await meOf(server, cookie), account);
    while (await usedOf() !== Math.floor(now / DAY)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  await server.restart();
  const end = performance.now() + 20_000;
  while (await meOf(server, idle.cookie) !== null) {
    assert(performance.now() < end);
  }
  assertEquals(await meOf(server, cookie), account);
});
