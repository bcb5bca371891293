/** The descriptions for programs can't drift: every operation is driven, every answer is held against its schema, and what is sent against what is read. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { type JWTPayload, SignJWT } from "jose";
import { parse } from "yaml";
import { parseCommand, SCHEMAS } from "../../lib/protocol/command.ts";
import { DEFAULT_LIMITS, toldLimits } from "../../lib/config/limits.ts";
import { REFUSALS } from "../../lib/protocol/refusals.ts";
import { BODIES, QUERIES, readBodyAs } from "../../lib/protocol/request.ts";
import { outline } from "../../static/pages/docs/outline.js";
import { EventStream, http } from "../helpers/http.ts";
import { accountOf, cookieOf, NativeClient, startServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

const ROOT = new URL("../../static/docs/", import.meta.url);
const [openapiText, asyncapiText] = await Promise.all([
  Deno.readTextFile(new URL("openapi.yaml", ROOT)),
  Deno.readTextFile(new URL("asyncapi.yaml", ROOT)),
]);
const openapi = parse(openapiText);
const asyncapi = parse(asyncapiText);
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(openapi, "openapi");
ajv.addSchema(asyncapi, "asyncapi");

const pointer = (...names: string[]) =>
  names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).map(
    encodeURIComponent,
  )
    .map((name) => name.replaceAll("%2F", "/").replaceAll("%7E", "~")).join("");

function schema(document: "openapi" | "asyncapi", ...names: string[]): ValidateFunction {
  return ajv.compile({ $ref: `${document}#${pointer(...names)}` });
}

function assertFits(validate: ValidateFunction, value: unknown, what: string): void {
  assert(
    validate(value),
    `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`,
  );
}

const METHODS = ["get", "post", "put", "delete"];
const OPERATIONS: Record<
  string,
  { path: string; method: string; responses: Record<string, unknown> }
> = Object.fromEntries(
  Object.entries<Record<string, { operationId: string; responses: Record<string, unknown> }>>(
    openapi.paths,
  )
    .flatMap(([path, item]) =>
      Object.entries(item).filter(([method]) => METHODS.includes(method)).map(([method, one]) => [
        one.operationId,
        { path, method, responses: one.responses },
      ])
    ),
);

Deno.test("every operation of openapi.yaml answers as it says, right or refused", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, "0123456789abcdef0123");
  await using server = await startServer({ adminTokenFile });
  const admin = { authorization: "Bearer 0123456789abcdef0123" };
  const cookie = { cookie: await cookieOf(server) };
  const driven = new Set<string>();
  const drive = async (
    id: string,
    places: Record<string, string>,
    ask: { query?: string; headers?: Record<string, string>; json?: unknown; text?: string },
    status: number,
  ) => {
    const operation = OPERATIONS[id];
    assert(operation !== undefined, id);
    const { path, method, responses } = operation;
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => places[name] ?? "");
    const { query = "", ...rest } = ask;
    const answer = await http(server, filled + query, { ...rest, method: method.toUpperCase() });
    assertEquals(answer.status, status, `${id} ${JSON.stringify(answer.body)}`);
    const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const said = responses[String(status)];
    if (status === 304) {
      assert(said !== undefined, `${id} may be unchanged`);
      return driven.add(id);
    }
    if (status === 204) {
      assertEquals([said === undefined, Object(said).content, answer.body], [false, undefined, ""]);
      return driven.add(id);
    }
    if (status >= 400) {
      const { required, schema } = openapi.components.responses.Problem.headers["X-Request-Id"];
      assertEquals(required, true);
      assertMatch(answer.headers.get("x-request-id") ?? "", new RegExp(schema.pattern));
    }
    const problem = String(Object(responses.default).$ref).split("/").at(-1) ??
      "";
    const [where, content] = said === undefined
      ? [
        ["components", "responses", problem],
        openapi.components.responses[problem].content,
      ]
      : [
        ["paths", path, method, "responses", String(status)],
        Object(said).content,
      ];
    assert(type in content, `${id} ${status} has ${type}`);
    assertFits(
      schema("openapi", ...where, "content", type, "schema"),
      answer.body,
      `${id} ${status}`,
    );
    driven.add(id);
  };
  const room = { channel: "room:a", name: "a" };
  const wrong = { headers: { authorization: "Bearer wrong" } };
  await drive("publish", room, { headers: cookie, json: { data: { text: "x" }, key: "k" } }, 201);
  await drive("publish", room, { headers: cookie, json: { data: 1, key: "k" } }, 200);
  await drive("publish", room, { headers: cookie, json: {} }, 400);
  await drive("publish", room, { headers: cookie, text: "x" }, 415);
  await drive("publish", room, { ...wrong, json: { data: 1 } }, 401);
  await drive("publish", { channel: "push:a" }, { headers: cookie, json: { data: 1 } }, 403);
  await drive("publish", { channel: "push:a" }, {
    headers: admin,
    json: { data: "x".repeat(70_000) },
  }, 413);
  await drive("publishAll", {}, {
    headers: admin,
    json: [{ channel: "push:a", data: 1, key: "k" }],
  }, 201);
  await drive("publishAll", {}, {
    headers: admin,
    json: [{ channel: "push:a", data: 1, key: "k" }],
  }, 200);
  await drive("publishAll", {}, { headers: admin, json: [] }, 400);
  await drive("readMessages", room, { headers: cookie, query: "?limit=1&after=0" }, 200);
  await drive("readMessages", room, { headers: cookie, query: "?limit=0" }, 400);
  for (
    const id of ["readMessages", "readPresence", "listChannels", "me", "listMutes"]
  ) {
    const path = OPERATIONS[id]?.path.replace("{channel}", "room:a") ?? "";
    const { headers } = await http(server, path, { headers: admin });
    const held = { ...admin, "if-none-match": headers.get("etag") ?? "" };
    await drive(id, room, { headers: held }, 304);
  }
  await using member = await NativeClient.open(server, cookie);
  await member.do("hello", { name: "Ada" });
  await member.do("subscribe", { channel: "room:a" });
  await drive("readPresence", room, { headers: cookie }, 200);
  await drive("readPresence", { channel: "dm:a.b" }, { headers: cookie }, 403);
  await drive("listChannels", {}, { headers: admin, query: "?limit=10&after=a" }, 200);
  await drive("listChannels", {}, { headers: cookie }, 403);
  await drive("me", {}, { headers: cookie }, 200);
  await drive("me", {}, { headers: admin }, 200);
  await drive("me", {}, {}, 401);
  await drive("withdraw", {}, { headers: admin, json: { jti: "x" } }, 201);
  await drive("withdraw", {}, { headers: admin, json: { account: "x" } }, 201);
  await drive("withdraw", {}, { headers: admin, json: { account: "x", jti: "x" } }, 400);
  const guest = { cookie: await cookieOf(server) };
  const account = await accountOf(server, guest.cookie);
  await drive("listSessions", {}, { headers: guest }, 200);
  const { headers: seen } = await http(server, "/api/me/sessions", { headers: guest });
  const tag = { "if-none-match": seen.get("etag") ?? "" };
  await drive("listSessions", {}, { headers: { ...guest, ...tag } }, 304);
  await drive("listSessions", {}, {}, 401);
  await drive("endSessions", {}, { headers: guest }, 204);
  await drive("endSessions", {}, { headers: guest, query: "?none=1" }, 400);
  await drive("endSession", { id: "0" }, { headers: guest }, 404);
  const { body } = await http(server, "/api/me/sessions", { headers: guest });
  const [{ id }] = Object(body).sessions;
  await drive("endSession", { id }, { headers: guest }, 204);
  await drive("signOut", {}, { headers: { cookie: await cookieOf(server) } }, 204);
  await drive("signOut", {}, {}, 401);
  await drive("endSessionsOf", { account }, { headers: admin }, 204);
  await drive("endSessionsOf", { account: "nobody" }, { headers: admin }, 404);
  const ada = { account: "ada" };
  await drive("mute", ada, { headers: admin }, 200);
  await drive("mute", ada, { headers: admin, json: { until: Date.now() + 60_000 } }, 200);
  await drive("mute", ada, { headers: admin, json: { until: 1 } }, 400);
  await drive("mute", ada, { headers: cookie, json: {} }, 403);
  await drive("mute", { account: "bob" }, { headers: admin, json: {} }, 200);
  await drive("listMutes", {}, { headers: admin, query: "?limit=1&after=a" }, 200);
  await drive("listMutes", {}, { headers: admin, query: "?limit=0" }, 400);
  await drive("listMutes", {}, {}, 401);
  await drive("unmute", ada, { headers: admin }, 204);
  await drive("unmute", ada, { headers: admin }, 404);
  await drive(
    "push",
    room,
    { headers: { ...admin, title: "T", priority: "high" }, text: "x" },
    201,
  );
  await drive("push", room, { headers: { ...admin, "idempotency-key": "p" }, text: "x" }, 201);
  await drive("push", room, { headers: { ...admin, "idempotency-key": "p" }, text: "x" }, 200);
  await drive("push", room, { headers: cookie, text: "x" }, 403);
  await drive("pushByPut", room, { headers: admin, text: "x" }, 201);
  await drive("pushByPut", room, { headers: { ...admin, "idempotency-key": "p" }, text: "x" }, 200);
  for (const id of ["pushAsNtfy", "pushAsNtfyByPut"]) {
    await drive(id, room, { headers: { ...admin, tags: "a,b", click: "https://a.example/" } }, 200);
    await drive(id, room, { headers: { ...admin, delay: "10m" }, text: "x" }, 400);
    await drive(id, room, { headers: cookie, text: "x" }, 403);
  }
  for (const id of ["pushJson", "pushJsonByPut"]) {
    const json = { topic: "a", message: "x", title: "T", priority: 5, tags: ["a"] };
    assertFits(schema("openapi", "components", "schemas", "Push"), json, id);
    await drive(id, {}, { headers: admin, json }, 200);
    await drive(id, {}, { headers: admin, json: { message: "x" } }, 400);
    await drive(id, {}, { json }, 401);
  }
  await drive("ntfyAccount", {}, { headers: admin }, 200);
  await drive("ntfyAccount", {}, {}, 200);
  await drive("ntfyAccount", {}, wrong, 401);
  await drive("ntfyToken", {}, { headers: admin }, 200);
  await drive("ntfyToken", {}, {}, 401);
  await drive("ntfyHealth", {}, {}, 200);
  await drive("mayRead", room, {}, 200);
  await drive("mayRead", { name: "a,%20" }, {}, 400);
  const told = schema("openapi", "components", "schemas", "Told");
  const { body: lines } = await http(server, "/push/a/json?poll=1");
  for (const line of String(lines).trim().split("\n")) assertFits(told, JSON.parse(line), "a line");
  for (const id of ["readPushesAsJson", "readPushesAsEvents", "readPushesAsText"]) {
    await drive(id, room, { query: "?poll=1" }, 200);
    await drive(id, room, { query: "?poll=1&since=x" }, 400);
    await drive(id, { name: "a,b" }, { query: "?poll=1&priority=high&tags=a" }, 200);
  }
  await drive("follow", {}, { query: "?channel=x" }, 400);
  await using stream = await EventStream.open(server, "/events?channel=push:a");
  const type = (stream.headers.get("content-type") ?? "").split(";")[0] ?? "";
  assertEquals(Object.keys(Object(OPERATIONS.follow?.responses["200"]).content), [type]);
  await drive("alive", {}, {}, 200);
  await drive("ready", {}, {}, 200);
  await drive("metrics", {}, { headers: admin }, 200);
  await drive("metrics", {}, {}, 401);
  assertEquals([...driven].sort(), Object.keys(OPERATIONS).sort());
});

Deno.test("a push that comes again once its message is gone is answered with its place, as described", async () => {
  let now = 1_800_000_000_000;
  const retention = { keep: 0, keepPush: 3_600_000, keepBytes: 0 };
  await using server = await startServer({ retention }, { clock: () => now });
  const push = () => http(server, "/push/a", { headers: { "idempotency-key": "k" }, text: "x" });
  const { seq, time } = Object((await push()).body);
  now += 7_200_000;
  await server.restart();
  let answer = await push();
  // Retention runs beside everything else.
  for (const end = Date.now() + 10_000; "data" in Object(answer.body) && Date.now() < end;) {
    answer = await push();
  }
  assertEquals([answer.status, answer.body], [
    200,
    { channel: "push:a", seq, time, duplicate: true },
  ]);
  const where = ["paths", "/push/{name}", "post", "responses", "200", "content"];
  assertFits(schema("openapi", ...where, "application/json", "schema"), answer.body, "push");
});

Deno.test("each line for a shell in openapi.yaml works as it stands, and is answered as it says", async () => {
  tool("curl");
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, "0123456789abcdef0123");
  await using server = await startServer({ adminTokenFile });
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/report.txt`, "All is well");
  const env: Record<string, string> = { URL: server.url, TOKEN: "0123456789abcdef0123" };
  const lines = outline(openapiText);
  for (const [id, { method, path, responses }] of Object.entries(OPERATIONS)) {
    const { curl = "" } = lines.find(({ name }) => name === `${method.toUpperCase()} ${path}`) ??
      {};
    // Some of them end it.
    env.COOKIE = await cookieOf(server);
    env.ACCOUNT = await accountOf(server, env.COOKIE);
    const { body } = await http(server, "/api/me/sessions", { headers: { cookie: env.COOKIE } });
    env.ID = Object(body).sessions[0].id;
    const child = new Deno.Command("sh", {
      args: ["-c", `exec ${curl} -sS -D ${folder}/head`],
      env,
      cwd: folder,
      stdout: "piped",
    }).spawn();
    let text = "";
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      // A stream doesn't end by itself.
      if (curl.includes(" -N ") && text !== "") {
        child.kill();
        break;
      }
    }
    await child.status;
    const head = await Deno.readTextFile(`${folder}/head`);
    // A 100 may come before it.
    const status = [...head.matchAll(/^HTTP\S+ (\d{3})/gm)].at(-1)?.[1] ?? "";
    const [, type = ""] = /^content-type: ([^;\r]*)/mi.exec(head) ?? [];
    const content = Object(responses[status]).content ?? {};
    if (status === "204") {
      assertEquals([type, text], ["", ""], id);
      continue;
    }
    assert(type in content, `${id}: ${status} ${type} ${text}`);
    const isJson = type === "application/json";
    const where = ["paths", path, method, "responses", status, "content", type, "schema"];
    assertFits(schema("openapi", ...where), isJson ? JSON.parse(text) : text, id);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "every command of asyncapi.yaml is answered as it says, and so is what is told by itself",
  async () => {
    const secret = "a secret of at least thirty-two characters";
    const jwtSecretFile = await Deno.makeTempFile();
    await Deno.writeTextFile(jwtSecretFile, secret);
    const token = (claims: JWTPayload) =>
      new SignJWT(claims).setProtectedHeader({ alg: "HS256" })
        .sign(new TextEncoder().encode(secret));
    await using server = await startServer({ jwtSecretFile });
    await using client = await NativeClient.open(server);
    await using other = await NativeClient.open(server);
    const driven = new Set<string>();
    const drive = async (verb: string, body: unknown) => {
      assertFits(schema("asyncapi", "components", "messages", verb, "payload"), {
        id: 1,
        [verb]: body,
      }, verb);
      const answer = await client.ask(verb, body);
      const name = "error" in answer ? "error" : `${verb}Answer`;
      assertFits(schema("asyncapi", "components", "messages", name, "payload"), answer, verb);
      if (!("error" in answer)) driven.add(verb);
      return answer;
    };
    const told = async (kind: string) => {
      const line = { [kind]: await client.hear(kind) };
      assertFits(
        schema("asyncapi", "components", "messages", `${kind}Told`, "payload"),
        line,
        kind,
      );
    };
    const hello = await drive("hello", { name: "Ada", token: await token({ sub: "ada" }) });
    const { epoch, seq } = Object(hello.hello);
    await drive("subscribe", { channel: "room:a", since: { epoch, seq }, presence: true });
    await drive("subscribe", { channel: "room:b", since: { epoch: "x", seq: 0 }, history: 2 });
    await drive("publish", { channel: "room:a", data: 1, key: "k" });
    await drive("publish", { channel: "room:a", data: 1, key: "k" });
    await drive("publish", { channel: "room:a b", data: 1 });
    await told("message");
    await other.do("subscribe", { channel: "room:a" });
    await other.do("signal", { channel: "room:a", data: 1 });
    await told("presence");
    await told("signal");
    await drive("history", { channel: "room:a", before: 100, limit: 3 });
    await drive("presence", { channel: "room:a" });
    await drive("signal", { channel: "room:a", data: {} });
    await drive("rename", { name: null });
    await drive("unsubscribe", { channel: "room:a" });
    await drive("ping", {});
    await drive("refresh", { token: "x" });
    assertEquals(driven.has("refresh"), false);
    const exp = Math.floor(Date.now() / 1000) + 60;
    await drive("refresh", { token: await token({ sub: "ada", exp }) });
    await drive("refresh", { token: await token({ sub: "ada" }) });
    assertEquals(Object.keys(SCHEMAS).filter((verb) => !driven.has(verb)), []);
    const restarted = server.restart();
    await told("closing");
    await restarted;
  },
);

interface Shape {
  readonly properties?: Record<string, unknown>;
  readonly required?: readonly string[];
}

// Of an object in either language: each field with whether it has to be there.
function fieldsOf(shape: Shape): Record<string, boolean> {
  const { properties = {}, required = [] } = shape;
  return Object.fromEntries(
    Object.keys(properties).sort().map((name) => [name, required.includes(name)]),
  );
}

function required(names: readonly string[]): Record<string, boolean> {
  return Object.fromEntries([...names].sort().map((name) => [name, true]));
}

// Objects without fields, lists of nobody knows what, and schemas that take all.
function loose(node: unknown, name: string): { name: string; schema: unknown }[] {
  if (typeof node !== "object" || node === null) return [];
  const { type, properties, items, additionalProperties } = Object(node);
  const isLoose = Object.keys(node).length === 0 ||
    (type === "object" && properties === undefined && additionalProperties !== false) ||
    (type === "array" && items === undefined);
  return [
    ...(isLoose ? [{ name, schema: node }] : []),
    ...Object.entries(node).flatMap(([key, value]) => loose(value, `${name}/${key}`)),
  ];
}

function entriesOf(schema: { readonly entries: object }): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(schema.entries).sort(([a], [b]) => a < b ? -1 : 1)
      .map((
        [name, field],
      ) => [name, !["optional", "nullish"].includes(Object(field).type)]),
  );
}

Deno.test("what is described is what is read: fields, required or not, of every body, query and command", () => {
  const { schemas } = openapi.components;
  assertEquals(fieldsOf(schemas.Publish), entriesOf(BODIES.publish));
  assertEquals(fieldsOf(schemas.Push), entriesOf(BODIES.push));
  const [, , list] = BODIES.publishAll.pipe;
  assertEquals(fieldsOf(schemas.PublishAll.items), entriesOf(list.item));
  BODIES.withdraw.options.forEach((option, i) =>
    assertEquals(fieldsOf(schemas.Withdrawal.oneOf[i]), entriesOf(option))
  );
  assertEquals(fieldsOf(schemas.MuteUntil), entriesOf(BODIES.mute));
  const named = (path: string) =>
    Object.fromEntries(
      openapi.paths[path].get.parameters.filter((one: { in: string }) => one.in === "query")
        .map(({ name, required = false }: { name: string; required?: boolean }) => [name, required])
        .sort(([a]: [string], [b]: [string]) => a < b ? -1 : 1),
    );
  assertEquals(named("/api/channels/{channel}/messages"), entriesOf(QUERIES.messages));
  assertEquals(named("/api/channels"), entriesOf(QUERIES.channels));
  assertEquals(named("/api/mutes"), entriesOf(QUERIES.mutes));
  for (const [verb, schema] of Object.entries(SCHEMAS)) {
    const { properties } = asyncapi.components.messages[verb].payload;
    assertEquals(fieldsOf(properties[verb]), entriesOf(schema), verb);
  }
  const { limits } = asyncapi.components.messages.helloAnswer.payload.properties.hello.properties;
  assertEquals(fieldsOf(limits), required(Object.keys(toldLimits(DEFAULT_LIMITS))));
  for (const { name, schema } of loose(asyncapi.components, "components")) {
    // Of any JSON nothing can be said.
    assert(name.endsWith("/Any"), `${name} says nothing of ${JSON.stringify(schema)}`);
  }
  const codes = Object.keys(REFUSALS);
  assertEquals(schemas.Problem.properties.code.enum, codes);
  assertEquals(
    asyncapi.components.messages.error.payload.properties.error.properties.code.enum,
    codes,
  );
});

// Values at the edges of what fields take, of every kind.
const POOL: readonly unknown[] = [
  ...[null, true, {}, [], ["a"], [1], { epoch: "e", seq: 1 }, { epoch: "e", seq: 2 ** 53 }],
  ...["", "a", "a b", "room:a", "dm:*", "x".repeat(128), "x".repeat(129), "x".repeat(257)],
  ...[-1, 0, 1, 1.5, 5, 6, 200, 201, Number.MAX_SAFE_INTEGER, 2 ** 53],
];

// What a pattern can't say of channels and names in full, their descriptions say.
const BEYOND = ["channel", "name"];

Deno.test("what a description lets through is read, and what is read it lets through, field by field", () => {
  type Pair = [
    string,
    (json: unknown) => boolean,
    ValidateFunction,
    object,
    (json: unknown) => unknown,
  ];
  const bodies = (name: keyof typeof BODIES) => (json: unknown) =>
    "value" in readBodyAs<unknown>(BODIES[name], JSON.stringify(json));
  const list = (json: unknown) => [json];
  const one = (json: unknown) => json;
  const pairs: Pair[] = [
    ["publish", bodies("publish"), component("Publish"), { data: 1, key: "k" }, one],
    [
      "publishAll",
      bodies("publishAll"),
      component("PublishAll"),
      { channel: "room:a", data: 1, key: "k" },
      list,
    ],
    ["withdraw", bodies("withdraw"), component("Withdrawal"), { account: "a", before: 1 }, one],
    ["withdraw", bodies("withdraw"), component("Withdrawal"), { jti: "a" }, one],
    ["push", bodies("push"), component("Push"), {
      topic: "a",
      message: "x",
      title: "t",
      priority: 3,
      tags: ["a"],
      click: "https://a.example/",
      cache: "",
      delay: "",
      email: "",
      call: "",
      attach: "",
      filename: "",
      firebase: "no",
      icon: "x",
      actions: [],
      markdown: true,
      sequence_id: "a",
    }, one],
    ...Object.keys(SCHEMAS).map((verb): Pair => {
      const read = (json: unknown) =>
        !("refusal" in parseCommand(JSON.stringify({ id: 1, [verb]: json })));
      const validate = schema(
        "asyncapi",
        ...["components", "messages", verb, "payload", "properties", verb],
      );
      return [verb, read, validate, RIGHT[verb] ?? {}, one];
    }),
  ];
  assertEquals(Object.keys(RIGHT), Object.keys(SCHEMAS));
  let compared = 0;
  for (const [name, read, validate, right, wrap] of pairs) {
    const variants: [string, unknown][] = [["", right], ["", null], ["", []], ["", 1], ["", {}]];
    variants.push(["more", { ...right, more: 1 }]);
    for (const field of Object.keys(right)) {
      const { [field]: _, ...rest }: Record<string, unknown> = { ...right };
      variants.push([field, rest]);
      for (const value of POOL) variants.push([field, { ...right, [field]: value }]);
    }
    for (const [field, value] of variants) {
      const whole = wrap(value);
      const [described, taken] = [validate(whole), read(whole)];
      const what = `${name} ${JSON.stringify(whole).slice(0, 200)}`;
      compared += 1;
      if (taken) assert(described, `${what} is read, and not described`);
      else assert(!described || BEYOND.includes(field), `${what} is described, and not read`);
    }
  }
  for (const [count, right] of [[0, false], [1, true], [100, true], [101, false]] as const) {
    const many = Array.from({ length: count }, () => ({ channel: "room:a", data: 1 }));
    assertEquals([component("PublishAll")(many), bodies("publishAll")(many)], [right, right]);
  }
  assert(compared > 700, String(compared));
});

function component(name: string): ValidateFunction {
  return schema("openapi", "components", "schemas", name);
}

// Of each command one that is right, with all its fields.
const RIGHT: Readonly<Record<string, object>> = {
  hello: { token: "t", name: "Ada" },
  subscribe: { channel: "room:a", since: { epoch: "e", seq: 1 }, history: 1, presence: true },
  unsubscribe: { channel: "room:a" },
  publish: { channel: "room:a", data: 1, key: "k" },
  history: { channel: "room:a", before: 2, after: 1, limit: 3 },
  presence: { channel: "room:a" },
  signal: { channel: "room:a", data: 1 },
  rename: { name: "Ada" },
  refresh: { token: "t" },
  ping: {},
};

// YAML wants the end of a list in brackets deeper than its name; our parser doesn't mind, js-yaml refuses the whole file.
Deno.test("no description has a list in brackets over several lines, which not every parser reads", () => {
  for (const text of [openapiText, asyncapiText]) assertEquals(/^ *[\]}].*$/m.exec(text), null);
});

Deno.test("every operation and message is summed up in both languages of the page", () => {
  for (const text of [openapiText, asyncapiText]) {
    for (const { name, summary, chinese } of outline(text)) {
      assert(summary !== "" && !/\p{Script=Han}/u.test(summary), name);
      assertMatch(chinese ?? "", /\p{Script=Han}.*。$/u, name);
    }
  }
});

Deno.test("the descriptions are served, and the page at /docs lists all that they offer", async () => {
  await using server = await startServer();
  for (
    const [name, text] of [["openapi.yaml", openapiText], ["asyncapi.yaml", asyncapiText]] as const
  ) {
    const answer = await http(server, `/${name}`);
    assertEquals(answer.headers.get("content-type"), "application/yaml; charset=utf-8");
    assertEquals(answer.body, text);
  }
  assertEquals((await http(server, "/docs")).status, 200);
  const operations = Object.values(OPERATIONS).map(({ method, path }) =>
    `${method.toUpperCase()} ${path}`
  );
  assertEquals(outline(openapiText).map(({ name }) => name), operations);
  const verbs = outline(asyncapiText).map(({ name }) => name);
  assertEquals(verbs.filter((name) => name in SCHEMAS), Object.keys(SCHEMAS));
});
