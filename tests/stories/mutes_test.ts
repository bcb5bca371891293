/** Muted accounts: they read and publish nothing, over every transport, at once, until their time is over (threats.md I5). */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { SignJWT } from "jose";
import { MOST_MUTES } from "../../lib/config/limits.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import { type Answer, type Ask, EventStream, http } from "../helpers/http.ts";
import { tempFolder } from "../helpers/log.ts";
import {
  type Changes,
  cookieOf,
  NativeClient,
  startServer,
  testIsolates,
  type TestServer,
} from "../helpers/server.ts";
import { World } from "../helpers/world.ts";

const TOKEN = "0123456789abcdef0123";
const ADMIN = { authorization: `Bearer ${TOKEN}` };
const SECRET = "a secret of at least thirty-two characters";

async function fileWith(text: string): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, text);
  return path;
}

async function opened(
  changes: Changes = {},
  parts: Parameters<typeof startServer>[1] = {},
): Promise<TestServer> {
  const [adminTokenFile, jwtSecretFile] = [await fileWith(TOKEN), await fileWith(SECRET)];
  return await startServer({ adminTokenFile, jwtSecretFile, open: true, ...changes }, parts);
}

const mute = (server: TestServer, account: unknown, json?: unknown) =>
  http(server, `/api/accounts/${account}/mute`, {
    method: "PUT",
    headers: ADMIN,
    ...(json === undefined ? {} : { json }),
  });
const unmute = (server: TestServer, account: unknown) =>
  http(server, `/api/accounts/${account}/mute`, { method: "DELETE", headers: ADMIN });
const listed = async (server: TestServer, query = "") =>
  Object((await http(server, `/api/mutes${query}`, { headers: ADMIN })).body);

const codeOf = ({ status, body }: Answer) => `${status} ${Object(body).code}`;

interface Member {
  readonly cookie: string;
  readonly account: string;
  readonly clients: readonly NativeClient[];
}

async function member(server: TestServer, sockets: number): Promise<Member> {
  const cookie = await cookieOf(server);
  const clients: NativeClient[] = [];
  for (let i = 0; i < sockets; i++) clients.push(await NativeClient.open(server, { cookie }));
  const hello = await clients[0]?.do("hello", { name: "Ada" });
  return { cookie, account: String(hello?.account), clients };
}

/** Whatever an account may try to publish with: what each is answered with. */
async function tryAll(server: TestServer, { cookie, account, clients }: Member, to: string) {
  const headers = { cookie };
  const form = async (path: string, fields: Record<string, string>) => {
    const body = new URLSearchParams(fields);
    const answer = await fetch(server.url + path, { method: "POST", headers, body });
    await answer.body?.cancel();
    return answer.status;
  };
  const post = async (path: string, body: Ask) =>
    (await http(server, path, { headers, ...body })).status;
  const channel = `dm:${[account, to].sort().join(".")}`;
  const over: Record<string, string | number> = {
    message: await post("/api/channels/room:a/messages", { json: { data: 1 } }),
    direct: await post(`/api/channels/${channel}/messages`, { json: { data: 1 } }),
    together: await post("/api/messages", { json: [{ channel: "room:a", data: 1 }] }),
    ntfy: await post("/push/a", { text: "x" }),
    send: await form("/send/", { msg: "x" }),
    room: await form("/msg_send/", { type: "1", txt: "x", userfrom: account, userto: "" }),
    whisper: await form("/msg_send/", { type: "2", txt: "x", userfrom: account, userto: to }),
  };
  for (const [i, client] of clients.entries()) {
    for (
      const [verb, body] of [
        ["publish", { channel: "room:a", data: 1 }],
        ["signal", { channel: "room:a", data: 1 }],
        ["rename", { name: `Ada ${i}` }],
      ] as const
    ) {
      const answer = await client.ask(verb, body);
      over[`${verb} ${i}`] = verb in answer ? "done" : Object(answer.error).code;
    }
  }
  return over;
}

