/** A disk without room, under load (threats.md L4): it is refused what has to be written, and nothing else. */
import { pause, within } from "../../helpers/child_server.ts";
import type { Stage } from "./stage.ts";

const REFUSED_LIMIT = 30_000;
const HEALED_LIMIT = 15_000;
const ACK_LIMIT = 60_000;
const READY_LIMIT = 5000;
/** How long it stays full, in milliseconds. */
const FULL = 2000;
const LOOK = 50;

/**
 * Fills the disk for a moment.
 *
 * @param stage Whose.
 * @param options Whether the server is killed while it is full.
 * @returns What is to be noted.
 */
export async function diskFull(stage: Stage, { kill }: { kill: boolean }): Promise<string> {
  const { ledger, parts: { disk, victim } } = stage;
  if (disk === undefined) return "not done: nobody may make a disk here (unshare -rm)";
  const refused = ledger.counts.refused;
  const healed = victim.events.get("log.healed") ?? 0;
  await disk.fill();
  let how: string;
  try {
    await until(() => ledger.counts.refused > refused, REFUSED_LIMIT, "a refusal on a full disk");
    // Each isolate hears of it by the bus, which may lose it once.
    await readyOr(stage, 503, "On a full disk");
    await pause(FULL * stage.random.next());
    how = kill ? await killOnFull(stage) : "refused, and healed when there was room";
  } finally {
    await disk.free();
  }
  if (kill) await victim.listen();
  else {
    const heard = () => (victim.events.get("log.healed") ?? 0) > healed;
    await until(heard, HEALED_LIMIT, "the log to heal");
  }
  await within(ledger.after(50), ACK_LIMIT, "50 acknowledgements after a full disk");
  await readyOr(stage, 200, "After a full disk");
  return how;
}

// It may start on a full disk or refuse to: what it says counts, and that it starts once there is room.
async function killOnFull({ ledger, parts: { victim, disk } }: Stage): Promise<string> {
  await victim.restart("SIGKILL");
  ledger.counts.kills += 1;
  try {
    await victim.listen();
    return "killed while full: it started again on the full disk";
  } catch (error) {
    await disk?.free();
    await victim.restart("SIGKILL");
    return `killed while full: it didn't start before there was room: ${error}`;
  }
}

async function readyOr({ ports, ledger }: Stage, status: number, when: string): Promise<void> {
  const end = performance.now() + READY_LIMIT;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${ports.server}/readyz`);
    await response.body?.cancel();
    if (response.status === status) return;
    if (performance.now() > end) {
      return ledger.violate("wrong", `${when} /readyz is ${response.status}, not ${status}`);
    }
    await pause(LOOK);
  }
}

async function until(done: () => boolean, limit: number, what: string): Promise<void> {
  const end = performance.now() + limit;
  while (!done()) {
    if (performance.now() > end) throw new Error(`Waited ${limit} ms in vain for ${what}`);
    await pause(LOOK);
  }
}
