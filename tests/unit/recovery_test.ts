/** Nothing lost, nothing twice: random publishing, subscribing, stalling, dropping, trimming and restarting against a model. */
import { assertEquals, assertLess } from "@std/assert";
import { directChannel } from "../../lib/protocol/channel.ts";
import { memoryFolder } from "../helpers/log.ts";
import { fc } from "../helpers/properties.ts";
import { randomOf } from "../helpers/random.ts";
import { readAll, turn, World, type WorldOptions } from "../helpers/world.ts";

const ACCOUNTS = ["ada", "bob", "eve"];
const CHANNELS = ["room:a", "push:b"];
// More than a page.
const BURST = 230;

// What a client keeps to: limits.pending, with room for the subscriptions.
const WINDOW = 200;

/** From now on, from its place on, or from the beginning. */
type Since = "now" | "place" | "beginning";

type Step =
  | { do: "publish"; who: number; channel: number; burst: boolean; size: number }
  | { do: "whisper"; who: number; to: number }
  | { do: "subscribe"; who: number; channel: number; since: Since; presence: boolean }
  | { do: "unsubscribe"; who: number; channel: number }
  | { do: "stall" | "flow" | "drop"; who: number }
  | { do: "read"; who: number; frames: number }
  | { do: "trim"; part: number }
  | { do: "restart"; kill: boolean }
  | { do: "settle" };

