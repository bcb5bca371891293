/** What measurements are reduced to. */

/** Counts latencies in steps of 0.1 ms, up to a minute. */
export class Histogram {
  readonly #counts = new Uint32Array(600_001);
  #total = 0;

  /**
   * @param ms A latency.
   */
  add(ms: number): void {
    const step = Math.min(this.#counts.length - 1, Math.max(0, Math.floor(ms * 10)));
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.#total += 1;
  }

  /**
   * Finds a percentile.
   *
   * @param share From 0 to 1.
   * @returns Milliseconds.
   */
  at(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let step = 0; step < this.#counts.length; step++) {
      left -= this.#counts[step] ?? 0;
      if (left <= 0) return step / 10;
    }
    return 0;
  }
}

/**
 * Finds a percentile of a few numbers.
 *
 * @param numbers The numbers.
 * @param share From 0 to 1.
 * @returns The one that this share is at most.
 */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Watches a process. */
export class Watch implements Disposable {
  /** Resident memory in MiB, one a second. */
  readonly memory: number[] = [];
  readonly #pid: number;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param pid The process. */
  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), 1000);
  }

  /** The processor time that it took so far, in seconds. */
  get cpu(): number {
    const fields = Deno.readTextFileSync(`/proc/${this.#pid}/stat`).split(") ")[1]?.split(" ") ??
      [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Its resident memory at this moment, in MiB. */
  get resident(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#pid}/status`);
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  }

  /** How many descriptors it has open at this moment. */
  get descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.#pid}/fd`)].length;
  }

  /** Stops. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  // The process may end before it is no longer watched.
  #look(): void {
    try {
      this.memory.push(this.resident);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      clearInterval(this.#timer);
    }
  }
}

/**
 * Draws a table for a terminal.
 *
 * @param rows The first is the head.
 * @returns Its lines.
 */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => String(row[i]).length))
  );
  return rows.map((row) =>
    row.map((cell, i) =>
      i === 0 ? String(cell).padEnd(widths[i] ?? 0) : String(cell).padStart(widths[i] ?? 0)
    ).join("  ")
  ).join("\n");
}
