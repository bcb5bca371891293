/** Calls into a process of its own, a JSON line each way: what is much work must not hold up what is measured. */

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * Answers calls on standard input until it ends, in a process that {@linkcode Helper.start} started.
 *
 * @param calls What is called, by name.
 */
export async function answerCalls<B>(
  calls: Readonly<Record<string, (body: B) => unknown>>,
): Promise<void> {
  const answer = async (line: string) => {
    const { id, name, body }: { id: number; name: string; body: B } = JSON.parse(line);
    const told: Answer = await Promise.resolve().then(() => calls[name]?.(body)).then(
      (value) => ({ id, value }),
      (error) => ({ id, error: String(error) }),
    );
    console.log(JSON.stringify(told));
  };
  for await (const line of lines(Deno.stdin.readable)) void answer(line);
}

/** Such a process; disposing of it kills it. */
export class Helper implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #reading: Promise<void>;
  #id = 0;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /**
   * Starts one.
   *
   * @param module What it runs.
   * @param args Its command line.
   * @returns The process.
   */
  static start(module: URL, args: readonly string[]): Helper {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", module.href, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    return new Helper(command.spawn());
  }

  /**
   * Calls it.
   *
   * @param name What.
   * @param body With what.
   * @returns The answer.
   * @throws {Error} If it failed, or the process ended.
   */
  async call<T>(name: string, body: object = {}): Promise<T> {
    const id = ++this.#id;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    await this.#writer.write(encoder.encode(`${JSON.stringify({ id, name, body })}\n`));
    return JSON.parse(JSON.stringify(await waiting.promise ?? null));
  }

  async #read(): Promise<void> {
    for await (const line of lines(this.#process.stdout)) {
      const { id, value, error }: Answer = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    }
    for (const { reject } of this.#waiting.values()) reject(new Error("The process ended"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its calls in flight have nobody left who waits for them.
    for (const { promise } of this.#waiting.values()) promise.catch(() => {});
    this.#writer.close().catch(() => {});
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It ended by itself.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
    await Promise.all([this.#process.status, this.#reading]);
  }
}

const encoder = new TextEncoder();

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const whole = (rest + chunk).split("\n");
    rest = whole.pop() ?? "";
    yield* whole;
  }
}
