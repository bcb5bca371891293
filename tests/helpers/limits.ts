/** Limits for tests that aren't about limits: a test that publishes as fast as it can is no flood by one account. */
import { DEFAULT_LIMITS, type Limits } from "../../lib/config/limits.ts";

/** The defaults without a bound on how many and how often. */
export const UNBOUNDED: Limits = {
  ...DEFAULT_LIMITS,
  rate: 0,
  burst: 0,
  commands: 0,
  signals: 0,
  repeats: 0,
  refusals: 0,
  connections: 0,
  perAddress: 0,
  perAccount: 0,
  read: 0,
  handshakes: 0,
  newAccounts: 0,
};
