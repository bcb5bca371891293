/** A data folder on a disk of its own that can be filled up at once, without being root: a tmpfs in a namespace of ours. */

const SIZE = "6g";
const NAMESPACE = ["unshare", "-rm", "sh", "-c"] as const;

/** A disk; disposing of it ends it, with all that is on it. */
export class Disk implements AsyncDisposable {
  /** What a process that is to see it is started by. */
  readonly by: readonly string[];
  readonly #folder: string;
  readonly #holder: Deno.ChildProcess;

  private constructor(folder: string, holder: Deno.ChildProcess) {
    this.#folder = folder;
    this.#holder = holder;
    const enter = ["nsenter", "-t", String(holder.pid), "-U", "-m", "--preserve-credentials"];
    // Whoever enters stands at the root.
    this.by = [...enter, "sh", "-c", `cd '${Deno.cwd()}' && exec "$0" "$@"`];
  }

  /**
   * Makes one.
   *
   * @param folder Where it is seen.
   * @returns The disk, undefined where this machine lets nobody make one.
   */
  static async make(folder: string): Promise<Disk | undefined> {
    const mount = `mount -t tmpfs -o size=${SIZE} tmpfs '${folder}' && echo made && exec cat`;
    const [program, ...args] = [...NAMESPACE, mount];
    try {
      const holder = new Deno.Command(program, {
        args,
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = holder.stdout.getReader();
      const { value } = await reader.read();
      reader.releaseLock();
      if (value !== undefined) return new Disk(folder, holder);
      await holder.stdin.close();
      await holder.status;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return undefined;
  }

  /** What is on it, as seen from outside. */
  get outside(): string {
    return `/proc/${this.#holder.pid}/root${this.#folder}`;
  }

  /** Leaves no room from now on. */
  async fill(): Promise<void> {
    // It can't be smaller than what is on it, and that grows meanwhile: each try leaves a little more.
    const script = `for more in 0 64 128 256 512 1024 2048; do
      used=$(df --output=used -k '${this.#folder}' | tail -n 1)
      mount -o remount,size=$((used + more))k '${this.#folder}' && exit
    done; exit 1`;
    await this.#run(script);
  }

  /** Gives the room back. */
  async free(): Promise<void> {
    await this.#run(`mount -o remount,size=${SIZE} '${this.#folder}'`);
  }

  async #run(script: string): Promise<void> {
    const [program = "", ...args] = [...this.by, "sh", "-c", script];
    const { success, stderr } = await new Deno.Command(program, { args }).output();
    if (!success) throw new Error(`Cannot resize the disk: ${new TextDecoder().decode(stderr)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.stdout.cancel().catch(() => {});
    await this.#holder.status;
  }
}
