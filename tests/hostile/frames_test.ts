/** Hostile frames and commands, row by row (threats.md F1–F4, M1–M12). What others show is named in table.ts. */
import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { closeCodeIn, RawWebSocket } from "../helpers/raw_websocket.ts";
import { plainText } from "../../lib/protocol/message.ts";
import { connect, HANDSHAKE, readAnswer, sendAll, written } from "../helpers/raw_http.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

const encoder = new TextEncoder();
const codeOf = (answer: Record<string, unknown>): unknown => Object(answer.error).code;

/** A socket of whose frames every bit is ours. */
async function rawSocket(server: Pick<TestServer, "host">): Promise<Deno.TcpConn> {
  const conn = await connect(server.host);
  await sendAll(conn, encoder.encode(written(server.host, { path: "/ws", headers: HANDSHAKE })));
  assertEquals((await readAnswer(conn)).status, 101);
  return conn;
}

function frame(first: number, payload: Uint8Array | string, masked = true): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const mask = masked ? [0, 0, 0, 0] : [];
  const length = bytes.length < 126
    ? [bytes.length]
    : [126, bytes.length >> 8, bytes.length & 0xff];
  const [size = 0, ...more] = length;
  return new Uint8Array([first, (masked ? 0x80 : 0) | size, ...more, ...mask, ...bytes]);
}

async function readToEnd(conn: Deno.TcpConn): Promise<Uint8Array> {
  const chunks: number[] = [];
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const count = await conn.read(buffer).catch(() => null);
    if (count === null) return new Uint8Array(chunks);
    chunks.push(...buffer.subarray(0, count));
  }
}

Deno.test("F1, F2: on every socket a binary frame is 1003, and a text of one byte over the limit 1009", async () => {
  await using server = await startServer({ limits: { frame: 1000 } });
  for (const path of ["/ws", "/link/", "/chat/", "/push/a/ws"]) {
    const open = () => TestSocket.open(`ws://${server.host}${path}`);
    const binary = await open();
    binary.send(new Uint8Array(3));
    assertEquals(await binary.closed, 1003, path);
    const large = await open();
    large.send(" ".repeat(1000));
    large.send(" ".repeat(998) + "é");
    large.send(" ".repeat(999) + "é");
    assertEquals(await large.closed, 1009, path);
  }
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assertStringIncludes(metrics, 'fanfare_refusals_total{by="command",code="too_large"} 4');
});

