/** Tokens of programs: what is taken and what isn't (threats.md I2), and that their end is felt everywhere (I5, M10). */
import { assert, assertEquals, assertLess } from "@std/assert";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { join } from "node:path";
import { EventStream, http } from "../helpers/http.ts";
import { ask, HANDSHAKE } from "../helpers/raw_http.ts";
import { Tokens } from "../../lib/auth/tokens.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  testIsolates,
  type TestServer,
} from "../helpers/server.ts";
import { turn, World } from "../helpers/world.ts";

const SECRET = "a secret of at least thirty-two characters";
const ADMIN = "0123456789abcdef0123";
const encoder = new TextEncoder();

async function fileWith(text: string): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, text);
  return path;
}

async function closed(changes: Parameters<typeof startServer>[0] = {}) {
  const [jwtSecretFile, adminTokenFile] = [await fileWith(`${SECRET}\n`), await fileWith(ADMIN)];
  return await startServer({ jwtSecretFile, adminTokenFile, ...changes });
}

const now = () => Math.floor(Date.now() / 1000);

async function sign(claims: JWTPayload, secret = SECRET, alg = "HS256"): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg }).sign(encoder.encode(secret));
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function meOf(server: TestServer, token: string) {
  return await http(server, "/api/me", { headers: bearer(token) });
}

Deno.test("a token says who one is, and what it lists is all that it is for", async () => {
  await using server = await closed();
  const channels = { publish: ["push:*"], subscribe: ["room:team-*", "push:a"] };
  const token = await sign({ sub: "ada_1", name: "Ada", exp: now() + 60, channels });
  assertEquals((await meOf(server, token)).body, { account: "ada_1", name: "Ada" });
  const publish = async (channel: string, token: string) => {
    const path = `/api/channels/${channel}/messages`;
    return (await http(server, path, { headers: bearer(token), json: { data: 1 } })).status;
  };
  const read = async (channel: string, token: string) => {
    const path = `/api/channels/${channel}/messages`;
    return (await http(server, path, { headers: bearer(token) })).status;
  };
  assertEquals(await publish("push:a", token), 201);
  assertEquals(await publish("room:team-x", token), 403);
  assertEquals(await read("room:team-x", token), 200);
  assertEquals(await read("room:other", token), 403);
  assertEquals(await read("push:a", token), 200);
  assertEquals(await read("push:b", token), 403);
  const plain = await sign({ sub: "bob", exp: now() + 60 });
  assertEquals(await publish("push:a", plain), 403);
  assertEquals(await publish("room:team-x", plain), 201);
  assertEquals(await publish("dm:ada_1.bob", plain), 201);
  await using client = await NativeClient.open(server);
  const greeted = await client.do("hello", { token });
  assertEquals([greeted.account, greeted.name], ["ada_1", "Ada"]);
  assertEquals(
    Object((await client.ask("subscribe", { channel: "room:x" })).error).code,
    "forbidden",
  );
  await client.do("subscribe", { channel: "room:team-x" });
  const { messages } = await client.do("history", { channel: "push:a" });
  assertEquals(Object(Object(messages)[0]).name, "Ada");
});

Deno.test("a name in a token is no longer than names may be", async () => {
  await using server = await closed({ limits: { name: 5 } });
  for (const [sub, name, told] of [["ada", "Ada L", "Ada L"], ["eve", "Eve Ltd", undefined]]) {
    const token = await sign({ sub, name, exp: now() + 60 });
    const named = told === undefined ? {} : { name: told };
    assertEquals((await meOf(server, token)).body, { account: sub, ...named });
    const path = "/api/channels/room:a/messages";
    await http(server, path, { headers: bearer(token), json: { data: 1 } });
    const { body } = await http(server, path, { headers: bearer(token) });
    assertEquals(Object(body).messages.at(-1).name, told);
    await using client = await NativeClient.open(server);
    assertEquals((await client.do("hello", { token })).name, told);
  }
});

