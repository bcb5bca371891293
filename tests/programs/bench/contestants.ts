/** Who is measured: our server, as its task starts it, and its peers out of npm. */
import { join } from "node:path";
import { tmpdir } from "node:os";
import { spawnServer, within } from "../../helpers/child_server.ts";
import type { SpeechName } from "./load/speech.ts";

/** A server under load; disposing of it ends it. */
export interface Contestant extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly speech: SpeechName;
}

const PACKAGES = ["bun@1.4.5", "uwebsockets@3.0.6", "ws@8.23.0", "socket.io@4.8.4"];
const CACHE = join(tmpdir(), "fanfare-bench-peers");
const START_LIMIT = 30_000;

interface Peer {
  readonly file: string;
  readonly speech: SpeechName;
  readonly bun?: boolean;
  readonly args?: readonly string[];
}

const PEERS: Readonly<Record<string, Peer>> = {
  bun: { file: "bun.mjs", speech: "plain", bun: true },
  uwebsockets: { file: "uwebsockets.mjs", speech: "plain" },
  ws: { file: "ws.mjs", speech: "plain" },
  "socket.io": { file: "socketio.mjs", speech: "socketio" },
  "sender, joined": { file: "sender.mjs", speech: "plain", args: ["joined"] },
  "sender, single": { file: "sender.mjs", speech: "plain", args: ["single"] },
};

/** Installs the peers outside of the project, in the versions that figures are given for; nothing where they are there. */
export async function installPeers(): Promise<void> {
  const stamp = join(CACHE, "installed.json");
  const wanted = JSON.stringify(PACKAGES);
  const there = await Deno.readTextFile(stamp).catch(() => "");
  if (there === wanted) return;
  await Deno.mkdir(CACHE, { recursive: true });
  await Deno.writeTextFile(join(CACHE, "package.json"), '{"private":true}');
  const args = ["install", "--no-audit", "--no-fund", "--foreground-scripts", ...PACKAGES];
  const { code, stderr } = await new Deno.Command("npm", { args, cwd: CACHE }).output();
  if (code !== 0) throw new Error(`npm can't install the peers: ${decoder.decode(stderr)}`);
  await Deno.writeTextFile(stamp, wanted);
}

const decoder = new TextDecoder();

/**
 * Starts one.
 *
 * @param name Which.
 * @param flags For our server, more of its command line.
 * @param by For our server, what it is started by.
 * @returns It, listening.
 */
export async function start(
  name: string,
  flags: readonly string[],
  by: readonly string[] = [],
): Promise<Contestant> {
  const peer = PEERS[name];
  return peer === undefined ? await startOurs(flags, by) : await startPeer(peer);
}

async function startOurs(flags: readonly string[], by: readonly string[]): Promise<Contestant> {
  const data = await Deno.makeTempDir({ prefix: "fanfare-bench-" });
  const server = await spawnServer({ data, flags, by });
  const end = async () => {
    await server[Symbol.asyncDispose]();
    await Deno.remove(data, { recursive: true });
  };
  try {
    const port = await server.listening;
    return { pid: server.pid, port, speech: "fanfare", [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function startPeer({ file, speech, bun, args = [] }: Peer): Promise<Contestant> {
  const program = bun ? join(CACHE, "node_modules", ".bin", "bun") : "node";
  const path = new URL(`peers/${file}`, import.meta.url).pathname;
  const process = new Deno.Command(program, {
    args: [path, ...args],
    env: { PEERS: CACHE, NODE_ENV: "production" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const end = async () => {
    try {
      process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await process.status;
  };
  try {
    const port = await within(portOf(process.stdout), START_LIMIT, `the address of ${file}`);
    return { pid: process.pid, port, speech, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function portOf(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number> {
  let text = "";
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const port = /http:\/\/\S+:(\d+)\//.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`It ended before it listened: ${text}`);
}
