import { AssertionError } from "./assertion_error.ts";
import { equal } from "./equal.ts";
import { difference, ended, show } from "./message.ts";

/**
 * Fails unless two values hold the same, at every depth.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected What should be.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If they differ; its message has the lines in which they do.
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  const title = ended("Values are not equal", msg);
  throw new AssertionError(`${title}\n${difference(actual, expected)}`);
}

/**
 * Fails if two values hold the same, at every depth.
 *
 * @typeParam T What is compared.
 * @param actual What is there.
 * @param expected What should not be.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If they don't differ.
 */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  const sentence = `Expected actual: ${show(actual)} not to be: ${show(expected)}`;
  throw new AssertionError(ended(sentence, msg));
}

/**
 * Fails unless two values are the very same (`Object.is`).
 *
 * @typeParam T What is expected.
 * @param actual What is there.
 * @param expected What should be.
 * @param msg What to add to the message of a failure.
 * @throws {AssertionError} If they are two.
 */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  if (show(actual) === show(expected)) {
    const title = ended("Values have the same structure but are not reference-equal", msg);
    throw new AssertionError(`${title}\n\n${show(actual)}\n`);
  }
  const title = ended("Values are not strictly equal", msg);
  throw new AssertionError(`${title}\n${difference(actual, expected)}`);
}
