/** Every limit of lib/config/limits.ts: its flag, and on a real server that n pass, n + 1 are refused, and the refusal is counted. */
import { assertEquals, assertGreater } from "@std/assert";
import { readConfig } from "../../lib/config/config.ts";
import { DEFAULT_LIMITS, type Limits } from "../../lib/config/limits.ts";
import { ask, HANDSHAKE } from "../helpers/raw_http.ts";
import {
  cookieOf,
  NativeClient,
  startServer,
  type TestServer,
  TestSocket,
} from "../helpers/server.ts";

/** A limit. */
interface Bound {
  /** Its flag; what has none is told by `hello`. */
  readonly flag?: string;
  /** What is let through. */
  readonly n: number;
  /** Settings with which that is so. */
  readonly limits: (n: number) => Partial<Limits>;
  /** Does so much of it at once, and tells how the last was answered. */
  readonly reach: (server: TestServer, count: number) => Promise<unknown>;
  /** What the one beyond is told. */
  readonly refused: string | number;
  /** What counts it. */
  readonly metric: string;
}

const command = (code: string) => `refusals_total{by="command",code="${code}"}`;
const request = (status: number) => `refusals_total{by="request",code="${status}"}`;
const times = (count: number) => Array.from({ length: count }, (_, i) => i);
const FROM = { "x-forwarded-for": "192.0.2.1" };

function codeOf(answer: Record<string, unknown>): unknown {
  return Reflect.get(Object(answer.error), "code") ?? "done";
}

/** One client asks all of it at once. */
async function askAll(
  server: TestServer,
  verb: string,
  bodies: readonly object[],
): Promise<unknown> {
  await using client = await NativeClient.open(server, FROM);
  const answers = await Promise.all(bodies.map((body) => client.ask(verb, body)));
  return codeOf(answers.at(-1) ?? {});
}

/** One frame is sent as it is; told is the close code, or that every line was answered. */
async function sendFrame(server: TestServer, frame: string): Promise<unknown> {
  await using socket = await TestSocket.open(`ws://${server.host}/ws`, { headers: FROM });
  socket.send(frame);
  for (let left = frame.split("\n").length; left > 0;) {
    for (const line of (await socket.next()).split("\n")) {
      if (line.startsWith('{"closing":')) return await socket.closed;
      left -= 1;
    }
  }
  return "done";
}

/** So many connections are held at once. */
async function connectAll(
  server: TestServer,
  count: number,
  headers: Record<string, string>,
): Promise<unknown> {
  await using stack = new AsyncDisposableStack();
  for (const _ of times(count - 1)) stack.use(await NativeClient.open(server, headers));
  const last = { ...HANDSHAKE, ...headers };
  const { status } = await ask(server.host, { path: "/ws", headers: last });
  return status === 101 ? "done" : status;
}

// What a message of `readTimes` takes as JSON, and what ends it.
const MESSAGE_SIZE =
  '{"channel":"room:a","seq":1,"time":1790000000123,"from":"1f0c9a2b","data":"x"}'.length + 1;

/** One client reads a message so often. */
async function readTimes(server: TestServer, count: number): Promise<unknown> {
  await using client = await NativeClient.open(server, FROM);
  await client.do("publish", { channel: "room:a", data: "x" });
  let last: Record<string, unknown> = {};
  for (const _ of times(count)) last = await client.ask("history", { channel: "room:a", limit: 1 });
  return codeOf(last);
}

const publications = (count: number) => times(count).map((data) => ({ channel: "room:a", data }));

// What one client alone can't reach: how many handshakes are under way at a moment is the system's (limits_test.ts), and how
// many sockets may be stuck bounds an isolate (guard_test.ts).
const ELSEWHERE = { handshakes: { flag: "max-handshakes" }, stuck: { flag: undefined } } as const;