Deno.test("F3: frames against the protocol end their own connection and do nothing else", async () => {
  await using server = await startServer();
  await using other = await NativeClient.open(server);
  await other.do("subscribe", { channel: "room:a" });
  const publish = '{"id":1,"publish":{"channel":"room:a","data":"from a broken frame"}}';
  const wrong: Uint8Array[] = [
    frame(0xc1, publish),
    frame(0xb1, publish),
    frame(0x83, publish),
    frame(0x8b, publish),
    frame(0x80, publish),
    frame(0x09, "ping without an end"),
    frame(0x89, "x".repeat(126)),
    frame(0x88, new Uint8Array([1])),
    frame(0x88, new Uint8Array([0, 1])),
    frame(0x81, new Uint8Array([...encoder.encode(publish.slice(0, -1)), 0xff])),
    frame(0x81, new Uint8Array([0xed, 0xa0, 0x80])),
    frame(0x81, new Uint8Array([0xc0, 0xaf])),
    new Uint8Array([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
  ];
  for (const bytes of wrong) {
    using conn = await rawSocket(server);
    const ended = readToEnd(conn);
    await sendAll(conn, bytes);
    await ended;
  }
  await other.do("publish", { channel: "room:a", data: "fine" });
  assertEquals((await other.hear("message")).data, "fine");
  const { messages } = await other.do("history", { channel: "room:a" });
  assertEquals(Array.isArray(messages) && messages.length, 1);
});

Deno.test("F3: pings in thousands are answered by pongs, and others don't wait for it", async () => {
  await using server = await startServer();
  await using other = await NativeClient.open(server);
  using conn = await rawSocket(server);
  const ping = frame(0x89, "x");
  const many = new Uint8Array(ping.length * 5000);
  for (let i = 0; i < 5000; i++) many.set(ping, i * ping.length);
  const sent = sendAll(conn, many);
  const begun = performance.now();
  await other.do("publish", { channel: "room:a", data: 1 });
  assertLess(performance.now() - begun, 1000);
  const buffer = new Uint8Array(65_536);
  let pongs = 0;
  // A pong has three bytes.
  while (pongs < 15_000) pongs += await conn.read(buffer) ?? Infinity;
  assertEquals(pongs, 15_000);
  await sent;
});

/** Reads on until something is among the bytes, or to the end. */
async function readUntil(
  conn: Deno.TcpConn,
  bytes: number[],
  holds: (bytes: Uint8Array<ArrayBuffer>) => boolean,
): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (!holds(new Uint8Array(bytes))) {
    const count = await conn.read(buffer).catch(() => null);
    if (count === null) return;
    bytes.push(...buffer.subarray(0, count));
  }
}

/** Reads a socket to its end: the lines that came, and the close code. */
async function readAll(
  socket: RawWebSocket,
): Promise<{ lines: string[]; code: number | undefined }> {
  const lines: string[] = [];
  const decoder = new TextDecoder();
  while (
    await socket.read((text) => lines.push(...decoder.decode(text).split("\n")))
  );
  return { lines, code: socket.closeCode };
}

Deno.test("F5: who sends on in a burst while it is closed gets its answers, why, and the code", async () => {
  await using server = await startServer();
  const port = Number(server.host.split(":")[1]);
  for (const count of [101, 400, 5000]) {
    using socket = await RawWebSocket.open(port, "");
    const read = readAll(socket);
    // The answer to a publication comes once it is on the disk, so between refusals; what succeeds begins their count anew.
    const first = count === 101
      ? '{"id":7,"ping":{}}'
      : '{"id":7,"publish":{"channel":"room:a","data":1}}';
    // In one write: sent one by one on a loaded machine, the client would seem quiet in between, and be closed there.
    const bad = Array.from({ length: count - 1 }, (_, i) => `{"id":${i + 1},"nothing":{}}`);
    await socket.send(first, ...bad);
    const { lines, code } = await read;
    const answers = lines.map((line) => JSON.parse(line));
    const done = answers.findIndex((answer) => "publish" in answer || "ping" in answer);
    const isBad = (answer: { error?: { code: string } }) => answer.error?.code === "bad_request";
    const [before, after] = [answers.slice(0, done), answers.slice(done + 1, -1)];
    const refused = [...before, ...after];
    // The hundredth in a row closes it: before that answer, or after it.
    const row = before.length === 100 ? before.length + after.length : after.length;
    assertEquals([code, done >= 0, row, refused.every(isBad)], [1008, true, 100, true], `${count}`);
    assertEquals(answers.at(-1), {
      closing: { reason: "Too many bad requests in a row", retry: 0 },
    });
  }
});

Deno.test("F5: so does who sends on after every other close of ours", async () => {
  await using server = await startServer({
    limits: { frame: 1000, pending: 5 },
  });
  const binary = frame(0x82, new Uint8Array(3));
  const pings = (count: number) =>
    Array.from({ length: count }, (_, i) => `{"id":${i + 1},"ping":{}}`).join(
      "\n",
    );
  for (
    const [last, code, answers] of [
      [binary, 1003, 3],
      ["x".repeat(1001), 1009, 3],
      // Ten may be unanswered.
      [pings(11), 1008, 13],
    ] as const
  ) {
    using conn = await rawSocket(server);
    const read: number[] = [];
    const textOf = (bytes: Uint8Array<ArrayBuffer>) => new TextDecoder().decode(bytes);
    const answered = (bytes: Uint8Array<ArrayBuffer>) => textOf(bytes).split('"ping":').length - 1;
    await sendAll(conn, frame(0x81, pings(3)));
    // What wasn't begun before the close isn't done: these are, before it comes.
    await readUntil(conn, read, (bytes) => answered(bytes) === 3);
    const ended = readUntil(conn, read, (bytes) => closeCodeIn(bytes) !== undefined);
    const closing = typeof last === "string" ? frame(0x81, last) : last;
    const more = Array.from({ length: 300 }, () => frame(0x81, pings(1)));
    await sendAll(conn, Buffer.concat([closing, ...more]));
    await ended;
    const bytes = new Uint8Array(read);
    const text = textOf(bytes);
    assertEquals(answered(bytes), answers, String(code));
    assertStringIncludes(text, '{"closing":{"reason":');
    assertEquals(closeCodeIn(bytes), code);
  }
});

Deno.test("M2: names of the prototype are fields like others, and change nothing on any prototype", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "room:a" });
  const send = async (text: string) => {
    client.socket.send(text);
    return JSON.parse(await client.socket.next());
  };
  const before = [Object.prototype, Array.prototype, Map.prototype].map((proto) =>
    Reflect.ownKeys(proto).length
  );
  for (
    const name of [
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "hasOwnProperty",
      "valueOf",
      "x",
    ]
  ) {
    assertEquals(
      codeOf(await send(`{"id":900,"ping":{"${name}":{"polluted":1}}}`)),
      "bad_request",
      name,
    );
    assertEquals(codeOf(await send(`{"id":900,"${name}":{}}`)), "bad_request", name);
    assertEquals(
      codeOf(
        await send(
          `{"id":900,"subscribe":{"channel":"room:a","since":{"epoch":"e","seq":0,"${name}":1}}}`,
        ),
      ),
      "bad_request",
      name,
    );
  }
  assertEquals(
    codeOf(
      await send('{"id":900,"publish":{"channel":"room:a","data":[{"__proto__":{"polluted":1}}]}}'),
    ),
    "bad_request",
  );
  const data = { constructor: { prototype: { polluted: 1 } }, prototype: 1, toString: "x" };
  await client.do("publish", { channel: "room:a", data });
  assertEquals((await client.hear("message")).data, data);
  // Of doubled keys the last counts, as in JSON.parse.
  client.socket.send(
    '{"id":901,"publish":{"channel":"room:b","channel":"room:a","data":1,"data":2}}',
  );
  assertEquals((await client.hear("message")).data, 2);
  const after = [Object.prototype, Array.prototype, Map.prototype].map((proto) =>
    Reflect.ownKeys(proto).length
  );
  assertEquals([after, Reflect.has({}, "polluted")], [before, false]);
});

