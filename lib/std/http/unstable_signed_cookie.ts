/**
 * Cookie values that carry an HMAC of themselves: `value.signature`, the signature in hex.
 *
 * @module
 */

const encoder = new TextEncoder();

/**
 * Signs a cookie's value.
 *
 * @param value The value to sign.
 * @param key An HMAC key that may sign.
 * @returns The value, a dot, and the signature in lower-case hex.
 */
export async function signCookie(value: string, key: CryptoKey): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(value));
  return `${value}.${new Uint8Array(signature).toHex()}`;
}

/**
 * Tells whether a signed value was signed with this key.
 *
 * @param signedCookie What {@linkcode signCookie} made, as it came back.
 * @param key An HMAC key that may verify.
 * @returns `true` if value and signature belong together.
 * @throws {RangeError} If the signature has an odd number of digits.
 * @throws {TypeError} If the signature isn't hex.
 */
export async function verifySignedCookie(signedCookie: string, key: CryptoKey): Promise<boolean> {
  const value = parseSignedCookie(signedCookie);
  const signature = signedCookie.slice(value.length + 1);
  if (!value || !signature) return false;
  return await crypto.subtle.verify("HMAC", key, fromHex(signature), encoder.encode(value));
}

/**
 * Takes the value out of a signed one. It says nothing about the signature.
 *
 * @param signedCookie What {@linkcode signCookie} made, as it came back.
 * @returns All that stands before the last dot, or the whole text if there is none.
 */
export function parseSignedCookie(signedCookie: string): string {
  const dot = signedCookie.lastIndexOf(".");
  return dot < 0 ? signedCookie : signedCookie.slice(0, dot);
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (encoder.encode(text).length % 2 === 1) {
    throw new RangeError(`Cannot read the signature: "${text}" has an odd length`);
  }
  if (!/^[0-9a-f]*$/i.test(text)) {
    throw new TypeError(`Cannot read the signature: "${text}" is not hex`);
  }
  return Uint8Array.fromHex(text);
}
