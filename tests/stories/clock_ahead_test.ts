/** A clock that was ahead, or behind, for a moment: what goes by age goes by the clock's own readings, as far as they can be believed (threats.md L6). */
import { assertEquals } from "@std/assert";
import { nextTrim } from "../../lib/core/retention.ts";
import { localSequencer } from "../../lib/sequencer/sequencer.ts";
import type { RetentionPolicy } from "../../lib/config/limits.ts";
import { dayOf } from "../../lib/store/accounts.ts";
import { check } from "../../lib/store/fsck.ts";
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import type { Proposal } from "../../lib/protocol/message.ts";
import { tempFolder } from "../helpers/log.ts";
import { startServer } from "../helpers/server.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2027, 2, 1, 12);
const FOR_EVER: RetentionPolicy = { keep: 0, keepPush: 0, keepBytes: 0 };

/** A log with a clock that goes wrong, and what really happened when. */
class Machine implements Disposable {
  now = START;
  readonly real = new Map<number, number>();
  readonly #folder = tempFolder();
  #log = new Log(this.path, () => "epoch");

  get path(): string {
    return `${this.#folder.path}/log.db`;
  }

  get log(): Log {
    return this.#log;
  }

  /** Has a record committed while the clock is wrong by some milliseconds. */
  async commit(proposal: Proposal, wrong = 0) {
    const { outcomes } = await localSequencer(this.#log, () => this.now + wrong).sequence([
      proposal,
    ]);
    return outcomes[0];
  }

  async publish(channel: string, wrong = 0): Promise<number> {
    const outcome = await this.commit({ kind: "message", channel, from: "ada", data: "1" }, wrong);
    const seq = outcome?.seq ?? 0;
    this.real.set(seq, this.now);
    return seq;
  }

  async trim(policy: Partial<RetentionPolicy>, wrong = 0): Promise<void> {
    for (;;) {
      const next = nextTrim(this.#log, { ...FOR_EVER, ...policy }, this.now + wrong);
      if (next === undefined) return;
      await this.commit(next, wrong);
    }
  }

  kept(feed: string): number[] {
    const reader = new Reader(this.path);
    const { messages } = reader.after(feed, 0, this.#log.seq, 10_000);
    reader.close();
    return messages.map(({ seq }) => seq);
  }

  restart(): void {
    this.#log.close();
    this.#log = new Log(this.path, () => "epoch");
  }

  [Symbol.dispose](): void {
    this.#log.close();
    this.#folder[Symbol.dispose]();
  }
}

for (const ahead of [DAY, 365 * DAY]) {
  for (const [flag, channel] of [["keep", "room:a"], ["keepPush", "push:p"]] as const) {
    Deno.test(`L6: the clock was ahead by ${ahead / DAY} days for one message: ${flag} trims by order all the same`, async () => {
      using machine = new Machine();
      const keep = 6 * HOUR;
      let wrong = 0;
      for (let hour = 0; hour < 60; hour++) {
        const seq = await machine.publish(channel, hour === 3 ? ahead : 0);
        if (hour === 3) wrong = seq;
        if (hour % 7 === 5) machine.restart();
        await machine.trim({ [flag]: keep });
        const kept = machine.kept(channel);
        const old = [...machine.real].filter(([seq, time]) =>
          seq !== wrong && time < machine.now - keep
        ).map(([seq]) => seq);
        const due = [...machine.real.keys()].filter((seq) => seq > (old.at(-1) ?? 0));
        const caught = machine.now >= START + 3 * HOUR + ahead;
        // What came just before the clock had caught up may stay for as long again.
        if (caught && machine.now <= START + 3 * HOUR + ahead + keep) {
          assertEquals(kept.slice(-due.length), due, `hour ${hour}`);
        } else assertEquals(kept, due, `hour ${hour}`);
        machine.now += HOUR;
      }
      assertEquals(check(machine.path).faults, []);
    });
  }
}

for (const behind of [HOUR, 40 * DAY, START - 1000]) {
  Deno.test(`L6: a clock behind by ${Math.round(behind / HOUR)} hours for a moment takes nothing that is younger than --keep`, async () => {
    const keep = 30 * DAY;
    // Never ahead, or ahead before and still not caught up.
    for (const ahead of [0, 365 * DAY]) {
      using machine = new Machine();
      const seqs: number[] = [];
      for (let day = 0; day < 20; day++) {
        seqs.push(await machine.publish("room:a", day === 2 ? ahead : day === 10 ? -behind : 0));
        await machine.trim({ keep }, day === 10 ? -behind : 0);
        await machine.trim({ keep });
        if (day % 4 === 2) machine.restart();
        assertEquals(machine.kept("room:a"), seqs);
        machine.now += DAY;
      }
      machine.now += keep;
      seqs.push(await machine.publish("room:a"));
      await machine.trim({ keep });
      assertEquals(machine.kept("room:a"), seqs.slice(-1));
    }
  });
}

Deno.test("L6: a clock that was behind a week ago isn't believed when one that was ahead has to be", async () => {
  using machine = new Machine();
  const keep = 30 * DAY;
  const seqs = [await machine.publish("room:a"), await machine.publish("room:a", -40 * DAY)];
  machine.now += 7 * DAY;
  seqs.push(await machine.publish("room:a"));
  seqs.push(await machine.publish("room:a", 365 * DAY));
  seqs.push(await machine.publish("room:a"));
  await machine.trim({ keep });
  assertEquals(machine.kept("room:a"), seqs);
});

Deno.test("L6: after the clock was ahead, durations in since go by the age, times by the time that is shown", async () => {
  let now = START;
  await using server = await startServer({}, { clock: () => now });
  const publish = async (text: string) => {
    const answer = await fetch(`${server.url}/push/p`, { method: "POST", body: text });
    assertEquals(answer.status, 201);
    await answer.body?.cancel();
  };
  const since = async (value: string | number) => {
    const answer = await fetch(`${server.url}/push/p/json?poll=1&since=${value}`);
    const lines = (await answer.text()).trim();
    return lines === "" ? [] : lines.split("\n").map((line): unknown => JSON.parse(line).message);
  };
  await publish("old");
  now += HOUR;
  const ahead = now + 30 * DAY;
  now = ahead;
  await publish("ahead");
  now = START + HOUR + 1000;
  await publish("first");
  now += 20 * 60_000;
  await publish("second");
  now += 2000;
  assertEquals(await since("1s"), []);
  assertEquals(await since("10m"), ["second"]);
  // When that came can only be seen by what stands around it.
  assertEquals(await since("30m"), ["ahead", "first", "second"]);
  // All have the same time for now.
  assertEquals(await since(ahead / 1000), ["ahead", "first", "second"]);
  assertEquals(await since("all"), ["old", "ahead", "first", "second"]);
  now = ahead + HOUR;
  await publish("caught up");
  assertEquals(await since("10m"), ["caught up"]);
});

Deno.test("L6: after the clock was ahead, accounts and sessions are of the day that it is", async () => {
  using machine = new Machine();
  await machine.publish("room:a", 365 * DAY);
  machine.now += DAY;
  const hash = "ab".repeat(32);
  await machine.commit({ kind: "account", account: "ci" });
  await machine.commit({ kind: "session", hash, account: "1f0c9a2b" });
  const today = dayOf(machine.now);
  const days = () => [
    machine.log.account("ci")?.here,
    machine.log.account("1f0c9a2b")?.here,
    machine.log.sessions.find(hash)?.used,
  ];
  assertEquals(days(), [today, today, today]);
  machine.now += 30 * DAY;
  machine.restart();
  await machine.commit({ kind: "session", hash, account: "1f0c9a2b" });
  assertEquals(days(), [today, today + 30, today + 30]);
  assertEquals(machine.log.gone(today + 1), ["ci"]);
});

Deno.test("L6: keys go by the time that is shown, so a clock that was ahead remembers them for longer", async () => {
  using machine = new Machine();
  await machine.publish("room:a", 365 * DAY);
  const publish = () =>
    machine.commit({ kind: "message", channel: "room:a", from: "ada", key: "k", data: "1" });
  const first = await publish();
  machine.now += 25 * HOUR;
  assertEquals((await publish())?.seq, first?.seq);
});
