import { assertEquals } from "./equals.ts";

/**
 * Fails unless an object has all that another one has, at every depth. What it has besides is
 * passed over: further keys, further entries of a map or set, the tail of an array. Prototypes
 * don't count.
 *
 * @param actual What is there.
 * @param expected What it should have.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If something is missing or different.
 */
export function assertObjectMatch(
  actual: object,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(pick(actual, expected), pick(expected, expected), msg);
}

/** What `value` has of the shape of `shape`. */
function pick(value: unknown, shape: unknown, open = new Map<object, object>()): unknown {
  if (!isObject(value) || !isObject(shape)) return value;
  if (value instanceof Date || value instanceof RegExp) return value;
  if (open.get(value) === shape) return value;
  open.set(value, shape);
  if (Array.isArray(value) && Array.isArray(shape)) {
    return value.slice(0, shape.length).map((item, i) => pick(item, shape[i], open));
  }
  if (value instanceof Set && shape instanceof Set) return value.intersection(shape);
  if (value instanceof Map && shape instanceof Map) {
    const common = [...value].filter(([key]) => shape.has(key));
    return new Map(common.map(([key, item]) => [key, pick(item, shape.get(key), open)]));
  }
  const picked: Record<PropertyKey, unknown> = {};
  for (const key of Reflect.ownKeys(value)) {
    if (!Object.hasOwn(shape, key)) continue;
    picked[key] = pick(Reflect.get(value, key), Reflect.get(shape, key), open);
  }
  return picked;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
