/**
 * What hostile clients do that read, unpack or say much: a process of its own, told by JSON on its command line, that goes on until
 * it is killed.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { pause } from "../child_server.ts";

/** The kinds of attacks. */
export const ATTACKS = [
  "burn",
  "poll",
  "place",
  "stream",
  "history",
  "gzip",
  "signals",
  "unread",
] as const;

/** A kind of attack. */
export type Attack = typeof ATTACKS[number];

/** What is to be done. */
export interface AttackJob {
  readonly attack: Attack;
  /** Of the server, on 127.0.0.1. */
  readonly port: number;
  readonly clients: number;
  /** The first channels of the full log. */
  readonly channels: number;
}

/**
 * Names the channels of the full log.
 *
 * @param count How many.
 * @returns Their names without a kind.
 */
export function topics(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `f${i}`);
}

// A client keeps so many pages under way.
const PIPELINED = 4;
const SIGNALS_A_SECOND = 200;
const SIGNAL_BYTES = 65_000;
const BOMB = 265_000;
// Before a client that was refused or closed comes back, in milliseconds.
const RECONNECT = 50;

type Run = (job: AttackJob) => Promise<void>;

const url = ({ port }: AttackJob) => `http://127.0.0.1:${port}`;

/** Asks again and again, and reads up to so many bytes of each answer. */
async function ask(address: string, init: RequestInit = {}, most = Infinity): Promise<void> {
  for (;;) {
    try {
      const { body } = await fetch(address, init);
      let read = 0;
      for await (const chunk of body ?? []) if ((read += chunk.length) >= most) break;
    } catch {
      // Refused or cut: comes again.
      await pause(10);
    }
  }
}

async function connect({ port }: AttackJob): Promise<WebSocket> {
  for (;;) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    socket.onopen = () => resolve(true);
    socket.onclose = () => resolve(false);
    if (await promise) return socket;
    await pause(RECONNECT);
  }
}

// Attacks with one connection after the other: a close ends none.
async function insist(job: AttackJob, attack: (socket: WebSocket) => Promise<void>): Promise<void> {
  for (;;) {
    await attack(await connect(job));
    await pause(RECONNECT);
  }
}

function closed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => socket.onclose = () => resolve());
}

function history(job: AttackJob): Promise<void> {
  let id = 0;
  return insist(job, async (socket) => {
    const next = () => {
      const channel = `push:f${id % job.channels}`;
      socket.send(JSON.stringify({ id: ++id, history: { channel, limit: 200 } }));
    };
    socket.onmessage = next;
    for (let i = 0; i < PIPELINED; i++) next();
    await closed(socket);
  });
}

function signals(job: AttackJob): Promise<void> {
  const data = "x".repeat(SIGNAL_BYTES);
  return insist(job, async (socket) => {
    let id = 0;
    for (let i = 0; i < job.channels; i++) {
      socket.send(JSON.stringify({ id: ++id, subscribe: { channel: `room:s${i}` } }));
    }
    for (const begun = performance.now(), first = id; socket.readyState === WebSocket.OPEN;) {
      const due = (performance.now() - begun) * SIGNALS_A_SECOND / 1000;
      // A signal that the socket doesn't take now is sent later.
      while (id - first < due && socket.bufferedAmount < 1_048_576) {
        const channel = `room:s${id % job.channels}`;
        socket.send(JSON.stringify({ id: ++id, signal: { channel, data } }));
      }
      await pause(5);
    }
  });
}

async function unread({ port, channels }: AttackJob): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const path = `/push/${topics(channels).join(",")}/json?poll=1&since=all`;
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  await new Promise(() => {});
}

// Takes processor time and leaves the server alone, to tell what comes of that.
async function burn(): Promise<void> {
  const source = "for (;;) Math.random();";
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  new Worker(url, { type: "module" });
  await new Promise(() => {});
}

const RUNS: Readonly<Record<Attack, Run>> = {
  poll: (job) => ask(`${url(job)}/push/${topics(job.channels).join(",")}/json?poll=1&since=all`),
  place: (job) => {
    const query = topics(job.channels).map((topic) => `channel=push:${topic}`).join("&");
    return ask(`${url(job)}/events?${query}`, { headers: { "last-event-id": "foreign:1" } }, 1);
  },
  stream: (job) =>
    ask(`${url(job)}/push/${topics(job.channels).join(",")}/json?since=all`, {}, 16 * 1_048_576),
  history,
  gzip: (job) => {
    const body = gzipSync(JSON.stringify({ data: "x".repeat(BOMB) }));
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const init = { method: "POST", headers, body: new Uint8Array(body) };
    return ask(`${url(job)}/api/channels/push:gzip/messages`, init);
  },
  signals,
  unread,
  burn,
};

if (import.meta.main) {
  const job: AttackJob = JSON.parse(Deno.args[0] ?? "");
  for (let i = 0; i < job.clients; i++) void RUNS[job.attack](job);
  console.log("attacking");
}
