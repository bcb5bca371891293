/** How a bystander's ping fares while others read, unpack and say as much as they can. */
import { type Attack, type AttackJob, ATTACKS } from "../../../helpers/load/attacks.ts";
import { measure } from "../../../helpers/load/bystander.ts";
import type { Scenario, Verdict } from "../scenario.ts";

const jobIn = (name: string): [Omit<AttackJob, "port">, number] => {
  const [attack, clients, , channels, , workers] = name.split(" ");
  const known = ATTACKS.find((one) => one === attack) ?? "poll";
  return [{ attack: known, clients: Number(clients), channels: Number(channels) }, Number(workers)];
};

function cases(
  attacks: readonly Attack[],
  clients: readonly number[],
  channels: readonly number[],
  workers: readonly number[],
): string[] {
  return attacks.flatMap((attack) =>
    workers.flatMap((edges) =>
      channels.flatMap((channel) =>
        clients.map((client) => `${attack} ${client} × ${channel} on ${edges}`)
      )
    )
  );
}

const LOUD = ATTACKS.filter((attack) => attack !== "unread" && attack !== "burn");
// Attackers that don't touch the server, and those that touch it and read nothing.
const ALONE = ["burn 8 × 1 on 0", "burn 8 × 1 on 2", "unread 450 × 128 on 0"];
const READING = cases(LOUD.filter((attack) => attack !== "gzip"), [1, 8, 60], [1, 8, 128], [
  0,
  1,
  2,
]);
// It publishes in one channel, whatever there is.
const SAYING = cases(["gzip"], [1, 8, 60], [1], [0, 1, 2]);

// An end, or an error in the log, is as bad as twice of any.
const TARGETS = { "p50 ms": 50, "p99 ms": 250, "+MB": 300, ended: 0.5, errors: 0.5 };

/** Every attack from some clients on some channels, against servers with and without isolates of their own for sockets. */
export const bystander: Scenario = {
  name: "bystander",
  about: "others' pings, and memory, while CLIENTS × CHANNELS on ISOLATES do as much as they can",
  cases: [...ALONE, ...READING, ...SAYING],
  quickCases: [...ALONE, ...cases(LOUD, [60], [128], [0, 1])],
  measure(name) {
    const [job, workers] = jobIn(name);
    return measure(job, workers);
  },
  verdicts: (run) =>
    [...run].map(([name, figures]): Verdict => ({
      what: `${name}: the largest part of what it may come to`,
      value: Math.max(
        ...Object.entries(TARGETS).map(([column, most]) => (figures[column] ?? NaN) / most),
      ),
      target: 1,
      atLeast: false,
    })),
};
