import { stripVTControlCharacters } from "node:util";
import { AssertionError } from "./assertion_error.ts";
import { ended } from "./message.ts";

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/**
 * Fails unless a function throws.
 *
 * @param fn The function.
 * @param msg What to add to the message of a failure.
 * @returns What it threw.
 * @throws {AssertionError} If it returns.
 */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Fails unless a function throws an error of a class.
 *
 * @typeParam E The kind of error.
 * @param fn The function.
 * @param ErrorClass The class.
 * @param msgIncludes What the error's message must have in it.
 * @param msg What to add to the message of a failure.
 * @returns The error.
 * @throws {AssertionError} If it returns, or throws something else.
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: abstract new (...args: never[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const note = typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg;
  try {
    fn();
  } catch (error) {
    if (typeof errorClassOrMsg === "function") {
      check(error, errorClassOrMsg, "thrown", msgIncludes, note);
    }
    return error;
  }
  throw new AssertionError(ended("Expected function to throw", note));
}

/**
 * Fails unless a function returns a promise that rejects. One that throws by itself fails too.
 *
 * @param fn The function.
 * @param msg What to add to the message of a failure.
 * @returns What it rejected with.
 * @throws {AssertionError} If it fulfils, throws, or returns no promise.
 */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * Fails unless a function returns a promise that rejects with an error of a class.
 *
 * @typeParam E The kind of error.
 * @param fn The function.
 * @param ErrorClass The class.
 * @param msgIncludes What the error's message must have in it.
 * @param msg What to add to the message of a failure.
 * @returns The error.
 * @throws {AssertionError} If it fulfils, throws, returns no promise, or rejects with something
 * else.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: abstract new (...args: never[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const note = typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg;
  const promise = started(fn, note);
  try {
    await promise;
  } catch (error) {
    if (typeof errorClassOrMsg === "function") {
      check(error, errorClassOrMsg, "rejected", msgIncludes, note);
    }
    return error;
  }
  throw new AssertionError(ended("Expected function to reject", note));
}

function started(fn: () => PromiseLike<unknown>, note?: string): PromiseLike<unknown> {
  try {
    const promise = fn();
    if (typeof promise?.then === "function") return promise;
  } catch {
    // It ends as one that returns no promise does.
  }
  throw new AssertionError(ended("Function throws when expected to reject", note));
}

function check<E extends Error>(
  error: unknown,
  Class: ErrorClass<E>,
  how: string,
  msgIncludes = "",
  note?: string,
): void {
  if (!(error instanceof Error)) {
    throw new AssertionError(ended(`A non-Error object was ${how}`, note));
  }
  if (!(error instanceof Class)) {
    const sentence =
      `Expected error to be instance of "${Class.name}", but was "${error.constructor.name}"`;
    throw new AssertionError(ended(sentence, note), { cause: error });
  }
  const message = stripVTControlCharacters(error.message);
  if (!message.includes(stripVTControlCharacters(msgIncludes))) {
    const [wanted, got] = [JSON.stringify(msgIncludes), JSON.stringify(message)];
    const sentence = `Expected error message to include ${wanted}, but got ${got}`;
    throw new AssertionError(ended(sentence, note));
  }
}