const who = fc.nat(ACCOUNTS.length - 1);
// 0 and 1 are channels, then all direct messages, then those with one other.
const channel = fc.nat(CHANNELS.length + 1);
const always = <T extends string>(...names: T[]) => fc.constantFrom(...names);
const steps = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: always("publish"),
        who,
        channel: fc.nat(1),
        burst: fc.boolean(),
        size: fc.constantFrom(1, 1, 1, 20_000),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: always("whisper"), who, to: who }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: always("subscribe"),
        who,
        channel,
        since: fc.constantFrom<Since[]>("now", "place", "beginning"),
        presence: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: always("unsubscribe"), who, channel }) },
    { weight: 6, arbitrary: fc.record({ do: always("stall", "flow", "drop"), who }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: always("trim"), part: fc.integer({ min: 1, max: 9 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: always("restart"), kill: fc.boolean() }) },
    {
      weight: 5,
      arbitrary: fc.record({ do: always("read"), who, frames: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 4, arbitrary: fc.record({ do: always("settle") }) },
  ),
  { maxLength: 40 },
);

interface Message {
  readonly channel: string;
  readonly seq: number;
  readonly key: string;
}

/** A subscription as a client keeps it: its place, and all that it was given since it began or since the last gap. */
interface Reading {
  place: number;
  start: number;
  given: number[];
  /** Up to where it is given what it missed; only then may older ones of another subscription come. */
  recovering: number;
}

/** A client of protocol.md, "Recovery", that knows what must never be. */
class Client {
  readonly readings = new Map<string, Reading>();
  readonly acknowledged = new Map<string, number>();
  readonly #outbox = new Map<string, { channel: string; data: string; sent: boolean }>();
  #wire: ReturnType<World["connect"]> | undefined;
  #asked = new Map<number, { verb: string; channel: string; key?: string; since?: number }>();
  readonly #ended = new Map<string, number>();
  #id = 0;

  constructor(readonly account: string) {}

  /** What a dropped connection had under way is gone; everything goes on from its place. */
  connect(world: World): void {
    this.#wire?.connection.end();
    this.#wire = world.connect(this.account);
    this.#asked.clear();
    const places = [...this.readings];
    // Places that were being asked for go back to the last one that is sure.
    for (const [channel, { place }] of places) this.#subscribe(channel, place, false);
    for (const item of this.#outbox.values()) item.sent = false;
    this.#flush();
  }

  publish(key: string, channel: string, data: string): void {
    this.#outbox.set(key, { channel, data, sent: false });
    this.#flush();
  }

  subscribe(channel: string, since: Since, presence: boolean): void {
    const places = { now: undefined, place: this.readings.get(channel)?.place, beginning: 0 };
    this.#subscribe(channel, places[since], presence && channel !== "dm:*");
  }

  unsubscribe(channel: string): void {
    this.#send("unsubscribe", { channel }, { channel });
  }

  get socket() {
    if (this.#wire === undefined) throw new Error("The client isn't connected");
    return this.#wire.socket;
  }

  /** Takes what has come; tells whether anything had. */
  read(most?: number): boolean {
    const frames = this.socket.read(most);
    for (const frame of frames) {
      for (const line of frame.split("\n")) this.#line(JSON.parse(line));
    }
    this.#flush();
    return frames.length > 0;
  }

  #flush(): void {
    for (const [key, item] of this.#outbox) {
      if (this.#asked.size >= WINDOW) return;
      if (item.sent) continue;
      item.sent = true;
      const { channel, data } = item;
      this.#send("publish", { channel, key, data }, { channel, key });
    }
  }

  #subscribe(channel: string, seq: number | undefined, presence: boolean): void {
    const since = seq === undefined ? {} : { since: { epoch: "epoch", seq } };
    const asked = seq === undefined ? { channel } : { channel, since: seq };
    this.#send("subscribe", { channel, ...since, ...presence ? { presence } : {} }, asked);
  }

  #send(
    verb: string,
    body: object,
    asked: { channel: string; key?: string; since?: number },
  ): void {
    this.#asked.set(++this.#id, { verb, ...asked });
    this.#wire?.session.receive(JSON.stringify({ id: this.#id, [verb]: body }));
  }

  // deno-lint-ignore no-explicit-any
  #line(said: any): void {
    if (said.message !== undefined) return this.#message(said.message);
    if (said.id === undefined) return;
    const asked = this.#asked.get(said.id);
    this.#asked.delete(said.id);
    if (asked === undefined) throw new Error(`Nobody asked for ${JSON.stringify(said)}`);
    if (said.error !== undefined) throw new Error(`Refused: ${JSON.stringify(said)}`);
    // Answers come in any order: one that comes behind that of a later unsubscription says nothing any more.
    const ended = this.#ended.get(asked.channel) ?? 0;
    if (asked.verb === "subscribe" && said.id > ended) {
      this.#subscribed(asked.channel, asked.since, said.subscribe);
    }
    if (asked.verb === "unsubscribe") {
      this.#ended.set(asked.channel, said.id);
      this.readings.delete(asked.channel);
    }
    if (asked.verb === "publish" && asked.key !== undefined) {
      const first = this.acknowledged.get(asked.key) ?? said.publish.seq;
      assertEquals(said.publish.seq, first, "a repeat is answered as the first time");
      this.acknowledged.set(asked.key, first);
      this.#outbox.delete(asked.key);
    }
  }

  #message(message: Message): void {
    let wanted = false;
    let live = true;
    const covering = [...this.readings].filter(([channel]) => covers(channel, message.channel));
    for (const [, reading] of covering) {
      if (message.seq <= reading.recovering) live = false;
      if (message.seq <= reading.place) continue;
      reading.given.push(message.seq);
      reading.place = message.seq;
      wanted = true;
    }
    if (live && covering.some(([, { place }]) => place !== message.seq)) wanted = false;
    if (!wanted) throw new Error(`It came twice, or unasked: ${JSON.stringify(message)}`);
  }

  #subscribed(
    channel: string,
    since: number | undefined,
    answer: { seq: number; recovered?: boolean; more?: boolean; messages: Message[] },
  ): void {
    const seqs = answer.messages.map(({ seq }) => seq);
    const known = this.readings.get(channel);
    const recovering = Math.max(answer.more ? answer.seq : 0, known?.recovering ?? 0);
    const place = answer.more ? seqs.at(-1) ?? answer.seq : answer.seq;
    if (since === undefined || since === 0 || !answer.recovered || known === undefined) {
      const begun = since !== undefined && answer.recovered;
      const start = begun ? since : answer.seq;
      this.readings.set(channel, { place, start, given: begun ? seqs : [], recovering });
      return;
    }
    // What came since the command was sent is in the page once more: a client drops what it has.
    assertEquals(seqs.filter((seq) => seq <= since), [], "a page begins above `since`");
    for (const seq of seqs) {
      if (seq <= known.place) assertEquals(known.given.includes(seq) || seq <= known.start, true);
      else known.given.push(seq);
    }
    known.place = Math.max(known.place, place);
    known.recovering = recovering;
  }
}

function covers(subscription: string, channel: string): boolean {
  return subscription === channel || (subscription === "dm:*" && channel.startsWith("dm:"));
}

