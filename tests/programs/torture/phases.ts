/** What is done to the server, one after the other and all at once. */
import { pause, within } from "../../helpers/child_server.ts";
import { diskFull } from "./full.ts";
import { soak } from "./soak.ts";
import { FULL_RATE, type Stage } from "./stage.ts";
import { cutAndMend, fillHerd, killAndMend, type Storm } from "./storm.ts";

/** A phase; what it notes stands on the page. */
export interface Phase {
  readonly name: string;
  /** How much of the whole time it takes. */
  readonly share: number;
  /** How long it takes at least, in milliseconds. */
  readonly least: number;
  /**
   * Does it.
   *
   * @param stage On what.
   * @param until When it is to be over, by `performance.now()`.
   * @returns What is to be noted.
   */
  run(stage: Stage, until: number): Promise<string[]>;
}

const KILLING_RATE = 1000;
const STUCK = 100;
const CLOSING = 40;
/** To let those that don't read run full. */
const FLOOD = { rate: 20, bytes: 50_000 };
const TALK = { rate: 1, bytes: 100 };
const LOOK = 1000;
const GONE_LIMIT = 60_000;
const ACK_LIMIT = 60_000;

async function steady(_: Stage, until: number): Promise<string[]> {
  await pause(Math.max(0, until - performance.now()));
  return [];
}

async function kills(stage: Stage, until: number): Promise<string[]> {
  const { victim } = stage.parts;
  stage.rate = KILLING_RATE;
  let count = 0;
  for (; count === 0 || performance.now() < until; count++) await kill(stage);
  await victim.listen();
  stage.rate = FULL_RATE;
  return [`${count} times`];
}

async function kill(stage: Stage): Promise<void> {
  const { ledger, random, parts: { victim } } = stage;
  const moment = await victim.killAt(random);
  ledger.counts.kills += 1;
  stage.say(`kill ${ledger.counts.kills} (${moment}) at seq ${ledger.seq}`);
}

async function stuck(stage: Stage, until: number): Promise<string[]> {
  const { ports, ledger, parts: { herd, victim } } = stage;
  const closed = victim.events.get("connection.slow") ?? 0;
  const before = await stage.told();
  await herd.call("flood", { talk: FLOOD });
  const call = { stuck: STUCK, closing: CLOSING, direct: ports.server };
  const count = await herd.call<number>("stick", call);
  const most = { stuck: 0, slow: 0 };
  while (performance.now() < until) {
    await pause(LOOK);
    const told = await stage.told();
    most.stuck = Math.max(most.stuck, told.stuck);
    most.slow = Math.max(most.slow, told.slow);
  }
  await herd.call("flood", { talk: { ...FLOOD, rate: 0 } });
  await herd.call("unstick");
  const left = performance.now();
  for (;;) {
    const told = await stage.told();
    if (told.stuck + told.slow === 0 && told.connections <= before.connections + 10) break;
    if (performance.now() - left > GONE_LIMIT) {
      ledger.violate("wrong", `Stuck ones went, and the server has ${JSON.stringify(told)}`);
      break;
    }
    await pause(LOOK);
  }
  const seconds = ((performance.now() - left) / 1000).toFixed(0);
  return [
    `${count} clients; at most ${most.slow} lagged, ${most.stuck} didn't answer their close`,
    `${(victim.events.get("connection.slow") ?? 0) - closed} were closed with 4008`,
    `they went, and nothing of them was left after ${seconds} s`,
  ];
}

async function storm(stage: Stage, until: number): Promise<string[]> {
  const { herd } = stage.parts;
  const notes = [await fillHerd(stage, stage.clients)];
  await herd.call("talk", { talk: TALK });
  const storms: Storm[] = [];
  for (let i = 0; i < 2 || performance.now() < until; i++) {
    storms.push(await (i % 2 === 0 ? cutAndMend(stage) : killAndMend(stage)));
    await pause(2000);
  }
  await herd.call("talk", { talk: { ...TALK, rate: 0 } });
  await herd.call("grow", { clients: 0, limit: 0 });
  return [...notes, ...storms.map(({ sentence }) => sentence)];
}

async function replacements(stage: Stage, until: number): Promise<string[]> {
  const { herd, victim } = stage.parts;
  const before = victim.events.get("edge.replaced") ?? 0;
  await fillHerd(stage, Math.round(stage.clients / 10));
  await herd.call("talk", { talk: TALK });
  for (let i = 0; i < 2 || performance.now() < until; i++) {
    await stage.replaceIsolates();
    await within(stage.ledger.after(100), ACK_LIMIT, "100 acknowledgements after a replacement");
    await pause(2000);
  }
  await herd.call("talk", { talk: { ...TALK, rate: 0 } });
  await herd.call("grow", { clients: 0, limit: 0 });
  const replaced = (victim.events.get("edge.replaced") ?? 0) - before;
  if (replaced === 0) stage.ledger.violate("wrong", "No isolate was replaced");
  return [`${replaced} isolates replaced by others`];
}

async function disk(stage: Stage, until: number): Promise<string[]> {
  const notes = new Set<string>();
  for (let i = 0; i < 2 || performance.now() < until; i++) {
    notes.add(await diskFull(stage, { kill: i % 2 === 1 }));
    if (stage.parts.disk === undefined) break;
  }
  return [...notes];
}

async function all(stage: Stage, until: number): Promise<string[]> {
  const { ports, random, parts: { herd, victim } } = stage;
  await fillHerd(stage, Math.round(stage.clients / 5));
  await herd.call("talk", { talk: TALK });
  await herd.call("flood", { talk: { ...FLOOD, rate: 5 } });
  const done: Record<string, number> = {};
  for (let i = 0; performance.now() < until; i++) {
    if (i % 4 === 0) {
      const call = { stuck: STUCK / 4, closing: CLOSING / 4, direct: ports.server };
      await herd.call("stick", call);
    }
    const what = random.pick(["kill", "kill", "cut", "replace", "disk"]);
    done[what] = (done[what] ?? 0) + 1;
    stage.say(`all at once: ${what} at seq ${stage.ledger.seq}`);
    if (what === "kill") await kill(stage);
    await victim.listen();
    if (what === "cut") await cutAndMend(stage);
    if (what === "replace") await stage.replaceIsolates();
    if (what === "disk") await diskFull(stage, { kill: random.chance(0.5) });
  }
  await victim.listen();
  await herd.call("flood", { talk: { ...FLOOD, rate: 0 } });
  await herd.call("unstick");
  await herd.call("talk", { talk: { ...TALK, rate: 0 } });
  await herd.call("grow", { clients: 0, limit: 0 });
  return [Object.entries(done).map(([what, count]) => `${what} ${count}`).join(", ")];
}

/** The name of the phase in which nobody is hostile. */
export const SOAK = "soak";

/** All of them, in their order. */
export const PHASES: readonly Phase[] = [
  { name: "nothing else", share: 0.05, least: 8000, run: steady },
  { name: "kill -9", share: 0.1, least: 15_000, run: kills },
  { name: "stuck readers", share: 0.1, least: 70_000, run: stuck },
  { name: "storms", share: 0.1, least: 20_000, run: storm },
  { name: "full disk", share: 0.05, least: 10_000, run: disk },
  { name: "isolates replaced", share: 0.05, least: 8000, run: replacements },
  { name: "all at once", share: 0.05, least: 15_000, run: all },
  { name: SOAK, share: 0.5, least: 30_000, run: soak },
];
