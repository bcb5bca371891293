/** Who may do what: role × verb × kind of channel × transport, every cell, open and closed, on real servers (threats.md I3). */
import { assertEquals } from "@std/assert";
import { ask, HANDSHAKE } from "../helpers/raw_http.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

const TOKEN = "0123456789abcdef0123";
const VERBS = ["subscribe", "history", "presence", "publish", "signal"] as const;
const KINDS = ["push", "room", "dm", "dm:*"] as const;
const ROLES = ["stranger", "ada", "eve", "muted", "keeper", "admin", "forger"] as const;
type Role = (typeof ROLES)[number];

// A letter for each of VERBS: y done, f forbidden, b bad_request, u the handshake is refused as unauthorized. The channel
// of direct messages is ada's and bob's. A keeper is a browser that has shown the admin token, a forger shows a wrong one.
const NATIVE: Record<"open" | "closed", Record<Role, Record<(typeof KINDS)[number], string>>> = {
  open: {
    stranger: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    ada: { push: "yyyyy", room: "yyyyy", dm: "yyyyy", "dm:*": "yybbb" },
    eve: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    muted: { push: "yyyff", room: "yyyff", dm: "fffff", "dm:*": "yybbb" },
    keeper: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    admin: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "ffbbb" },
    forger: { push: "uuuuu", room: "uuuuu", dm: "uuuuu", "dm:*": "uuuuu" },
  },
  closed: {
    stranger: { push: "yyyff", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    ada: { push: "yyyff", room: "yyyyy", dm: "yyyyy", "dm:*": "yybbb" },
    eve: { push: "yyyff", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    muted: { push: "yyyff", room: "yyyff", dm: "fffff", "dm:*": "yybbb" },
    keeper: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    admin: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "ffbbb" },
    forger: { push: "uuuuu", room: "uuuuu", dm: "uuuuu", "dm:*": "uuuuu" },
  },
};

// The same over HTTP and event streams, whose verbs are: stream, page, presence, publish, publish with others. Whoever has no
// account is told so: u. A forger too.
const OVER_HTTP: Record<"open" | "closed", Record<Role, Record<(typeof KINDS)[number], string>>> = {
  open: {
    stranger: { push: "yyyyy", room: "uuuuu", dm: "uuuuu", "dm:*": "uubbb" },
    ada: { push: "yyyyy", room: "yyyyy", dm: "yyyyy", "dm:*": "yybbb" },
    eve: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    muted: { push: "yyyff", room: "yyyff", dm: "fffff", "dm:*": "yybbb" },
    keeper: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    admin: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "ffbbb" },
    forger: { push: "uuuuu", room: "uuuuu", dm: "uuuuu", "dm:*": "uuuuu" },
  },
  closed: {
    stranger: { push: "yyyuu", room: "uuuuu", dm: "uuuuu", "dm:*": "uubuu" },
    ada: { push: "yyyff", room: "yyyyy", dm: "yyyyy", "dm:*": "yybbb" },
    eve: { push: "yyyff", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    muted: { push: "yyyff", room: "yyyff", dm: "fffff", "dm:*": "yybbb" },
    keeper: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "yybbb" },
    admin: { push: "yyyyy", room: "yyyyy", dm: "fffff", "dm:*": "ffbbb" },
    forger: { push: "uuuuu", room: "uuuuu", dm: "uuuuu", "dm:*": "uuuuu" },
  },
};

// The first protocol and the pages: what each is answered with. "as ada" is a private message that says it is from her.
const PATHS = [
  "/link/",
  "/chat/",
  "/send/",
  "/msg_send/",
  "/msg_send/ as ada",
  "/to_chat/",
] as const;
const FIRST: Record<"open" | "closed", Record<Role, Record<(typeof PATHS)[number], number>>> = {
  open: {
    stranger: row(101, 101, 200, 403, 403, 200),
    ada: row(101, 101, 200, 200, 200, 200),
    eve: row(101, 101, 200, 200, 403, 200),
    muted: row(101, 101, 403, 403, 403, 200),
    keeper: row(101, 101, 200, 200, 403, 200),
    admin: row(101, 101, 200, 403, 403, 200),
    forger: row(401, 401, 401, 401, 401, 401),
  },
  closed: {
    stranger: row(101, 101, 401, 403, 403, 200),
    ada: row(101, 101, 401, 200, 200, 200),
    eve: row(101, 101, 401, 200, 403, 200),
    muted: row(101, 101, 403, 403, 403, 200),
    keeper: row(101, 101, 200, 200, 403, 200),
    admin: row(101, 101, 200, 403, 403, 200),
    forger: row(401, 401, 401, 401, 401, 401),
  },
};

