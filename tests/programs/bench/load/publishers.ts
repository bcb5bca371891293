/** Publishes at a rate whatever the answers, as far as the protocol and TCP let it; a process of its own. */
import type { Buffer } from "node:buffer";
import { pause } from "../../../helpers/child_server.ts";
import { FrameSocket, type FrameTaker } from "../../../helpers/load/frames.ts";
import { type Speech, SPEECHES, type SpeechName } from "./speech.ts";
import { micros, stamped } from "../../../helpers/load/stamp.ts";

/** What is to be published. */
export interface Publishing {
  readonly speech: SpeechName;
  readonly port: number;
  readonly publishers: number;
  /** Messages a second of all together; 0 for as many as are acknowledged. */
  readonly rate: number;
  readonly textBytes: number;
  readonly seconds: number;
  /** How long at the end belongs to the measured window. */
  readonly measured: number;
}

/** What came of it. */
export interface Published {
  readonly sent: number;
  /** A second, in the window. */
  readonly acknowledged: number;
  readonly rate: number;
}

/** What a client may leave unanswered; `limits.pending` is 256. */
const PENDING = 250;
/** Milliseconds. */
const TICK = 1;
const AT_ONCE = 250;

class Publisher implements FrameTaker {
  sent = 0;
  answered = 0;
  // Whether the socket took the last frame at once.
  #flows = true;
  #greeted: boolean;
  #socket: FrameSocket;
  readonly #speech: Speech;

  constructor(socket: FrameSocket, speech: Speech, readonly index: number) {
    this.#socket = socket;
    this.#speech = speech;
    this.#greeted = speech.greeting === undefined;
    socket.listen(this);
    socket.onDrain(() => this.#flows = true);
  }

  get ready(): boolean {
    return this.#greeted;
  }

  get flows(): boolean {
    return this.#flows;
  }

  get room(): number {
    if (!this.#flows) return 0;
    return this.#speech.acknowledges ? PENDING - (this.sent - this.answered) : AT_ONCE;
  }

  known(): boolean {
    return false;
  }

  arrived(): void {}

  whole(payload: Buffer): void {
    const text = payload.toString("latin1");
    const answer = this.#speech.greet(text);
    if (answer !== undefined) this.#socket.send(answer);
    if (this.#speech.greeting?.(text)) this.#greeted = true;
    if (!this.#speech.acknowledges) return;
    if (text.includes('"error"')) throw new Error(`Cannot publish: ${text.slice(0, 300)}`);
    this.answered += text.split("\n").length;
  }

  publish(dues: readonly number[], textBytes: number): void {
    const texts = dues.map((at, i) =>
      stamped({ publisher: this.index, nth: this.sent + i, at }, textBytes)
    );
    const id = this.sent + 1;
    this.sent += dues.length;
    for (const frame of this.#speech.publish(texts, id)) this.#flows = this.#socket.send(frame);
  }

  close(): void {
    this.#socket.close();
  }
}

/**
 * Publishes.
 *
 * @param job What.
 * @returns What came of it, once all that can be acknowledged is.
 */
export async function publish(job: Publishing): Promise<Published> {
  const speech = SPEECHES[job.speech];
  const publishers: Publisher[] = [];
  for (let i = 0; i < job.publishers; i++) {
    const socket = await FrameSocket.open(job.port, speech.path, speech.headers);
    publishers.push(new Publisher(socket, speech, i));
  }
  while (!publishers.every(({ ready }) => ready)) await pause(TICK);
  const answered = () => publishers.reduce((sum, publisher) => sum + publisher.answered, 0);
  const begun = micros();
  const ends = begun + job.seconds * 1e6;
  let before: { at: number; sent: number; answered: number } | undefined;
  let next = 0;
  let sent = 0;
  for (let now = begun; now < ends; now = micros()) {
    if (now >= ends - job.measured * 1e6) {
      before ??= { at: now, sent, answered: answered() };
    }
    const due = job.rate === 0 ? Infinity : Math.floor((now - begun) * job.rate / 1e6) - sent;
    let left = Math.max(0, due);
    for (let i = 0; i < publishers.length && left > 0; i++) {
      const publisher = publishers[next++ % publishers.length];
      const share = job.publishers > 1 && job.rate > 0 ? Math.ceil(due / job.publishers) : left;
      const count = Math.min(left, share, publisher?.room ?? 0);
      if (count <= 0) continue;
      // When it was due and not when it could be sent: who holds publishers up has that counted.
      const dues = Array.from(
        { length: count },
        (_, k) => job.rate === 0 ? now : begun + (sent + k + 1) * 1e6 / job.rate,
      );
      publisher?.publish(dues, job.textBytes);
      sent += count;
      left -= count;
    }
    await pause(TICK);
  }
  const [acknowledged, now] = [answered(), micros()];
  const seconds = (now - (before?.at ?? begun)) / 1e6;
  for (let wait = 0; speech.acknowledges && answered() < sent && wait < 10_000; wait += 10) {
    await pause(10);
  }
  // What a socket still holds goes out before it is closed.
  while (publishers.some(({ flows }) => !flows)) await pause(TICK);
  for (const publisher of publishers) publisher.close();
  return {
    sent,
    acknowledged: (acknowledged - (before?.answered ?? 0)) / seconds,
    rate: (sent - (before?.sent ?? 0)) / seconds,
  };
}
