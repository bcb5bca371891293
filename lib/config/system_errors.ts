/** Says which flag or folder is in the way where the system refuses: its own sentences name neither. */

import { ConfigError } from "./config.ts";

/** What is the matter, in words; what isn't here keeps the system's. */
const REASONS: readonly [abstract new () => Error, string][] = [
  [Deno.errors.NotFound, "there is no such file or folder"],
  [Deno.errors.PermissionDenied, "permission denied"],
  [Deno.errors.NotADirectory, "it isn't a folder"],
  [Deno.errors.AlreadyExists, "it is there, and no folder"],
  [Deno.errors.IsADirectory, "it is a folder"],
  [Deno.errors.AddrInUse, "another process does"],
  [Deno.errors.AddrNotAvailable, "this machine has no such address"],
];

/**
 * Does something that the system may refuse.
 *
 * @param failed What can't be done then: the beginning of a sentence, with the flag to change.
 * @param work What is done.
 * @returns What it brought.
 * @throws {Error} What was thrown, if it isn't the system's; else one that says what failed, and why.
 */
export async function naming<T>(failed: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = REASONS.find(([kind]) => error instanceof kind);
    if (known === undefined && !isOfSystem(error)) throw error;
    const reason = known?.[1] ?? (error instanceof Error ? error.message : String(error));
    throw new Error(`${failed}: ${reason}`, { cause: error });
  }
}

/**
 * Reads a text file that a flag names.
 *
 * @param path The file.
 * @param flag The flag, without its dashes.
 * @returns What stands there.
 * @throws {ConfigError} If it can't be read; the message names flag and file.
 */
export async function readNamed(path: string, flag: string): Promise<string> {
  return await named(
    `Cannot read the file of --${flag}, "${path}"`,
    () => Deno.readTextFile(path),
  );
}

/**
 * Uses a file or a folder that a flag names: where the system refuses, the flag's value is wrong.
 *
 * @param failed The beginning of the sentence for that, with the flag.
 * @param work What is done.
 * @returns What it brought.
 * @throws {ConfigError} If the system refuses.
 */
export async function named<T>(failed: string, work: () => Promise<T>): Promise<T> {
  try {
    return await naming(failed, work);
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

// Such as "No space left on device (os error 28)"; SUN_LEN is how long the path of a socket file may be.
function isOfSystem(error: unknown): boolean {
  return error instanceof Error &&
    /\(os error \d+\)|failed to lookup address|SUN_LEN/.test(error.message);
}
