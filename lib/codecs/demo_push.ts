/** The codec of the first demo's `/link/`: a message is its text, one frame each (demo-protocol.md, "Push"). */
import type { Codec } from "./codec.ts";
import { textOf } from "../protocol/message.ts";

/** Encodes pushes; nothing else is told, and nothing that a client says means anything. */
export const firstPush: Codec = {
  name: "first_push",
  index: 1,
  joins: false,
  message: ({ data }) => textOf(data),
  presence: () => undefined,
  signal: () => undefined,
};
