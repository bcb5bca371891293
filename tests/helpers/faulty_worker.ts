/**
 * An edge's isolate that goes wrong when it is told: a file `fault` in the data folder, with how, or `fault.N` for the Nth edge
 * alone. The first isolate that finds it takes it; with `lossy` in the address the bus loses a third of all posts, and bursts.
 */
import { join } from "node:path";
import { workerData } from "node:worker_threads";
import { randomOf } from "./random.ts";

/** How an isolate can end. */
export type Fault = "throw" | "reject" | "heap" | "exit" | "hang";

const LOOK = 5;
const folder = join(workerData.settings.log, "..");

if (isThere("nostart")) throw new Error("An isolate can't start");

function isThere(name: string): boolean {
  try {
    return Deno.statSync(join(folder, name)).isFile;
  } catch {
    return false;
  }
}

function goWrong(fault: string): void {
  const hoard: number[][] = [];
  switch (fault) {
    case "throw":
      throw new Error("An isolate throws");
    case "reject":
      return void Promise.reject(new Error("An isolate rejects"));
    case "exit":
      return Deno.exit(3);
    case "heap":
      // As a leak does it: everything else goes on meanwhile.
      setInterval(() => hoard.push(new Array<number>(1_000_000).fill(0.5)), 1);
      return;
    case "hang":
      for (;;);
  }
}

setInterval(() => {
  for (const name of ["fault", `fault.${workerData.edge}`]) {
    const taken = join(folder, `fault-${crypto.randomUUID()}`);
    try {
      Deno.renameSync(join(folder, name), taken);
    } catch {
      continue;
    }
    goWrong(Deno.readTextFileSync(taken));
  }
}, LOOK);

if (new URL(import.meta.url).searchParams.has("lossy")) {
  const random = randomOf(workerData.number, "bus");
  let burst = 0;
  const Lossless = BroadcastChannel;
  globalThis.BroadcastChannel = class extends Lossless {
    override set onmessage(hear: (event: MessageEvent) => void) {
      super.onmessage = (event) => {
        if (burst === 0 && random.chance(0.02)) burst = random.whole(10, 40);
        if (burst > 0) burst -= 1;
        else if (!random.chance(1 / 3)) hear(event);
      };
    }
  };
}

await import("../../lib/isolates/worker.ts");