Deno.test("I2: what isn't a token of ours is refused, whatever is wrong with it, and nothing that it names is fetched", async () => {
  const fetched: string[] = [];
  await using trap = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => {
      fetched.push(request.url);
      return new Response("{}");
    },
  );
  const url = `http://127.0.0.1:${trap.addr.port}/keys`;
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const other = await generateKeyPair("RS256");
  const jwks = await fileWith(
    JSON.stringify({ keys: [{ ...await exportJWK(publicKey), kid: "one" }] }),
  );
  await using server = await closed({ jwks });
  const good = { sub: "ada", exp: now() + 60 };
  const rs = (claims: JWTPayload, header = {}, key = privateKey) =>
    new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "one", ...header }).sign(key);
  const none = `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good))}.`.replaceAll("=", "");
  const whole = await sign(good);
  const wrong: Record<string, string> = {
    none,
    "HS256 with the public key": await sign(good, await exportSPKI(publicKey)),
    "HS256 with the public key as JSON": await sign(good, await Deno.readTextFile(jwks)),
    "another secret": await sign(good, "another secret of thirty-two characters"),
    "another algorithm": await new SignJWT(good).setProtectedHeader({ alg: "HS512" })
      .sign(encoder.encode(SECRET.repeat(2))),
    expired: await sign({ ...good, exp: now() - 31 }),
    "not yet valid": await sign({ ...good, nbf: now() + 40 }),
    "another audience": await sign({ ...good, aud: "another-service" }),
    "exp as text": await sign(JSON.parse(`{"sub":"ada","exp":"${now() + 60}"}`)),
    "iat as text": await sign(JSON.parse(`{"sub":"ada","iat":"yesterday"}`)),
    "an account of another form": await sign({ ...good, sub: "ada@example.com" }),
    "no account": await sign({ exp: now() + 60 }),
    "channels of another form": await sign({ ...good, channels: { publish: "push:*" } }),
    "a star in the middle": await sign({ ...good, channels: { publish: ["push:*x"] } }),
    "an id that is no text": await sign(JSON.parse('{"sub":"ada","jti":5}')),
    "an id that is too long to be withdrawn": await sign({ ...good, jti: "x".repeat(257) }),
    "another kid": await rs(good, { kid: "two" }),
    "another key": await rs(good, {}, other.privateKey),
    jku: await rs(good, { jku: url, kid: "two" }, other.privateKey),
    x5u: await rs(good, { x5u: url }, other.privateKey),
    jwk: await rs(good, { jwk: await exportJWK(other.publicKey) }, other.privateKey),
    "an extension that we don't know": await rs(good, { crit: ["x"], x: 1 }).catch(() => "x.y.z"),
    "a changed claim": whole.replace(/\.[^.]*\./, `.${btoa('{"sub":"eve"}').replaceAll("=", "")}.`),
    "cut": whole.slice(0, -2),
    "two dots": "..",
  };
  // So many wrong ones come from one address that it isn't listened to for a while: each server takes some.
  for (const [what, token] of Object.entries(wrong).slice(0, 19)) {
    assertEquals((await meOf(server, token)).status, 401, what);
  }
  await using next = await closed({ jwks });
  for (const [what, token] of Object.entries(wrong).slice(19)) {
    assertEquals((await meOf(next, token)).status, 401, what);
  }
  await using client = await NativeClient.open(next);
  const huge = await client.ask("hello", { token: `${whole}${"x".repeat(1_000_000)}` });
  assertEquals(Object(huge.error).code, "unauthorized");
  const { body } = await meOf(next, await sign({ ...good, sub: "ada@example.com" }));
  assert(String(Object(body).detail).includes('"sub" must be an account'));
  for (
    const [what, token] of Object.entries({
      "HS256": whole,
      "RS256": await rs(good),
      "no end": await sign({ sub: "ada" }),
      "a clock that is late": await sign({ ...good, exp: now() - 20 }),
      "a clock that is early": await sign({ ...good, nbf: now() + 20 }),
      "our audience": await sign({ ...good, aud: ["x", "fanfare"] }),
    })
  ) assertEquals((await meOf(next, token)).status, 200, what);
  assertEquals(fetched, []);
});

