/** Who may push without a token, as the command line decides it. */
import { isLoopback } from "./address.ts";
import type { Config } from "./config.ts";

/**
 * Who may push without a token: `anyone` (`--open`), `local` (whoever reaches a loopback address under a loopback name; the
 * default there), or nobody (`closed`).
 */
export type Openness = "anyone" | "local" | "closed";

/** The settings that decide it. */
export type OpennessSettings = Pick<
  Config,
  "open" | "host" | "unix" | "origins" | "trustProxy" | "adminTokenFile"
>;

/**
 * Decides who may push without a token. A server behind a proxy, or with pages of other origins, serves more than this machine:
 * it is closed unless `--open` says otherwise.
 *
 * @param settings The settings.
 * @returns Who may.
 */
export function opennessOf(settings: OpennessSettings): Openness {
  const { open, host, unix, origins, trustProxy, adminTokenFile } = settings;
  if (open) return "anyone";
  const local = unix !== undefined || isLoopback(host.toLowerCase());
  const shared = trustProxy || origins.length > 0 || adminTokenFile !== undefined;
  return local && !shared ? "local" : "closed";
}