Deno.test("M3: a million nested arrays are refused before anybody else sees them", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  const publish = (data: string) =>
    client.socket.send(`{"id":900,"publish":{"channel":"room:a","data":${data}}}`);
  for (const [depth, done] of [[32, true], [33, false], [5000, false], [500_000, false]] as const) {
    publish(nested(depth));
    const answer = JSON.parse(await client.socket.next());
    assertEquals(
      ["publish" in answer, codeOf(answer)],
      [done, done ? undefined : "bad_request"],
      String(depth),
    );
  }
});

Deno.test("M4: numbers that aren't what belongs there are refused by the field's name; within data they are kept", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "room:a" });
  const fields = [
    ["history", '{"channel":"room:a","before":N}', "history.before"],
    ["history", '{"channel":"room:a","after":N}', "history.after"],
    ["history", '{"channel":"room:a","limit":N}', "history.limit"],
    ["subscribe", '{"channel":"room:a","history":N}', "subscribe.history"],
    ["subscribe", '{"channel":"room:a","since":{"epoch":"e","seq":N}}', "subscribe.since.seq"],
  ];
  for (const [verb, body = "", name = ""] of fields) {
    for (
      const number of ["1e309", "-1", "9007199254740993", "1.5", '"1"', "true", "null", "[]", "{}"]
    ) {
      client.socket.send(`{"id":900,"${verb}":${body.replace("N", number)}}`);
      const { error } = JSON.parse(await client.socket.next());
      assertEquals(
        [error?.code, error?.message.includes(name)],
        ["bad_request", true],
        `${name} ${number}`,
      );
    }
  }
  for (
    const [verb, body] of [
      ["rename", '{"name":1}'],
      ["publish", '{"channel":1,"data":1}'],
      ["publish", '{"channel":"room:a","data":1,"key":1}'],
      ["hello", "1"],
      ["subscribe", '{"channel":"room:a","presence":1}'],
    ]
  ) {
    client.socket.send(`{"id":900,"${verb}":${body}}`);
    assertEquals(codeOf(JSON.parse(await client.socket.next())), "bad_request", body);
  }
  const numbers = "[-0,1e309,9007199254740993,0.1,1e-400,-1e309]";
  client.socket.send(`{"id":900,"publish":{"channel":"room:a","data":${numbers}}}`);
  assertEquals(
    (await client.hear("message")).data,
    JSON.parse(JSON.stringify(JSON.parse(numbers))),
  );
});