Deno.test("a clock may be off by 30 s and no more, at both edges; one taken late ends when it wouldn't be taken", async () => {
  const tokens = new Tokens({
    secret: encoder.encode(SECRET),
    accountClaim: "sub",
    withdrawn: [],
  });
  const edge = 1_790_000_000;
  const ending = await sign({ sub: "ada", exp: edge });
  const beginning = await sign({ sub: "ada", nbf: edge });
  const at = async (token: string, seconds: number) =>
    await tokens.look(token, 1000 * (edge + seconds));
  for (
    const [token, seconds, taken] of [
      [ending, -1, true],
      [ending, 29, true],
      [ending, 29.999, true],
      [ending, 30, false],
      [beginning, -30, true],
      [beginning, -31, false],
    ] as const
  ) {
    assertEquals("grant" in await at(token, seconds), taken, `${seconds}`);
  }
  const late = await at(ending, 10);
  assert("grant" in late);
  assertEquals(late.grant.ends, 1000 * (edge + 30));
  assertEquals(tokens.ended(late.grant, 1000 * (edge + 30) - 1), false);
  assertEquals(tokens.ended(late.grant, 1000 * (edge + 30)), true);
});

Deno.test("keys at an address: unreachable at the start, then there, changed, gone again; the last good ones are kept", async () => {
  // When they are fetched again is the test's to say.
  const again = new Map<number, { pause: number; fetch: () => void }>();
  const { setTimeout, clearTimeout } = globalThis;
  let last = 1e9;
  globalThis.setTimeout = Object.assign((run: () => void, pause = 0) => {
    if (pause !== 10_000 && pause !== 300_000) return setTimeout(run, pause);
    again.set(++last, { pause, fetch: run });
    return last;
  }, setTimeout);
  globalThis.clearTimeout = (id) => {
    if (!again.delete(Number(id))) clearTimeout(id);
  };
  const pairs = await Promise.all(["a", "b"].map(async (kid) => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const token = await new SignJWT({ sub: kid, exp: now() + 60 })
      .setProtectedHeader({ alg: "ES256", kid }).sign(privateKey);
    return { token, jwk: { ...await exportJWK(publicKey), kid } };
  }));
  let keys: unknown[] | undefined;
  await using source = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => keys === undefined ? new Response(null, { status: 500 }) : Response.json({ keys }),
  );
  try {
    await using server = await startServer({ jwks: `http://127.0.0.1:${source.addr.port}/` });
    const taken = async () =>
      await Promise.all(pairs.map(async ({ token }) => (await meOf(server, token)).status));
    const refetch = async () => {
      const [id, { fetch } = { fetch: () => {} }] = [...again].at(-1) ?? [];
      again.delete(id ?? 0);
      fetch();
      while (again.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      return [...again.values()].at(-1)?.pause;
    };
    assertEquals(await taken(), [401, 401]);
    keys = [pairs[0]?.jwk];
    assertEquals(await refetch(), 300_000);
    assertEquals(await taken(), [200, 401]);
    keys = pairs.map(({ jwk }) => jwk);
    await refetch();
    assertEquals(await taken(), [200, 200]);
    keys = undefined;
    assertEquals(await refetch(), 10_000);
    assertEquals(await taken(), [200, 200]);
    keys = [pairs[1]?.jwk];
    await refetch();
    assertEquals(await taken(), [401, 200]);
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
});

