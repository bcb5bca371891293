/** A file that is only there to be given up: on a full disk it makes the room in which the WAL can be carried over. */

/** How much it holds in bytes: about what the WAL has when it is carried over (1,000 pages of 4 KiB). */
export const SPARE_BYTES = 4 * 1_048_576;

const CHUNK = 65_536;

/** The spare file beside a log. */
export class Spare {
  readonly #path: string;

  /** @param path The log's file. */
  constructor(path: string) {
    this.#path = `${path}-spare`;
  }

  /**
   * Makes sure that it is there, whole.
   *
   * @throws {Error} If the disk has no room for it.
   */
  keep(): void {
    using file = Deno.openSync(this.#path, { create: true, write: true, mode: 0o600 });
    let size = file.statSync().size;
    if (size >= SPARE_BYTES) return;
    try {
      file.seekSync(0, Deno.SeekMode.End);
      // Written, not only lengthened: a hole takes no room.
      const chunk = new Uint8Array(CHUNK);
      while (size < SPARE_BYTES) size += file.writeSync(chunk);
      file.syncDataSync();
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Gives its room up. */
  free(): void {
    try {
      Deno.truncateSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
