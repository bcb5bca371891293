/** Half of the load for long, with connections that come and go: which way memory and descriptors go (threats.md L12). */
import { pause } from "../../helpers/child_server.ts";
import { slopeOf } from "./gauges.ts";
import { FULL_RATE, type Stage } from "./stage.ts";
import { fillHerd } from "./storm.ts";

/** What a soak showed. */
export interface Soak {
  readonly minutes: number;
  readonly clients: number;
  /** Comings and goings a second. */
  readonly churn: number;
  /** MiB a minute; over all of it, and over its second half. */
  readonly residentSlope: number;
  readonly residentSlopeLate: number;
  /** A minute. */
  readonly descriptorSlope: number;
  readonly descriptorSlopeLate: number;
  readonly resident: { readonly first: number; readonly last: number };
  readonly descriptors: { readonly first: number; readonly last: number };
}

const CHURN = 20;
const TALK = { rate: 1, bytes: 100 };
/** What it takes until everything was used once isn't a slope, in milliseconds. */
const SETTLE = 10_000;
/** From here on a slope is judged: in shorter ones it is noise. */
const JUDGED = 4 * 60_000;
/** How much of what it takes it may grow by, were it to go on as in the second half for as long as it lasted. */
const GROWTH = 0.25;

/**
 * Lets it soak.
 *
 * @param stage Where.
 * @param until Until when, by `performance.now()`.
 * @returns What is to be noted.
 */
export async function soak(stage: Stage, until: number): Promise<string[]> {
  const { herd, gauges } = stage.parts;
  const clients = Math.round(stage.clients / 2);
  stage.rate = FULL_RATE / 2;
  await fillHerd(stage, clients);
  await herd.call("talk", { talk: TALK });
  await herd.call("churn", { rate: CHURN });
  await pause(SETTLE);
  const since = performance.now();
  for (let left; (left = until - performance.now()) > 0;) {
    await pause(Math.min(left, 60_000));
    const now = gauges.look();
    stage.say(`soak: ${now?.resident} MiB, ${now?.descriptors} descriptors`);
  }
  stage.soak = figuresOf(stage, since, clients);
  judge(stage, stage.soak, performance.now() - since);
  await herd.call("churn", { rate: 0 });
  await herd.call("talk", { talk: { ...TALK, rate: 0 } });
  await herd.call("grow", { clients: 0, limit: 0 });
  const { churn, residentSlope, descriptorSlope } = stage.soak;
  return [
    `${clients} clients, ${churn} come and go each second`,
    `${signed(residentSlope)} MiB and ${signed(descriptorSlope)} descriptors a minute`,
  ];
}

const signed = (value: number) => `${value < 0 ? "" : "+"}${value.toFixed(2)}`;

function figuresOf({ parts: { gauges } }: Stage, since: number, clients: number): Soak {
  const some = gauges.samples.filter(({ at }) => at >= since);
  const late = some.slice(Math.floor(some.length / 2));
  const [first, last] = [some[0], some.at(-1)];
  const resident = (samples: typeof some) => slopeOf(samples.map((one) => [one.at, one.resident]));
  const descriptors = (samples: typeof some) =>
    slopeOf(samples.map((one) => [one.at, one.descriptors]));
  return {
    minutes: (performance.now() - since) / 60_000,
    clients,
    churn: CHURN,
    residentSlope: resident(some),
    residentSlopeLate: resident(late),
    descriptorSlope: descriptors(some),
    descriptorSlopeLate: descriptors(late),
    resident: { first: first?.resident ?? 0, last: last?.resident ?? 0 },
    descriptors: { first: first?.descriptors ?? 0, last: last?.descriptors ?? 0 },
  };
}

function judge({ ledger }: Stage, soak: Soak, ms: number): void {
  if (ms < JUDGED) return;
  const { minutes, resident, residentSlopeLate, descriptors, descriptorSlopeLate } = soak;
  if (residentSlopeLate * minutes > GROWTH * resident.last) {
    ledger.violate("wrong", `In the soak memory grew by ${signed(residentSlopeLate)} MiB a minute`);
  }
  if (descriptorSlopeLate * minutes > GROWTH * descriptors.last) {
    const growth = signed(descriptorSlopeLate);
    ledger.violate("wrong", `In the soak descriptors grew by ${growth} a minute`);
  }
}