function expected(muted: boolean, sockets: number): Record<string, string | number> {
  const answers: Record<string, string | number> = {};
  for (const way of ["message", "direct", "together", "ntfy", "send", "room", "whisper"]) {
    answers[way] = muted ? 403 : ["send", "room", "whisper"].includes(way) ? 200 : 201;
  }
  for (let i = 0; i < sockets; i++) {
    for (const verb of ["publish", "signal", "rename"]) {
      answers[`${verb} ${i}`] = muted ? "forbidden" : "done";
    }
  }
  return answers;
}

testIsolates(
  "I5: an account that is muted publishes nothing within a second, over any transport, and reads on; a restart leaves it so",
  async (workers) => {
    await using server = await opened({ workers });
    const sockets = 6;
    const ada = await member(server, sockets);
    const bob = await member(server, 1);
    await using _ = { [Symbol.asyncDispose]: () => closeAll(ada, bob) };
    assertEquals(await tryAll(server, ada, bob.account), expected(false, sockets));
    const [first] = ada.clients;
    assert(first !== undefined);
    await first.do("subscribe", { channel: "room:a", presence: true });
    await using stream = await EventStream.open(server, "/events?channel=room:a", {
      cookie: ada.cookie,
    });
    const told = await mute(server, ada.account);
    const since = performance.now();
    assertEquals(told.status, 200);
    assertEquals(told.body, { account: ada.account, time: Object(told.body).time });
    // Other isolates hear of it a moment later.
    for (const client of ada.clients) {
      while ("signal" in await client.ask("signal", { channel: "room:b", data: 1 })) {
        assertLess(performance.now() - since, 1000);
      }
    }
    await settled(server, ada.cookie, 403);
    assertEquals(await tryAll(server, ada, bob.account), expected(true, sockets));
    const { error } = await first.ask("publish", { channel: "room:a", data: 1 });
    assertEquals(error, {
      code: "forbidden",
      message: "Your account is muted: you may read and not publish",
    });
    await bob.clients[0]?.do("publish", { channel: "room:a", data: "for all" });
    while (Object(await first.hear("message")).data !== "for all");
    while ((await stream.until("message")).data.data !== "for all");
    await first.do("history", { channel: "dm:*" });
    assertEquals(await listed(server), { mutes: [told.body], more: false });
    await closeAll(ada, bob);
    await server.restart();
    const again = await NativeClient.open(server, { cookie: ada.cookie });
    // It comes in, by the name that it had.
    const hello = await again.do("hello", { name: "Another" });
    assertEquals([hello.account, hello.name], [ada.account, "Ada 5"]);
    const back = { ...ada, clients: [again] };
    assertEquals(await tryAll(server, back, bob.account), expected(true, 1));
    assertEquals(await listed(server), { mutes: [told.body], more: false });
    assertEquals((await unmute(server, ada.account)).status, 204);
    while ("error" in await again.ask("signal", { channel: "room:b", data: 1 }));
    await settled(server, ada.cookie, 201);
    assertEquals(await tryAll(server, back, bob.account), expected(false, 1));
    assertEquals(await listed(server), { mutes: [], more: false });
    await again.socket.close();
  },
);

/** Until every isolate has heard of it, as far as requests find that out: which of them answers one, the system decides. */
async function settled(server: TestServer, cookie: string, wanted: number): Promise<void> {
  const end = performance.now() + 5000;
  for (let right = 0; right < 20;) {
    const { status } = await http(server, "/push/b", { headers: { cookie }, text: "x" });
    right = status === wanted ? right + 1 : 0;
    assertLess(performance.now(), end);
  }
}

async function closeAll(...members: readonly Member[]): Promise<void> {
  for (const { clients } of members) for (const { socket } of clients) await socket.close();
}

