/** What the server's process takes, looked at each second whichever process it is, and which way it goes. */

import { pause } from "../../helpers/child_server.ts";

/** One look. */
export interface Sample {
  /** `performance.now()` */
  readonly at: number;
  /** MiB. */
  readonly resident: number;
  readonly descriptors: number;
}

/** What the server itself counts. */
export interface Told {
  readonly connections: number;
  readonly stuck: number;
  readonly slow: number;
  readonly replacements: number;
}

const EACH = 1000;
const TOLD_LIMIT = 10_000;

/** Watches a process that may be another one the next time; disposing of it ends that. */
export class Gauges implements Disposable {
  /** All looks so far. */
  readonly samples: Sample[] = [];
  readonly #pid: () => number;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param pid Tells the process. */
  constructor(pid: () => number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.look(), EACH);
  }

  /**
   * Looks now.
   *
   * @returns What is seen; undefined where there is no process at the moment.
   */
  look(): Sample | undefined {
    const sample = sampleOf(this.#pid());
    if (sample !== undefined) this.samples.push(sample);
    return sample;
  }

  /**
   * Finds the most of a time.
   *
   * @param since Its begin.
   * @returns The most of each.
   */
  most(since: number): Omit<Sample, "at"> {
    const some = this.samples.filter(({ at }) => at >= since);
    return {
      resident: Math.max(0, ...some.map(({ resident }) => resident)),
      descriptors: Math.max(0, ...some.map(({ descriptors }) => descriptors)),
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function sampleOf(pid: number): Sample | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const resident = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    // A process that has ended and that nobody has asked for has no memory.
    if (Number.isNaN(resident)) return undefined;
    const descriptors = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
    return { at: performance.now(), resident: Math.round(resident / 102.4) / 10, descriptors };
  } catch {
    // It was killed a moment ago.
    return undefined;
  }
}

/**
 * Finds which way numbers go: least squares.
 *
 * @param points Moments in milliseconds, and numbers.
 * @returns How much more it is each minute.
 */
export function slopeOf(points: readonly (readonly [at: number, value: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [at, value] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const spread = points.reduce((sum, [x]) => sum + (x - at) ** 2, 0);
  const common = points.reduce((sum, [x, y]) => sum + (x - at) * (y - value), 0);
  return spread === 0 ? 0 : common / spread * 60_000;
}

/**
 * Asks the server what it counts, past the proxy.
 *
 * @param port The server's own.
 * @param token The admin's.
 * @returns What it told.
 */
export async function toldBy(port: number, token: string): Promise<Told> {
  const names = ["connections", "stuck_sockets", "slow_readers", "replacements_total"];
  const end = performance.now() + TOLD_LIMIT;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { "x-forwarded-for": "127.0.0.1", authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    const [connections, stuck, slow, replacements] = names.map((name) => {
      const value = new RegExp(`^fanfare_${name} (\\S+)$`, "m").exec(text)?.[1];
      return value === undefined ? undefined : Number(value);
    });
    if (
      connections !== undefined && stuck !== undefined && slow !== undefined &&
      replacements !== undefined
    ) return { connections, stuck, slow, replacements };
    // Its isolates tell with their first sign of life.
    if (performance.now() > end) throw new Error(`The metrics lack ${names}: ${text}`);
    await pause(EACH / 4);
  }
}
