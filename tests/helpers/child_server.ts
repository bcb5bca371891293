/** The real server as a process of its own, to be killed, measured and started again. */
import { deadline } from "@std/async/deadline";

/** How it is started. */
export interface ChildOptions {
  readonly data: string;
  /** @default {0} */
  readonly port?: number;
  /** More of the command line. */
  readonly flags?: readonly string[];
  /** What is run. @default {"main.ts"} */
  readonly program?: string;
  /** The compiled program, to run in the place of the source: in an empty folder and with an empty environment. */
  readonly binary?: string;
  /** More of its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it is started by, such as `["unshare", …]`; the command line of the server follows. */
  readonly by?: readonly string[];
}

/** A line of the server's log. */
export interface LogLine {
  readonly level?: string;
  readonly message?: string;
  readonly [fact: string]: unknown;
}

/** A server that was started; disposing of it kills it. */
export interface ChildServer extends AsyncDisposable {
  readonly pid: number;
  /** Ends with the port once the server has said where it listens; fails when it ends before, or takes too long. */
  readonly listening: Promise<number>;
  /** Ends once the process has, and all that it wrote was read: a status alone may come before its last words. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** The lines of its log at level error, and those that aren't JSON. */
  readonly troubles: readonly string[];
  /** Takes each line of its log. */
  onLog?: (line: LogLine) => void;
  /** Sends a signal; nothing happens where it has ended. */
  signal(name: Deno.Signal): void;
}

/** How long a start may take, in milliseconds. */
export const START_LIMIT = 30_000;

const ROOT = new URL("../../", import.meta.url);
// A run that publishes as fast as it can is no flood by one account.
const UNBOUNDED = {
  FANFARE_RATE: "0",
  FANFARE_MAX_SIGNALS: "0",
  FANFARE_MAX_REPEATS: "0",
  FANFARE_MAX_REFUSALS: "0",
  FANFARE_MAX_PER_ADDRESS: "0",
  FANFARE_MAX_CONNECTIONS: "0",
};

/**
 * Starts the server as its start task does, with the same permissions.
 *
 * @param options How.
 * @returns The child, at once.
 */
export async function spawnServer(options: ChildOptions): Promise<ChildServer> {
  const { binary } = options;
  const args = binary === undefined ? await startArguments(options.program) : [];
  args.push("--data", options.data, "--port", String(options.port ?? 0), ...options.flags ?? []);
  const [program = "", ...before] = [...options.by ?? [], binary ?? Deno.execPath()];
  const command = new Deno.Command(program, {
    args: [...before, ...args],
    ...binary === undefined
      ? { cwd: ROOT, env: { ...UNBOUNDED, ...options.env } }
      : { ...bare(binary), env: { ...options.env } },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const process = command.spawn();
  const troubles: string[] = [];
  const reading = readLog(process.stderr, (line) => child.onLog?.(line), troubles);
  const ended = Promise.all([process.status, reading]).then(([status]) => status);
  const child: ChildServer = {
    pid: process.pid,
    listening: portOf(process.stdout, ended, troubles),
    ended,
    troubles,
    signal(name) {
      try {
        process.kill(name);
      } catch (error) {
        if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      child.signal("SIGKILL");
      await ended;
    },
  };
  // Whoever kills it before it listens needs no answer.
  child.listening.catch(() => {});
  return child;
}

// Keeps no connection for later: tests count what a server has open.
const leaving = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

/**
 * Asks for a browser's account.
 *
 * @param url The server's.
 * @returns The cookie's `name=value`.
 */
export async function cookieFrom(url: string): Promise<string> {
  const init = { client: leaving, signal: AbortSignal.timeout(10_000) };
  const response = await fetch(new URL("/to_chat/", url), init);
  await response.body?.cancel();
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0];
  if (cookie === undefined) throw new Error("Cannot find a cookie: /to_chat/ gave none");
  return cookie;
}

/**
 * Waits for a promise until a deadline.
 *
 * @param promise The promise.
 * @param limit The deadline in milliseconds from now.
 * @param what Named in the error.
 * @returns The value of the promise.
 * @throws {Error} If the promise is still pending then.
 */
export async function within<T>(promise: Promise<T>, limit: number, what: string): Promise<T> {
  try {
    return await deadline(promise, limit);
  } catch (error) {
    if (error instanceof DOMException) throw new Error(`Waited ${limit} ms in vain for ${what}`);
    throw error;
  }
}

/**
 * Waits.
 *
 * @param ms Milliseconds.
 */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Runs the program to its end, such as for `backup`.
 *
 * @param args Its command line.
 * @param binary The compiled program, where it isn't the source that is run.
 * @returns Its exit code and what it wrote.
 */
export async function runProgram(
  args: readonly string[],
  binary?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await (await programCommand(args, {}, binary)).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/**
 * Prepares the program with a command line.
 *
 * @param args The command line.
 * @param pipes What is piped.
 * @param binary The compiled program, where it isn't the source that is run.
 * @returns The command, to be spawned.
 */
export async function programCommand(
  args: readonly string[],
  pipes: Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr"> = {},
  binary?: string,
): Promise<Deno.Command> {
  return new Deno.Command(binary ?? Deno.execPath(), {
    args: binary === undefined ? [...await startArguments(), ...args] : [...args],
    ...binary === undefined ? { cwd: ROOT } : bare(binary),
    ...pipes,
  });
}

function bare(binary: string): { cwd: string; clearEnv: true } {
  const cwd = `${binary}-empty`;
  Deno.mkdirSync(cwd, { recursive: true });
  return { cwd, clearEnv: true };
}

async function startArguments(program = "main.ts"): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const [deno, ...args] = String(tasks.start.command).split(" ");
  if (deno === "deno" && args.at(-1) === "main.ts") return [...args.slice(0, -1), program];
  throw new Error("Cannot start the server: its start task isn't `deno … main.ts`");
}

async function portOf(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  ended: Promise<Deno.CommandStatus>,
  troubles: readonly string[],
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const read = async () => {
    // To the end, so that the server never writes into a closed pipe.
    for await (const line of lines(stdout)) {
      const port = /https?:\/\/\S+:(\d+)\//.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    }
    const { code, signal } = await ended;
    reject(
      new Error(`The server ended (${signal ?? code}) before it listened: ${troubles.join("\n")}`),
    );
  };
  read().catch(reject);
  return await within(promise, START_LIMIT, "the line with the server's address");
}

async function readLog(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
  told: (line: LogLine) => void,
  troubles: string[],
): Promise<void> {
  for await (const text of lines(stderr)) {
    let line: LogLine = { level: "ERROR" };
    try {
      line = JSON.parse(text);
    } catch {
      // A stack trace, or the runtime's own words.
    }
    if (line.level === "ERROR" || line.level === "FATAL") troubles.push(text);
    told(line);
  }
}

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const whole = (rest + chunk).split("\n");
    rest = whole.pop() ?? "";
    yield* whole;
  }
  if (rest !== "") yield rest;
}