Deno.test("keys of each kind, from a file and from an address; another claim, another audience", async () => {
  const keys = await Promise.all(
    ["RS256", "ES256", "EdDSA"].map((alg) => generateKeyPair(alg, { extractable: true })),
  );
  const jwks = JSON.stringify({
    keys: await Promise.all(
      keys.map(async ({ publicKey }, i) => ({ ...await exportJWK(publicKey), kid: `${i}` })),
    ),
  });
  await using source = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(jwks),
  );
  for (const from of [await fileWith(jwks), `http://127.0.0.1:${source.addr.port}/jwks.json`]) {
    await using server = await startServer({
      jwks: from,
      accountClaim: "uid",
      jwtAudience: "chat",
    });
    for (const [i, alg] of ["RS256", "ES256", "EdDSA"].entries()) {
      const key = keys[i]?.privateKey;
      if (key === undefined) throw new Error("There is no key");
      const token = (claims: JWTPayload) =>
        new SignJWT(claims).setProtectedHeader({ alg, kid: `${i}` }).sign(key);
      const { body } = await meOf(server, await token({ uid: "ada", aud: "chat" }));
      assertEquals(body, { account: "ada" }, `${alg} ${from}`);
      assertEquals((await meOf(server, await token({ uid: "ada" }))).status, 401);
    }
  }
});

Deno.test("a token that doesn't say which of several keys it is signed with is looked at with each", async () => {
  for (const alg of ["RS256", "ES256", "EdDSA"]) {
    const pairs = await Promise.all([1, 2, 3].map(() => generateKeyPair(alg)));
    const keys = await Promise.all(
      pairs.slice(0, 2).map(async ({ publicKey }, i) => ({
        ...await exportJWK(publicKey),
        kid: `${i}`,
      })),
    );
    await using server = await startServer({ jwks: await fileWith(JSON.stringify({ keys })) });
    const statuses = pairs.map(async ({ privateKey }) => {
      const signed = (claims: JWTPayload) =>
        new SignJWT(claims).setProtectedHeader({ alg }).sign(privateKey);
      const right = await meOf(server, await signed({ sub: "ada" }));
      const ended = await meOf(server, await signed({ sub: "ada", exp: 1 }));
      return [right.status, Object(ended.body).detail?.startsWith("The token ended")];
    });
    const known = [200, true];
    assertEquals(await Promise.all(statuses), [known, known, [401, false]], alg);
  }
});

Deno.test(
  "M10: a connection ends with its token, by 4001, unless another came in time",
  async () => {
    await using server = await closed();
    const short = await sign({ sub: "ada", exp: now() + 2 });
    await using ending = await NativeClient.open(server, bearer(short));
    await using renewed = await NativeClient.open(server);
    await renewed.do("hello", { token: short });
    await renewed.do("subscribe", { channel: "room:a" });
    await using stream = await EventStream.open(server, "/events?channel=room:a", bearer(short));
    await using link = await NativeClient.open(server, bearer(short));
    const foreign = await renewed.ask("refresh", {
      token: await sign({ sub: "eve", exp: now() + 60 }),
    });
    assertEquals(Object(foreign.error).code, "forbidden");
    const narrow = await sign({ sub: "ada", exp: now() + 60, channels: { subscribe: ["push:*"] } });
    assertEquals(Object((await renewed.ask("refresh", { token: narrow })).error).code, "forbidden");
    const ends = now() + 60;
    const answer = await renewed.do("refresh", { token: await sign({ sub: "ada", exp: ends }) });
    assertEquals(answer, { account: "ada", ends: 1000 * ends });
    assertEquals(await ending.socket.closed, 4001);
    assertEquals(await link.socket.closed, 4001);
    const closing = ending.socket.frames.find((frame) => frame.includes("closing"));
    assert(closing !== undefined);
    while (await stream.next() !== undefined);
    await renewed.do("publish", { channel: "room:a", data: 1 });
  },
);

