/** Settings of an edge that a test starts by itself, without all that a server has around it. */
import type { EdgeSettings } from "../../lib/isolates/messages.ts";
import { UNBOUNDED } from "./limits.ts";

/** The admin token of {@linkcode edgeSettings}. */
export const EDGE_TOKEN = "0123456789abcdef0123";

/**
 * Makes the settings of an open edge on a free port of the loopback.
 *
 * @param log The log's file.
 * @param more What differs.
 * @returns The settings.
 */
export function edgeSettings(log: string, more: Partial<EdgeSettings> = {}): EdgeSettings {
  return {
    log,
    access: {
      key: new Uint8Array(32),
      adminToken: EDGE_TOKEN,
      open: true,
      tokens: { accountClaim: "sub", withdrawn: [] },
    },
    ...{ limits: UNBOUNDED, host: "127.0.0.1", port: 0, origins: [], trustProxy: false },
    ...{ localOnly: true, tls: undefined, unix: undefined, held: 1e9, pages: undefined },
    ...more,
  };
}
