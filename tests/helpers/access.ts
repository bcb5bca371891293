/** Who may do what, for tests that need nobody's secrets. */
import { Access } from "../../lib/auth/access.ts";
import { CredentialExpiry } from "../../lib/sessions/credential_expiry.ts";

/**
 * Makes the access of an open server without tokens of programs.
 *
 * @param clock Milliseconds since 1970.
 * @returns It, with what ends connections.
 */
export async function openAccess(
  clock: () => number,
): Promise<{ access: Access; expiry: CredentialExpiry }> {
  const access = await Access.create({
    key: new Uint8Array(32),
    adminToken: "none of them",
    open: true,
    tokens: { accountClaim: "sub", withdrawn: [] },
  }, clock);
  const sessions = { find: () => undefined, rights: () => 0 };
  return { access, expiry: new CredentialExpiry({ access, sessions, clock }) };
}
