/**
 * Entity tags: making one, and asking whether a client has it already (RFC 9110 section 8.8.3).
 *
 * @module
 */

/** What a tag for a file is made of. */
export interface FileInfo {
  /** When the file was last changed; without it there is no tag. */
  mtime: Date | null;
  /** How many bytes it has. */
  size: number;
}

/** Options for {@linkcode eTag}. */
export interface ETagOptions {
  /**
   * The digest to use.
   *
   * @default {"SHA-256"}
   */
  algorithm?: AlgorithmIdentifier;
  /** Whether the tag is a weak one. By default that of a file is, that of bytes or text is not. */
  weak?: boolean;
}

type Bytes = ReturnType<TextEncoder["encode"]>;

const encoder = new TextEncoder();
const EMPTY = "0-47DEQpj8HBSa+/TImW+5JCeuQeR";

/**
 * Makes a tag for a body that is at hand.
 *
 * @param entity The body.
 * @param options Digest and strength.
 * @returns The tag, with its quotes.
 */
export async function eTag(
  entity: string | ReturnType<TextEncoder["encode"]>,
  options?: ETagOptions,
): Promise<string>;
/**
 * Makes a tag for a file out of its size and the time of its last change.
 *
 * @param entity Size and time.
 * @param options Digest and strength.
 * @returns The tag, with its quotes, or `undefined` if the time isn't known.
 */
export async function eTag(
  entity: FileInfo,
  options?: ETagOptions,
): Promise<string | undefined>;
export async function eTag(
  entity: string | Bytes | FileInfo,
  options: ETagOptions = {},
): Promise<string | undefined> {
  const { algorithm = "SHA-256" } = options;
  if (typeof entity === "object" && "mtime" in entity) {
    if (!entity.mtime) return undefined;
    const digest = await shortDigest(encoder.encode(entity.mtime.toJSON()), algorithm);
    return quote(`${entity.size.toString(16)}-${digest}`, options.weak ?? true);
  }
  const bytes = typeof entity === "string" ? encoder.encode(entity) : entity;
  const weak = options.weak ?? false;
  if (bytes.length === 0) return quote(EMPTY, weak);
  return quote(`${bytes.length.toString(16)}-${await shortDigest(bytes, algorithm)}`, weak);
}

async function shortDigest(bytes: Bytes, algorithm: AlgorithmIdentifier): Promise<string> {
  const digest = await crypto.subtle.digest(algorithm, bytes);
  return new Uint8Array(digest).toBase64().slice(0, 27);
}

function quote(tag: string, weak: boolean): string {
  return `${weak ? "W/" : ""}"${tag}"`;
}

/**
 * Tells whether a conditional request should be answered in full.
 *
 * @param value The request's `If-None-Match`.
 * @param etag The tag of what would be sent.
 * @returns `false` if the client has it (answer 304), `true` in all other cases. Weak and strong
 * tags with the same text count as the same.
 */
export function ifNoneMatch(value: string | null, etag: string | undefined): boolean {
  if (!value || !etag) return true;
  if (value.trim() === "*") return false;
  const strong = (tag: string) => tag.replace(/^W\//, "");
  const tags = value.split(",").map((item, i, items) => {
    const begun = i > 0 ? item.trimStart() : item;
    return strong(i < items.length - 1 ? begun.trimEnd() : begun);
  });
  return !tags.includes(strong(etag));
}
