/** Copies a log's pages, in an isolate of its own: they go in one step, in which an isolate does nothing else. */
import { backup, DatabaseSync } from "node:sqlite";
import { isMainThread, parentPort, workerData } from "node:worker_threads";

/** What is copied, and where to. */
export interface Copying {
  readonly from: string;
  readonly to: string;
}

const ALL_PAGES = 2 ** 31 - 1;

async function run({ from, to }: Copying): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true, timeout: 5000 });
  try {
    await backup(source, to, { rate: ALL_PAGES });
  } finally {
    source.close();
  }
}

// Whoever imports the types of this module copies nothing. An error is told by its sentence; undefined is none.
if (!isMainThread && parentPort !== null) {
  const parent = parentPort;
  // Whoever listens doesn't end: what is told comes before the end, which is that it is terminated.
  parent.on("message", () => {});
  run(workerData).then(
    () => parent.postMessage(undefined),
    (error) => parent.postMessage(error instanceof Error ? error.message : String(error)),
  );
}
