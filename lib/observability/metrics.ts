/**
 * What is counted in all isolates, added up and written for Prometheus. A writer of our own: each isolate posts its numbers
 * with its sign of life, and adding them up and writing them down is all that is left for a library to do.
 */
import { type Counts, emptyHistogram, type Series, seriesName } from "./counters.ts";

/** What tells a metric's numbers apart: the type as Prometheus has it. */
type Type = "counter" | "gauge" | "histogram";

// In the order in which they are written.
const FAMILIES: Readonly<Record<string, readonly [Type, string]>> = {
  connections: ["gauge", "Open connections: sockets and event streams."],
  connections_total: ["counter", "Connections that were opened."],
  publications_total: ["counter", "Messages committed, by kind of channel."],
  duplicates_total: ["counter", "Messages that came again under a known key."],
  deliveries_total: ["counter", "Messages sent to subscribers, recovered ones too."],
  delivery_seconds: [
    "histogram",
    "From the commit of the oldest message in a frame to its sending; live messages only.",
  ],
  refusals_total: [
    "counter",
    "Refused commands by their code, and refused requests by their status.",
  ],
  gaps_total: ["counter", "Subscriptions whose recovery couldn't be had: they were told of a gap."],
  banned_total: ["counter", "Connections closed with 1008: they went on in spite of refusals."],
  slow_readers: ["gauge", "Connections whose socket is full, so that they lag behind."],
  slow_closed_total: ["counter", "Connections closed with 4008: they took nothing for too long."],
  slowed_total: ["counter", "Times that a client waited since too much was read for it."],
  silent_closed_total: ["counter", "Connections that ended since a ping wasn't answered."],
  stuck_sockets: ["gauge", "Sockets that were closed and whose clients don't go."],
  unsent_bytes: ["gauge", "Bytes sent to sockets that the network hasn't taken."],
  heap_bytes: ["gauge", "Heap in use of the isolates that serve."],
  memory_limit_bytes: ["gauge", "Resident memory that the process keeps under; 0: no limit."],
  newcomers_refused: ["gauge", "1 while new connections are refused for want of memory."],
  guard_replacements_total: [
    "counter",
    "Isolates that were replaced for want of memory or for stuck sockets.",
  ],
  accept_pauses_total: [
    "counter",
    "Times that no connection could be accepted: file descriptors were used up.",
  ],
  bus_holes_total: ["counter", "Holes in the bus between isolates that were repaired."],
  commit_seconds: ["histogram", "Writing a batch to the log, to the disk."],
  event_loop_lag_seconds: ["gauge", "The longest that timers of an isolate had to wait lately."],
  isolates: ["gauge", "Isolates that serve."],
  replacements_total: ["counter", "Isolates that were put in the place of another."],
  log_bytes: ["gauge", "Size of the log's files."],
  log_seq: ["gauge", "The newest record's number."],
};

// Those that every process has go by names of their own.
const PROCESS: Readonly<Record<string, readonly [Type, string]>> = {
  process_cpu_seconds_total: ["counter", "Total user and system CPU time spent in seconds."],
  process_resident_memory_bytes: ["gauge", "Resident memory size in bytes."],
  process_start_time_seconds: ["gauge", "Start time of the process since unix epoch in seconds."],
};

const PREFIX = "fanfare_";

/** The content type of the text. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The numbers of the whole process. */
export class Metrics {
  readonly #sources: (() => Counts)[] = [];
  readonly #edges = new Map<number, Counts>();
  // What isolates counted that are gone: a counter never goes back.
  readonly #gone = new Map<string, number>();

  /**
   * Adds something that counts in this isolate.
   *
   * @param source Tells its numbers.
   */
  source(source: () => Counts): void {
    this.#sources.push(source);
  }

  /**
   * Takes what an isolate told of itself.
   *
   * @param edge Which.
   * @param counts Its numbers since it began.
   */
  take(edge: number, counts: Counts): void {
    this.#edges.set(edge, counts);
  }

  /**
   * An isolate is gone.
   *
   * @param edge Which.
   */
  drop(edge: number): void {
    addTo(this.#gone, this.#edges.get(edge)?.totals ?? {});
    this.#edges.delete(edge);
  }

  /**
   * Adds up and writes.
   *
   * @returns Prometheus' text format.
   */
  text(): string {
    const sums = new Map(this.#gone);
    for (
      const { totals, gauges } of [
        ...this.#edges.values(),
        ...this.#sources.map((of) => of()),
      ]
    ) {
      addTo(sums, totals);
      addTo(sums, gauges);
    }
    const lines: string[] = [];
    for (const [family, [type, help]] of Object.entries({ ...FAMILIES, ...PROCESS })) {
      const name = family in PROCESS ? family : PREFIX + family;
      const series = [...sums].filter(([key]) => familyOf(key, type) === family);
      // What never happened is 0: a rate needs a beginning. Which codes there will be nobody knows.
      if (series.length === 0 && family !== "refusals_total") series.push(...nothing(family, type));
      if (series.length === 0) continue;
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [key, value] of series) lines.push(`${name}${key.slice(family.length)} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

/**
 * Names the gauge of an isolate's own loop.
 *
 * @param isolate Which: `core`, or an edge's number.
 * @param seconds How long its timers had to wait.
 * @returns The series.
 */
export function lagOf(isolate: string | number, seconds: number): Series {
  return { [seriesName("event_loop_lag_seconds", { isolate })]: seconds };
}

function nothing(family: string, type: Type): [string, number][] {
  if (type === "histogram") return Object.entries(emptyHistogram(family));
  return type === "counter" ? [[family, 0]] : [];
}

function familyOf(key: string, type: Type): string {
  const name = key.split("{", 1)[0] ?? key;
  return type === "histogram" ? name.replace(/_(?:bucket|sum|count)$/, "") : name;
}

function addTo(sums: Map<string, number>, series: Series): void {
  for (const [key, value] of Object.entries(series)) sums.set(key, (sums.get(key) ?? 0) + value);
}