Deno.test("a mute ends by itself when its time is over, also over a restart", async () => {
  await using server = await opened();
  const { cookie, account, clients: [client] } = await member(server, 1);
  assert(client !== undefined);
  const until = Date.now() + 1500;
  const told = await mute(server, account, { until });
  assertEquals([told.status, Object(told.body).until], [200, until]);
  let { error } = await client.ask("publish", { channel: "room:a", data: 1 });
  while (error === undefined) {
    assertLess(Date.now(), until);
    ({ error } = await client.ask("publish", { channel: "room:a", data: 1 }));
  }
  assertEquals(
    Object(error).message,
    `Your account is muted until ${new Date(until).toISOString()}: you may read and not publish`,
  );
  await client.socket.close();
  await server.restart();
  const json = { data: 1 };
  const publish = () =>
    http(server, "/api/channels/room:a/messages", { headers: { cookie }, json });
  let answer = await publish();
  while (answer.status === 403) {
    assertLess(Date.now(), until + 1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer = await publish();
  }
  assertEquals(answer.status, 201);
  assert(Date.now() >= until);
  assertEquals(await listed(server), { mutes: [], more: false });
  assertEquals(codeOf(await unmute(server, account)), "404 not_found");
});

Deno.test("the account of a token can be muted before it ever came, whatever its token allows", async () => {
  await using server = await opened();
  const claims = { sub: "ci_bot", name: "CI", channels: { publish: ["push:*"] } };
  const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SECRET));
  assertEquals((await mute(server, "ci_bot", {})).status, 200);
  const headers = { authorization: `Bearer ${token}` };
  const path = "/api/channels/push:a/messages";
  assertEquals(codeOf(await http(server, path, { headers, json: { data: 1 } })), "403 forbidden");
  assertEquals((await http(server, path, { headers })).status, 200);
  await using client = await NativeClient.open(server);
  const { account, name } = await client.do("hello", { token });
  // What its token calls it stands, it isn't the account's own word.
  assertEquals([account, name], ["ci_bot", "CI"]);
  const { error } = await client.ask("publish", { channel: "push:a", data: 1 });
  assertEquals(Object(error).code, "forbidden");
  await using keeper = await NativeClient.open(server, ADMIN);
  await keeper.do("publish", { channel: "push:a", data: 1 });
});

Deno.test("muting is the admin's, and refusals come in their order: method, who, form, may", async () => {
  await using server = await opened();
  const { cookie, account, clients } = await member(server, 1);
  const path = `/api/accounts/${account}/mute`;
  const put = (ask: Ask): Ask => ({ method: "PUT", ...ask });
  const text = { "content-type": "text/plain" };
  const type = { "content-type": "application/json" };
  const foreign = { ...ADMIN, origin: "https://evil.example" };
  const steps: [string, Ask, string][] = [
    [path, put({ headers: foreign, json: {} }), "403 forbidden"],
    [path, {}, "405 bad_request"],
    [path, { json: {} }, "405 bad_request"],
    [path, put({ json: {} }), "401 unauthorized"],
    [path, put({ headers: text, text: "x" }), "401 unauthorized"],
    [path, put({ headers: { ...text, cookie }, text: "x" }), "415 bad_request"],
    [path, put({ headers: { cookie }, json: { until: 1.5 } }), "400 bad_request"],
    ["/api/accounts/a%20b/mute", { method: "DELETE", headers: { cookie } }, "400 bad_request"],
    [path, put({ headers: { cookie }, json: {} }), "403 forbidden"],
    [path, put({ headers: { ...ADMIN, ...text }, text: "x" }), "415 bad_request"],
    [path, put({ headers: ADMIN, json: [] }), "400 bad_request"],
    [path, put({ headers: ADMIN, json: { until: 1.5 } }), "400 bad_request"],
    [path, put({ headers: ADMIN, json: { until: "tomorrow" } }), "400 bad_request"],
    [path, put({ headers: ADMIN, json: { until: 8.64e15 + 1 } }), "400 bad_request"],
    [path, put({ headers: ADMIN, json: { until: Date.now() - 1 } }), "400 bad_request"],
    [path, put({ headers: ADMIN, json: { for: 60 } }), "400 bad_request"],
    [path, put({ headers: { ...ADMIN, ...type }, text: " ".repeat(300_000) }), "413 too_large"],
    ["/api/accounts/a%20b/mute", put({ headers: ADMIN, json: {} }), "400 bad_request"],
    ["/api/accounts/a%20b/mute", { method: "DELETE", headers: ADMIN }, "400 bad_request"],
    [path, { method: "DELETE" }, "401 unauthorized"],
    [path, { method: "DELETE", headers: { cookie } }, "403 forbidden"],
    [path, { method: "DELETE", headers: ADMIN }, "404 not_found"],
    ["/api/mutes", {}, "401 unauthorized"],
    ["/api/mutes?limit=0", { headers: { cookie } }, "400 bad_request"],
    ["/api/mutes", { headers: { cookie } }, "403 forbidden"],
    ["/api/mutes?limit=0", { headers: ADMIN }, "400 bad_request"],
    ["/api/mutes?more=1", { headers: ADMIN }, "400 bad_request"],
  ];
  for (const [where, request, code] of steps) {
    const answer = await http(server, where, request);
    assertEquals(codeOf(answer), code, `${where} ${JSON.stringify(request).slice(0, 200)}`);
    assertEquals(answer.headers.get("content-type"), "application/problem+json");
  }
  await clients[0]?.do("publish", { channel: "room:a", data: 1 });
  assertEquals(await listed(server), { mutes: [], more: false });
  for (const name of ["b", "a", "c"]) assertEquals((await mute(server, name, {})).status, 200);
  const page = await listed(server, "?limit=2");
  assertEquals(page.mutes.map((one: { account: string }) => one.account), ["a", "b"]);
  assertEquals(page.more, true);
  const rest = await listed(server, "?after=b");
  assertEquals([rest.mutes.length, rest.mutes[0].account, rest.more], [1, "c", false]);
  // Muting again is another end.
  const until = Date.now() + 60_000;
  assertEquals(Object((await mute(server, "a", { until })).body).until, until);
  assertEquals((await listed(server)).mutes[0].until, until);
  await closeAll({ cookie, account, clients });
});

