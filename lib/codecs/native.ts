/** The codec of the native protocol: lines of JSON, many to a frame (protocol.md, "WebSocket"). */
import type { Refusal } from "../protocol/refusals.ts";
import type { Codec } from "./codec.ts";
import { type BadCommand, type Command, parseCommand, type Verb } from "../protocol/command.ts";
import { onOneLine, toJson } from "../protocol/json.ts";
import { type Message, messageJson } from "../protocol/message.ts";
import { type Roster, rosterJson } from "../protocol/presence.ts";

/** Encodes what the server tells by itself. */
export const native: Codec = {
  name: "native",
  index: 0,
  joins: true,
  message: (message) => `{"message":${messageJson(message)}}`,
  presence: (delta) => toJson({ presence: delta }),
  signal: ({ channel, from, data }) =>
    onOneLine(
      `{"signal":{"channel":${JSON.stringify(channel)},"from":${
        JSON.stringify(from)
      },"data":${data}}}`,
    ),
  closing: (reason, retry) => toJson({ closing: { reason, retry } }),
};

/**
 * Reads a frame line by line, as far as its reader goes: a frame of half a million bad lines costs what is looked at.
 *
 * @param frame One or more JSON objects, one a line; blank lines are passed over.
 * @returns The commands, or what is wrong with each line.
 */
export function* decode(frame: string): Generator<Command | BadCommand> {
  // Blank lines are passed over by the engine: a frame of a million of them costs a millisecond.
  const something = /\S/g;
  while (something.test(frame)) {
    const start = something.lastIndex - 1;
    const end = frame.indexOf("\n", start);
    yield parseCommand(frame.slice(start, end < 0 ? undefined : end));
    if (end < 0) return;
    something.lastIndex = end;
  }
}

/**
 * Reads the id of a lone signal that begins as JavaScript writes it, without parsing it.
 *
 * @param frame A frame.
 * @returns The id; undefined where the frame has to be parsed to know it.
 */
export function signalId(frame: string): number | undefined {
  const [, id] = /^\{"id":([1-9]\d{0,14}),"signal":\{/.exec(frame.slice(0, 48)) ?? [];
  return id === undefined || frame.includes("\n") ? undefined : Number(id);
}

/**
 * Writes the answer to a command.
 *
 * @param id The command's.
 * @param verb The command's.
 * @param body What it is answered with.
 * @returns The line.
 */
export function answerLine(id: number, verb: Verb, body: object): string {
  return toJson({ id, [verb]: body });
}

/**
 * Writes an answer that holds messages, which are JSON already.
 *
 * @param id The command's.
 * @param verb The command's.
 * @param body What it is answered with besides them.
 * @param list The messages as JSON, joined by commas.
 * @param roster Who is there, where it was asked for.
 * @returns The line.
 */
export function answerPage(
  id: number,
  verb: Verb,
  body: object,
  list: string,
  roster?: Roster,
): string {
  const rest = toJson(body).slice(1);
  const presence = roster === undefined ? "" : `,"presence":${rosterJson(roster, false)}`;
  return `{"id":${id},"${verb}":{"messages":[${list}]${presence}${rest === "}" ? "" : ","}${rest}}`;
}

/**
 * Writes messages for {@linkcode answerPage}.
 *
 * @param messages The messages.
 * @returns JSON, joined by commas.
 */
export function listOf(messages: readonly Message[]): string {
  return messages.map(messageJson).join(",");
}

/**
 * Writes the answer to `presence`.
 *
 * @param id The command's.
 * @param roster Who is there.
 * @returns The line.
 */
export function answerRoster(id: number, roster: Roster): string {
  return `{"id":${id},"presence":${rosterJson(roster, true)}}`;
}

/**
 * Writes a refusal.
 *
 * @param id The command's, where it had a usable one.
 * @param refusal Why.
 * @returns The line.
 */
export function errorLine(
  id: number | undefined,
  { code, message, retry }: Refusal,
): string {
  const error = { code, message, ...(retry === undefined ? {} : { retry }) };
  return toJson(id === undefined ? { error } : { id, error });
}
