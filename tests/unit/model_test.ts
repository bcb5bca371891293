/** Random sequences of commands against a simple model of rooms, messages and presence. */
import { edgeRates } from "../../lib/config/limits.ts";
import { assertEquals } from "@std/assert";
import { directBus } from "../../lib/bus/bus.ts";
import { Core } from "../../lib/core/core.ts";
import { localSequencer } from "../../lib/sequencer/sequencer.ts";
import { Connection, type Socket } from "../../lib/delivery/connection.ts";
import { Hub } from "../../lib/delivery/hub.ts";
import { native } from "../../lib/codecs/native.ts";
import { NativeSession } from "../../lib/sessions/native.ts";
import { Counters } from "../../lib/observability/counters.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import { directChannel } from "../../lib/protocol/channel.ts";
import { openAccess } from "../helpers/access.ts";
import { UNBOUNDED } from "../helpers/limits.ts";
import { memoryFolder } from "../helpers/log.ts";
import { fc } from "../helpers/properties.ts";
import { turn } from "../helpers/world.ts";

const ACCOUNTS = ["ada", "bob", "eve"];
const ROOMS = ["room:a", "room:b"];

type Step =
  | { do: "subscribe" | "unsubscribe"; who: number; room: number }
  | { do: "publish"; who: number; room: number; key: number }
  | { do: "whisper"; who: number; to: number }
  | { do: "history"; who: number; room: number; limit: number };

const who = fc.nat(ACCOUNTS.length - 1);
const room = fc.nat(ROOMS.length - 1);
const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom("subscribe" as const, "unsubscribe" as const), who, room }),
    fc.record({ do: fc.constant("publish" as const), who, room, key: fc.nat(4) }),
    fc.record({ do: fc.constant("whisper" as const), who, to: who }),
    fc.record({
      do: fc.constant("history" as const),
      who,
      room,
      limit: fc.integer({ min: 1, max: 5 }),
    }),
  ),
  { maxLength: 40 },
);

interface Said {
  channel: string;
  from: string;
  data: number;
}

/** What the server should do, in a few lines. */
class Model {
  readonly said: Said[] = [];
  readonly subscribed = ACCOUNTS.map(() => new Set<string>());
  readonly came = ACCOUNTS.map(() => new Set<string>());
  readonly due: Said[][] = ACCOUNTS.map(() => []);
  readonly #keys = new Set<string>();

  publish(from: number, channel: string, key: string | undefined, data: number): boolean {
    const account = ACCOUNTS[from] ?? "";
    const known = `${account} ${channel} ${key}`;
    if (key !== undefined && this.#keys.has(known)) return false;
    if (key !== undefined) this.#keys.add(known);
    const message = { channel, from: account, data };
    this.said.push(message);
    const parties = channel.startsWith("dm:") ? channel.slice(3).split(".") : [];
    ACCOUNTS.forEach((name, i) => {
      if (this.subscribed[i]?.has(channel) || parties.includes(name)) this.due[i]?.push(message);
    });
    return true;
  }
}

/** A client over a socket that is a list; the rest is the server's own. */
class Client {
  readonly lines: Record<string, unknown>[] = [];
  readonly connection: Connection;
  readonly #session: NativeSession;
  #id = 0;

  constructor(account: string, edge: ConstructorParameters<typeof NativeSession>[2]) {
    const socket: Socket = {
      bufferedAmount: 0,
      readyState: WebSocket.OPEN,
      send: (frame) =>
        this.lines.push(...String(frame).split("\n").map((line) => JSON.parse(line))),
      close: () => {},
    };
    this.connection = new Connection(`c-${account}`, socket, native, edge.hub, "127.0.0.1");
    this.#session = new NativeSession(this.connection, { account, admin: false }, edge);
  }

