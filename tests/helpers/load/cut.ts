/** Very many clients that are cut at once, and come back as the client library does (threats.md L2). */
import type { Buffer } from "node:buffer";
import { pause, within } from "../child_server.ts";
import { percentile } from "./figures.ts";
import { backoff } from "../../../static/client/time.js";
import { FrameSocket, type FrameTaker } from "./frames.ts";

/** Who is cut. */
export interface Cutting {
  readonly port: number;
  readonly clients: number;
  /** How many messages each of them misses. */
  readonly behind: number;
}

/** How they came back. */
export interface Return {
  /** Until the last one had all that it missed, in seconds. */
  readonly seconds: number;
  /** The same for half of them. */
  readonly half: number;
  /** Handshakes that were refused, or broke. */
  readonly refused: number;
  /** The slowest answer to one who was never cut meanwhile, in milliseconds. */
  readonly slowest: number;
}

const PATH = "/ws";
const HEADERS = ["Sec-WebSocket-Protocol: fanfare.v1"];
const CHANNEL = "room:cut";
const AT_ONCE = 100;
const LIMIT = 120_000;
const LOOK = 100;

/** One command after the other, each with its answer; what else comes is passed over. */
class Caller implements FrameTaker {
  #told: ((answer: string) => void) | undefined;
  readonly #socket: FrameSocket;

  constructor(socket: FrameSocket) {
    this.#socket = socket;
    socket.listen(this);
  }

  known(): boolean {
    return false;
  }

  arrived(): void {}

  whole(payload: Buffer): void {
    const text = payload.toString();
    if (text.startsWith('{"id":1,')) this.#told?.(text.split("\n", 1)[0] ?? "");
  }

  async ask(verb: string, body: object): Promise<Record<string, unknown>> {
    const answer = new Promise<string>((resolve) => this.#told = resolve);
    this.#socket.send(JSON.stringify({ id: 1, [verb]: body }));
    const line = await within(answer, LIMIT, `the answer to "${verb}"`);
    const done = JSON.parse(line)[verb];
    if (typeof done === "object" && done !== null) return done;
    throw new Error(`Refused: ${line}`);
  }

  close(): void {
    this.#socket.close();
  }
}

const open = async (port: number) => new Caller(await FrameSocket.open(port, PATH, HEADERS));

/**
 * Connects all of them, cuts all at once, and waits until each has what it missed, whole, once and in order.
 *
 * @param cutting Who.
 * @returns How long it took.
 * @throws {Error} If one of them has something else.
 */
export async function cutAll({ port, clients, behind }: Cutting): Promise<Return> {
  const writer = await open(port);
  const { epoch, seq } = await writer.ask("subscribe", { channel: CHANNEL });
  const crowd: Caller[] = [];
  while (crowd.length < clients) {
    const group = Array.from({ length: AT_ONCE }, async () => {
      const caller = await open(port);
      await caller.ask("subscribe", { channel: CHANNEL });
      return caller;
    });
    crowd.push(...await Promise.all(group));
  }
  for (const caller of crowd) caller.close();
  for (let i = 0; i < behind; i++) await writer.ask("publish", { channel: CHANNEL, data: i });
  const begun = performance.now();
  const times: number[] = [];
  let refused = 0;
  const back = async () => {
    const caller = await comeBack(port, () => refused += 1);
    const page = await caller.ask("subscribe", { channel: CHANNEL, since: { epoch, seq } });
    assertWhole(page, behind);
    times.push((performance.now() - begun) / 1000);
    return caller;
  };
  let done = false;
  const all = Promise.all(Array.from({ length: clients }, back)).finally(() => done = true);
  let slowest = 0;
  while (!done) {
    const asked = performance.now();
    await writer.ask("ping", {});
    slowest = Math.max(slowest, performance.now() - asked);
    await pause(LOOK);
  }
  for (const caller of [...await all, writer]) caller.close();
  return { seconds: Math.max(...times), half: percentile(times, 0.5), refused, slowest };
}

async function comeBack(port: number, refused: () => void): Promise<Caller> {
  for (let attempt = 0;; attempt++) {
    await pause(backoff(attempt, Math.random()));
    try {
      return await open(port);
    } catch {
      refused();
    }
  }
}

function assertWhole({ recovered, messages }: Record<string, unknown>, behind: number): void {
  const data = Array.isArray(messages) ? messages.map((message) => message.data) : [];
  if (recovered && data.length === behind && data.every((value, i) => value === i)) return;
  throw new Error(`Not what was missed: ${JSON.stringify(data).slice(0, 200)}`);
}
