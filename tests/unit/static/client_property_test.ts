/** The client library against a server that drops, stutters, refuses and starts over at random moments. */
import { assertEquals } from "@std/assert";
import { type Client, connect, memoryStore } from "../../../static/client/fanfare.js";
import { FakeLocks, FakeServer, fits, settle } from "./fake_server.ts";
import { fc } from "../../helpers/properties.ts";

const CHANNELS = ["room:a", "dm:ada.bob"];
/** What each tab subscribes to: one channel twice. */
const SUBSCRIBED = [...CHANNELS, "dm:*"];

type Step =
  | { do: "publish"; tab: number; channel: number }
  | { do: "foreign"; channel: number; count: number }
  | { do: "take" | "deliver"; socket: number; count: number }
  | { do: "open" | "drop" | "refuse" | "reload"; socket: number }
  | { do: "stutter" | "wipe" | "restart" }
  | { do: "wait"; ms: number };

const channel = fc.nat(CHANNELS.length - 1);
const tab = fc.nat(1);
const socket = fc.nat(1);
const count = fc.integer({ min: 1, max: 5 });
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("publish" as const), tab, channel }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("foreign" as const), channel, count }) },
    {
      weight: 10,
      arbitrary: fc.record({ do: fc.constantFrom("take" as const, "deliver"), socket, count }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("open" as const), socket }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("drop" as const, "refuse"), socket }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("reload" as const), socket: tab }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom("stutter" as const, "wipe", "restart") }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("wait" as const),
        ms: fc.constantFrom(10, 600, 5000),
      }),
    },
  ),
  { maxLength: 80, size: "max" },
);

/** One browser: two tabs, one store. */
class World {
  readonly server = new FakeServer();
  readonly logs: FakeServer["log"][] = [];
  /** What each publish was, and how often it was acknowledged. */
  readonly published: { n: number; tab: number; channel: string }[] = [];
  readonly sent = new Map<number, number>();
  readonly heard: { n: unknown; seq: number }[][][] = [];
  readonly #store = memoryStore(true);
  readonly #locks = new FakeLocks();
  readonly #clients: Client[] = [];
  #epoch = 1;

  constructor() {
    this.server.limits = { message: 1000, pending: 4, rate: 5, burst: 3 };
    this.#open(0);
    this.#open(1);
  }

  #open(tab: number): void {
    const heard: { n: unknown; seq: number }[][] = SUBSCRIBED.map(() => []);
    this.heard[tab] = heard;
    const client = connect({ ...this.server.options, store: this.#store, locks: this.#locks });
    this.#clients[tab] = client;
    client.on("sent", (_client, { item }) => {
      const { n } = item.data as { n: number };
      this.sent.set(n, (this.sent.get(n) ?? 0) + 1);
    });
    for (const [i, channel] of SUBSCRIBED.entries()) {
      client.subscribe(channel, {
        history: 50,
        onMessages(messages, gap, reset) {
          assertEquals(gap, reset, "there is only a gap where the log is another");
          if (reset) heard[i] = [];
          heard[i]?.push(...messages.map(({ data, seq }) => ({ n: data, seq })));
        },
      });
    }
  }

  async step(step: Step): Promise<void> {
    const { server } = this;
    const socket = "socket" in step ? server.sockets.at(-1 - step.socket) : undefined;
    switch (step.do) {
      case "publish": {
        const channel = CHANNELS[step.channel] ?? "";
        const n = this.published.length;
        this.published.push({ n, tab: step.tab, channel });
        this.#clients[step.tab]?.publish(channel, { n }).catch(() => {});
        break;
      }
      case "foreign":
        for (let i = 0; i < step.count; i++) {
          server.publish("bob", CHANNELS[step.channel] ?? "", "foreign");
        }
        break;
      case "take":
        if (socket?.readyState === 1) server.take(socket, step.count);
        break;
      case "deliver":
        socket?.deliver(step.count);
        break;
      case "open":
        socket?.open();
        break;
      case "drop":
        socket?.drop();
        break;
      case "refuse":
        if (socket !== undefined) socket.refusesFor = 700;
        break;
      case "reload":
        await this.#reload(step.socket);
        break;
      case "stutter":
        server.stutters = !server.stutters;
        break;
      case "restart":
        for (const one of server.sockets) one.drop(1001);
        break;
      case "wipe":
        for (const one of server.sockets) one.drop();
        this.logs.push(server.log);
        server.wipe(`e${++this.#epoch}`);
        break;
      case "wait":
        if (step.ms > 100) await this.#hearRefusals();
        await server.time.advance(step.ms);
    }
    await settle();
  }

  // A page that goes is silent: its socket is cut, its lock is free.
  async #reload(tab: number): Promise<void> {
    await settle();
    this.#clients[tab]?.close();
    await settle();
    this.#open(tab);
  }

  // A refusal lasts longer than a line is under way: what was sent before it was heard of is refused too.
  async #hearRefusals(): Promise<void> {
    const { sockets, time } = this.server;
    for (const socket of sockets.filter((one) => one.refusesUntil > time.clock.now())) {
      while (socket.sent.length + socket.due.length > 0) {
        this.server.take(socket);
        socket.deliver();
        await settle();
      }
    }
  }

  async heal(): Promise<void> {
    this.server.stutters = false;
    for (let i = 0; i < 12; i++) {
      await this.server.runFor(10_000);
      if (this.#clients.every((client) => client.state === "open" && client.outbox.length === 0)) {
        break;
      }
    }
    this.logs.push(this.server.log);
  }

  check(): void {
    for (const client of this.#clients) assertEquals([client.state, client.outbox], ["open", []]);
    for (const log of this.logs) {
      const own = log.filter(({ from }) => from === "ada");
      const keys = own.map(({ key }) => key);
      assertEquals(new Set(keys).size, keys.length, "a message is in a log once");
    }
    const everywhere = new Set(
      this.logs.flat().map(({ data }) => (data as { n?: number }).n),
    );
    for (const { n } of this.published) {
      assertEquals(everywhere.has(n), true, `${n} is in a log`);
      assertEquals(this.sent.get(n), 1, `${n} is acknowledged once`);
    }
    for (const heard of this.heard) {
      for (const [i, channel] of SUBSCRIBED.entries()) {
        const there = this.server.log.filter((message) => fits(channel, message.channel))
          .map(({ data, seq }) => ({ n: data, seq }));
        assertEquals(heard[i], there, "each message is handed out once and in order");
      }
    }
  }

  checkOrder(): void {
    for (const log of this.logs) {
      for (const channel of CHANNELS) {
        for (const tab of [0, 1]) {
          const mine = new Set(
            this.published.filter((one) => one.tab === tab && one.channel === channel)
              .map(({ n }) => n),
          );
          const order = log.map(({ data }) => (data as { n?: number }).n ?? -1)
            .filter((n) => mine.has(n));
          assertEquals(
            order,
            order.toSorted((a, b) => a - b),
            "one tab's messages keep their order",
          );
        }
      }
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}

Deno.test("whatever breaks: every publish is acknowledged once and in order, every message handed out once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const world = new World();
      try {
        for (const step of list) await world.step(step);
        await world.heal();
        world.check();
        world.checkOrder();
      } finally {
        world.close();
      }
    }),
    { numRuns: Number(Deno.env.get("FC_RUNS") ?? 300) },
  );
});
