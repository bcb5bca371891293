/** A server that does what it is told when it is told, and a clock that stands still: nothing here waits. */
import type { ConnectOptions, Message } from "../../../static/client/fanfare.js";

/** A clock that goes on when it is told, and may be set. */
export class FakeClock {
  #now = 1_000_000;
  #set = 0;
  #timers = new Map<number, { at: number; run: () => void }>();
  #id = 0;

  /** As the library's clock. */
  readonly clock = {
    now: () => this.#now + this.#set,
    monotonic: () => this.#now,
    after: (ms: number, run: () => void) => {
      const id = ++this.#id;
      this.#timers.set(id, { at: this.#now + ms, run });
      return () => void this.#timers.delete(id);
    },
  };

  /** @param ms How far; what is due on the way is done on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const [id, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (id === undefined || next === undefined || next.at > end) break;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = end;
  }

  /** @param ms How far it goes while nothing is done: a machine that sleeps, a page that is frozen. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  /** @param ms How far somebody sets the client's clock. */
  set(ms: number): void {
    this.#set += ms;
  }

  /** The time of everybody else. */
  get now(): number {
    return this.#now;
  }

  /** When the next timer is due, in milliseconds from now. */
  get next(): number | undefined {
    const times = [...this.#timers.values()].map(({ at }) => at - this.#now);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

/** Lets promises come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}

/** `navigator.locks`, as far as tabs use it. */
export class FakeLocks {
  readonly #held = new Set<string>();
  #waiting: { name: string; go: () => void }[] = [];

  /** As `LockManager.request`. */
  async request(
    name: string,
    options: { ifAvailable?: boolean; signal?: AbortSignal },
    held: (lock: unknown) => unknown,
  ): Promise<unknown> {
    if (this.#held.has(name)) {
      if (options.ifAvailable) return await held(null);
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ name, go: resolve });
        options.signal?.addEventListener("abort", () => reject(new DOMException("AbortError")));
      });
    }
    this.#held.add(name);
    try {
      return await held({ name });
    } finally {
      this.#held.delete(name);
      const next = this.#waiting.find((waiting) => waiting.name === name);
      this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
      next?.go();
    }
  }
}

/** What a client sent. */
export type Command = { id: number; verb: string; body: Record<string, unknown> };