testIsolates(
  "I5: a token that is withdrawn is felt within a second, by every connection, and after a restart",
  async (workers) => {
    await using server = await closed({ workers });
    const admin = bearer(ADMIN);
    const iat = now() - 5;
    const tokens = {
      jti: await sign({ sub: "ada", jti: "one", exp: now() + 60 }),
      account: await sign({ sub: "bob", iat, exp: now() + 60 }),
      other: await sign({ sub: "eve", iat, jti: "two", exp: now() + 60 }),
    };
    const sockets = {
      jti: [] as NativeClient[],
      account: [] as NativeClient[],
      other: [] as NativeClient[],
    };
    for (const name of ["jti", "account", "other"] as const) {
      for (let i = 0; i < 6; i++) {
        sockets[name].push(await NativeClient.open(server, bearer(tokens[name])));
      }
    }
    await using stream = await EventStream.open(
      server,
      "/events?channel=room:a",
      bearer(tokens.jti),
    );
    for (
      const [name, json] of [["jti", { jti: "one" }], ["account", { account: "bob" }]] as const
    ) {
      const told = performance.now();
      const done = await http(server, "/api/withdrawals", { headers: admin, json });
      assertEquals(done.status, 201);
      const codes = await Promise.all(sockets[name].map(({ socket }) => socket.closed));
      assertLess(performance.now() - told, 1000);
      assertEquals(new Set(codes), new Set([4001]));
      assertEquals((await meOf(server, tokens[name])).status, 401);
    }
    while (await stream.next() !== undefined);
    for (const client of sockets.other) await client.do("ping", {});
    // Made after that, it is another one.
    const later = await sign({ sub: "bob", iat: now() + 2, exp: now() + 60 });
    assertEquals((await meOf(server, later)).status, 200);
    await server.restart();
    assertEquals((await meOf(server, tokens.jti)).status, 401);
    assertEquals((await meOf(server, tokens.account)).status, 401);
    assertEquals((await meOf(server, tokens.other)).status, 200);
    for (const client of sockets.other) await client.socket.close();
  },
);

testIsolates(
  "the admin token changes with its file, without a restart, and ends who came by the old one",
  async (workers) => {
    const adminTokenFile = await fileWith(ADMIN);
    await using server = await closed({ workers, adminTokenFile });
    await using old = await NativeClient.open(server, bearer(ADMIN));
    await using byCookie = await (async () => {
      const body = new URLSearchParams({ token: ADMIN });
      const shown = await fetch(`${server.url}/token/`, { method: "POST", body });
      await shown.body?.cancel();
      const cookie = shown.headers.getSetCookie()[0]?.split(";")[0] ?? "";
      return await NativeClient.open(server, { cookie });
    })();
    await old.do("publish", { channel: "push:a", data: 1 });
    await byCookie.do("publish", { channel: "push:a", data: 1 });
    await Deno.writeTextFile(adminTokenFile, "too short");
    await new Promise((resolve) => setTimeout(resolve, 600));
    await old.do("publish", { channel: "push:a", data: 2 });
    const told = performance.now();
    const fresh = "another token of the admin";
    await Deno.writeTextFile(`${adminTokenFile}-new`, fresh);
    await Deno.rename(`${adminTokenFile}-new`, adminTokenFile);
    assertEquals(await old.socket.closed, 4001);
    assertEquals(await byCookie.socket.closed, 4001);
    // An isolate that had neither of them may hear of it last; each has a second.
    while ((await meOf(server, ADMIN)).status !== 401) assertLess(performance.now() - told, 1000);
    assertLess(performance.now() - told, 1000);
    assertEquals((await meOf(server, fresh)).status, 200);
  },
);

