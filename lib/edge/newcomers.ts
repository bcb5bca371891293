/** Accounts for browsers that have none. */
import type { Reader } from "../log/reader.ts";

/**
 * Makes a name for an account that isn't there yet.
 *
 * @param reader What is there.
 * @returns Eight digits of lower-case hex.
 */
export function newAccount(reader: Reader): string {
  for (;;) {
    const account = crypto.getRandomValues(new Uint8Array(4)).toHex();
    if (reader.account(account) === undefined) return account;
  }
}
