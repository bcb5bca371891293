/** One page of figures. */
import { table } from "../../helpers/load/figures.ts";
import type { Sample } from "./gauges.ts";
import type { HerdCounts } from "./herd_client.ts";
import type { Counts } from "./ledger.ts";
import type { Soak } from "./soak.ts";
import type { Seen } from "./witness.ts";

/** What a phase came to. */
export interface PhaseFigures {
  readonly name: string;
  readonly seconds: number;
  readonly witness: Seen;
  /** The most that the server took. */
  readonly most: Omit<Sample, "at">;
  readonly notes: readonly string[];
}

/** All that a run came to. */
export interface Figures {
  readonly seed: number;
  readonly minutes: number;
  readonly program: string;
  /** Its command line, files aside. */
  readonly flags: readonly string[];
  readonly machine: { readonly cores: number; readonly descriptors: number };
  readonly phases: readonly PhaseFigures[];
  /** Of those who keep the books. */
  readonly books: Counts & { readonly acknowledged: number };
  readonly herd: HerdCounts;
  /** The most clients at once. */
  readonly held: number;
  readonly fuzz: { readonly cases: number; readonly answers: Readonly<Record<string, number>> };
  /** Events of the server's log, over all of its processes. */
  readonly events: Readonly<Record<string, number>>;
  readonly server: {
    readonly start: Omit<Sample, "at">;
    readonly most: Omit<Sample, "at">;
    /** Once all had left. */
    readonly end: Omit<Sample, "at">;
    readonly left: { readonly connections: number; readonly stuck: number };
  };
  readonly soak: Soak | undefined;
  /** Its end by SIGTERM, with clients. */
  readonly end: { readonly code: number; readonly ms: number; readonly clients: number };
  readonly violations: readonly string[];
}

/**
 * Writes the page.
 *
 * @param figures What a run came to.
 * @returns Its text.
 */
export function pageOf(figures: Figures): string {
  const { seed, minutes, program, flags, machine, books, herd, held, server } = figures;
  const head = [
    `Fanfare under torture, ${minutes.toFixed(1)} minutes, seed ${seed}`,
    `  ${program}, behind nginx as the README says; ${flags.join(" ")}`,
    `  ${machine.cores} cores shared with nginx and all clients, ${machine.descriptors} descriptors a process`,
  ];
  const { published, acknowledged, delivered, lost, repeated, reordered, wrong } = books;
  const kept = [
    `books    published ${published}, acknowledged ${acknowledged}, delivered ${delivered}`,
    `         lost ${lost}, repeated ${repeated}, reordered ${reordered}, otherwise wrong ${wrong}`,
    `         sent again ${books.resends}, known as duplicates ${books.duplicates}, refused ${books.refused}, came back ${books.reconnects} times`,
    `done     kill -9 ${books.kills}, cut connections ${books.cut}, replacements asked ${books.mishaps}, fuzz cases ${figures.fuzz.cases}`,
    `herd     held ${held} at once, delivered ${herd.delivered}, lost ${herd.lost}, repeated ${herd.repeated}, reordered ${herd.reordered}, not recovered ${herd.unrecovered}`,
    `         broken ${herd.breaks} times; handshakes refused: ${listed(herd.refusals)}`,
    `log      ${listed(figures.events)}`,
  ];
  const { start, most, end, left } = server;
  const taken = [
    `server   start ${inWords(start)}`,
    `         most  ${inWords(most)}`,
    `         end   ${
      inWords(end)
    }, when all had left: ${left.connections} connections, ${left.stuck} stuck`,
    ...soakLines(figures.soak),
    `SIGTERM  with ${figures.end.clients} clients: exit ${figures.end.code} after ${
      (figures.end.ms / 1000).toFixed(1)
    } s`,
  ];
  const rows = figures.phases.map(({ name, seconds, witness, most }) => [
    name,
    seconds.toFixed(0),
    witness.messages,
    ...[witness.p50, witness.p99, witness.max].map((ms) => ms.toFixed(1)),
    witness.breaks,
    most.resident.toFixed(0),
    most.descriptors,
  ]);
  const columns = ["phase", "s", "witnessed", "p50 ms", "p99 ms", "max ms", "breaks", "MiB", "fds"];
  const notes = figures.phases.filter(({ notes }) => notes.length > 0).flatMap(({ name, notes }) =>
    notes.map((note) => `${name}: ${note}`)
  );
  const verdict = figures.violations.length === 0 ? ["No violation"] : figures.violations;
  return [head, kept, taken, [table([columns, ...rows])], notes, verdict]
    .map((lines) => lines.join("\n")).join("\n\n");
}

function soakLines(soak: Soak | undefined): string[] {
  if (soak === undefined) return [];
  const { minutes, clients, churn, resident, descriptors } = soak;
  const slope = (all: number, late: number) =>
    `${all.toFixed(2)} a minute (second half ${late.toFixed(2)})`;
  return [
    `soak     ${minutes.toFixed(1)} minutes, ${clients} clients, ${churn} come and go each second`,
    `         MiB ${resident.first} to ${resident.last}, ${
      slope(soak.residentSlope, soak.residentSlopeLate)
    }`,
    `         descriptors ${descriptors.first} to ${descriptors.last}, ${
      slope(soak.descriptorSlope, soak.descriptorSlopeLate)
    }`,
  ];
}

function inWords({ resident, descriptors }: Omit<Sample, "at">): string {
  return `${resident} MiB, ${descriptors} descriptors`;
}

function listed(counts: Readonly<Record<string, number>>): string {
  const all = Object.entries(counts).sort(([one], [other]) => one < other ? -1 : 1);
  return all.map(([name, count]) => `${name} ${count}`).join(", ") || "none";
}
