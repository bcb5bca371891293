// @ts-check
/**
 * One socket, from its handshake to its end: commands and their answers, lines in their order, and the heartbeat. It never
 * comes back; the client opens another.
 *
 * @module
 */
import { Code, FanfareError, Reason } from "./codes.js";

// The longest time that a server may ask for before coming back.
const LONGEST_RETRY = 300_000;

/** @typedef {import("./time.js").Clock} Clock */
/** @typedef {import("./subscription.js").Message} Message */
/**
 * What a connection is made of.
 *
 * @typedef {object} ConnectionParts
 * @property {Clock} clock What tells the time.
 * @property {import("./time.js").Patience} patience How long answers may take.
 * @property {new (url: string, protocols: string[]) => WebSocket} WebSocket The platform's, or a test's.
 */
/**
 * Who is told. After `ended` nothing more.
 *
 * @typedef {object} Told
 * @property {() => void} opened The socket is open: the greeting is due.
 * @property {(messages: Message[]) => void} messages A run of messages, in order.
 * @property {(line: Record<string, any>) => void} line A line that is neither message nor answer nor goodbye.
 * @property {() => void} answered A frame was read: there may be room for another command.
 * @property {(reason: string, code: number, retry?: number) => void} ended Why, the close code, and when to come back.
 */
/** @typedef {(body: any) => void} Done */
/** @typedef {(error: FanfareError) => void} Failed */
/** @typedef {{id: number, text: string, verb: string, done: Done, failed: Failed}} Asked */

/** One socket to the server. */
export class Connection {
  /** @type {WebSocket} */
  #socket;
  /** @type {Clock} */
  #clock;
  #patience;
  /** @type {Told} */
  #told;
  #ended = false;
  #id = 0;
  #limit = 256;
  /** Commands without an answer, and when they were sent. @type {Map<number, Asked & {at: number}>} */
  #asked = new Map();
  /** Commands over the limit. @type {Asked[]} */
  #queue = [];
  #ping = 15_000;
  #heard = 0;
  /** When a ping that isn't answered ends it. @type {number | undefined} */
  #deadline;
  #doubted = false;
  /** @type {number | undefined} */
  #retry;
  #leaving = false;
  #stopTimer = () => {};

  /**
   * @param {string} url `ws://…/ws`.
   * @param {ConnectionParts} parts What it is made of.
   * @param {Told} told Who is told.
   */
  constructor(url, { clock, patience, WebSocket }, told) {
    this.#clock = clock;
    this.#patience = patience;
    this.#told = told;
    const socket = new WebSocket(url, ["fanfare.v1"]);
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#ended) return;
      this.#await(patience.opening);
      told.opened();
    };
    socket.onmessage = ({ data }) => this.#ended || this.#receive(String(data));
    socket.onclose = ({ code }) => this.end(this.#leaving ? Reason.leaving : Reason.lost, code);
    this.#await(patience.opening);
  }

  /** How many more commands the server takes now; none once it is closing, or while it is doubted that it hears them. */
  get free() {
    return this.#ended || this.#doubted || this.#leaving
      ? 0
      : this.#limit - this.#asked.size - this.#queue.length;
  }

  /**
   * Asks the server; what is over its limit of unanswered commands waits here.
   *
   * @param {string} verb The command's.
   * @param {object} body Its body.
   * @param {Done} done Called with what it was answered.
   * @param {Failed} failed Called with the refusal, or `closed`; before this returns where there is no connection.
   */
  ask(verb, body, done, failed) {
    if (this.#ended || this.#socket.readyState !== 1) {
      return failed(new FanfareError(Code.closed, "There is no connection now"));
    }
    const id = ++this.#id;
    const text = JSON.stringify({ id, [verb]: body });
    // A ping that waits for its turn would tell nothing. A server that is closing drops what comes, and waits until nothing does.
    if (this.#leaving || (verb !== "ping" && this.#asked.size >= this.#limit)) {
      this.#queue.push({ id, text, verb, done, failed });
    } else this.#send({ id, text, verb, done, failed });
  }

