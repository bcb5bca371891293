import { AssertionError } from "./assertion_error.ts";
import { ended, show } from "./message.ts";

/** What {@linkcode assertFalse} lets pass. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/**
 * Fails unless a value is truthy.
 *
 * @param expr The value.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it is falsy.
 */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/**
 * Fails unless a value is falsy.
 *
 * @param expr The value.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it is truthy.
 */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/**
 * Fails if a value is `null` or `undefined`.
 *
 * @typeParam T The value's type.
 * @param actual The value.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If it is one of the two.
 */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(ended(`Expected actual: "${actual}" to not be null or undefined`, msg));
}

/**
 * Fails unless a value is an instance of a class.
 *
 * @typeParam T The class.
 * @param actual The value.
 * @param expectedType The class.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If it is none.
 */
export function assertInstanceOf<T extends abstract new (...args: never[]) => unknown>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const sentence = `Expected object to be an instance of "${expectedType.name}"`;
  throw new AssertionError(ended(`${sentence} but was "${typeName(actual)}"`, msg));
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? value.constructor?.name ?? "Object" : typeof value;
}

/**
 * Fails at once.
 *
 * @param msg What to add to the message.
 * @returns Never.
 * @throws {AssertionError} Always.
 */
export function fail(msg?: string): never {
  throw new AssertionError(ended("Failed assertion", msg));
}

/**
 * Fails unless a text has another one in it.
 *
 * @param actual The text.
 * @param expected What it should have.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If it hasn't.
 */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(ended(`Expected actual: "${actual}" to contain: "${expected}"`, msg));
}

/**
 * Fails unless a text matches a pattern.
 *
 * @param actual The text.
 * @param expected The pattern.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If it doesn't.
 */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(ended(`Expected actual: "${actual}" to match: "${expected}"`, msg));
}

/**
 * Fails unless one value is greater than another.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected What it should be greater than.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it isn't.
 */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) failOrder(actual, ">", expected, msg);
}

/**
 * Fails if one value is less than another.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected The least that it should be.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it is less.
 */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) failOrder(actual, ">=", expected, msg);
}

/**
 * Fails unless one value is less than another.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected What it should be less than.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it isn't.
 */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) failOrder(actual, "<", expected, msg);
}

/**
 * Fails if one value is greater than another.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected The most that it should be.
 * @param msg The message of a failure.
 * @throws {AssertionError} If it is greater.
 */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) failOrder(actual, "<=", expected, msg);
}

function failOrder(actual: unknown, sign: string, expected: unknown, msg?: string): never {
  throw new AssertionError(msg ?? `Expect ${show(actual)} ${sign} ${show(expected)}`);
}