async function play(
  sequence: Step[],
  folder: string,
  options?: WorldOptions,
): Promise<void> {
  let lives = 0;
  let world = await World.open(folder, {}, options);
  const clients = ACCOUNTS.map((account) => new Client(account));
  for (const client of clients) {
    client.connect(world);
    // Everyone exists, so that everyone can be written to.
    client.publish(`hello ${client.account}`, "room:hall", "0");
  }
  await world.settle();
  let keys = 0;
  let trimmed = 0;
  const sent: { key: string; channel: string }[] = [];
  const publish = (client: Client, channel: string, data = "0") => {
    const key = `k${++keys}`;
    sent.push({ key, channel });
    client.publish(key, channel, data);
  };
  // There is something to recover from the first step on.
  const [first] = clients;
  for (let i = 0; i < 2 * BURST && first !== undefined; i++) publish(first, "room:a");
  for (let i = 0; i < 3; i++) {
    await world.settle();
    for (const each of clients) each.read();
  }
  for (const step of sequence) {
    const client = clients["who" in step ? step.who : 0];
    if (client === undefined) continue;
    const other = ACCOUNTS[("who" in step ? step.who + 1 : 0) % ACCOUNTS.length] ?? "";
    const named = "channel" in step
      ? [...CHANNELS, "dm:*", directChannel(client.account, other)][step.channel] ?? ""
      : "";
    switch (step.do) {
      case "publish":
        for (let i = 0; i < (step.burst ? BURST : 1); i++) {
          publish(client, named, "x".repeat(step.burst ? 1 : step.size));
        }
        break;
      case "whisper":
        publish(client, directChannel(client.account, ACCOUNTS[step.to] ?? ""));
        break;
      case "subscribe":
        client.subscribe(named, step.since, step.presence);
        break;
      case "unsubscribe":
        client.unsubscribe(named);
        break;
      case "stall":
        client.socket.stall();
        break;
      case "flow":
        client.socket.flow();
        break;
      case "read":
        client.read(step.frames);
        break;
      case "drop":
        client.connect(world);
        break;
      case "trim": {
        trimmed = Math.max(trimmed, Math.floor((world.log.seq * step.part) / 10));
        world.edge.bus.send({
          op: "propose",
          proposal: { kind: "trim", scope: "all", upTo: trimmed },
        });
        break;
      }
      case "restart":
        lives += 1;
        if (step.kill) {
          world.kill(`${folder}/${lives}`);
          world = await World.open(`${folder}/${lives}`, {}, options);
        } else {
          const old = world.folder;
          world.close();
          world = await World.open(old, {}, options);
        }
        for (const each of clients) each.connect(world);
        break;
      case "settle":
        await world.settle();
    }
    // Between isolates nothing happens at once: posts of several steps are under way together.
    if (options !== undefined && step.do !== "restart") await turn();
    for (const each of clients) if (each.socket.closed !== undefined) each.connect(world);
  }
  // In the end everyone reads everything.
  for (let round = 0; round < 50; round++) {
    await world.settle();
    let came = false;
    for (const each of clients) {
      if (each.socket.closed !== undefined) each.connect(world);
      each.socket.flow();
      came = each.read() || came;
    }
    if (!came && round > 1) break;
    await new Promise((resolve) => setTimeout(resolve, 6));
  }
  for (const { key, channel } of sent) {
    const seqs = clients.map((client) => client.acknowledged.get(key)).filter((seq) =>
      seq !== undefined
    );
    assertEquals(seqs.length, 1, `${key} in ${channel} was acknowledged`);
  }
  for (const client of clients) {
    for (const [name, { start, given }] of client.readings) {
      const feed = name === "dm:*" ? `dm:*${client.account}` : name;
      const kept = readAll(world.reader, feed, Math.max(start, trimmed));
      const due = kept.map(({ seq }) => seq);
      assertEquals(given.filter((seq) => seq > trimmed), due, `${client.account} in ${name}`);
      assertEquals(new Set(given).size, given.length, "each once");
      assertEquals(given, given.toSorted((a, b) => a - b), "in order");
    }
  }
  const all = ["room:a", "push:b", "room:hall", ...ACCOUNTS.map((account) => `dm:*${account}`)];
  const found = new Map<string, number>();
  for (const feed of all) {
    for (const { key, seq } of readAll(world.reader, feed)) {
      found.set(`${key}`, seq);
      const told = clients.map((client) => client.acknowledged.get(key ?? "")).find((at) =>
        at !== undefined
      );
      assertEquals(told, seq, `${key} is where it was said to be`);
    }
  }
  for (const client of clients) {
    for (const [key, seq] of client.acknowledged) {
      if (seq > trimmed) assertEquals(found.get(key), seq, `${key} was acknowledged`);
    }
  }
  world.close();
}

async function playMany(runs: number, options?: () => WorldOptions): Promise<void> {
  const folder = memoryFolder();
  let run = 0;
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const own = `${folder}/${run++}`;
        Deno.mkdirSync(own);
        await play(sequence, own, options?.());
        Deno.removeSync(own, { recursive: true });
      }),
      { numRuns: Number(Deno.env.get("RUNS") ?? runs), endOnFailure: false },
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("random publishing, subscribing, stalling, dropping, trimming and restarting lose and repeat nothing", () =>
  playMany(100));

Deno.test("the same with three edges on a bus that loses a third of its posts, and bursts of them", async () => {
  let seed = 0;
  let [posts, losses] = [0, 0];
  const options = () => {
    const random = randomOf(++seed, "bus");
    let burst = 0;
    const lost = () => {
      if (burst === 0 && random.chance(0.02)) burst = random.whole(10, 40);
      const gone = burst > 0 || random.chance(1 / 3);
      burst = Math.max(0, burst - 1);
      posts += 1;
      losses += gone ? 1 : 0;
      return gone;
    };
    return { edges: 3, lost, late: () => random.whole(0, 3) };
  };
  await playMany(50, options);
  assertLess(posts / 3, losses);
});
