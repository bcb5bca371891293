/** Seeded mutations of real frames, forms, cookies, URLs and headers against a running server. */
import { type Random, randomOf } from "../../helpers/random.ts";
import {
  connect,
  HANDSHAKE,
  type RawRequest,
  readAnswer,
  sendAll,
  written,
} from "../../helpers/raw_http.ts";
import { mutateBytes, mutateText } from "./mutate.ts";
import {
  BODIES,
  CLAIMS,
  COMMANDS,
  FORMS,
  HEADERS,
  METHODS,
  PATHS,
  PUSH_HEADERS,
  READS,
  TOKEN_HEAD,
  WORDS,
} from "./seeds.ts";

/** What is run. */
export interface FuzzOptions {
  /** The server's `host:port`. */
  readonly host: string;
  /** Of a browser of the server's. */
  readonly cookie: string;
  /** That cookie's account. */
  readonly account: string;
  /** A token of a program that the server takes. */
  readonly token: string;
  /** Signs the head and the claims of a token, whatever they are, as the server's secret does. */
  readonly sign: (head: string, claims: string) => Promise<string>;
  readonly seed: number;
  /** The first case, to play one again. */
  readonly first: number;
  /** How many cases at most. */
  readonly cases: number;
  /** When no new case is begun, in milliseconds of the monotonic clock. */
  readonly until: number;
  /** Called after each thousand cases. */
  readonly onThousand: (cases: number) => Promise<void>;
}

/** What came of it. */
export interface FuzzReport {
  readonly cases: number;
  /** How many of each kind were answered how. */
  readonly answers: Record<string, number>;
  /** What should never be answered, with the number of its case. */
  readonly faults: readonly string[];
}

const AT_ONCE = 8;
const PATIENCE = 150;
const encoder = new TextEncoder();
// A trace of ours has a file and a line.
const TRACE = /\bat .*\.ts:\d+|node_modules|Error: /;

/**
 * Runs cases. Each is made of the seed and its number alone.
 *
 * @param options What.
 * @returns What came of it.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const answers: Record<string, number> = {};
  const faults: string[] = [];
  const { seed, first, cases, until, onThousand } = options;
  let next = first;
  let done = 0;
  const look: Look = (number, kind, answered, text, sent = "") => {
    answers[`${kind} ${answered}`] = (answers[`${kind} ${answered}`] ?? 0) + 1;
    const wrong = answered === "500" || /"code":"internal"/.test(text) || TRACE.test(text);
    const asked = sent.slice(0, 200);
    if (wrong && faults.length < 20) {
      faults.push(
        `case ${number}, ${kind}: ${answered} ${text.slice(0, 300)} to ${JSON.stringify(asked)}`,
      );
    }
  };
  while (next < first + cases && performance.now() < until) {
    const end = Math.min(first + cases, next + 1000);
    const runner = async () => {
      using talk = new Talk(options, look);
      while (next < end && performance.now() < until) {
        const number = next++;
        const random = randomOf(seed, `case ${number}`);
        const run = random.pick([
          frame,
          frame,
          frame,
          rawFrame,
          form,
          body,
          push,
          read,
          token,
          form,
          path,
          head,
          head,
          cookie,
        ]);
        await run(random, options, number, look, talk);
        done += 1;
      }
    };
    // All have ended before one that failed is told of: nothing of them goes on behind it.
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, runner));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    await onThousand(done);
  }
  return { cases: done, answers, faults };
}

type Look = (number: number, kind: string, answered: string, text: string, sent?: string) => void;

/** A connection that frames are sent over until the server has enough. */
class Talk implements Disposable {
  #conn: Deno.TcpConn | undefined;
  readonly #options: FuzzOptions;
  readonly #look: Look;

  constructor(options: FuzzOptions, look: Look) {
    this.#options = options;
    this.#look = look;
  }