Deno.test("so many are muted at once and no more; those whose time is over make room", async () => {
  using folder = tempFolder();
  const world = await World.open(folder.path);
  const log = world.log;
  const all = Array.from({ length: MOST_MUTES }, (_, i) => ({
    kind: "mute" as const,
    account: `m${i}`,
    until: i === 0 ? 1000 : null,
    seq: i + 1,
    time: 1,
  }));
  log.apply(all);
  const decide = (kind: "mute" | "unmute", account: string) =>
    new Promise<string>((resolve) =>
      world.edge.bus.send({
        op: "propose",
        proposal: kind === "mute" ? { kind, account, until: null } : { kind, account },
      }, (answer) => {
        const { refusal } = Object(answer);
        resolve(refusal?.code ?? "done");
      })
    );
  world.now = Date.now();
  assertEquals(await decide("mute", "m1"), "done");
  assertEquals(await decide("unmute", "m0"), "not_found");
  assertEquals(await decide("mute", "next"), "done");
  assertEquals(await decide("mute", "another"), "unavailable");
  assertEquals(await decide("mute", "next"), "done");
  assertEquals(await decide("unmute", "next"), "done");
  // At once: what is already muted takes no room, and one place is for one.
  const three = ["m1", "another", "a third"].map((account) => decide("mute", account));
  assertEquals(await Promise.all(three), ["done", "done", "unavailable"]);
  const reader = new Reader(`${folder.path}/log.db`);
  const mutes = reader.mutes(0, "", 2 * MOST_MUTES);
  assertEquals(mutes.length, MOST_MUTES);
  assertEquals(mutes.some(({ account }) => account === "m0"), false);
  reader.close();
  world.close();
  // It is in the tables, so that the next who opens the log has it.
  const again = new Log(`${folder.path}/log.db`, () => "epoch");
  assertEquals(again.mutes.count(Date.now()), MOST_MUTES);
  again.close();
});

testIsolates("isolates that come later know who is muted", async (workers) => {
  await using server = await opened({ workers });
  const { cookie, account, clients } = await member(server, 1);
  await closeAll({ cookie, account, clients });
  assertMatch(account, /^[0-9a-f]{8}$/);
  assertEquals((await mute(server, account)).status, 200);
  await server.replaceEdges();
  await server.renew({ limits: { name: 20 } });
  for (let i = 0; i < 10; i++) {
    const push = await http(server, "/push/a", { headers: { cookie }, text: "x" });
    assertEquals(codeOf(push), "403 forbidden");
  }
});