Deno.test("M5: control characters: none in a key's place or a name; forms make CRLF a line feed and drop the others", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "push:all" });
  for (const text of ["a\0b", "\ud800", "a\udc00"]) {
    for (
      const [verb, body] of [
        ["publish", { channel: "push:all", data: text }],
        ["publish", { channel: "push:all", data: { [text]: 1 } }],
        ["publish", { channel: "push:all", data: 1, key: text }],
        ["rename", { name: text }],
        ["subscribe", { channel: `room:${text}` }],
        ["subscribe", { channel: "room:a", since: { epoch: text, seq: 0 } }],
      ] as const
    ) {
      assertEquals(
        codeOf(await client.ask(verb, body)),
        "bad_request",
        `${verb} ${JSON.stringify(body)}`,
      );
    }
  }
  const typed = "a\r\nb\x07\x1b[31m\tc\x7f\x85d";
  assertEquals(plainText(typed), { text: "a\nb[31m\tcd" });
  const post = (msg: string) =>
    fetch(`${server.url}/send/`, { method: "POST", body: new URLSearchParams({ msg }) }).then(
      async (response) => {
        await response.body?.cancel();
        return response.status;
      },
    );
  assertEquals([await post("a\0b"), await post(typed)], [400, 200]);
  assertEquals(Object((await client.hear("message")).data).text, "a\nb[31m\tcd");
  // Elsewhere they are kept: whoever shows them shows something in their place.
  await client.do("publish", { channel: "push:all", data: { text: typed } });
  assertEquals(Object((await client.hear("message")).data).text, typed);
});

Deno.test("M5: a push's title, tags and click have no control characters, whatever way they come", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  const post = async (path: string, body: unknown) => {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", cookie: await cookieOf(server) },
      body: JSON.stringify(body),
    });
    await response.body?.cancel();
    return response.status;
  };
  const ways = async (channel: string, data: Record<string, unknown>) => [
    "publish" in await client.ask("publish", { channel, data }),
    await post(`/api/channels/${channel}/messages`, { data }) === 201,
    await post("/api/messages", [{ channel, data: 1 }, { channel, data }]) === 201,
  ];
  for (const control of ["\n", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029"]) {
    const line = `a${control}b`;
    for (const field of [{ title: line }, { tags: ["x", line] }, { click: `http://a/${line}` }]) {
      const data = { text: line, ...field };
      assertEquals(await ways("push:a", data), [false, false, false], JSON.stringify(data));
    }
    const json = { topic: "a", message: "x", title: line };
    assertEquals(await post("/push", json), 400, JSON.stringify(json));
  }
  // Of another form, or elsewhere, they mean nothing.
  for (
    const [channel, data] of [
      ["push:a", { title: ["a\nb"], tags: "c", text: "a\nb" }],
      ["room:a", { title: "a\nb" }],
      ["push:a", { title: "a b", tags: ["c"], click: "http://a/" }],
    ] as const
  ) {
    assertEquals(await ways(channel, data), [true, true, true], JSON.stringify(data));
  }
});

Deno.test("M6: a name shows, or it is refused; a text may have what a name may not", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("subscribe", { channel: "room:a" });
  const wrong = [
    "",
    " ",
    "\u3000",
    "\u2800",
    "a ",
    " a",
    "x".repeat(41),
    "a\u202eb",
    "\u2066a",
    "a\u200bb",
    "\u200d",
    "a\nb",
    "a\u2028b",
    "\ufeffa",
    "\u{e0041}a",
  ];
  for (const name of wrong) {
    assertEquals(codeOf(await client.ask("rename", { name })), "bad_request", JSON.stringify(name));
  }
  for (const name of ["a", "x".repeat(40), "永".repeat(40), "🎺".repeat(40), "é", "O'Neil <b>"]) {
    assertEquals((await client.do("rename", { name })).name, name);
  }
  const text = "a\u202eb\u200b\u2066c\n";
  await client.do("publish", { channel: "room:a", data: { text } });
  assertEquals(Object((await client.hear("message")).data).text, text);
});

