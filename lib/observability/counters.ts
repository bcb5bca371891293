/** What an isolate counts for whoever watches the server: names and numbers, no more. `metrics.ts` adds them up and writes them. */

/** Numbers by the name of their series, as Prometheus writes it, without the prefix of ours. */
export type Series = Readonly<Record<string, number>>;

/** What an isolate tells of itself. */
export interface Counts {
  /** What only grows, histograms among it: kept when the isolate ends. */
  readonly totals: Series;
  /** What is so now: gone with the isolate. */
  readonly gauges: Series;
}

/** The bounds of histograms, in seconds. */
export const BOUNDS = [
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

class Histogram {
  // The last one is for what is above all bounds.
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;

  observe(value: number, times: number): void {
    let at = 0;
    while (at < BOUNDS.length && value > (BOUNDS[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + times;
    this.#sum += value * times;
  }

  *series(name: string): Generator<[string, number]> {
    let count = 0;
    for (const [at, some] of this.#counts.entries()) {
      count += some;
      yield [seriesName(`${name}_bucket`, { le: String(BOUNDS[at] ?? "+Inf") }), count];
    }
    yield [`${name}_sum`, this.#sum];
    yield [`${name}_count`, count];
  }
}

/**
 * Writes a histogram that nothing was noted in yet.
 *
 * @param name The histogram's.
 * @returns Its series, all 0.
 */
export function emptyHistogram(name: string): Series {
  return Object.fromEntries(new Histogram().series(name));
}

/**
 * Names a series.
 *
 * @param name The metric's.
 * @param labels Written in the code, or of a small set of ours: never what clients send.
 * @returns `name{label="value"}`.
 */
export function seriesName(
  name: string,
  labels: Readonly<Record<string, string | number>>,
): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${pairs.join(",")}}`;
}

/** Counters of one isolate. Their names are written in the code, never made of what clients send. */
export class Counters {
  readonly #counts = new Map<string, number>();
  readonly #histograms = new Map<string, Histogram>();

  /**
   * Counts some more.
   *
   * @param series What.
   * @param by How many.
   */
  add(series: string, by = 1): void {
    this.#counts.set(series, (this.#counts.get(series) ?? 0) + by);
  }

  /**
   * Tells how many there were.
   *
   * @param series What.
   * @returns How many.
   */
  get(series: string): number {
    return this.#counts.get(series) ?? 0;
  }

  /**
   * Notes how long something took.
   *
   * @param name The histogram's.
   * @param seconds How long.
   * @param times How often it took so long.
   */
  observe(name: string, seconds: number, times = 1): void {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) this.#histograms.set(name, histogram = new Histogram());
    histogram.observe(Math.max(0, seconds), times);
  }

  /**
   * Counts messages that went out to a client in one frame.
   *
   * @param messages How many.
   * @param time When the oldest of them was committed, in milliseconds since 1970; undefined where they are no news.
   */
  delivered(messages: number, time?: number): void {
    if (messages === 0) return;
    this.add("deliveries_total", messages);
    if (time !== undefined) this.observe("delivery_seconds", (Date.now() - time) / 1000, messages);
  }

  /**
   * Counts a refusal.
   *
   * @param by What was refused.
   * @param code With what.
   */
  refused(by: "command" | "request", code: string | number): void {
    this.add(seriesName("refusals_total", { by, code }));
  }

  /** All that was counted so far. */
  get totals(): Series {
    const series = Object.fromEntries(this.#counts);
    for (const [name, histogram] of this.#histograms) {
      for (const [key, value] of histogram.series(name)) series[key] = value;
    }
    return series;
  }
}

// Often enough to see what people feel, and too seldom to cost anything.
const LOOK = 200;

// What is told is the worst of this window and the one before: whoever asks each quarter of a minute misses little.
const WINDOW = 10_000;

/** How long an isolate's loop keeps its timers waiting. */
export class LoopLag {
  readonly #timer: ReturnType<typeof setInterval>;
  #looked = performance.now();
  #since = performance.now();
  #worst = 0;
  #before = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), LOOK);
  }

  /** The longest wait lately, in seconds. */
  get seconds(): number {
    // One that is under way counts too.
    const now = performance.now() - this.#looked - LOOK;
    return Math.max(this.#worst, this.#before, now, 0) / 1000;
  }

  /** Ends it. */
  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#worst = Math.max(this.#worst, now - this.#looked - LOOK);
    this.#looked = now;
    if (now - this.#since < WINDOW) return;
    [this.#before, this.#worst, this.#since] = [this.#worst, 0, now];
  }
}