  send(verb: string, body: unknown): number {
    this.#session.receive(JSON.stringify({ id: ++this.#id, [verb]: body }));
    return this.#id;
  }
}

async function play(sequence: Step[], one: boolean, path: string): Promise<void> {
  const log = new Log(path, () => "epoch");
  const reader = new Reader(path);
  const bus = directBus();
  const now = 0;
  const core = new Core({
    bus: bus.core,
    log,
    sequencer: localSequencer(log, () => now),
    now: () => now,
    limits: UNBOUNDED,
  });
  const { access, expiry } = await openAccess(() => now);
  const hub = new Hub(bus.edge, reader, log.seq, () => now);
  const edge = {
    hub,
    bus: bus.edge,
    access,
    expiry,
    limits: UNBOUNDED,
    rates: edgeRates(UNBOUNDED),
    counters: new Counters(),
    clock: () => now,
    ping: 1000,
  };
  const settle = async () => {
    await core.settle();
    // Each turn answers one question of a client at least: its clock stands, so no turn is over.
    for (const _ of clients) await turn();
    await turn();
  };
  const clients = ACCOUNTS.map((account) => new Client(account, edge));
  const model = new Model();
  for (const client of clients) client.send("subscribe", { channel: "dm:*" });
  await settle();
  let data = 0;
  for (const step of sequence) {
    data += 1;
    const client = clients[step.who];
    if (client === undefined) continue;
    if ("limit" in step) {
      await settle();
      const channel = ROOMS[step.room] ?? "";
      const id = client.send("history", { channel, limit: step.limit });
      await settle();
      const answer = client.lines.find((line) => line.id === id)?.history;
      const all = model.said.filter((message) => message.channel === channel);
      assertEquals(pick(answer), all.slice(-step.limit).map(({ data }) => data));
    } else if ("key" in step) {
      const channel = ROOMS[step.room] ?? "";
      const key = step.key === 0 ? undefined : `k${step.key}`;
      client.send("publish", { channel, data, ...(key === undefined ? {} : { key }) });
      model.publish(step.who, channel, key, data);
    } else if ("to" in step) {
      const channel = directChannel(ACCOUNTS[step.who] ?? "", ACCOUNTS[step.to] ?? "");
      client.send("publish", { channel, data });
      model.publish(step.who, channel, undefined, data);
    } else {
      await settle();
      const channel = ROOMS[step.room] ?? "";
      client.send(step.do, { channel });
      if (step.do === "subscribe") model.came[step.who]?.add(channel);
      if (step.do === "subscribe") model.subscribed[step.who]?.add(channel);
      else model.subscribed[step.who]?.delete(channel);
      // What was published before is committed later: a subscription's place is that of its answer.
      await settle();
    }
    if (one) await settle();
  }
  await settle();
  clients.forEach((client, i) => {
    const heard = client.lines.flatMap(({ message }) => message === undefined ? [] : [message]);
    const seqs = heard.map((message) => field(message, "seq"));
    assertEquals(seqs, seqs.toSorted((a, b) => Number(a) - Number(b)), "in the order of seq");
    assertEquals(
      heard.map((message) => field(message, "data")),
      model.due[i]?.map(({ data }) => data),
    );
  });
  // Time stands still here, so whoever was there lingers; that they go is presence_test's.
  for (const channel of ROOMS) {
    const id = clients[1]?.send("presence", { channel });
    await settle();
    const answer = clients[1]?.lines.find((line) => line.id === id)?.presence;
    assertEquals(field(answer, "count"), model.came.filter((rooms) => rooms.has(channel)).length);
  }
  core.close();
  reader.close();
  log.close();
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function pick(answer: unknown): unknown {
  const messages = field(answer, "messages");
  return Array.isArray(messages) ? messages.map((message) => field(message, "data")) : messages;
}

Deno.test("six hundred random sequences end as the model says", async () => {
  const folder = memoryFolder();
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.boolean(),
        (sequence, one) => play(sequence, one, `${folder}/${run++}.db`),
      ),
      { numRuns: 600, endOnFailure: false },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
