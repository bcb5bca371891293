/** Cookies of version 0.1: exchanged once, for accounts that stood in the log when this version opened it first. */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { http } from "../helpers/http.ts";
import { tempFolder } from "../helpers/log.ts";
import { cookieOf, NativeClient, startServer, type TestServer } from "../helpers/server.ts";

// A data folder that a server of version 0.1 left, with the cookies that it gave.
const FIXTURE = new URL("../fixtures/folders/v0.1/", import.meta.url);
const DAY = 86_400_000;
const OPENED = Date.UTC(2026, 11, 5, 12);

type Given = { account: string; cookie: string };
const given = (name: string): Given =>
  Object(
    JSON.parse(Deno.readTextFileSync(new URL("cookies.json", FIXTURE))),
  )[name];

async function withFolder(
  run: (server: TestServer, at: (time: number) => void) => Promise<void>,
  prepare: (folder: string) => void = () => {},
): Promise<void> {
  using folder = tempFolder("disk");
  for (const { name } of Deno.readDirSync(FIXTURE)) {
    Deno.copyFileSync(new URL(name, FIXTURE), `${folder.path}/${name}`);
  }
  prepare(folder.path);
  let now = OPENED;
  const retention = { keep: 0, keepPush: 0, keepBytes: 0 };
  await using server = await startServer({ data: folder.path, retention }, {
    clock: () => now,
  });
  await run(server, (time) => now = time);
}

/** The cookie that a page gives to who brings one. */
async function pageWith(
  server: TestServer,
  cookie: string,
): Promise<string | undefined> {
  const { headers, status } = await http(server, "/to_chat/", {
    headers: { cookie },
  });
  assertEquals(status, 200);
  return headers.getSetCookie()[0]?.split(";")[0];
}

async function meOf(server: TestServer, cookie: string): Promise<unknown> {
  const { status, body } = await http(server, "/api/me", {
    headers: { cookie },
  });
  return status === 200 ? Object(body).account : status;
}

Deno.test("a browser of version 0.1 comes with its cookie, and finds its account, its name and its direct messages", () =>
  withFolder(async (server) => {
    const ada = given("ada");
    const cookie = await pageWith(server, ada.cookie) ?? "";
    assertMatch(cookie, /^fanfare_[0-9a-f]{4}=[A-Za-z0-9_-]{43}$/);
    await using client = await NativeClient.open(server, { cookie });
    const { account, name } = await client.do("hello", {});
    assertEquals([account, name], [ada.account, "Ada"]);
    const { messages } = await client.do("subscribe", {
      channel: "dm:*",
      history: 10,
    });
    const texts = Array.isArray(messages) ? messages.map(({ data }) => data.text) : [];
    assertEquals(texts, ["Only for you", "谢谢", "A note"]);
    // By the handshake alone, as a page does that was kept for when there is no network.
    await using bob = await NativeClient.open(server, {
      cookie: given("bob").cookie,
    });
    assertEquals((await bob.do("hello", {})).name, "Bob");
  }));

Deno.test("an old cookie is exchanged once: for a minute it stands for the same session, then for none, nor after that was ended", () =>
  withFolder(async (server, at) => {
    const ada = given("ada");
    const together = await Promise.all(
      Array.from({ length: 6 }, () => pageWith(server, ada.cookie)),
    );
    const [cookie = ""] = together;
    assertEquals(new Set(together).size, 1);
    assertEquals(await meOf(server, ada.cookie), ada.account);
    at(OPENED + 59_000);
    assertEquals(await pageWith(server, ada.cookie), cookie);
    at(OPENED + 61_000);
    assertEquals(await meOf(server, ada.cookie), 401);
    const fresh = await pageWith(server, ada.cookie) ?? "";
    assertNotEquals(fresh, cookie);
    assertEquals([await meOf(server, fresh), await meOf(server, cookie)], [
      null,
      ada.account,
    ]);
    // Both at once: the session counts.
    assertEquals(await meOf(server, `${ada.cookie}; ${cookie}`), ada.account);
    const bob = given("bob");
    const his = await pageWith(server, bob.cookie) ?? "";
    await http(server, "/api/session", {
      method: "DELETE",
      headers: { cookie: his },
    });
    for (const old of [bob.cookie, his]) {
      assertEquals(await meOf(server, old), 401);
      assertNotEquals(await pageWith(server, old), his);
    }
    // One that was never exchanged is closed by the admin all the same.
    const token = (await Deno.readTextFile(`${server.data}/admin.token`))
      .trim();
    const headers = { authorization: `Bearer ${token}` };
    const came = given("came");
    const path = `/api/accounts/${came.account}/sessions`;
    assertEquals(
      (await http(server, path, { method: "DELETE", headers })).status,
      204,
    );
    assertEquals(
      await meOf(server, await pageWith(server, came.cookie) ?? ""),
      null,
    );
  }));

Deno.test("old cookies are exchanged for ninety days from the first record on, over restarts", () =>
  withFolder(async (server, at) => {
    const before = await NativeClient.open(server, {
      cookie: await cookieOf(server),
    });
    await before.do("hello", {});
    await before.socket.close();
    at(OPENED + 90 * DAY - 1);
    await server.restart();
    const ada = given("ada");
    assertEquals(
      await meOf(server, await pageWith(server, ada.cookie) ?? ""),
      ada.account,
    );
    at(OPENED + 90 * DAY);
    const bob = given("bob");
    assertEquals(
      await meOf(server, await pageWith(server, bob.cookie) ?? ""),
      null,
    );
  }));

Deno.test("I1: an old cookie with a changed signature, of an account that isn't there or of a new log is none; an older key's counts until its day", async () => {
  const ada = given("ada");
  await withFolder(async (server) => {
    const changed = `${ada.cookie.slice(0, -1)}${ada.cookie.endsWith("0") ? "1" : "0"}`;
    for (const cookie of [changed, ada.cookie.replace(/=.{8}/, "=00000000")]) {
      assertEquals(
        await meOf(server, await pageWith(server, cookie) ?? ""),
        null,
      );
    }
    assertEquals(
      await meOf(server, await pageWith(server, ada.cookie) ?? ""),
      ada.account,
    );
  });
  for (
    const [day, account] of [["2026-12-05", ada.account], [
      "2026-12-04",
      null,
    ]] as const
  ) {
    await withFolder(
      async (server) => {
        const cookie = await pageWith(server, ada.cookie) ?? "";
        assertNotEquals(cookie.split("=")[0], ada.cookie.split("=")[0]);
        assertEquals(await meOf(server, cookie), account);
      },
      (folder) => Deno.renameSync(`${folder}/cookie.key`, `${folder}/cookie.key-${day}`),
    );
  }
  await withFolder(
    async (server) =>
      assertEquals(
        await meOf(server, await pageWith(server, ada.cookie) ?? ""),
        null,
      ),
    (folder) => {
      for (const name of ["fanfare.db", "fanfare.db-mark"]) {
        Deno.removeSync(`${folder}/${name}`);
      }
    },
  );
});
