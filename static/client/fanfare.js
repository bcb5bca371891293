// @ts-self-types="./fanfare.d.ts"
/**
 * The client library: one connection that comes back by itself, subscriptions that go on where they were, an outbox that
 * sends each message once, and event streams by fetch. Works in browsers, Deno and Node 22.
 *
 * @module
 */
export * from "./client.js";
