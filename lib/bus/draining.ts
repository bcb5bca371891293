/** Going away over HTTP: new work is refused with 503, and after every other refusal (protocol.md, "HTTP"). */
import type { EdgeEnd, Up } from "./bus.ts";
import { type Refusal, refuse } from "../protocol/refusals.ts";

/** What is said to whoever comes now. */
export const LEAVING: Refusal = {
  ...refuse("unavailable", "The server is going away, come back"),
  retry: 2000,
};

/** What is said to whoever was let in and can't be answered any more: what it began may be committed, or may be soon. */
export const AWAY: Refusal = {
  ...refuse(
    "unavailable",
    "The server went away before it could answer. What was asked may have been done: ask again, with the same key",
  ),
  retry: 2000,
};

// What a request begins something with; the rest only asks, or ends something.
const BEGINS: ReadonlySet<Up["op"]> = new Set([
  "propose",
  "publish",
  "admit",
  "session",
  "withdraw",
]);

/**
 * Lets requests find out all that is wrong with them, and refuses what they would begin once the server goes away.
 *
 * @param bus The edge's end.
 * @param leaving Whether it goes away.
 * @returns The end for requests; connections go on with the other.
 */
export function untilLeaving(bus: EdgeEnd, leaving: () => boolean): EdgeEnd {
  return {
    listen: (receiver) => bus.listen(receiver),
    send(up, answered) {
      if (!leaving() || !BEGINS.has(up.op)) return bus.send(up, answered);
      queueMicrotask(() => answered?.({ refusal: LEAVING }));
    },
  };
}