function row(...codes: number[]): Record<(typeof PATHS)[number], number> {
  const [link = 0, chat = 0, send = 0, say = 0, whisper = 0, page = 0] = codes;
  return {
    "/link/": link,
    "/chat/": chat,
    "/send/": send,
    "/msg_send/": say,
    "/msg_send/ as ada": whisper,
    "/to_chat/": page,
  };
}

// Pushes as subscribers of ntfy read and publish them, and what is the admin's alone.
const PUSHES = [
  "GET /push/news/json?poll=1",
  "GET /push/news/json",
  "GET /push/news/sse",
  "GET /push/news/raw",
  "WS /push/news/ws",
  "POST /push/news",
  "PUT /push/news",
  "GET /api/channels",
  "POST /api/withdrawals",
] as const;
const NTFY: Record<"open" | "closed", Record<Role, string>> = {
  open: {
    stranger: "yyyyyyyuu",
    ada: "yyyyyyyff",
    eve: "yyyyyyyff",
    muted: "yyyyyffff",
    keeper: "yyyyyyyyy",
    admin: "yyyyyyyyy",
    forger: "uuuuuuuuu",
  },
  closed: {
    stranger: "yyyyyuuuu",
    ada: "yyyyyffff",
    eve: "yyyyyffff",
    muted: "yyyyyffff",
    keeper: "yyyyyyyyy",
    admin: "yyyyyyyyy",
    forger: "uuuuuuuuu",
  },
};

// What comes back with a place: over the native protocol (`since`), by event streams (Last-Event-ID), and pages after a seq by
// both protocols. A letter for each: y it is told what is there, else as above.
const RECOVERY: Record<Role, Record<(typeof KINDS)[number], string>> = {
  stranger: { push: "yyyy", room: "yuyu", dm: "fufu", "dm:*": "yuyu" },
  ada: { push: "yyyy", room: "yyyy", dm: "yyyy", "dm:*": "yyyy" },
  eve: { push: "yyyy", room: "yyyy", dm: "ffff", "dm:*": "yyyy" },
  muted: { push: "yyyy", room: "yyyy", dm: "ffff", "dm:*": "yyyy" },
  keeper: { push: "yyyy", room: "yyyy", dm: "ffff", "dm:*": "yyyy" },
  admin: { push: "yyyy", room: "yyyy", dm: "ffff", "dm:*": "ffff" },
  forger: { push: "uuuu", room: "uuuu", dm: "uuuu", "dm:*": "uuuu" },
};

interface Cast {
  readonly server: TestServer;
  readonly headers: Record<Role, Record<string, string>>;
  readonly accounts: Record<"ada" | "bob" | "eve" | "muted" | "keeper", string>;
}

