/** tests/programs/fuzz's cases against a server that others torture meanwhile. */
import { pause } from "../../helpers/child_server.ts";
import { accountOf, cookieOf } from "../../helpers/server.ts";
import { fuzz } from "../fuzz/fuzz.ts";
import { CLAIMS, TOKEN_HEAD } from "../fuzz/seeds.ts";
import { signer } from "../fuzz/sign.ts";
import type { Ledger } from "./ledger.ts";

/** Where the cases go. */
export interface FuzzingOptions {
  readonly seed: number;
  /** Ports on 127.0.0.1 in turn: the proxy's, and the server's own, where nobody mends what is wrong. */
  readonly ports: readonly number[];
  /** What tokens of programs are signed with. */
  readonly secret: string;
  readonly ledger: Ledger;
}

/** So many cases, then a pause: others want to be heard too. */
const CHUNK = 200;
const PAUSE = 1000;

/** Cases that go on until they are stopped. */
export class Fuzzing {
  cases = 0;
  /** How often nobody was there to be asked, while the server was killed. */
  missed = 0;
  /** How many of each kind were answered how. */
  readonly answers: Record<string, number> = {};
  readonly #options: FuzzingOptions;
  readonly #running: Promise<void>;
  #stopping = false;
  #why = "it was stopped at once";

  /** @param options Where they go. */
  constructor(options: FuzzingOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    if (this.cases === 0) this.#options.ledger.violate("wrong", `No fuzz case ran: ${this.#why}`);
  }

  async #run(): Promise<void> {
    const { seed, ports, secret, ledger } = this.#options;
    const sign = await signer(secret);
    const token = await sign(TOKEN_HEAD, CLAIMS[0]);
    let visitor: { cookie: string; account: string } | undefined;
    for (let first = 0; !this.#stopping; first += CHUNK) {
      await pause(PAUSE);
      const host = `127.0.0.1:${ports[first / CHUNK % ports.length]}`;
      try {
        visitor ??= await visit(host).catch((error) => void (this.#why = String(error)));
        if (visitor === undefined) {
          this.missed += 1;
          continue;
        }
        const { cases, answers, faults } = await fuzz({
          ...{ ...visitor, host, token, sign, seed, first, cases: CHUNK, until: Infinity },
          onThousand: () => Promise.resolve(),
        });
        this.cases += cases;
        for (const [answer, count] of Object.entries(answers)) {
          this.answers[answer] = (this.answers[answer] ?? 0) + count;
        }
        for (const fault of faults) ledger.violate("wrong", `Fuzz with seed ${seed}, ${fault}`);
      } catch (error) {
        // The server is being killed: the next cases find it again.
        if (!isOfNetwork(error)) ledger.violate("wrong", `Fuzz with seed ${seed}: ${error}`);
        this.missed += 1;
        this.#why = String(error);
      }
    }
  }
}

// The server trusts its proxy, and takes nobody without an address.
const FROM = { "x-forwarded-for": "192.0.2.1" };

async function visit(host: string): Promise<{ cookie: string; account: string }> {
  const cookie = await cookieOf({ url: `http://${host}` }, "/to_chat/", FROM);
  return { cookie, account: await accountOf({ host }, cookie, FROM) };
}

function isOfNetwork(error: unknown): boolean {
  const { BrokenPipe, ConnectionRefused, ConnectionReset } = Deno.errors;
  return [BrokenPipe, ConnectionRefused, ConnectionReset].some((end) => error instanceof end);
}
