/** Small files that are on the disk whole or not at all, also after a kill or a power cut. */
import { dirname } from "node:path";

/**
 * Replaces a file: writes its text under another name in the same folder, syncs, and renames. On the disk when this returns.
 *
 * @param path The file; only its owner may read it (mode 600).
 * @param text The new text.
 * @throws {Error} If the disk refuses; the file is as it was before.
 */
export function writeAtomically(path: string, text: string): void {
  const unfinished = `${path}-new`;
  Deno.writeTextFileSync(unfinished, text, { mode: 0o600 });
  renameDurably(unfinished, path);
}

/**
 * Gives a finished file its name, replacing what had it. On the disk when this returns.
 *
 * @param unfinished The file, in the same folder.
 * @param path Its name from now on.
 * @throws {Error} If the disk refuses.
 */
export function renameDurably(unfinished: string, path: string): void {
  sync(unfinished);
  Deno.renameSync(unfinished, path);
  sync(dirname(path));
}

function sync(path: string): void {
  using file = Deno.openSync(path, { read: true });
  file.syncSync();
}
