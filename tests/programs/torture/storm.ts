/** Thousands that are cut at once and come back as the client library does (threats.md L2). */
import type { Mended } from "./herd.ts";
import type { Stage } from "./stage.ts";

/** A storm. */
export interface Storm extends Mended {
  readonly sentence: string;
}

/** All have to be back within this, in milliseconds. */
const BACK_LIMIT = 60_000;
const FILL_LIMIT = 180_000;

/**
 * Has so many clients come.
 *
 * @param stage Where to.
 * @param clients How many.
 * @returns What is to be noted.
 */
export async function fillHerd(stage: Stage, clients: number): Promise<string> {
  const begun = performance.now();
  const standing = await stage.parts.herd.call<number>("grow", { clients, limit: FILL_LIMIT });
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  stage.held = Math.max(stage.held, standing);
  stage.say(`${standing} of ${clients} clients came within ${seconds} s`);
  if (standing < clients) {
    stage.ledger.violate("wrong", `Of ${clients} clients only ${standing} have a subscription`);
  }
  return `${standing} came within ${seconds} s`;
}

/**
 * Cuts all of them at once.
 *
 * @param stage Whose.
 * @returns How they came back.
 */
export async function cutAndMend(stage: Stage): Promise<Storm> {
  await stage.parts.herd.call("cut");
  return await mend(stage, "cut by the network");
}

/**
 * Kills the server under all of them.
 *
 * @param stage Whose.
 * @returns How they came back.
 */
export async function killAndMend(stage: Stage): Promise<Storm> {
  const { herd, victim } = stage.parts;
  await herd.call("mark");
  await victim.restart("SIGKILL");
  stage.ledger.counts.kills += 1;
  await victim.listen();
  return await mend(stage, "cut by kill -9");
}

async function mend(stage: Stage, how: string): Promise<Storm> {
  const mended = await stage.parts.herd.call<Mended>("mended", { limit: BACK_LIMIT });
  const { cut, last, p50, missing } = mended;
  stage.ledger.counts.cut += cut;
  if (missing > 0) {
    const limit = BACK_LIMIT / 1000;
    stage.ledger.violate("wrong", `Of ${cut} ${how} ${missing} weren't back after ${limit} s`);
  }
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  const back = `half were back after ${seconds(p50)} s, the last after ${seconds(last)} s`;
  const sentence = `${cut} ${how}: ${back}${missing > 0 ? `, ${missing} never` : ""}`;
  stage.say(sentence);
  return { ...mended, sentence };
}
