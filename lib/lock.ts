/** The guard of a data folder: one process writes it. */
import { join } from "node:path";

const NAME = "fanfare.lock";

/** A folder that is ours until it is given back; the system takes it back when the process ends, however it ends. */
export class FolderLock implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Takes a folder.
   *
   * @param folder An existing folder.
   * @returns The lock.
   * @throws {Error} If another process has it; the message names that one.
   */
  static take(folder: string): FolderLock {
    const lock = FolderLock.tryTake(folder);
    if (lock !== undefined) return lock;
    const owner = Deno.readTextFileSync(join(folder, NAME)).trim();
    throw new Error(
      `The data folder "${folder}" is in use by ${
        owner || "another process"
      }; stop it, or give another --data`,
    );
  }

  /**
   * Takes a folder that nobody has.
   *
   * @param folder An existing folder.
   * @returns The lock, or undefined where another process has it.
   */
  static tryTake(folder: string): FolderLock | undefined {
    const path = join(folder, NAME);
    const file = Deno.openSync(path, { create: true, read: true, write: true, mode: 0o600 });
    if (!file.tryLockSync(true)) {
      file.close();
      return undefined;
    }
    const lock = new FolderLock(file);
    lock.tell("");
    return lock;
  }

  /**
   * Tells others whose it is.
   *
   * @param address Where this process serves, as far as it is known.
   */
  tell(address: string): void {
    const owner = `process ${Deno.pid}${address === "" ? "" : ` at ${address}`}`;
    this.#file.truncateSync();
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#file.writeSync(new TextEncoder().encode(`${owner}\n`));
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