  /** @param {Asked} asked A command. */
  #send(asked) {
    this.#asked.set(asked.id, { ...asked, at: this.#clock.monotonic() });
    this.#socket.send(asked.text);
  }

  /**
   * The greeting was answered: keeps to what it said, and watches for silence.
   *
   * @param {number} ping Milliseconds of silence after which to ask.
   * @param {number} limit Commands that may be unanswered.
   */
  greeted(ping, limit) {
    if (this.#ended) return;
    this.#ping = ping;
    this.#limit = limit;
    this.#watch();
  }

  /** Asks at once whether the server is still there: the network may have gone, or be another. */
  probe() {
    if (this.#ended) return;
    this.#doubted = true;
    const waiting = [...this.#asked.values()].reduce((sum, { text }) => sum + text.length, 0);
    this.#pingWithin(this.#patience.probe(waiting));
  }

  /**
   * Ends it, and tells so.
   *
   * @param {string} reason Why.
   * @param {number} [code] The close code, where the server gave one.
   */
  end(reason, code = 0) {
    if (this.#ended) return;
    const retry = this.#retry;
    this.close();
    this.#told.ended(reason, code, retry);
  }

  /** Ends it without a word; what was asked fails with `closed`. */
  close() {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopTimer();
    if (this.#socket.readyState < 2) this.#socket.close(1000);
    const open = [...this.#asked.values(), ...this.#queue];
    this.#asked.clear();
    this.#queue = [];
    for (const { failed } of open) {
      failed(new FanfareError(Code.closed, "The connection was lost"));
    }
  }

  // Lines in their order: an answer says where the messages that follow it in the same frame begin.
  /** @param {string} frame One or more lines. */
  #receive(frame) {
    this.#heard = this.#clock.monotonic();
    this.#doubted = false;
    if (this.#deadline !== undefined) this.#watch();
    /** @type {Message[]} */
    let run = [];
    const flush = () => {
      const messages = run;
      run = [];
      if (messages.length > 0 && !this.#ended) this.#told.messages(messages);
    };
    for (const text of frame.split("\n")) {
      const line = parse(text);
      // One that can't be read may have been a message: coming back recovers it.
      if (line === undefined) {
        flush();
        return this.end(Reason.lost);
      }
      if (isObject(line.message)) run.push(line.message);
      else {
        flush();
        this.#line(line);
      }
    }
    flush();
    // Only now: a refusal may stand behind the answer that made room.
    if (!this.#ended) this.#told.answered();
  }

  /** @param {Record<string, any>} line What isn't a message. */
  #line(line) {
    if (this.#ended) return;
    if (line.id !== undefined) return this.#answer(line);
    if (!isObject(line.closing)) return this.#told.line(line);
    const { retry } = line.closing;
    this.#leaving = true;
    if (Number.isFinite(retry) && retry >= 0) this.#retry = Math.min(retry, LONGEST_RETRY);
  }

  /** @param {Record<string, any>} line An answer. */
  #answer(line) {
    const asked = this.#asked.get(line.id);
    if (asked === undefined) return;
    this.#asked.delete(line.id);
    this.#patience.answered(this.#clock.monotonic() - asked.at);
    const next = !this.#leaving && this.#asked.size < this.#limit ? this.#queue.shift() : undefined;
    if (next !== undefined) this.#send(next);
    const { error } = line;
    if (isObject(error)) {
      asked.failed(new FanfareError(error.code, error.message, error.retry));
    } else asked.done(line[asked.verb]);
  }

  // Browsers can't see the server's pings: silence is asked about, and no answer to that is a loss. Counted from the
  // question: in a page that sleeps timers are late, and silence alone means nothing.
  #watch() {
    this.#deadline = undefined;
    const silence = this.#clock.monotonic() - this.#heard;
    if (silence >= this.#ping) return this.#pingWithin(this.#ping);
    this.#timer(this.#ping - silence, () => this.#watch());
  }

  /** @param {number} patience Milliseconds. */
  #pingWithin(patience) {
    const deadline = this.#clock.monotonic() + patience;
    if (this.#deadline !== undefined && this.#deadline <= deadline) return;
    this.#deadline = deadline;
    this.#await(patience);
    this.ask("ping", {}, () => {}, () => {});
  }

  /** @param {number} patience For how long an answer is waited for. */
  #await(patience) {
    this.#timer(patience, () => {
      this.#patience.silent();
      this.end(Reason.silent);
    });
  }

  /** @param {number} ms When. @param {() => void} run What; there is one timer at a time. */
  #timer(ms, run) {
    this.#stopTimer();
    this.#stopTimer = this.#clock.after(ms, run);
  }
}

/** @param {string} text A line. @returns {Record<string, any> | undefined} The object that it is. */
function parse(text) {
  try {
    const line = JSON.parse(text);
    return isObject(line) ? line : undefined;
  } catch {
    return undefined;
  }
}

/** @param {unknown} value Anything. @returns {boolean} Whether it is an object. */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
