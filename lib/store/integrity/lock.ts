/** The guard of a data folder: one process writes it. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const NAME = "fanfare.lock";
const OWNER = "fanfare.owner";

/** A folder that is ours until it is given back; the system takes it back when the process ends, however it ends. */
export class FolderLock implements Disposable {
  readonly #folder: string;
  // An empty database whose lock nobody else gets: what SQLite locks with, every system and every Deno has.
  readonly #database: DatabaseSync;

  private constructor(folder: string, database: DatabaseSync) {
    this.#folder = folder;
    this.#database = database;
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
    if (lock !== undefined) {
      lock.tell("");
      return lock;
    }
    throw new Error(
      `The data folder "${folder}" is in use by ${
        ownerOf(folder) || "another process"
      }; stop it, or give another --data`,
    );
  }

  /**
   * Takes a folder that nobody has.
   *
   * @param folder An existing folder.
   * @returns The lock, or undefined where another process has it.
   * @throws {Error} If the folder can't be written.
   */
  static tryTake(folder: string): FolderLock | undefined {
    const path = join(folder, NAME);
    makeOwn(path);
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE");
      return new FolderLock(folder, database);
    } catch (error) {
      database.close();
      if (error instanceof Error && /is locked/.test(error.message)) return undefined;
      throw error;
    }
  }

  /**
   * Tells others whose it is.
   *
   * @param address Where this process serves, as far as it is known.
   */
  tell(address: string): void {
    const owner = `process ${Deno.pid}${address === "" ? "" : ` at ${address}`}`;
    Deno.writeTextFileSync(join(this.#folder, OWNER), `${owner}\n`, { mode: 0o600 });
  }

  /** Gives the folder back. */
  [Symbol.dispose](): void {
    this.#database.close();
  }
}

// Its owner's alone. One that is there isn't opened: whoever closes a file gives up what its process has locked there.
function makeOwn(path: string): void {
  try {
    Deno.openSync(path, { createNew: true, write: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function ownerOf(folder: string): string {
  try {
    return Deno.readTextFileSync(join(folder, OWNER)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
