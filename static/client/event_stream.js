// @ts-check
/**
 * Event streams by fetch: with a token, which EventSource can't send, and where there is no EventSource. They come back by
 * themselves and go on where they were.
 *
 * @module
 */
import { FanfareError, PASSING } from "./codes.js";
import { backoff, machineClock, STEADY } from "./time.js";

/** @typedef {import("./subscription.js").Message} Message */
/**
 * What to follow, and how.
 *
 * @typedef {object} FollowOptions
 * @property {string} [url] The server's address; by default the page's own.
 * @property {string | (() => string | Promise<string>)} [token] A bearer token, or what gets one for each connection.
 * @property {string} [since] The id of an event, as {@linkcode Followed} has it: what follows it comes first.
 * @property {AbortSignal} [signal] Ends it.
 * @property {() => number} [random] From 0 to 1; for tests.
 * @property {import("./time.js").Clock} [clock] The time; for tests.
 */
/**
 * A message, or the channels in which messages are missing; each with the place behind it.
 *
 * @typedef {{id: string, message: Message, gap?: undefined} | {id: string, gap: string[], message?: undefined}} Followed
 */

/** Nothing came for so long, not even a comment: the connection is dead. In milliseconds. */
const SILENCE = 40_000;

/**
 * Follows channels: `for await (const { message } of follow(["push:all"], { url, token }))`.
 *
 * @param {string[]} channels Their names.
 * @param {FollowOptions} [options] How.
 * @returns {AsyncGenerator<Followed, void, void>} What comes, in the order of seq over all channels, each once.
 * @throws {FanfareError} If the server refuses for good.
 * @throws {TypeError} Without a `url` where there is no page to take it from.
 */
export async function* follow(channels, options = {}) {
  const { signal, random = Math.random, clock = machineClock } = options;
  const base = options.url ?? globalThis.location?.href;
  if (base === undefined) {
    throw new TypeError("Cannot follow: give the server's address as `url`");
  }
  const url = new URL("/events", base);
  for (const channel of channels) url.searchParams.append("channel", channel);
  let id = options.since ?? "";
  for (let attempt = 0; signal?.aborted !== true; attempt++) {
    const ended = new AbortController();
    const quit = () => ended.abort();
    signal?.addEventListener("abort", quit, { once: true });
    /** @type {number | undefined} */
    let told;
    let since = Infinity;
    try {
      const calm = clock.after(SILENCE, quit);
      const body = await open(url, id, options, ended).finally(calm);
      since = clock.monotonic();
      for await (const block of blocks(body, ended, clock)) {
        if (block.retry !== undefined) told = Number(block.retry);
        if (block.id !== undefined) id = block.id;
        if (block.event === "message") yield { id, message: JSON.parse(block.data ?? "null") };
        if (block.event === "gap") yield { id, gap: JSON.parse(block.data ?? "null").channels };
      }
    } catch (error) {
      if (error instanceof FanfareError && !PASSING.includes(error.code)) throw error;
      if (error instanceof FanfareError) told = error.retry;
    } finally {
      signal?.removeEventListener("abort", quit);
      ended.abort();
    }
    if (clock.monotonic() - since >= STEADY) attempt = 0;
    await pause(backoff(attempt, random(), told), signal, clock);
  }
}

/**
 * @param {URL} url
 * @param {string} id
 * @param {FollowOptions} options
 * @param {AbortController} ended
 * @returns {Promise<ReadableStream<Uint8Array>>}
 */
async function open(url, id, { token }, { signal }) {
  const given = typeof token === "function" ? await token() : token;
  const response = await fetch(url, {
    signal,
    headers: {
      accept: "text/event-stream",
      ...(given === undefined ? {} : { authorization: `Bearer ${given}` }),
      ...(id === "" ? {} : { "last-event-id": id }),
    },
  });
  if (response.ok && response.body !== null) return response.body;
  const problem = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after")) * 1000;
  const code = problem.code ?? (response.status >= 500 ? "unavailable" : "bad_request");
  const sentence = problem.detail ?? `The server answered with ${response.status}`;
  throw new FanfareError(code, sentence, wait > 0 ? wait : undefined);
}

/**
 * Reads blocks of lines; a stream that says nothing for too long is given up.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @param {AbortController} ended
 * @param {import("./time.js").Clock} clock
 * @returns {AsyncGenerator<Record<string, string>, void, void>}
 */
async function* blocks(body, ended, clock) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  /** @type {Promise<never>} */
  const given = new Promise((_, reject) => {
    ended.signal.addEventListener("abort", () => reject(ended.signal.reason), { once: true });
  });
  given.catch(() => {});
  let rest = "";
  for (;;) {
    const calm = clock.after(SILENCE, () => ended.abort());
    // Deno may leave a read waiting for ever whose request was given up.
    const { done, value } = await Promise.race([reader.read(), given]).finally(calm);
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const parts = rest.split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      /** @type {Record<string, string>} */
      const block = {};
      for (const line of part.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) block[line.slice(0, colon)] = line.slice(colon + 2);
      }
      yield block;
    }
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @param {import("./time.js").Clock} clock
 * @returns {Promise<void>}
 */
function pause(ms, signal, clock) {
  return new Promise((resolve) => {
    const wake = () => {
      stop();
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const stop = clock.after(ms, wake);
    if (signal?.aborted) wake();
    else signal?.addEventListener("abort", wake, { once: true });
  });
}
