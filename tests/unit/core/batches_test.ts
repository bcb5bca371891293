/** What is published together is in one transaction, or in none. */
import { assertEquals } from "@std/assert";
import { type Answer, directBus } from "../../../lib/bus/bus.ts";
import { Core } from "../../../lib/core/core.ts";
import { localSequencer, type Sequencer } from "../../../lib/sequencer/sequencer.ts";
import { Log } from "../../../lib/store/writer.ts";
import type { Publication } from "../../../lib/protocol/message.ts";
import { UNBOUNDED } from "../../helpers/limits.ts";
import { memoryFolder } from "../../helpers/log.ts";

const ORIGIN = { address: "127.0.0.1" };

function message(i: number, key?: string): Publication {
  const named = key === undefined ? {} : { key };
  return { kind: "message", channel: "room:a", from: "ada", ...named, data: String(i) };
}

async function withCore(
  sequence: (inner: Sequencer) => Sequencer["sequence"],
  run: (
    parts: { bus: ReturnType<typeof directBus>["edge"]; core: Core; log: Log },
  ) => Promise<void>,
) {
  const folder = memoryFolder();
  const log = new Log(`${folder}/log.db`, () => "epoch");
  const bus = directBus();
  const inner = localSequencer(log, () => 1);
  const core = new Core({
    bus: bus.core,
    log,
    sequencer: { sequence: sequence(inner) },
    now: () => 0,
    clock: () => 1,
    limits: { ...UNBOUNDED, rate: 10, burst: 30 },
  });
  try {
    await run({ bus: bus.edge, core, log });
  } finally {
    core.close();
    log.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a batch isn't cut where a transaction would be full", async () => {
  const sizes: number[] = [];
  await withCore((inner) => (batch) => {
    sizes.push(batch.length);
    return inner.sequence(batch);
  }, async ({ bus, core }) => {
    const answers: Answer[] = [];
    for (let i = 0; i < 1999; i++) bus.send({ op: "propose", proposal: message(i) });
    const proposals = Array.from({ length: 25 }, (_, i) => message(i));
    bus.send({ op: "publish", proposals, origin: ORIGIN }, (answer) => answers.push(answer));
    bus.send({ op: "propose", proposal: message(0) });
    await core.settle();
    assertEquals(sizes, [1999 + 25, 1]);
    const [answer] = answers;
    const outcomes = answer && "outcomes" in answer ? answer.outcomes : [];
    assertEquals(outcomes.map(({ seq }) => seq), proposals.map((_, i) => 2000 + i));
  });
});

Deno.test("a batch that the disk refuses is refused whole, with one answer", async () => {
  await withCore(() => () => Promise.reject(new Error("disk full")), async ({ bus, core, log }) => {
    const answers: Answer[] = [];
    const proposals = [message(1), message(2), message(3)];
    bus.send({ op: "publish", proposals, origin: ORIGIN }, (answer) => answers.push(answer));
    await core.settle();
    const codes = answers.map((answer) => answer && "refusal" in answer && answer.refusal.code);
    assertEquals([codes, log.seq], [["unavailable"], 0]);
  });
});

Deno.test("a batch counts as many as are new, whatever the burst; the debt is paid before the next", async () => {
  await withCore((inner) => (batch) => inner.sequence(batch), async ({ bus, core }) => {
    const told: unknown[] = [];
    const publish = async (proposals: Publication[]) => {
      bus.send({ op: "publish", proposals, origin: ORIGIN }, (answer) => {
        told.push(
          answer && "outcomes" in answer
            ? answer.left
            : answer && "refusal" in answer && answer.refusal.code,
        );
      });
      await core.settle();
    };
    const keyed = [message(1, "a"), message(2, "b"), message(3, "a")];
    await publish(keyed);
    await publish(keyed);
    await publish(Array.from({ length: 29 }, (_, i) => message(i)));
    await publish([message(1)]);
    assertEquals(told, [28, 28, "rate_limited", 27]);
  });
  await withCore((inner) => (batch) => inner.sequence(batch), async ({ bus, core }) => {
    const told: unknown[] = [];
    for (const count of [100, 1]) {
      const proposals = Array.from({ length: count }, (_, i) => message(i));
      bus.send({ op: "publish", proposals, origin: ORIGIN }, (answer) => {
        told.push(
          answer && "outcomes" in answer
            ? answer.left
            : answer && "refusal" in answer && answer.refusal.retry,
        );
      });
      await core.settle();
    }
    // Seventy are owed, and five more are waited for: at ten a second.
    assertEquals(told, [0, 7500]);
  });
});

Deno.test("L4: from the first publication that the disk refuses on it isn't ready, whoever asks", async () => {
  await withCore(() => () => Promise.reject(new Error("disk full")), async ({ bus, core }) => {
    const told: (string | null)[] = [];
    const tell = (answer: Answer) =>
      told.push(answer !== null && "refusal" in answer ? answer.refusal.code : null);
    bus.send({ op: "ready" }, tell);
    await core.settle();
    bus.send({ op: "propose", proposal: message(0) }, tell);
    bus.send({ op: "ready" }, tell);
    await core.settle();
    assertEquals(told, [null, "unavailable", "unavailable"]);
  });
});
