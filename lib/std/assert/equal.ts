/** Those whose text says all that they hold. */
const TEXTUAL: { prototype: object }[] = [RegExp, URL, URLSearchParams, Intl.Locale];

/**
 * Tells whether two values hold the same. Prototypes count (but none is as good as that of a plain
 * object), 0 is -0, NaN is NaN, and cycles end where they close.
 *
 * @param a The one.
 * @param b The other.
 * @returns `true` if no difference was found.
 * @throws {TypeError} If there is a `WeakMap` or `WeakSet` to compare, which can't be looked into.
 */
export function equal(a: unknown, b: unknown): boolean {
  return new Comparison().same(a, b);
}

class Comparison {
  #open = new Map<object, object>();

  same(a: unknown, b: unknown): boolean {
    if (a === b || Object.is(a, b)) return true;
    if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
    if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
    if (kindOf(a) !== kindOf(b)) return false;
    if (a instanceof WeakMap || a instanceof WeakSet) {
      throw new TypeError(`Cannot compare a ${a.constructor.name}: its content can't be read`);
    }
    if (a instanceof WeakRef && b instanceof WeakRef) return this.same(a.deref(), b.deref());
    if (a instanceof Uint8Array && b instanceof Uint8Array) return sameBytes(a, b);
    if (isBuffer(a) && isBuffer(b)) return sameBytes(new Uint8Array(a), new Uint8Array(b));
    if (a instanceof DataView && b instanceof DataView) return sameBytes(bytesOf(a), bytesOf(b));
    if (TEXTUAL.some(({ prototype }) => prototype === Object.getPrototypeOf(a))) {
      return String(a) === String(b);
    }
    if (this.#open.get(a) === b) return true;
    this.#open.set(a, b);
    if (a instanceof Set && b instanceof Set) return this.#sameSet(a, b);
    if (a instanceof Map && b instanceof Map) return this.#sameMap(a, b);
    return this.#sameProperties(a, b);
  }

  #sameSet(a: Set<unknown>, b: Set<unknown>): boolean {
    if (a.size !== b.size) return false;
    const others = [...b];
    return [...a].every((item) => b.has(item) || others.some((other) => this.same(item, other)));
  }

  #sameMap(a: Map<unknown, unknown>, b: Map<unknown, unknown>): boolean {
    if (a.size !== b.size) return false;
    const others = [...b];
    return [...a].every(([key, value]) =>
      b.has(key)
        ? this.same(value, b.get(key))
        : others.some(([k, v]) => this.same(key, k) && this.same(value, v))
    );
  }

  #sameProperties(a: object, b: object): boolean {
    if (Object.keys(a).length !== Object.keys(b).length) return false;
    const keys = keysOf(a).union(keysOf(b));
    return keys.values().every((key) =>
      key in a === key in b && this.same(Reflect.get(a, key), Reflect.get(b, key))
    );
  }
}

function kindOf(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

function isBuffer(value: object): value is ArrayBufferLike {
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A plain object's own properties that can be listed; a class's accessors too. */
function keysOf(value: object): Set<PropertyKey> {
  const kind = Object.getPrototypeOf(value);
  if (kind === null || kind === Object.prototype || kind === Array.prototype) {
    return new Set(Reflect.ownKeys({ ...value }));
  }
  if (ArrayBuffer.isView(value)) return new Set(Object.keys(value));
  const keys = new Set<PropertyKey>();
  for (let at = value; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const key of Reflect.ownKeys(at)) keys.add(key);
  }
  return keys;
}