testIsolates(
  "other settings leave what is withdrawn and the keys that were fetched, and files are looked at as before",
  async (workers) => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwk = { ...await exportJWK(publicKey), kid: "a" };
    let there = true;
    await using keys = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => there ? Response.json({ keys: [jwk] }) : new Response(null, { status: 500 }),
    );
    await using server = await closed({ workers, jwks: `http://127.0.0.1:${keys.addr.port}/` });
    const withdraw = async (jti: string) => {
      const request = { headers: bearer(ADMIN), json: { jti } };
      assertEquals((await http(server, "/api/withdrawals", request)).status, 201);
    };
    const one = await sign({ sub: "ada", jti: "one", exp: now() + 60 });
    const two = await sign({ sub: "bob", jti: "two", exp: now() + 60 });
    const fetched = await new SignJWT({ sub: "eve", exp: now() + 60 })
      .setProtectedHeader({ alg: "ES256", kid: "a" }).sign(privateKey);
    const answers = async () => {
      const found = await Promise.all([one, two, fetched].map((token) => meOf(server, token)));
      return found.map(({ status }) => status);
    };
    await withdraw("one");
    assertEquals(await answers(), [401, 200, 200]);
    there = false;
    const adminTokenFile = await fileWith("the admin token of now");
    const changes = { adminTokenFile, limits: { name: 7 } };
    await server.renew(changes);
    assertEquals(await answers(), [401, 200, 200]);
    assertEquals((await meOf(server, ADMIN)).status, 401);
    await using old = await NativeClient.open(server, bearer("the admin token of now"));
    await Deno.writeTextFile(adminTokenFile, ADMIN);
    assertEquals(await old.socket.closed, 4001);
    await withdraw("two");
    assertEquals(await answers(), [401, 401, 200]);
    await server.renew({ ...changes, limits: { name: 8 } });
    assertEquals(await answers(), [401, 401, 200]);
  },
  [0, 1],
);

Deno.test("a secret that is too short, and a file of withdrawals that isn't one, keep the server from starting", async () => {
  const { rejects } = await import("node:assert/strict");
  await rejects(async () => closed({ jwtSecretFile: await fileWith("short") }), /at least 32/);
  await rejects(async () => startServer({ jwks: await fileWith("{}") }), /public keys/);
  const data = await Deno.makeTempDir();
  await Deno.writeTextFile(join(data, "withdrawn.json"), "[1]");
  await rejects(() => startServer({ data }), /list of/);
  await Deno.remove(data, { recursive: true });
});

Deno.test("I2: a token in `hello` and one in the header of a handshake are looked at alike", async () => {
  await using server = await closed();
  const expired = await sign({ sub: "ada", exp: now() - 60 });
  const { status } = await ask(server.host, {
    path: "/ws",
    headers: { ...HANDSHAKE, ...bearer(expired) },
  });
  assertEquals(status, 401);
  await using client = await NativeClient.open(server);
  const { error } = await client.ask("hello", { token: expired });
  assertEquals(Object(error).code, "unauthorized");
});

Deno.test("the token command makes one that the server takes, and says what is wrong with its flags", async () => {
  const file = await fileWith(`${SECRET}\n`);
  const token = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-read", "--allow-env", "main.ts", "token", ...args],
      cwd: new URL("../../", import.meta.url),
    }).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout).trim(), error: decoder.decode(stderr).trim() };
  };
  const secret = ["--jwt-secret-file", file];
  const all = ["push:*", "room:a", "dm:*", "ro*", "*"].flatMap((channel) => ["--publish", channel]);
  const made = await token("--sub", "ci", ...all, "--expires", "1h", ...secret);
  await using server = await closed();
  assertEquals((await meOf(server, made.out)).body, { account: "ci" });
  const path = "/api/channels/push:a/messages";
  assertEquals(
    (await http(server, path, { headers: bearer(made.out), json: { data: 1 } })).status,
    201,
  );
  for (
    const [args, sentence] of [
      [["--sub", "a b", ...secret], "--sub must be an account"],
      [["--sub", "ci"], "--jwt-secret-file is missing"],
      [["--sub", "ci", "--expires", "soon", ...secret], '--expires is "soon"'],
      [["--sub", "ci", "--expires", "0s", ...secret], '--expires is "0s"'],
      [["--sub", "ci", "--unknown"], "--unknown"],
      [["--sub", "ci", "--publish", "pusch:*", ...secret], '--publish is "pusch:*"'],
      [["--sub", "ci", "--subscribe", "room:*-a", ...secret], '--subscribe is "room:*-a"'],
      [["--sub", "ci", "--name", "a\tb", ...secret], "--name isn't a name"],
      [["--sub", "ci", "--account-claim", "exp", ...secret], 'claim "exp"'],
    ] as const
  ) {
    const { code, error } = await token(...args);
    assertEquals([code, error.includes(sentence), error.split("\n").length], [2, true, 1], error);
  }
});

