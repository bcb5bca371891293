/** Signs tokens by hand: what libraries refuse to sign is wanted too. */

/**
 * Makes what signs with a secret (HS256).
 *
 * @param secret The server's.
 * @returns Makes a token of a head and claims, whatever they are.
 */
export async function signer(
  secret: string,
): Promise<(head: string, claims: string) => Promise<string>> {
  const encoder = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), hmac, false, ["sign"]);
  const inBase64 = (bytes: Uint8Array) =>
    bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  return async (head, claims) => {
    const signed = [head, claims].map((part) => inBase64(encoder.encode(part))).join(".");
    const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(signed));
    return `${signed}.${inBase64(new Uint8Array(signature))}`;
  };
}
