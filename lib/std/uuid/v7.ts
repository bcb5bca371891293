/**
 * Identifiers that sort by the millisecond in which they were made (UUID version 7, RFC 9562
 * section 5.7).
 *
 * @module
 */

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/**
 * Tells whether a text is written as a UUID of version 7.
 *
 * @param id The text to look at.
 * @returns `true` if it is one, in either case.
 */
export function validate(id: string): boolean {
  return V7.test(id);
}

/**
 * Makes a UUID of version 7: 48 bits of time, then 74 random bits around version and variant.
 *
 * @param timestamp Milliseconds since 1970, now if it is left out.
 * @returns The identifier in lower case.
 * @throws {RangeError} If the time is negative or not an integer.
 */
export function generate(timestamp: number = Date.now()): string {
  if (!Number.isInteger(timestamp) || timestamp < 0) {
    throw new RangeError(
      `Cannot generate a UUID: timestamp must be an integer of at least 0, got "${timestamp}"`,
    );
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  const low = timestamp % 2 ** 32;
  view.setUint16(0, Math.floor(timestamp / 2 ** 32));
  view.setUint32(2, low);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * Reads the time out of a UUID of version 7.
 *
 * @param uuid The identifier.
 * @returns Milliseconds since 1970.
 * @throws {TypeError} If the text is not a UUID of version 7.
 */
export function extractTimestamp(uuid: string): number {
  if (!validate(uuid)) {
    throw new TypeError(`Cannot read the timestamp: "${uuid}" is not a UUID of version 7`);
  }
  return Number.parseInt(uuid.replace("-", "").slice(0, 12), 16);
}
