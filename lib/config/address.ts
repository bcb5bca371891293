/** Addresses of clients: which belong together, and which are this machine. */

// Leading zeros mean octal digits to some programs.
const V4 = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/;
const V6 = /^[0-9a-fA-F:]{2,39}$/;

/**
 * Tells whether an address is only reached from this machine.
 *
 * @param host An address or a name.
 * @returns Whether it is the loopback.
 */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/**
 * Brings an address into one form: an IPv4 address in IPv6's clothes is itself.
 *
 * @param text What may be an address.
 * @returns The address, or undefined where it is none.
 */
export function plainAddress(text: string): string | undefined {
  const bare = text.replace(/^::ffff:(?=\d{1,3}\.)/i, "");
  if (V4.test(bare)) return bare.split(".").every((part) => Number(part) < 256) ? bare : undefined;
  return V6.test(bare) && URL.canParse(`http://[${bare}]`)
    ? new URL(`http://[${bare}]`).hostname.slice(1, -1)
    : undefined;
}

/**
 * Tells what is counted as one: an IPv4 address, or the /64 of an IPv6 address, which is what a single person is given.
 *
 * @param address An address, in the form of {@linkcode plainAddress}.
 * @returns The name to count under.
 */
export function countedAs(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
