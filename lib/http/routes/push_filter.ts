/** Which pushes a subscriber of ntfy wants: by id, text, title, priorities and tags. */
import { priorityIn, PUSH_NAMES } from "../../protocol/push.ts";
import { said, type Sayings } from "../../protocol/params.ts";
import type { Format, Told } from "../../codecs/ntfy.ts";

/** Decides for each message. */
export type Filter = (told: Told) => boolean;

const NORMAL = 3;

/**
 * Reads the filter of a subscription.
 *
 * @param sayings The request's headers and query.
 * @returns The filter, "none" where all is wanted, or undefined where a priority is none.
 */
export function filterIn(sayings: Sayings): Filter | "none" | undefined {
  const id = said(sayings, ["x-id", "id"]);
  const message = said(sayings, PUSH_NAMES.message);
  const title = said(sayings, PUSH_NAMES.title);
  const tags = listIn(said(sayings, PUSH_NAMES.tags));
  const levels = listIn(said(sayings, PUSH_NAMES.priority)).map(priorityIn);
  if (levels.includes(undefined)) return undefined;
  const all = [id, message, title].every((wanted) => wanted === undefined);
  if (all && tags.length === 0 && levels.length === 0) return "none";
  return (told) =>
    (id === undefined || told.id === id ||
      told.id.replace(/^[a-z]+/, "") === id) &&
    (message === undefined || told.message === message) &&
    (title === undefined || told.title === title) &&
    (levels.length === 0 || levels.includes(told.priority ?? NORMAL)) &&
    tags.every((tag) => told.tags?.includes(tag));
}

function listIn(text = ""): string[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean);
}

/**
 * Filters a stream of JSON lines. Lines are shared by all who read a channel; who filters has its own made of them.
 *
 * @param filter The filter; what is no message passes.
 * @param format How those that pass are written.
 * @returns The stream's other form.
 */
export function filtered(
  filter: Filter,
  { write }: Format,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const [decoder, encoder] = [new TextDecoder(), new TextEncoder()];
  let rest = "";
  return new TransformStream({
    transform(bytes, controller) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      const text = lines.filter((line) => line !== "" && passes(filter, line))
        .map((line) => `${write(JSON.parse(line))}\n`).join("");
      if (text !== "") controller.enqueue(encoder.encode(text));
    },
  });
}

/**
 * Tells whether a frame of a subscription passes.
 *
 * @param filter The filter; what is no message passes.
 * @param frame One line of JSON.
 * @returns Whether it does.
 */
export function passes(filter: Filter, frame: string): boolean {
  const told: Told = JSON.parse(frame);
  return told.event !== "message" || filter(told);
}
