/**
 * Watches over the memory of the process and over sockets that don't go (architecture.md, "Traps of the runtime"):
 * what clients have half sent, and what those who stopped reading have unsent, is held by the runtime, out of our code's sight and reach. Near the limit newcomers are
 * refused; where that doesn't help, the worst edge is replaced, which frees all that its isolate holds. In the core's own isolate it
 * doesn't free all: see in_process.ts.
 */
import process from "node:process";
import type { Series } from "../observability/counters.ts";
import { log } from "../observability/logger.ts";

/** How often memory is measured, in milliseconds: it takes 8 µs, and a flood brings hundreds of megabytes a second. */
export const LOOK = 100;

/** From this part of the limit on newcomers are refused. */
export const HIGH = 0.85;

/** Under this part of it all is well again. */
export const NORMAL = 0.75;

/** How long refusing alone has to help before an edge is replaced, in milliseconds; beyond the limit it has no time at all. */
export const PATIENCE = 2000;

/** After a replacement memory is measured anew for so long before the next one, in milliseconds; beyond the limit less. */
export const SETTLE = 1000;
export const SETTLE_URGENT = 300;

/** After all edges were replaced in vain, the pause before that is done again; twice as long each time, up to a minute. */
export const ROUND = 10_000;
const LONGEST_ROUND = 60_000;

/** Newcomers are let in again, too, after so long between {@linkcode NORMAL} and {@linkcode HIGH}, in milliseconds. */
export const CALM = 10_000;

/** For how long an edge has to have too many stuck sockets, in milliseconds: most that we close go within a moment. */
export const STUCK_TIME = 5000;

/** How long after a replacement for stuck sockets the next may come, in milliseconds: those who make them shan't set the pace. */
export const STUCK_PAUSE = 30_000;

// What is left where all edges were replaced in vain.
const ADVICE = "raise --max-memory; with --workers 0, use --workers 1";

// What a socket costs beside what is unsent in it (architecture.md, "Measured facts").
const SOCKET_BYTES = 22_000;

/** What is known of an edge. The higher its number, the later it began. */
export interface Load {
  readonly edge: number;
  /** Bytes that the network hasn't taken. */
  readonly unsent: number;
  /** Sockets that we closed and whose clients don't go. */
  readonly stuck: number;
  /** Bytes of its heap in use. */
  readonly heap: number;
}

/** What a guard watches and may do. */
export interface GuardOptions {
  /** The limit in bytes; 0 for none. */
  readonly limit: number;
  /** From how many stuck sockets on an edge is replaced; 0 for any number. */
  readonly stuck: number;
  /** Measures the resident memory of the process, in bytes. */
  readonly measure: () => number;
  /** The edges that serve. */
  readonly loads: () => readonly Load[];
  /** Has newcomers refused, or let in again. */
  readonly refuse: (refusing: boolean) => void;
  /** Puts another in the place of an edge; where it is urgent nothing is waited for. It may become so meanwhile. */
  readonly replace: (edge: number, urgent: boolean) => Promise<void>;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

/**
 * Reads from what an edge counts what the guard goes by.
 *
 * @param edge Which.
 * @param gauges What it told of itself.
 * @returns What is known of it.
 */
export function loadOf(edge: number, gauges: Series): Load {
  const { unsent_bytes: unsent = 0, stuck_sockets: stuck = 0, heap_bytes: heap = 0 } = gauges;
  return { edge, unsent, stuck, heap };
}

/**
 * Chooses the edge that is to be replaced: the one that holds most, where that accounts for half of what has to go. Else nobody can
 * say whose it is (what unfinished messages take isn't told), and it is the turn of the one that serves for longest.
 *
 * @param loads What is known of those that it may be.
 * @param excess How many bytes have to go.
 * @returns The edge; undefined where there is none.
 */
export function worstOf(loads: readonly Load[], excess: number): number | undefined {
  const [most] = loads.toSorted((a, b) => held(b) - held(a));
  if (most !== undefined && held(most) >= excess / 2) return most.edge;
  return loads.toSorted((a, b) => a.edge - b.edge)[0]?.edge;
}

function held({ unsent, stuck, heap }: Load): number {
  return unsent + stuck * SOCKET_BYTES + heap;
}

/**
 * Tells the limit where none is said: three quarters of what the process may have, by its control group or the machine.
 *
 * @returns Bytes; 0 where the runtime may not ask.
 */
export function defaultLimit(): number {
  const asked = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  if (asked.state !== "granted") {
    log.warning("memory.unlimited", { missing: "--allow-sys=systemMemoryInfo, or --max-memory" });
    return 0;
  }
  const machine = Deno.systemMemoryInfo().total;
  // Deno before 2.9 doesn't tell of control groups.
  const group = "constrainedMemory" in process ? process.constrainedMemory() : 0;
  return Math.floor(0.75 * Math.min(machine, group || machine));
}

/** A guard on duty. */
export class Guard implements Disposable {
  #options: GuardOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #tooMany = new Map<number, number>();
  #refusing = false;
  // How many replacements are under way: another one only where it has become urgent.
  #acting = 0;
  #urgent = false;
  #since = 0;
  #calmSince = 0;
  #acted = -Infinity;
  #nextRound = 0;
  #noStuckBefore = 0;
  // Edges up to this number are those of the round, each of which is replaced at most once.
  #round: number | undefined;
  #rounds = 0;
  #replaced = 0;
  #most = 0;