  async send(number: number, where: string, bytes: Uint8Array): Promise<void> {
    this.#conn ??= await this.#open(number, where);
    try {
      if (this.#conn !== undefined) await sendAll(this.#conn, bytes);
    } catch {
      // It had enough of the case before; the next one has a connection of its own.
      this.#end();
    }
  }

  async #open(number: number, path: string): Promise<Deno.TcpConn | undefined> {
    const { host, cookie } = this.#options;
    const conn = await connect(host);
    await sendAll(conn, encoder.encode(proxied(host, { path, headers: { ...HANDSHAKE, cookie } })));
    const { status, body } = await readAnswer(conn);
    this.#look(number, "handshake", String(status), body);
    if (status === 101) void this.#read(conn, number);
    else conn.close();
    return status === 101 ? conn : undefined;
  }

  async #read(conn: Deno.TcpConn, number: number): Promise<void> {
    const buffer = new Uint8Array(65_536);
    const decoder = new TextDecoder();
    try {
      for (let count; (count = await conn.read(buffer)) !== null;) {
        this.#look(number, "socket", "frames", decoder.decode(buffer.subarray(0, count)));
      }
    } catch {
      // Reset, or ended by this side.
    }
    if (this.#conn === conn) this.#end();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #end(): void {
    const conn = this.#conn;
    this.#conn = undefined;
    try {
      conn?.close();
    } catch {
      // Closed already.
    }
  }
}

type Case = (
  random: Random,
  options: FuzzOptions,
  number: number,
  look: Look,
  talk: Talk,
) => Promise<void>;

const frame: Case = async (random, _options, number, _look, talk) => {
  const first = random.chance(0.15);
  const seeds: readonly [string, ...string[]] = first ? WORDS : COMMANDS;
  const text = mutateText(random, random.pick(seeds), seeds);
  await talk.send(
    number,
    first ? random.pick(["/chat/", "/link/"]) : "/ws",
    frameOf(1, encoder.encode(text)),
  );
};

const rawFrame: Case = async (random, _options, number, _look, talk) => {
  const payload = encoder.encode(random.pick(COMMANDS));
  const opcode = random.pick([0, 1, 1, 1, 2, 3, 8, 9, 10]);
  await talk.send(
    number,
    random.pick(["/ws", "/chat/"]),
    mutateBytes(random, frameOf(opcode, payload)),
  );
};

const form: Case = async (random, options, number, look) => {
  const [where, fields] = random.pick(FORMS);
  const body = fields.replaceAll("ACCOUNT", options.account);
  const type = "application/x-www-form-urlencoded";
  const request = {
    method: "POST",
    path: where,
    headers: {
      cookie: options.cookie,
      "content-type": random.chance(0.1) ? mutateLine(random, type) : type,
    },
    body: mutateText(random, body, FORMS.map(([, text]) => text)),
  };
  await send(options, number, look, "form", proxied(options.host, request));
};

const path: Case = async (random, options, number, look) => {
  const mutant = mutateLine(random, random.pick(PATHS)).replaceAll(" ", "+");
  const request = {
    method: random.pick(METHODS),
    path: mutant,
    headers: { cookie: options.cookie },
  };
  await send(options, number, look, "url", proxied(options.host, request));
};

const head: Case = async (random, options, number, look) => {
  const lines = [
    `${random.pick(METHODS)} ${random.pick(PATHS)} HTTP/1.1`,
    `host: ${options.host}`,
    `x-forwarded-for: ${FROM}`,
  ];
  for (let times = random.whole(1, 6); times > 0; times--) lines.push(random.pick(HEADERS));
  const at = random.whole(0, lines.length - 1);
  lines[at] = mutateText(random, lines[at] ?? "", lines);
  await send(
    options,
    number,
    look,
    "headers",
    [...lines, "", random.chance(0.3) ? "msg=x" : ""].join("\r\n"),
  );
};

