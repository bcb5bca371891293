/** The log of events for whoever runs the server: one line each on standard error, a stable name first, no message texts. */
import {
  configureSync,
  getConsoleSink,
  getJsonLinesFormatter,
  getLogger,
  type LogRecord,
} from "@logtape/logtape";
import { countedAs } from "../config/address.ts";
import type { Level } from "../config/config.ts";
import type { EVENTS, EventsOf, FieldsOf } from "./events.ts";
import { RefusalLog } from "./refusal_log.ts";
import { onOneLine } from "../protocol/json.ts";

// The fields of any event.
type Facts = Record<string, string | number | boolean | null | undefined>;

let started: Level | undefined;

/**
 * Tells what was started, so that another isolate can do the same.
 *
 * @returns The level; undefined where nothing is logged.
 */
export function loggingLevel(): Level | undefined {
  return started;
}

/**
 * Starts logging: JSON lines, or readable ones on a terminal.
 *
 * @param level The least that is told.
 */
export function startLogging(level: Level): void {
  started = level;
  const encoder = new TextEncoder();
  const format = Deno.stderr.isTerminal()
    ? readable
    : getJsonLinesFormatter({ properties: "flatten" });
  configureSync({
    reset: true,
    sinks: {
      stderr: (record) => void Deno.stderr.writeSync(encoder.encode(onOneLine(format(record)))),
      console: getConsoleSink(),
    },
    loggers: [
      { category: "fanfare", sinks: ["stderr"], lowestLevel: level },
      { category: ["logtape", "meta"], sinks: ["console"], lowestLevel: "error" },
    ],
  });
}

function readable(record: LogRecord): string {
  const facts = Object.entries(record.properties).map(([name, value]) =>
    `${name}=${JSON.stringify(value)}`
  );
  const time = new Date(record.timestamp).toISOString();
  return `${time} ${record.level.padEnd(7)} ${record.message.join("")} ${facts.join(" ")}\n`;
}

const refusals = new RefusalLog<Facts>((event, facts) => getLogger("fanfare").info(event, facts));
let flushing: ReturnType<typeof setInterval> | undefined;

// A timer while there is something to tell, which keeps no process alive.
function gather(event: string, facts: Facts): void {
  const { address, code, status } = facts;
  const from = countedAs(String(address ?? ""));
  refusals.add(event, `${code ?? status ?? ""} ${from}`, facts, performance.now());
  if (flushing !== undefined || started === undefined) return;
  flushing = setInterval(() => {
    refusals.flush(performance.now());
    if (refusals.size > 0) return;
    clearInterval(flushing);
    flushing = undefined;
  }, 1000);
  Deno.unrefTimer(Number(flushing));
}

// The fields may be left out where the event has none.
type Arguments<Name extends keyof typeof EVENTS> = Record<never, never> extends FieldsOf<Name>
  ? [fields?: FieldsOf<Name>]
  : [fields: FieldsOf<Name>];

/** The logger. Each method takes an event of its level from {@linkcode EVENTS} and its fields. Silent until {@linkcode startLogging}. */
export const log = {
  debug: <Name extends EventsOf<"debug">>(event: Name, ...[fields]: Arguments<Name>): void =>
    getLogger("fanfare").debug(event, { ...fields }),
  info: <Name extends EventsOf<"info">>(event: Name, ...[fields]: Arguments<Name>): void =>
    getLogger("fanfare").info(event, { ...fields }),
  /** A refusal, at level info: at most once a minute for each address and its code or status, with a count. */
  refused: <Name extends EventsOf<"refused">>(event: Name, fields: FieldsOf<Name>): void =>
    gather(event, { ...fields }),
  warning: <Name extends EventsOf<"warning">>(event: Name, ...[fields]: Arguments<Name>): void =>
    getLogger("fanfare").warn(event, { ...fields }),
  error: <Name extends EventsOf<"error">>(event: Name, ...[fields]: Arguments<Name>): void =>
    getLogger("fanfare").error(event, { ...fields }),
};
