/** Decides what the log has to let go: by age and by size, a small step at a time. */
import type { RetentionPolicy } from "../limits.ts";
import type { Log } from "../log/log.ts";
import type { Proposal } from "../protocol/message.ts";

/**
 * Makes the next `trim` record.
 *
 * @param log What is there.
 * @param policy What is to stay.
 * @param now Milliseconds since 1970.
 * @returns The proposal, or undefined where nothing has to go.
 */
export function nextTrim(log: Log, policy: RetentionPolicy, now: number): Proposal | undefined {
  const { keep, keepPush, keepBytes } = policy;
  const trim = (scope: "all" | "push", before: number): Proposal | undefined => {
    const upTo = log.trimPoint(scope, before);
    return upTo === undefined ? undefined : { kind: "trim", scope, upTo };
  };
  return (keepBytes > 0 && log.bytes > keepBytes ? trim("all", Infinity) : undefined) ??
    (keep > 0 ? trim("all", now - keep) : undefined) ??
    (keepPush > 0 ? trim("push", now - keepPush) : undefined);
}