const cookie: Case = async (random, options, number, look) => {
  const mutant = mutateLine(random, options.cookie);
  const headers = { cookie: mutant, ...(random.chance(0.5) ? HANDSHAKE : {}) };
  const request = { path: random.pick(["/ws", "/chat/", "/to_chat/"]), headers };
  await send(options, number, look, "cookie", proxied(options.host, request));
};

const body: Case = async (random, options, number, look) => {
  const [where, json] = random.pick(BODIES);
  const type = "application/json";
  const request = {
    method: "POST",
    path: where.replaceAll("ACCOUNT", options.account),
    headers: {
      cookie: options.cookie,
      "content-type": random.chance(0.05) ? mutateLine(random, type) : type,
    },
    body: mutateText(random, json, BODIES.map(([, text]) => text)),
  };
  await send(options, number, look, "json", proxied(options.host, request));
};

const push: Case = async (random, options, number, look) => {
  const lines = [
    "POST /push/all HTTP/1.1",
    `host: ${options.host}`,
    `x-forwarded-for: ${FROM}`,
    "content-length: 5",
  ];
  for (let times = random.whole(1, 4); times > 0; times--) {
    const line = random.pick(PUSH_HEADERS);
    lines.push(random.chance(0.7) ? mutateLine(random, line) : line);
  }
  await send(options, number, look, "push", [...lines, "", "Hello"].join("\r\n"));
};

const read: Case = async (random, options, number, look) => {
  const path = random.pick(READS);
  const id = `e:${random.whole(0, 99)}`;
  const request = {
    path: (random.chance(0.8) ? mutateLine(random, path) : path).replaceAll(" ", "+"),
    headers: {
      cookie: options.cookie,
      ...(random.chance(0.5) ? { "last-event-id": mutateLine(random, id) } : {}),
    },
  };
  await send(options, number, look, "read", proxied(options.host, request));
};

const token: Case = async (random, options, number, look) => {
  const part = (text: string, others: readonly string[]) =>
    random.chance(0.6) ? mutateText(random, text, others) : text;
  // With a signature that is wrong nothing else of it is looked at.
  const mutant = random.chance(0.3)
    ? mutateLine(random, options.token)
    : await options.sign(part(TOKEN_HEAD, [TOKEN_HEAD]), part(random.pick(CLAIMS), CLAIMS));
  const headers = {
    authorization: `Bearer ${mutant}`,
    // Of one address twenty wrong ones a minute are looked at.
    "x-forwarded-for": [10, 0, 0, 0].map((part) => part || random.whole(0, 255)).join("."),
  };
  await send(options, number, look, "token", proxied(options.host, { path: "/api/me", headers }));
};

// The server under test expects a proxy in front, which names each client.
const FROM = "192.0.2.1";

function proxied(host: string, request: RawRequest): string {
  return written(host, { ...request, headers: { "x-forwarded-for": FROM, ...request.headers } });
}

// Within one line of the head: what breaks out of it is another case.
function mutateLine(random: Random, text: string): string {
  return mutateText(random, text, [text]).replace(/[\r\n]/g, "");
}

async function send(
  { host }: FuzzOptions,
  number: number,
  look: Look,
  kind: string,
  text: string,
): Promise<void> {
  using conn = await connect(host);
  // A request that isn't whole is waited for; whoever sent it goes.
  const timer = setTimeout(() => {
    try {
      conn.close();
    } catch {
      // Closed already.
    }
  }, PATIENCE);
  try {
    await sendAll(conn, encoder.encode(text));
  } catch {
    // Refused before all of it was sent.
  }
  const { status, body } = await readAnswer(conn);
  clearTimeout(timer);
  look(number, kind, String(status), body, text);
}

function frameOf(opcode: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const long = length < 126
    ? [0x80 | length]
    : length < 65_536
    ? [0xfe, length >> 8, length & 0xff]
    : [0xff, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  return new Uint8Array([0x80 | opcode, ...long, 0, 0, 0, 0, ...payload]);
}
