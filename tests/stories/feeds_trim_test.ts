/** Rows of feeds in which nothing is kept are removed, and nobody who comes back misses a gap for it. */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { nextFeedTrim } from "../../lib/core/retention.ts";
import { check } from "../../lib/store/fsck.ts";
import { FEEDS_STEP, keptIn, KEY_AGE } from "../../lib/store/feeds.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import { parseChannel } from "../../lib/protocol/channel.ts";
import type { Proposal } from "../../lib/protocol/message.ts";
import { EventStream } from "../helpers/http.ts";
import { memoryFolder, tempFolder } from "../helpers/log.ts";
import { fc } from "../helpers/properties.ts";
import { NativeClient, startServer } from "../helpers/server.ts";

const CHANNELS = ["room:a", "room:b", "push:p", "push:q", "dm:ada.bob", "dm:ada.ada"];

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("publish" as const),
        channel: fc.nat(CHANNELS.length - 1),
        key: fc.constantFrom(undefined, undefined, undefined, 1, 2),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("trim" as const),
        scope: fc.constantFrom("all" as const, "push" as const),
        part: fc.constantFrom(5, 8, 10),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("tidy" as const, "wait" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("reopen" as const) }) },
  ),
  { maxLength: 60 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

/** A log, and what a model says that is kept and gone. */
class World {
  readonly #path: string;
  #log: Log;
  #reader: Reader;
  #time = 1000;
  readonly #kept: { channel: string; seq: number }[] = [];
  /** Of each feed the greatest seq that is gone. */
  readonly #gone = new Map<string, number>();

  constructor(path: string) {
    this.#path = path;
    this.#log = new Log(path, () => "epoch");
    this.#reader = new Reader(path);
  }

  do(step: Step): void {
    switch (step.do) {
      case "publish":
        return this.#publish(CHANNELS[step.channel] ?? "", step.key);
      case "trim":
        return this.#trim(step.scope, Math.floor((this.#log.seq * step.part) / 10));
      case "tidy":
        return this.tidy();
      case "wait":
        this.#time += KEY_AGE;
        break;
      case "reopen":
        this.close();
        this.#log = new Log(this.#path, () => "epoch");
        this.#reader = new Reader(this.#path);
    }
  }

  #publish(channel: string, key: number | undefined): void {
    const more = key === undefined ? {} : { key: String(key) };
    const outcome = this.#apply({ kind: "message", channel, from: "ada", data: "1", ...more });
    if (!outcome?.duplicate) this.#kept.push({ channel, seq: this.#log.seq });
  }

  #trim(scope: "all" | "push", upTo: number): void {
    this.#apply({ kind: "trim", scope, upTo });
    const goes = ({ channel, seq }: { channel: string; seq: number }) =>
      seq <= upTo && (scope === "all" || channel.startsWith("push:"));
    for (const { channel, seq } of this.#kept.filter(goes)) {
      for (const feed of feedsIn(channel)) this.#gone.set(feed, seq);
    }
    this.#kept.splice(0, Infinity, ...this.#kept.filter((message) => !goes(message)));
  }

  tidy(): void {
    while (this.#log.tidy()) { /* Keys that are over. */ }
    for (let next = nextFeedTrim(this.#log); next !== undefined; next = nextFeedTrim(this.#log)) {
      this.#apply(next);
    }
  }

  empty(): void {
    this.#trim("all", this.#log.seq);
    this.#time += KEY_AGE;
    this.#apply({ kind: "account", account: "ada" });
    this.tidy();
    assertEquals(this.rows(), ["push:*"]);
  }

  #apply(proposal: Proposal) {
    const seq = this.#log.seq + 1;
    return this.#log.apply([{ ...proposal, seq, time: this.#time }]).outcomes[0];
  }

  rows(): string[] {
    const db = new DatabaseSync(this.#path, { readOnly: true });
    const names = db.prepare("SELECT name FROM feeds ORDER BY name").all();
    db.close();
    return names.map(({ name }) => String(name));
  }

  compare(): void {
    const rows = this.rows();
    const most = Math.max(0, ...this.#gone.values());
    for (const feed of new Set(CHANNELS.flatMap(feedsIn))) {
      const kept = this.#kept.filter(({ channel }) => feedsIn(channel).includes(feed));
      const { messages } = this.#reader.after(feed, 0, this.#log.seq, 1000);
      assertEquals(messages.map(({ seq }) => seq), kept.map(({ seq }) => seq), feed);
      const [trimmed, gone] = [this.#reader.trimmed(feed), this.#gone.get(feed) ?? 0];
      // Recovery above a place is right where nothing above it is gone; it is refused only for what is gone somewhere.
      assertEquals(
        [trimmed >= gone, trimmed <= most],
        [true, true],
        `${feed}: ${trimmed}, ${gone}`,
      );
      const [head] = this.#reader.index.heads(new Map([[feed, 0]]), this.#log.seq);
      assertEquals([head?.trimmed, head?.seq], [trimmed, kept[0]?.seq], feed);
      assertEquals(kept.length === 0 || rows.includes(feed), true, feed);
    }
  }

  close(): void {
    this.#reader.close();
    this.#log.close();
  }
}

function feedsIn(name: string): string[] {
  const channel = parseChannel(name);
  return channel === undefined ? [] : keptIn(channel).filter((feed) => feed !== "push:*");
}

Deno.test("random publications, trims, steps of tidying and restarts: no gap is missed, and no row stays", () => {
  const folder = memoryFolder();
  let run = 0;
  try {
    fc.assert(
      fc.property(steps, (sequence) => {
        const path = `${folder}/${run++}.db`;
        const world = new World(path);
        for (const step of sequence) {
          world.do(step);
          world.compare();
        }
        world.empty();
        world.compare();
        world.close();
        assertEquals(check(path).faults, []);
      }),
      { numRuns: 100, endOnFailure: false },
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("the same records remove the same rows, whatever was tidied before, and in small steps", () => {
  using folder = tempFolder();
  const [one, other] = ["one", "other"].map((name) =>
    new Log(`${folder.path}/${name}.db`, () => "epoch")
  );
  if (one === undefined || other === undefined) throw new Error("Two logs");
  const apply = (proposal: Proposal, time: number) => {
    const record = { ...proposal, seq: one.seq + 1, time };
    one.apply([record]);
    other.apply([record]);
  };
  const publish = (channel: string, time: number, key?: string) =>
    apply({
      ...{ kind: "message", channel, from: "ada", data: "1" },
      ...(key === undefined ? {} : { key }),
    }, time);
  for (let i = 0; i < 3 * FEEDS_STEP; i++) publish(`room:r${i}`, 1000, i % 2 ? "k" : undefined);
  apply({ kind: "trim", scope: "all", upTo: one.seq }, 1000 + KEY_AGE);
  // Only the first forgets keys; something is published meanwhile in the first row that goes.
  while (one.tidy()) { /* Keys that are over. */ }
  const found = one.feeds.empty();
  assertEquals(found.length, FEEDS_STEP - 1);
  publish("room:r0", 1000 + KEY_AGE);
  apply({ kind: "trim_feeds", feeds: found }, 1000 + KEY_AGE);
  const read = (name: string) => {
    const db = new DatabaseSync(`${folder.path}/${name}.db`, { readOnly: true });
    const rows = [db.prepare("SELECT trimmed FROM log").get()];
    rows.push(...db.prepare("SELECT * FROM feeds ORDER BY id").all());
    db.close();
    return rows;
  };
  assertEquals(read("one"), read("other"));
  assertEquals(read("one").length, 1 + 1 + 3 * FEEDS_STEP - found.length + 1);
  one.close();
  other.close();
});

Deno.test("a server removes rows of its own accord; who comes back is told of the gap, who follows what is kept is given it", async () => {
  let now = Date.UTC(2027, 0);
  const retention = { keep: KEY_AGE, keepPush: 0, keepBytes: 0 };
  await using server = await startServer({ retention }, { clock: () => now });
  const publish = async (channel: string) => {
    await using ada = await NativeClient.open(server);
    return Number((await ada.do("publish", { channel, data: { text: "m" } })).seq);
  };
  let place: Record<string, unknown> = {};
  {
    await using bob = await NativeClient.open(server);
    const { epoch, seq } = await bob.do("subscribe", { channel: "room:a" });
    place = { epoch, seq };
  }
  await publish("room:a");
  await publish("push:p");
  now += 2 * KEY_AGE;
  const kept = await publish("push:p");
  await server.restart();
  const rows = () => {
    const db = new DatabaseSync(`${server.data}/fanfare.db`, { readOnly: true });
    const names = db.prepare("SELECT name FROM feeds WHERE name <> 'push:*'").all();
    db.close();
    return names.map(({ name }) => name);
  };
  for (const end = Date.now() + 20_000; rows().length > 1 && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(rows(), ["push:p"]);
  await using bob = await NativeClient.open(server);
  const { recovered, seq, epoch } = await bob.do("subscribe", { channel: "room:a", since: place });
  assertEquals(recovered, false);
  const again = await bob.do("subscribe", { channel: "room:a", since: { epoch, seq } });
  assertEquals(again.recovered, true);
  // A stream of all that there is isn't owed what there was.
  await using stream = await EventStream.open(server, "/push/p/sse?since=all");
  await stream.until("open");
  const { data = "{}" } = await stream.next() ?? {};
  assertEquals([JSON.parse(data).message, String(JSON.parse(data).id).endsWith(String(kept))], [
    "m",
    true,
  ]);
});