async function withCast(mode: "open" | "closed", run: (cast: Cast) => Promise<void>) {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile, open: mode === "open" });
  const cookies = { ada: "", bob: "", eve: "", muted: "", keeper: "" };
  const accounts = { ...cookies };
  for (const name of ["ada", "bob", "eve", "muted", "keeper"] as const) {
    cookies[name] = await cookieOf(server);
    await using client = await NativeClient.open(server, { cookie: cookies[name] });
    accounts[name] = String((await client.do("hello", {})).account);
  }
  const muted = await fetch(`${server.url}/api/accounts/${accounts.muted}/mute`, {
    method: "PUT",
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  assertEquals((await muted.json()).account, accounts.muted);
  const shown = await fetch(`${server.url}/token/`, {
    method: "POST",
    body: new URLSearchParams({ token: TOKEN }),
  });
  assertEquals(await shown.json(), { msg: "success" });
  const proof = shown.headers.getSetCookie()[0]?.split(";")[0];
  await run({
    server,
    accounts,
    headers: {
      stranger: {},
      ada: { cookie: cookies.ada },
      eve: { cookie: cookies.eve },
      muted: { cookie: cookies.muted },
      keeper: { cookie: `${cookies.keeper}; ${proof}` },
      admin: { authorization: `Bearer ${TOKEN}` },
      forger: { authorization: "Bearer 0123456789abcdef0124", cookie: cookies.ada },
    },
  });
  await Deno.remove(adminTokenFile);
}

const LETTERS: Record<string, string> = { forbidden: "f", bad_request: "b" };

async function askAll({ server, headers, accounts }: Cast, role: Role, kind: string) {
  const [a, b] = [accounts.ada, accounts.bob].sort();
  const channel = { push: "push:news", room: "room:team", dm: `dm:${a}.${b}` }[kind] ?? kind;
  const client = await NativeClient.open(server, headers[role]).catch(() => undefined);
  if (client === undefined) return "u".repeat(VERBS.length);
  await using _ = client;
  let letters = "";
  for (const verb of VERBS) {
    const data = verb === "publish" || verb === "signal" ? { data: 1 } : {};
    const answer = await client.ask(verb, { channel, ...data });
    const { code } = Object(answer.error);
    letters += verb in answer ? "y" : LETTERS[code] ?? code;
  }
  return letters;
}

async function askOverHttp({ server, headers, accounts }: Cast, role: Role, kind: string) {
  const [a, b] = [accounts.ada, accounts.bob].sort();
  const channel = { push: "push:news", room: "room:team", dm: `dm:${a}.${b}` }[kind] ?? kind;
  const post = (path: string, body: unknown) =>
    fetch(server.url + path, {
      method: "POST",
      headers: { ...headers[role], "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const get = (path: string) => fetch(server.url + path, { headers: headers[role] });
  const answers = [
    await get(`/events?channel=${channel}`),
    await get(`/api/channels/${channel}/messages`),
    await get(`/api/channels/${channel}/presence`),
    await post(`/api/channels/${channel}/messages`, { data: 1 }),
    await post("/api/messages", [{ channel, data: 1 }]),
  ];
  for (const { body } of answers) await body?.cancel();
  const letters: Record<number, string> = { 200: "y", 201: "y", 400: "b", 401: "u", 403: "f" };
  return answers.map(({ status }) => letters[status] ?? status).join("");
}

const STATUSES: Record<number, string> = {
  101: "y",
  200: "y",
  201: "y",
  400: "b",
  401: "u",
  403: "f",
};

async function askPushes({ server, headers }: Cast, role: Role): Promise<string> {
  let letters = "";
  for (const asked of PUSHES) {
    const [method = "", path = ""] = asked.split(" ");
    if (method === "WS") {
      const all = { ...HANDSHAKE, ...headers[role] };
      const { status } = await ask(server.host, { path, headers: all });
      letters += STATUSES[status] ?? status;
      continue;
    }
    const json = path.startsWith("/api/") ? { "content-type": "application/json" } : undefined;
    const body = method === "GET" ? undefined : json ? '{"jti":"none"}' : "text";
    const response = await fetch(server.url + path, {
      method,
      headers: { ...headers[role], ...json },
      ...(body === undefined ? {} : { body }),
    });
    await response.body?.cancel();
    letters += STATUSES[response.status] ?? response.status;
  }
  return letters;
}

async function recoverAll({ server, headers, accounts }: Cast, role: Role, kind: string) {
  const [a, b] = [accounts.ada, accounts.bob].sort();
  const channel = { push: "push:news", room: "room:team", dm: `dm:${a}.${b}` }[kind] ?? kind;
  await using reader = await NativeClient.open(server);
  const { epoch } = await reader.do("hello", {});
  const get = async (path: string) => {
    const response = await fetch(server.url + path, { headers: headers[role] });
    await response.body?.cancel();
    return STATUSES[response.status] ?? String(response.status);
  };
  const overHttp = [
    await get(`/events?channel=${channel}&last_event_id=${epoch}:0`),
    await get(`/api/channels/${channel}/messages?after=0`),
  ];
  const client = await NativeClient.open(server, headers[role]).catch(() => undefined);
  const native = ["u", "u"];
  if (client !== undefined) {
    await using _ = client;
    const asked = [
      await client.ask("subscribe", { channel, since: { epoch, seq: 0 } }),
      await client.ask("history", { channel, after: 0 }),
    ];
    for (const [i, { error }] of asked.entries()) {
      const { code } = Object(error);
      native[i] = code === undefined ? "y" : LETTERS[code] ?? code;
    }
  }
  return `${native[0]}${overHttp[0]}${native[1]}${overHttp[1]}`;
}

async function answered({ server, headers, accounts }: Cast, role: Role, name: string) {
  const [path = ""] = name.split(" as ");
  if (path === "/link/" || path === "/chat/") {
    const { status } = await ask(server.host, {
      path,
      headers: { ...HANDSHAKE, ...headers[role] },
    });
    return status;
  }
  const own = role === "stranger" || role === "admin" || role === "forger" ? "ada" : role;
  const forms: Record<string, Record<string, string>> = {
    "/send/": { msg: "x" },
    "/msg_send/": { type: "1", txt: "x", userfrom: accounts[own], userto: "" },
    "/msg_send/ as ada": { type: "2", txt: "x", userfrom: accounts.ada, userto: accounts.bob },
  };
  const fields = forms[name];
  const response = await fetch(server.url + path, {
    headers: headers[role],
    ...(fields === undefined ? {} : { method: "POST", body: new URLSearchParams(fields) }),
  });
  await response.body?.cancel();
  return response.status;
}

// A letter or a status is a cell.
function cellsIn(table: unknown): number {
  if (typeof table === "string") return table.length;
  if (typeof table !== "object" || table === null) return 1;
  return Object.values(table).reduce((sum: number, part) => sum + cellsIn(part), 0);
}

let cells = 0;

function tell(mode: string, table: unknown): void {
  const count = cellsIn(table);
  cells += count;
  console.log(`${count} cells, ${mode}: 0 wrong; ${cells} so far`);
}

for (const mode of ["open", "closed"] as const) {
  Deno.test(`I3: role × verb × kind of channel over the native protocol, ${mode}`, async () => {
    await withCast(mode, async (cast) => {
      const found: Record<string, Record<string, string>> = {};
      for (const role of ROLES) {
        found[role] = {};
        for (const kind of KINDS) found[role][kind] = await askAll(cast, role, kind);
      }
      assertEquals(found, NATIVE[mode]);
      tell(mode, NATIVE[mode]);
    });
  });

  Deno.test(`I3: role × verb × kind of channel over HTTP and event streams, ${mode}`, async () => {
    await withCast(mode, async (cast) => {
      const found: Record<string, Record<string, string>> = {};
      for (const role of ROLES) {
        found[role] = {};
        for (const kind of KINDS) found[role][kind] = await askOverHttp(cast, role, kind);
      }
      assertEquals(found, OVER_HTTP[mode]);
      tell(mode, OVER_HTTP[mode]);
    });
  });

  Deno.test(`I3: role × pushes as ntfy has them, and what is the admin's, ${mode}`, async () => {
    await withCast(mode, async (cast) => {
      const found: Record<string, string> = {};
      for (const role of ROLES) found[role] = await askPushes(cast, role);
      assertEquals(found, NTFY[mode]);
      tell(mode, NTFY[mode]);
    });
  });

  Deno.test(`I3: role × recovery × kind of channel over both protocols, ${mode}`, async () => {
    await withCast(mode, async (cast) => {
      const found: Record<string, Record<string, string>> = {};
      for (const role of ROLES) {
        found[role] = {};
        for (const kind of KINDS) found[role][kind] = await recoverAll(cast, role, kind);
      }
      assertEquals(found, RECOVERY);
      tell(mode, RECOVERY);
    });
  });

  Deno.test(`I3: role × what the first protocol and the pages offer, ${mode}`, async () => {
    await withCast(mode, async (cast) => {
      const found: Record<string, Record<string, number>> = {};
      for (const role of ROLES) {
        found[role] = {};
        for (const path of PATHS) found[role][path] = await answered(cast, role, path);
      }
      assertEquals(found, FIRST[mode]);
      tell(mode, FIRST[mode]);
    });
  });
}

Deno.test("I3: a private message reaches its two on `/chat/`, and nobody else over any socket, now or later", async () => {
  await withCast("closed", async ({ server, headers, accounts }) => {
    const sockets = new Map<Role, TestSocket>();
    for (const role of ["stranger", "ada", "eve", "keeper", "admin"] as const) {
      const socket = await TestSocket.open(`ws://${server.host}/chat/`, { headers: headers[role] });
      socket.send("test");
      await socket.next();
      sockets.set(role, socket);
    }
    const say = (fields: Record<string, string>) =>
      fetch(`${server.url}/msg_send/`, {
        method: "POST",
        headers: headers.ada,
        body: new URLSearchParams({ userfrom: accounts.ada, userto: accounts.bob, ...fields }),
      }).then((response) => response.json());
    assertEquals(await say({ type: "2", txt: "between two" }), { msg: "success" });
    assertEquals(await say({ type: "1", txt: "the end" }), { msg: "success" });
    for (const [role, socket] of sockets) {
      await socket.until((frame) => frame.includes("the end"));
      const heard = socket.frames.some((frame) => frame.includes("between two"));
      assertEquals(heard, role === "ada", role);
      await socket.close();
    }
    for (const role of ["stranger", "eve", "keeper"] as const) {
      await using client = await NativeClient.open(server, headers[role]);
      const epoch = (await client.do("hello", {})).epoch;
      const all = await client.do("subscribe", { channel: "dm:*", since: { epoch, seq: 0 } });
      assertEquals(all.messages, [], role);
    }
  });
});

Deno.test("I3: another's direct messages are refused in the same words whether they exist or not", async () => {
  await withCast("open", async ({ server, headers, accounts }) => {
    await using eve = await NativeClient.open(server, headers.eve);
    const [a, b] = [accounts.ada, accounts.bob].sort();
    const refusals = new Set<string>();
    for (const channel of [`dm:${a}.${b}`, "dm:00000000.00000001", `dm:${a}.zzzzzzzz`]) {
      const { error } = await eve.ask("history", { channel });
      refusals.add(JSON.stringify(error).replaceAll(channel, "it"));
    }
    assertEquals(refusals.size, 1);
  });
});

Deno.test("the admin cookie belongs to the token: with another token it is none, and it isn't the token", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  const data = await Deno.makeTempDir();
  const cookies: string[] = [];
  for (const token of [TOKEN, "another-token-of-the-admin"]) {
    await Deno.writeTextFile(adminTokenFile, token);
    await using server = await startServer({ adminTokenFile, data });
    const push = (cookie: string) =>
      fetch(`${server.url}/send/`, {
        method: "POST",
        headers: { cookie },
        body: new URLSearchParams({ msg: "x" }),
      }).then(async (response) => {
        await response.body?.cancel();
        return response.status;
      });
    if (cookies[0] !== undefined) assertEquals(await push(cookies[0]), 401);
    const shown = await fetch(`${server.url}/token/`, {
      method: "POST",
      body: new URLSearchParams({ token }),
    });
    await shown.body?.cancel();
    const [cookie = ""] = shown.headers.getSetCookie();
    for (const word of ["HttpOnly", "SameSite=Strict", "Path=/"]) {
      assertEquals(cookie.includes(word), true, word);
    }
    assertEquals(cookie.includes(token), false);
    cookies.push(cookie.split(";")[0] ?? "");
    assertEquals(await push(cookies.at(-1) ?? ""), 200);
  }
  await Deno.remove(adminTokenFile);
  await Deno.remove(data, { recursive: true });
});
