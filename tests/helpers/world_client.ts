/** Stories told to the in-memory world: native clients whose sockets are lists, on one edge and on several. */
import type { Limits } from "../../lib/config/limits.ts";
import { tempFolder } from "./log.ts";
import { turn, World } from "./world.ts";

// How often a client looks for an answer before it gives up: each look lets all that is due happen.
const LOOKS = 200;

/** A native client in a world. It waits for no clock: it looks at its socket again once all that is due has happened. */
export class WorldClient {
  /** What came without an id, in order. */
  readonly told: Record<string, unknown>[] = [];
  readonly #world: World;
  readonly #wire: ReturnType<World["connect"]>;
  // Lines that `next` didn't give yet.
  readonly #lines: Record<string, unknown>[] = [];
  readonly #answers = new Map<number, Record<string, unknown>>();
  // Above what a story numbers by itself.
  #id = 1_000_000;

  /**
   * Connects.
   *
   * @param world Where.
   * @param account Whose: eight characters of `0-9a-f`.
   */
  constructor(world: World, account: string) {
    this.#world = world;
    this.#wire = world.connect(account);
  }

  /** The close code; undefined while it is open. */
  get closed(): number | undefined {
    return this.#wire.socket.closed;
  }

  /** @param frame A frame to send. */
  send(frame: string): void {
    this.#wire.session.receive(frame);
  }

  /** Goes away. */
  leave(): void {
    this.#wire.connection.end();
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @param verb The verb.
   * @param body Its body.
   * @returns The whole answer: `{id, verb: …}` or `{id, error: …}`.
   */
  async ask(verb: string, body: unknown): Promise<Record<string, unknown>> {
    const id = ++this.#id;
    this.send(JSON.stringify({ id, [verb]: body }));
    return await this.look(() => this.#answers.get(id), `an answer to ${verb}`);
  }

  /**
   * Sends a command that has to be done.
   *
   * @param verb The verb.
   * @param body Its body.
   * @returns What it was answered with.
   * @throws {Error} If it was refused.
   */
  async do(verb: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await this.ask(verb, body);
    const done = answer[verb];
    if (typeof done === "object" && done !== null) return { ...done };
    throw new Error(`Refused: ${JSON.stringify(answer)}`);
  }

  /**
   * Waits for something that is told without being asked.
   *
   * @param kind `message`, `presence`, `signal` or `closing`.
   * @returns The first that wasn't taken yet.
   */
  async hear(kind: string): Promise<Record<string, unknown>> {
    return await this.look(() => {
      const at = this.told.findIndex((line) => kind in line);
      const found = at < 0 ? undefined : this.told.splice(at, 1)[0]?.[kind];
      return typeof found === "object" && found !== null ? { ...found } : undefined;
    }, `a ${kind}`);
  }

  /**
   * Waits for the next line, whatever it is.
   *
   * @returns The first line that {@linkcode next} didn't give yet.
   */
  async next(): Promise<Record<string, unknown>> {
    return await this.look(() => this.#lines.shift(), "a line");
  }

  /**
   * Reads what comes until something is there.
   *
   * @param find What is looked for; undefined while it isn't there.
   * @param what What it is, for the error.
   * @returns What was found.
   * @throws {Error} If it doesn't come.
   */
  async look<T>(find: () => T | undefined, what: string): Promise<T> {
    for (let looks = 0; looks < LOOKS; looks++) {
      this.#read();
      const found = find();
      if (found !== undefined) return found;
      await (looks < LOOKS / 2 ? turn() : this.#world.settle());
    }
    throw new Error(`Cannot find ${what} in ${JSON.stringify(this.#lines.slice(-20))}`);
  }

  #read(): void {
    for (const line of this.#wire.socket.read().flatMap((frame) => frame.split("\n"))) {
      const value: Record<string, unknown> = JSON.parse(line);
      this.#lines.push(value);
      if (typeof value.id === "number") this.#answers.set(value.id, value);
      else this.told.push(value);
    }
  }
}

/** What a story begins with. */
export interface Scene {
  readonly world: World;
  readonly folder: string;
  /**
   * Connects a client, to the next edge.
   *
   * @param account Whose; another one where none is given.
   * @returns The client.
   */
  open(account?: string): WorldClient;
}

const PLACES = [
  ["one edge beside the core", undefined],
  ["three edges on a bus", { edges: 3, lost: () => false, late: () => 0 }],
] as const;

/**
 * Registers a story twice: with one edge beside the core, and with three on a bus, whose clients are on different ones.
 *
 * @param name The test's.
 * @param test What it does.
 * @param limits Of how many and how often: only those that are named hold.
 */
export function testWorld(
  name: string,
  test: (scene: Scene) => Promise<void>,
  limits: Partial<Limits> = {},
): void {
  for (const [place, options] of PLACES) {
    Deno.test(`${name} (${place})`, async () => {
      using folder = tempFolder();
      const world = await World.open(folder.path, limits, options);
      try {
        let opened = 0;
        const open = (account = String(++opened).padStart(8, "a")) =>
          new WorldClient(world, account);
        await test({ world, folder: folder.path, open });
      } finally {
        world.close();
      }
    });
  }
}
