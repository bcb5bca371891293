/** The events that the server logs: their names, levels and fields. `static/docs/events.md` lists when each is logged. */

/** How a field is written in the table: its type, with `?` where not every line has it. */
type FieldType = "string" | "number" | "boolean" | "string?" | "number?" | "boolean?";

/** One event: the method of the logger that writes it, and its fields. */
interface EventRow {
  /** `refused` is level info, at most one line a minute for each address and code, with a `count`. */
  readonly level: "debug" | "info" | "refused" | "warning" | "error";
  readonly fields: Readonly<Record<string, FieldType>>;
}

/** All events by their names. Names are stable: operators search and alert by them. */
export const EVENTS = {
  "request.refused": {
    level: "refused",
    fields: { request: "string", method: "string", status: "number", address: "string" },
  },
  "proxy.unnamed": { level: "warning", fields: { count: "number" } },
  "request.failed": { level: "error", fields: { error: "string" } },
  "connection.open": {
    level: "debug",
    fields: { connection: "string", codec: "string", address: "string" },
  },
  "connection.closed": {
    level: "debug",
    fields: { connection: "string", code: "number?", address: "string" },
  },
  "connection.close": { level: "debug", fields: { connection: "string", error: "string" } },
  "connection.refused": {
    level: "refused",
    fields: { connection: "string?", address: "string", code: "string?", error: "string?" },
  },
  "connection.banned": {
    level: "refused",
    fields: { connection: "string?", address: "string", reason: "string" },
  },
  "connection.slow": {
    level: "info",
    fields: { connection: "string", address: "string", unsent: "number" },
  },
  "connection.outrun": { level: "info", fields: { connection: "string", address: "string" } },
  "connection.silent": { level: "info", fields: { connection: "string", address: "string" } },
  "connection.failed": { level: "error", fields: { connection: "string", error: "string" } },
  "frame.refused": {
    level: "refused",
    fields: { connection: "string", address: "string", code: "number" },
  },
  "command.refused": {
    level: "refused",
    fields: { connection: "string?", address: "string", code: "string" },
  },
  "token.wrong": { level: "refused", fields: { address: "string" } },
  "token.ended": { level: "info", fields: { connection: "string", address: "string" } },
  "session.ended": { level: "info", fields: { connection: "string", address: "string" } },
  "sessions.ended": { level: "info", fields: { account: "string", address: "string" } },
  "account.muted": {
    level: "info",
    fields: { account: "string", time: "number", until: "number?", address: "string" },
  },
  "account.unmuted": { level: "info", fields: { account: "string", address: "string" } },
  "credentials.read": { level: "info", fields: { file: "string?", url: "string?" } },
  "credentials.wrong": {
    level: "error",
    fields: { file: "string?", url: "string?", error: "string" },
  },
  "credentials.unwritable": { level: "error", fields: { error: "string" } },
  "log.refused": { level: "error", fields: { error: "string", batch: "number" } },
  "log.unwritable": { level: "debug", fields: { error: "string" } },
  "log.healed": { level: "info", fields: {} },
  "log.renewed": { level: "warning", fields: { epoch: "string" } },
  "log.unreadable": { level: "error", fields: { connection: "string?", error: "string" } },
  "accept.paused": { level: "error", fields: { error: "string" } },
  "accept.resumed": { level: "info", fields: { ms: "number" } },
  "edge.serving": { level: "info", fields: { edge: "number", ms: "number" } },
  "edge.replaced": { level: "info", fields: { edge: "number", by: "number" } },
  "edge.stays": { level: "error", fields: { edge: "number", error: "string" } },
  "edge.ended": { level: "error", fields: { edge: "number", why: "string", pause: "number" } },
  "edge.hung": { level: "error", fields: { edge: "number", silent: "number" } },
  "edge.none": { level: "error", fields: { since: "number?", error: "string?" } },
  "memory.high": {
    level: "warning",
    fields: {
      resident: "number",
      limit: "number",
      vain: "number?",
      pause: "number?",
      advice: "string?",
    },
  },
  "memory.replacing": {
    level: "warning",
    fields: {
      edge: "number",
      resident: "number",
      limit: "number",
      unsent: "number",
      stuck: "number",
    },
  },
  "memory.normal": {
    level: "info",
    fields: { resident: "number", limit: "number", most: "number", ms: "number" },
  },
  "memory.unlimited": { level: "warning", fields: { missing: "string" } },
  "sockets.stuck": {
    level: "warning",
    fields: {
      edge: "number",
      resident: "number",
      limit: "number",
      unsent: "number",
      stuck: "number",
    },
  },
  "bus.hole": { level: "info", fields: { from: "number", to: "number" } },
  "settings.read": { level: "info", fields: { logLevel: "string", restart: "string?" } },
  "settings.refused": { level: "error", fields: { error: "string" } },
  "tracing.none": { level: "warning", fields: { advice: "string" } },
  "server.unheard": { level: "warning", fields: { url: "string", error: "string" } },
  "server.leaving": { level: "info", fields: { signal: "string" } },
  "server.end": { level: "error", fields: { error: "string" } },
} as const satisfies Readonly<Record<string, EventRow>>;

type Rows = typeof EVENTS;

/** The names of the events that a method of the logger writes. */
export type EventsOf<Level extends EventRow["level"]> = {
  [Name in keyof Rows]: Rows[Name]["level"] extends Level ? Name : never;
}[keyof Rows];

interface Types {
  string: string;
  number: number;
  boolean: boolean;
}

type ValueOf<Field> = Field extends `${infer Type extends keyof Types}?` ? Types[Type] | undefined
  : Field extends keyof Types ? Types[Field]
  : never;

type FieldsIn<Fields> =
  & {
    readonly [Name in keyof Fields as Fields[Name] extends `${string}?` ? never : Name]: ValueOf<
      Fields[Name]
    >;
  }
  & {
    readonly [Name in keyof Fields as Fields[Name] extends `${string}?` ? Name : never]?: ValueOf<
      Fields[Name]
    >;
  };

/** The fields of an event. */
export type FieldsOf<Name extends keyof Rows> = FieldsIn<Rows[Name]["fields"]>;
