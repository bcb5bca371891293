/** Logs for tests: filled, and as a kill -9 leaves them. */
import { Log } from "../../lib/store/writer.ts";
import { Reader } from "../../lib/store/reader.ts";
import type { LogRecord, Message } from "../../lib/protocol/message.ts";

/** What a log consists of on the disk. */
export const LOG_FILES = ["log.db", "log.db-wal", "log.db-mark"];

/**
 * Makes a folder, in memory where the machine has such a place: hundreds of small logs needn't wait for a disk.
 *
 * @returns The folder.
 */
export function memoryFolder(): string {
  const isThere = (path: string) => {
    try {
      return Deno.statSync(path).isDirectory;
    } catch {
      return false;
    }
  };
  const options = isThere("/dev/shm") ? { dir: "/dev/shm" } : {};
  return Deno.makeTempDirSync({ prefix: "fanfare-", ...options });
}

/**
 * Makes a folder that is removed again.
 *
 * @param place Where; Deno lets only a program with all permissions write in memory, so others need the disk.
 * @returns The folder.
 */
export function tempFolder(
  place: "memory" | "disk" = "memory",
): Disposable & { readonly path: string } {
  const path = place === "memory" ? memoryFolder() : Deno.makeTempDirSync({ prefix: "fanfare-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/**
 * Makes records of messages.
 *
 * @param from The first seq.
 * @param count How many.
 * @param more What differs, for each.
 * @returns The records.
 */
export function messages(
  from: number,
  count: number,
  more: (seq: number) => Partial<LogRecord & { kind: "message" }> = () => ({}),
): LogRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: "message",
    channel: "room:a",
    from: "ada",
    data: JSON.stringify({ text: `m${from + i} ${"x".repeat((from + i) % 97)}` }),
    seq: from + i,
    time: from + i,
    ...more(from + i),
  }));
}

/**
 * Copies an open log: what a kill -9 at this moment would leave.
 *
 * @param from Its folder.
 * @param to A new folder.
 */
export function copyAsKilled(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const name of LOG_FILES) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
}

/**
 * Opens a log and reads all of a feed.
 *
 * @param folder Where.
 * @param feed Which.
 * @returns What is in it, and the log's end and epoch.
 */
export function readLog(
  folder: string,
  feed = "room:a",
): { seq: number; epoch: string; messages: Message[] } {
  const log = new Log(`${folder}/log.db`, () => crypto.randomUUID());
  try {
    const reader = new Reader(`${folder}/log.db`);
    try {
      const all = reader.after(feed, 0, log.seq, 100_000);
      if (all.more) throw new Error("The feed is too long for one page");
      return { seq: log.seq, epoch: log.epoch, messages: all.messages };
    } finally {
      reader.close();
    }
  } finally {
    log.close();
  }
}