/** The client's end of a socket, driven by the server. */
export class FakeSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  /** Commands that the server hasn't taken yet. */
  readonly sent: Command[] = [];
  /** Lines that the client hasn't got yet. */
  readonly due: string[] = [];
  /** Who is at the other end. */
  account = "ada";
  /** Channels that it reads. */
  readonly reads = new Set<string>();
  /** For how long it will refuse publications from the next one on, and until when it does. */
  refusesFor = 0;
  refusesUntil = 0;

  send(text: string): void {
    if (this.readyState !== 1) return;
    const { id, ...rest } = JSON.parse(text);
    const [verb = ""] = Object.keys(rest);
    this.sent.push({ id, verb, body: rest[verb] });
  }

  close(): void {
    this.readyState = 3;
  }

  /** The handshake is done. */
  open(): void {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.onopen?.();
  }

  /** @param lines How many go into one frame. */
  deliver(lines = Infinity): void {
    const frame = this.due.splice(0, lines);
    if (frame.length > 0) this.frame(frame.join("\n"));
  }

  /** @param text A frame as it is. */
  frame(text: string): void {
    if (this.readyState === 1) this.onmessage?.({ data: text });
  }

  /** @param code The connection breaks, with a close code. What was under way is lost. */
  drop(code = 1006): void {
    this.sent.length = 0;
    this.due.length = 0;
    if (this.readyState > 1) return;
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

const PAGE = 3;

/** A server of one log. */
export class FakeServer {
  epoch = "e1";
  log: Message[] = [];
  sockets: FakeSocket[] = [];
  limits = {
    message: 1000,
    pending: 4,
    rate: 0,
    burst: 0,
  };
  /** Whose cookie the next connection has. */
  account = "ada";
  /** Whether each acknowledgement is said twice. */
  stutters = false;
  /** What is answered instead: tells the error, or nothing. */
  refuse: (verb: string, body: Record<string, unknown>) => Record<string, unknown> | undefined =
    () => undefined;
  readonly time: FakeClock;
  #keys = new Map<string, { seq: number; time: number }>();

  constructor(time = new FakeClock()) {
    this.time = time;
  }

  /** What a client is connected with. */
  get options(): ConnectOptions {
    const socket = () => {
      const made = new FakeSocket();
      made.account = this.account;
      this.sockets.push(made);
      return made;
    };
    // The library uses of a WebSocket what FakeSocket has.
    const WebSocket = function () {
      return socket();
    } as unknown as NonNullable<ConnectOptions["WebSocket"]>;
    return { url: "http://server/", clock: this.time.clock, random: () => 0.5, WebSocket };
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("Nobody connected");
    return socket;
  }

  /** Everything that can go on now goes on. */
  async run(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      await settle();
      quiet += 1;
      for (const socket of this.sockets) {
        if (socket.readyState === 0) socket.open();
        if (socket.sent.length + socket.due.length > 0) quiet = 0;
        this.take(socket);
        socket.deliver();
      }
    }
  }

  /** Goes on for a time, in steps. */
  async runFor(ms: number, step = 250): Promise<void> {
    for (let gone = 0; gone < ms; gone += step) {
      await this.run();
      await this.time.advance(step);
    }
    await this.run();
  }

  /** @param socket Whose. @param count How many commands are taken. */
  take(socket: FakeSocket, count = Infinity): void {
    for (const { id, verb, body } of socket.sent.splice(0, count)) {
      const error = this.refuse(verb, body) ?? this.#limited(socket, verb, body);
      const answer = error === undefined ? { [verb]: this.#do(socket, verb, body) } : { error };
      const line = JSON.stringify({ id, ...answer });
      socket.due.push(line, ...(this.stutters ? [line] : []));
      if (verb === "subscribe" && error === undefined) this.#rest(socket, body);
    }
  }

  /** Another log: what was there is gone. */
  wipe(epoch: string): void {
    this.epoch = epoch;
    this.log = [];
    this.#keys.clear();
  }

  /** @returns The message's place; told to all who read the channel. */
  publish(
    from: string,
    channel: string,
    data: unknown,
    key?: string,
  ): { seq: number; time: number } {
    const name = `${from} ${channel} ${key}`;
    const known = key === undefined ? undefined : this.#keys.get(name);
    if (known !== undefined) return { ...known, ...{ duplicate: true } };
    const place = { seq: (this.log.at(-1)?.seq ?? 0) + 1, time: this.time.now };
    const message = { channel, ...place, from, ...(key === undefined ? {} : { key }), data };
    this.log.push(message);
    this.#keys.set(name, place);
    for (const socket of this.sockets) {
      if (socket.readyState === 1 && reads(socket, channel)) {
        socket.due.push(JSON.stringify({ message }));
      }
    }
    return place;
  }

  #do(socket: FakeSocket, verb: string, body: Record<string, unknown>): unknown {
    const { channel, data, key } = body;
    switch (verb) {
      case "hello":
        return {
          ...{ account: socket.account, ping: 15_000, limits: this.limits },
          time: this.time.now,
        };
      case "subscribe":
        return this.#subscribe(body);
      case "publish":
        return {
          channel,
          ...this.publish(socket.account, String(channel), data, key as string | undefined),
        };
      case "presence":
        return { channel, version: 1, count: 0, members: [] };
      default:
        return {};
    }
  }

  #subscribe(body: Record<string, unknown>): Record<string, unknown> {
    const { channel, history = 0 } = body;
    const since = body.since as { epoch: string; seq: number } | undefined;
    const seq = this.log.at(-1)?.seq ?? 0;
    const of = (message: Message) => fits(String(channel), message.channel);
    const told = { channel, epoch: this.epoch, seq };
    if (since?.epoch === this.epoch && since.seq <= seq) {
      const missed = this.log.filter((message) => of(message) && message.seq > since.seq);
      const more = missed.length > PAGE ? { more: true } : {};
      return { ...told, recovered: true, messages: missed.slice(0, PAGE), ...more };
    }
    const size = Number(since === undefined ? history : 50);
    const messages = size === 0 ? [] : this.log.filter(of).slice(-size);
    return { ...told, messages, ...(since === undefined ? {} : { recovered: false }) };
  }

  // What follows an answer with `more`, and from now on what is live.
  #rest(socket: FakeSocket, body: Record<string, unknown>): void {
    const answer = this.#subscribe(body);
    socket.reads.add(String(body.channel));
    if (answer.more !== true) return;
    const since = body.since as { seq: number };
    const missed = this.log.filter(({ channel, seq }) =>
      fits(String(body.channel), channel) && seq > since.seq
    );
    for (const message of missed.slice(PAGE)) socket.due.push(JSON.stringify({ message }));
  }

  // After one refusal all of the connection, repeats aside, until it is over (protocol.md, "Publications and keys").
  #limited(socket: FakeSocket, verb: string, body: Record<string, unknown>) {
    const repeat = this.#keys.has(`${socket.account} ${body.channel} ${body.key}`);
    if (verb !== "publish" || repeat) return undefined;
    const { now } = this.time;
    if (socket.refusesFor > 0) socket.refusesUntil = now + socket.refusesFor;
    socket.refusesFor = 0;
    const left = socket.refusesUntil - now;
    if (left <= 0) return undefined;
    return { code: "rate_limited", message: "Too many", retry: left };
  }
}

function reads(socket: FakeSocket, channel: string): boolean {
  return [...socket.reads].some((name) => fits(name, channel));
}

/**
 * @param name What is subscribed to.
 * @param channel Of a message.
 * @returns Whether the message comes by it.
 */
export function fits(name: string, channel: string): boolean {
  return name === channel || (name === "dm:*" && channel.startsWith("dm:"));
}
