/** Publishes numbered messages in one channel at a pace, one after the other, so that their order is known to all who read. */
import { cookieFrom, pause } from "../../helpers/child_server.ts";
import { Wire } from "../../helpers/load/wire.ts";

/** How it talks. */
export interface Talk {
  /** Messages a second; 0 for none. */
  readonly rate: number;
  /** Characters of each text. */
  readonly bytes: number;
}

/** Milliseconds. */
const QUIET = 100;
const AGAIN = 200;

/** One that talks. */
export class Talker {
  /** Who was refused, or never answered: neither shall be. */
  readonly troubles: string[] = [];
  /** How many were acknowledged. */
  said = 0;
  readonly #port: number;
  readonly #channel: string;
  readonly #name = crypto.randomUUID();
  readonly #sockets = new Set<Promise<void>>();
  #talk: Talk = { rate: 0, bytes: 0 };

  /**
   * @param port On 127.0.0.1.
   * @param channel Where.
   */
  constructor(port: number, channel: string) {
    this.#port = port;
    this.#channel = channel;
    void this.#run();
  }

  /** @param talk How it talks from now on. */
  set talk(talk: Talk) {
    this.#talk = talk;
  }

  async #run(): Promise<void> {
    const host = `127.0.0.1:${this.#port}`;
    // One account for good: a key is the same message only where its account is the same.
    let cookie: string | undefined;
    while (cookie === undefined) {
      cookie = await cookieFrom(`http://${host}`).catch(() => undefined);
      if (cookie === undefined) await pause(AGAIN);
    }
    for (;;) {
      // One that has nothing to say isn't there.
      if (this.#talk.rate === 0) {
        await pause(QUIET);
        continue;
      }
      const wire = await Wire.open(`ws://${host}/ws`, cookie, {
        told: () => {},
        stuck: (what) => this.troubles.push(what),
      }, this.#sockets);
      if (wire === undefined) await pause(AGAIN);
      else {
        await this.#speak(wire);
        wire.drop();
      }
    }
  }

  // The same message until it is acknowledged: then comes the next one.
  async #speak(wire: Wire): Promise<void> {
    while (wire.open) {
      const { rate, bytes } = this.#talk;
      if (rate === 0) return;
      const begun = performance.now();
      const data = { nth: this.said, text: "x".repeat(bytes) };
      const key = `${this.#name}-${this.said}`;
      const answer = await wire.ask("publish", { channel: this.#channel, data, key });
      if (answer?.publish !== undefined) this.said += 1;
      else if (answer !== undefined && answer.error?.code !== "unavailable") {
        this.troubles.push(`A talker was refused: ${answer.error?.code} ${answer.error?.message}`);
      }
      await pause(Math.max(0, 1000 / rate - (performance.now() - begun)));
    }
  }
}