Deno.test("M8: a key is one message for its account and channel, and another's message of its own", async () => {
  await using server = await startServer();
  const cookie = await cookieOf(server);
  await using client = await NativeClient.open(server, { cookie });
  const publish = async (data: unknown, channel = "room:a") =>
    (await client.do("publish", { channel, data, key: "k" })).seq;
  const first = await publish("text");
  assertEquals([await publish("text"), await publish("other text")], [first, first]);
  assertEquals(await publish("text", "room:b") === first, false);
  await using other = await NativeClient.open(server);
  const theirs = await other.do("publish", { channel: "room:a", data: "text", key: "k" });
  assertEquals([theirs.seq === first, theirs.duplicate], [false, undefined]);
  await server.restart();
  await using back = await NativeClient.open(server, { cookie });
  const again = await back.do("publish", { channel: "room:a", data: "text", key: "k" });
  assertEquals([again.seq, again.duplicate], [first, true]);
});

Deno.test("M10: `hello` comes once and first", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("hello", {});
  assertEquals(codeOf(await client.ask("hello", {})), "bad_request");
  await using late = await NativeClient.open(server);
  await late.do("ping", {});
  assertEquals(codeOf(await late.ask("hello", {})), "bad_request");
});

Deno.test("what follows a `hello` with a token is done by whoever that is, in the same frame too", async () => {
  await using server = await startServer();
  const token = (await Deno.readTextFile(`${server.data}/admin.token`)).trim();
  for (const [shown, code] of [[token, "forbidden"], ["wrong", undefined]] as const) {
    await using socket = await TestSocket.open(`ws://${server.host}/ws`);
    // The admin has no part in direct messages, an account has in its own.
    socket.send(`{"id":1,"hello":{"token":"${shown}"}}\n{"id":2,"history":{"channel":"dm:*"}}`);
    socket.send('{"id":3,"ping":{}}');
    const lines: Record<string, unknown>[] = [];
    while (lines.length < 3) {
      lines.push(...(await socket.next()).split("\n").map((line) => JSON.parse(line)));
    }
    assertEquals(lines.map(({ id }) => id), [1, 2, 3]);
    assertEquals(codeOf(lines[0] ?? {}), code === undefined ? "unauthorized" : undefined);
    assertEquals(codeOf(lines[1] ?? {}), code);
  }
});

Deno.test("M11: forty thousand names of rooms leave the memory where it was", async () => {
  // Collected memory can only be seen by a process that may ask for a collection.
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", new URL("names.ts", import.meta.url).pathname],
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
  // A name that stays somewhere takes a hundred bytes or more.
  assertLess(Number(new TextDecoder().decode(stdout)), 100 * 40_000);
});

Deno.test("M12: a place that isn't of this log, or isn't yet, brings a gap and nothing of others", async () => {
  await using server = await startServer();
  await using ada = await NativeClient.open(server);
  const own = String((await ada.do("hello", {})).account);
  await ada.do("publish", { channel: `dm:${own}.${own}`, data: "private" });
  await ada.do("publish", { channel: "room:a", data: "for all" });
  await using eve = await NativeClient.open(server);
  const { epoch } = await eve.do("hello", {});
  for (
    const since of [{ epoch: "another", seq: 0 }, { epoch, seq: 1_000_000 }, { epoch: "", seq: 1 }]
  ) {
    const room = await eve.do("subscribe", { channel: "room:a", since });
    assertEquals([room.recovered, JSON.stringify(room).includes("private")], [false, false]);
    const direct = await eve.do("subscribe", { channel: "dm:*", since });
    assertEquals([direct.recovered, direct.messages, direct.oldest], [false, [], undefined]);
  }
  const past = await eve.ask("subscribe", { channel: "room:a", since: { epoch, seq: -1 } });
  assertEquals(codeOf(past), "bad_request");
  // What waits for a client that doesn't read is kept: none of it may be long.
  const [long, longer] = await Promise.all(
    [128, 129].map((length) =>
      eve.ask("subscribe", { channel: "room:a", since: { epoch: "e".repeat(length), seq: 0 } })
    ),
  );
  assertEquals([Object.hasOwn(long ?? {}, "subscribe"), codeOf(longer ?? {})], [
    true,
    "bad_request",
  ]);
});