Deno.test("a connection that ended while its token was looked at isn't kept with it", async () => {
  const folder = await Deno.makeTempDir();
  const world = await World.open(folder);
  const { connection, session } = world.connect("1f0c9a2b");
  session.receive(JSON.stringify({ id: 1, hello: { token: "none of them" } }));
  connection.close(1000, "Gone");
  world.edge.expiry.forget(connection);
  // One that came later and stays is.
  const other = world.connect("1f0c9a2c");
  other.session.receive(JSON.stringify({ id: 1, hello: { token: "none of them" } }));
  while (other.socket.read().length === 0) await turn();
  assertEquals(world.edge.expiry.size, 1);
  other.connection.close(1000, "Gone");
  world.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "I7: a token for a browser's account is refused with 403 on every wire, and takes nothing",
  async () => {
    await using server = await closed();
    const cookie = await cookieOf(server);
    await using guest = await NativeClient.open(server, { cookie });
    const account = String((await guest.do("hello", {})).account);
    const token = await sign({ sub: account, exp: now() + 60 });
    const headers = bearer(token);
    const asked: [string, Parameters<typeof http>[2]][] = [
      ["/api/me", { headers }],
      ["/api/channels/dm:*/messages", { headers }],
      ["/api/channels/room:a/messages", { headers, json: { data: 1 } }],
      ["/events?channel=room:a", { headers }],
      ["/push/a/json?poll=1", { headers }],
      ["/push/a", { headers, text: "hi" }],
    ];
    for (const [path, one] of asked) {
      const { status, body } = await http(server, path, one);
      assertEquals([status, Object(body).code], [403, "forbidden"], path);
    }
    for (const path of ["/ws", "/chat/", "/link/", "/push/a/ws"]) {
      const answer = await ask(server.host, { path, headers: { ...HANDSHAKE, ...headers } });
      assertEquals(answer.status, 403, path);
    }
    await using client = await NativeClient.open(server);
    const { error } = await client.ask("hello", { token });
    assertEquals(Object(error).code, "forbidden");
    // It stays what it was: somebody else.
    await client.do("ping", {});
    assertEquals((await meOf(server, await sign({ sub: "ada", exp: now() + 60 }))).status, 200);
    // A name of eight digits that no browser has is a token's, and goes on being one.
    const free = account === "00000000" ? "00000001" : "00000000";
    const other = await sign({ sub: free, exp: now() + 60 });
    const path = "/api/channels/room:a/messages";
    const said = { headers: bearer(other), json: { data: 1 } };
    assertEquals((await http(server, path, said)).status, 201);
    await server.restart();
    assertEquals((await http(server, path, said)).status, 201);
  },
);

Deno.test("a token whose `iat` lies ahead: taken up to a minute, and withdrawn with the others", async () => {
  const edge = 1_790_000_000;
  const settings = { secret: encoder.encode(SECRET), accountClaim: "sub" };
  const tokens = new Tokens({ ...settings, withdrawn: [] });
  const grantOf = async (ahead: number) => {
    const looked = await tokens.look(await sign({ sub: "ada", iat: edge + ahead }), 1000 * edge);
    return "grant" in looked ? looked.grant : undefined;
  };
  assertEquals([await grantOf(61), (await grantOf(60))?.issued], [undefined, edge + 60]);
  const withdrawn = [{ account: "ada", before: edge + 1, made: edge }];
  const later = new Tokens({ ...settings, withdrawn });
  for (
    const [ahead, ended] of [[-10, true], [0, true], [2, false], [6, true], [60, true]] as const
  ) {
    const grant = await grantOf(ahead);
    assert(grant !== undefined);
    // For good, not only until its time has come.
    for (const at of [0, 100]) {
      assertEquals(later.ended(grant, 1000 * (edge + at)), ended, `${ahead} ${at}`);
    }
  }
  await using server = await closed();
  const ahead = await sign({ sub: "ada", iat: now() + 40, exp: now() + 90 });
  await using client = await NativeClient.open(server, bearer(ahead));
  const json = { account: "ada" };
  const done = await http(server, "/api/withdrawals", { headers: bearer(ADMIN), json });
  assertEquals([done.status, Object.keys(Object(done.body))], [201, ["account", "before"]]);
  assertEquals(await client.socket.closed, 4001);
  assertEquals((await meOf(server, ahead)).status, 401);
  assertEquals((await meOf(server, await sign({ sub: "bob", iat: now() + 70 }))).status, 401);
});

testIsolates(
  "tokens in `hello` count towards the connections of their account; who is refused stays who it was",
  async (workers) => {
    await using server = await closed({ workers, limits: { perAccount: 2 } });
    const token = await sign({ sub: "ada", exp: now() + 60 });
    const clients = await Promise.all([1, 2, 3].map(() => NativeClient.open(server)));
    const [one, two, three] = clients;
    assert(one !== undefined && two !== undefined && three !== undefined);
    assertEquals((await one.do("hello", { token })).account, "ada");
    assertEquals((await two.do("hello", { token })).account, "ada");
    const { error } = await three.ask("hello", { token });
    assertEquals([Object(error).code, Object(error).retry > 0], ["rate_limited", true]);
    assertEquals(
      (await ask(server.host, { path: "/ws", headers: { ...HANDSHAKE, ...bearer(token) } })).status,
      429,
    );
    await three.do("subscribe", { channel: "room:a", presence: true });
    const { members } = await three.do("presence", { channel: "room:a" });
    assertEquals(Array.isArray(members) && members.some(({ account }) => account === "ada"), false);
    await one.socket.close();
    const greets = async () => {
      await using next = await NativeClient.open(server);
      return "hello" in await next.ask("hello", { token });
    };
    while (!await greets());
    for (const client of [two, three]) await client.socket.close();
  },
);

Deno.test("withdrawing an account again takes nothing back of what was withdrawn before", async () => {
  await using server = await closed();
  const json = { account: "ada" };
  const withdraw = async () => {
    const done = await http(server, "/api/withdrawals", { headers: bearer(ADMIN), json });
    assertEquals(done.status, 201);
  };
  const ahead = await sign({ sub: "ada", iat: now() + 9, exp: now() + 90 });
  await withdraw();
  assertEquals((await meOf(server, ahead)).status, 401);
  // Until its `iat` is one of those that count as made right after.
  while (now() + 4 < JSON.parse(atob(ahead.split(".")[1] ?? "")).iat) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await withdraw();
  assertEquals((await meOf(server, ahead)).status, 401);
});

Deno.test(
  "a token whose `iat` lies ahead by little and that was shown is withdrawn; one that is made later is taken at once",
  async () => {
    await using server = await closed();
    const made = now();
    const shown = await sign({ sub: "ada", iat: made + 4, exp: now() + 90 });
    const other = await sign({ sub: "bob", iat: made + 4, exp: now() + 90 });
    for (const token of [shown, other]) assertEquals((await meOf(server, token)).status, 200);
    const json = { account: "ada" };
    const done = await http(server, "/api/withdrawals", { headers: bearer(ADMIN), json });
    assertEquals(done.status, 201);
    assertEquals((await meOf(server, shown)).status, 401);
    assertEquals((await meOf(server, other)).status, 200);
    const later = await sign({ sub: "ada", iat: made + 5, exp: now() + 90 });
    assertEquals((await meOf(server, later)).status, 200);
  },
);