  /** @param options What it watches; it does so at once. */
  constructor(options: GuardOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), LOOK);
  }

  /** What is so now, for whoever watches. */
  get gauges(): Series {
    return { memory_limit_bytes: this.#options.limit, newcomers_refused: this.#refusing ? 1 : 0 };
  }

  /** What it has done. */
  get totals(): Series {
    return { guard_replacements_total: this.#replaced };
  }

  /**
   * Goes by other bounds from now on.
   *
   * @param bounds The limit, and how many sockets may be stuck.
   */
  renew(bounds: Pick<GuardOptions, "limit" | "stuck">): void {
    this.#options = { ...this.#options, ...bounds };
  }

  /** Measures, and does what is due; by itself ten times a second. */
  look(): void {
    const { limit, measure, now } = this.#options;
    const resident = measure();
    this.#judge(resident, now());
    const urgent = this.#refusing && resident >= limit;
    if (this.#acting > 0 && (this.#urgent || !urgent)) return;
    const [why, edge] = this.#due(resident, now()) ?? [];
    if (why === undefined || edge === undefined) return;
    const { unsent = 0, stuck = 0 } = this.#options.loads().find((load) => load.edge === edge) ??
      {};
    const facts = { edge, resident, limit, unsent, stuck };
    // Each by its name: the list of events is held against the code.
    if (why === "sockets.stuck") log.warning("sockets.stuck", facts);
    else log.warning("memory.replacing", facts);
    void this.#act(edge, urgent);
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #judge(resident: number, now: number): void {
    const { limit, refuse } = this.#options;
    if (!this.#refusing && limit > 0 && resident >= HIGH * limit) {
      [this.#refusing, this.#since, this.#most, this.#rounds] = [true, now, 0, 0];
      this.#round = undefined;
      this.#nextRound = 0;
      log.warning("memory.high", { resident, limit });
      refuse(true);
    }
    if (!this.#refusing) return;
    this.#most = Math.max(this.#most, resident);
    if (resident >= HIGH * limit && limit > 0) this.#calmSince = now;
    const calm = resident < NORMAL * limit || now - this.#calmSince >= CALM;
    if (!calm && limit > 0) return;
    this.#refusing = false;
    log.info("memory.normal", { resident, limit, most: this.#most, ms: now - this.#since });
    refuse(false);
  }

  #due(
    resident: number,
    now: number,
  ): readonly [why: "sockets.stuck" | "memory.replacing", edge: number | undefined] | undefined {
    const { limit } = this.#options;
    const stuck = this.#stuck(now);
    if (stuck !== undefined) return ["sockets.stuck", stuck];
    if (!this.#refusing || resident < HIGH * limit || now < this.#nextRound) return undefined;
    const urgent = resident >= limit;
    if (now - this.#acted < (urgent ? SETTLE_URGENT : SETTLE)) return undefined;
    if (!urgent && now - this.#since < PATIENCE) return undefined;
    return ["memory.replacing", this.#worst(resident, now)];
  }

  #worst(resident: number, now: number): number | undefined {
    const { limit } = this.#options;
    const loads = this.#options.loads();
    this.#round ??= Math.max(...loads.map(({ edge }) => edge));
    const worst = worstOf(
      loads.filter(({ edge }) => edge <= (this.#round ?? 0)),
      resident - NORMAL * limit,
    );
    if (worst !== undefined) return worst;
    // It wasn't theirs, or it comes back faster than it goes: whoever is cut again and again shall have some air.
    this.#round = undefined;
    const pause = Math.min(ROUND * 2 ** this.#rounds++, LONGEST_ROUND);
    this.#nextRound = now + pause;
    // Nobody is let in until then, and the next round will hardly do better: somebody has to know.
    const vain = this.#rounds;
    log.warning("memory.high", { resident, limit, vain, pause, advice: ADVICE });
    return undefined;
  }

  #stuck(now: number): number | undefined {
    const most = this.#options.stuck;
    const many = this.#options.loads().filter(({ stuck }) => most > 0 && stuck >= most);
    for (const edge of this.#tooMany.keys()) {
      if (!many.some((load) => load.edge === edge)) this.#tooMany.delete(edge);
    }
    for (const { edge } of many) {
      const since = this.#tooMany.get(edge) ?? now;
      this.#tooMany.set(edge, since);
      if (now - since < STUCK_TIME || now < this.#noStuckBefore) continue;
      this.#noStuckBefore = now + STUCK_PAUSE;
      return edge;
    }
    return undefined;
  }

  async #act(edge: number, urgent: boolean): Promise<void> {
    const { replace, now } = this.#options;
    this.#acting += 1;
    this.#urgent ||= urgent;
    this.#replaced += 1;
    try {
      await replace(edge, urgent);
    } catch (error) {
      log.error("edge.stays", { edge, error: String(error) });
    } finally {
      this.#acting -= 1;
      if (urgent) this.#urgent = false;
      this.#acted = now();
    }
  }
}