const BOUNDS: Record<Exclude<keyof Limits, keyof typeof ELSEWHERE>, Bound> = {
  message: {
    flag: "max-message",
    n: 100,
    limits: (message) => ({ message }),
    reach: (server, bytes) =>
      askAll(server, "publish", [{ channel: "room:a", data: "x".repeat(bytes - 2) }]),
    refused: "too_large",
    metric: command("too_large"),
  },
  frame: {
    n: 1000,
    limits: (frame) => ({ frame }),
    reach: (server, bytes) => sendFrame(server, '{"id":1,"ping":{}}'.padEnd(bytes)),
    refused: 1009,
    metric: command("too_large"),
  },
  channels: {
    flag: "max-channels",
    n: 5,
    limits: (channels) => ({ channels }),
    reach: (server, count) =>
      askAll(server, "subscribe", times(count).map((i) => ({ channel: `room:r${i}` }))),
    refused: "bad_request",
    metric: command("bad_request"),
  },
  pending: {
    // Clients keep to half of it.
    n: 20,
    limits: (n) => ({ pending: n / 2 }),
    reach: (server, count) =>
      sendFrame(server, times(count).map((id) => `{"id":${id + 1},"ping":{}}`).join("\n")),
    refused: 1008,
    metric: "banned_total",
  },
  recovery: {
    flag: "recovery",
    n: 5,
    limits: (recovery) => ({ recovery }),
    async reach(server, count) {
      await askAll(server, "publish", publications(count));
      await using client = await NativeClient.open(server, FROM);
      const { epoch } = await client.do("hello", {});
      const since = { epoch, seq: 0 };
      const { recovered } = await client.do("subscribe", { channel: "room:a", since });
      return recovered ? "done" : "gap";
    },
    refused: "gap",
    metric: "gaps_total",
  },
  name: {
    flag: "max-name",
    n: 5,
    limits: (name) => ({ name }),
    reach: (server, length) => askAll(server, "rename", [{ name: "x".repeat(length) }]),
    refused: "bad_request",
    metric: command("bad_request"),
  },
  rate: {
    flag: "rate",
    n: 2,
    limits: (rate) => ({ rate, burst: rate }),
    reach: (server, count) => askAll(server, "publish", publications(count)),
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  burst: {
    // Three times that.
    flag: "rate",
    n: 15,
    limits: (burst) => ({ rate: 1, burst }),
    reach: (server, count) => askAll(server, "publish", publications(count)),
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  commands: {
    // Three seconds' worth may come at once.
    flag: "max-commands",
    n: 3,
    limits: (n) => ({ commands: n / 3 }),
    reach: (server, count) => askAll(server, "ping", times(count).map(() => ({}))),
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  signals: {
    // As above.
    flag: "max-signals",
    n: 3,
    limits: (n) => ({ signals: n / 3 }),
    reach: (server, count) =>
      askAll(server, "signal", times(count).map((data) => ({ channel: "room:a", data }))),
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  repeats: {
    // As above; the first is no repeat.
    flag: "max-repeats",
    n: 4,
    limits: (n) => ({ repeats: (n - 1) / 3 }),
    reach: (server, count) =>
      askAll(
        server,
        "publish",
        times(count).map((data) => ({ channel: "room:a", data, key: "k" })),
      ),
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  refusals: {
    // Ten seconds' worth.
    flag: "max-refusals",
    n: 10,
    limits: (n) => ({ refusals: n / 10 }),
    async reach(server, count) {
      const told = await askAll(server, "history", times(count).map(() => ({ channel: "a" })));
      return told === "bad_request" ? "done" : told;
    },
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  connections: {
    flag: "max-connections",
    n: 3,
    limits: (connections) => ({ connections }),
    reach: (server, count) => connectAll(server, count, FROM),
    refused: 503,
    metric: request(503),
  },
  perAddress: {
    flag: "max-per-address",
    n: 3,
    limits: (perAddress) => ({ perAddress }),
    reach: (server, count) => connectAll(server, count, FROM),
    refused: 429,
    metric: request(429),
  },
  perAccount: {
    flag: "max-per-account",
    n: 3,
    limits: (perAccount) => ({ perAccount }),
    reach: async (server, count) =>
      await connectAll(server, count, {
        ...FROM,
        cookie: await cookieOf(server, "/to_chat/", FROM),
      }),
    refused: 429,
    metric: request(429),
  },
  newAccounts: {
    flag: "max-new-accounts",
    n: 3,
    limits: (newAccounts) => ({ newAccounts }),
    async reach(server, count) {
      let last: Record<string, unknown> = {};
      for (const data of times(count)) {
        await using client = await NativeClient.open(server, FROM);
        last = await client.ask("publish", { channel: "room:a", data });
      }
      return codeOf(last);
    },
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  read: {
    flag: "max-read",
    n: 5,
    limits: (n) => ({ read: 1, readBurst: n * MESSAGE_SIZE }),
    reach: readTimes,
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
  readBurst: {
    // Eight times that.
    flag: "max-read",
    n: 5,
    limits: (n) => ({ read: 1, readBurst: n * MESSAGE_SIZE }),
    reach: readTimes,
    refused: "rate_limited",
    metric: command("rate_limited"),
  },
};

async function countIn(server: TestServer, metric: string): Promise<number> {
  const token = (await Deno.readTextFile(`${server.data}/admin.token`)).trim();
  const headers = { ...FROM, authorization: `Bearer ${token}` };
  const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const line = text.split("\n").find((line) => line.startsWith(`fanfare_${metric} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}

Deno.test("no limit is missing in the table", () => {
  const named = Object.keys({ ...BOUNDS, ...ELSEWHERE });
  assertEquals(named.sort(), Object.keys(DEFAULT_LIMITS).sort());
});

Deno.test("a limit has a flag that sets it, and a default; what has none is the protocol's", async () => {
  const fixed: string[] = [];
  for (
    const [name, { flag }] of Object.entries({ ...BOUNDS, ...ELSEWHERE })
  ) {
    if (flag === undefined) {
      fixed.push(name);
      continue;
    }
    const config = readConfig([`--${flag}`, "7"], () => undefined);
    if (typeof config === "string") throw new Error("No configuration");
    const factor = { burst: 3, readBurst: 8 }[name] ?? 1;
    assertEquals(Reflect.get(config.limits, name), factor * 7, name);
  }
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  const { limits } = await client.do("hello", {});
  for (const name of fixed.filter((name) => !(name in ELSEWHERE))) {
    assertEquals(Reflect.get(Object(limits), name), Reflect.get(DEFAULT_LIMITS, name));
  }
  assertEquals(fixed, ["frame", "pending", "stuck"]);
});

for (const [name, { n, limits, reach, refused, metric }] of Object.entries(BOUNDS)) {
  Deno.test(`limits.${name}: n pass, n + 1 don't, and that is counted`, async () => {
    for (const [count, told] of [[n, "done"], [n + 1, refused]] as const) {
      await using server = await startServer({ limits: limits(n), trustProxy: true });
      assertEquals(await reach(server, count), told, `${count} of ${n}`);
      const counted = await countIn(server, metric);
      if (told === "done") assertEquals(counted, 0);
      else assertGreater(counted, 0);
    }
  });
}
