/** The commands that work on a data folder by themselves: `backup` and `check`. */
import { naming } from "../config/system_errors.ts";
import { backup } from "../store/backup.ts";
import { check } from "../store/fsck.ts";
import type { Terminal } from "./terminal.ts";

const DATA = "  --data DIR              folder of the log (FANFARE_DATA, else ./data)";

const HELPS = new Map([
  ["backup", [
    "Usage: fanfare backup FILE [--data DIR]",
    "",
    `Copies the log into a new file, whole, while a server runs or not. To restore, put that file as fanfare.db into
an empty folder, beside cookie.key and admin.token of the old one.`,
    "",
    DATA,
    "",
    "Exit codes: 0 copied; 1 the log is damaged, the file exists, or the disk refuses; 2 wrong command line.",
  ]],
  ["check", [
    "Usage: fanfare check [--data DIR]",
    "",
    `Reads all of the log, while a server runs or not, and tells every fault: SQLite's structure, the checksum of each
message, and whether each can be found in its channels. It changes nothing, but the folder has to be writable: a lock
keeps servers from starting there meanwhile.`,
    "",
    DATA,
    "",
    "Exit codes: 0 no fault; 1 faults, one a line on standard error, or no log; 2 wrong command line.",
  ]],
]);

/**
 * Writes the help of a command.
 *
 * @param name The first word of the command line.
 * @returns The text; undefined where it is none of these commands.
 */
export function helpOfLocal(name: string | undefined): string | undefined {
  return HELPS.get(name ?? "")?.join("\n");
}

/**
 * Copies a log.
 *
 * @param path The log's file.
 * @param file The copy.
 * @param terminal Where it tells of it.
 * @throws {Error} If it can't be copied.
 */
export async function runBackup(path: string, file: string, terminal: Terminal): Promise<void> {
  const progress = (done: number, all: number) =>
    terminal.progress(megabytes(done), megabytes(all), "MB");
  const { seq, bytes } = await naming(
    `Cannot copy the log "${path}" to "${file}"`,
    () => backup(path, file, progress),
  );
  terminal.report(`Copied all up to seq ${seq}, ${bytes} bytes, to "${file}"`);
}

function counted(faults: number): string {
  if (faults === 0) return "no fault";
  return faults === 1 ? "1 fault" : `${faults} faults`;
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1e6);
}

/**
 * Looks for damage in a log.
 *
 * @param path The log's file.
 * @param terminal Where it tells of it.
 * @returns The exit code.
 * @throws {Error} If there is no log, or it can't be opened.
 */
export async function runCheck(path: string, terminal: Terminal): Promise<number> {
  const progress = (done: number, all: number) => terminal.progress(done, all, "messages");
  const { messages, sizes, faults } = await naming(
    `Cannot lock and read the log "${path}"`,
    () => check(path, progress),
  );
  terminal.clear();
  for (const fault of faults) terminal.fault(fault);
  const { file, wal, data, channels, accounts, seq } = sizes;
  terminal.report(`Read ${messages} messages, found ${counted(faults.length)}`);
  terminal.report(`The log has ${file} bytes and its WAL ${wal}, of which messages are ${data}`);
  terminal.report(`It has ${channels} channels and ${accounts} accounts, and ends with seq ${seq}`);
  return faults.length === 0 ? 0 : 1;
}
