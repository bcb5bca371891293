/** A fresh copy of the project, for tests that do what a new user does. */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { within } from "./child_server.ts";
import { tempFolder } from "./log.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGES: ReadonlySet<string> = new Set(["node_modules"]);

/** The project as a user gets it, and a shell in it whose `deno` is the one that runs this test. */
export class Copy implements AsyncDisposable {
  readonly #folder = tempFolder("disk");
  readonly #project = `${this.#folder.path}/fanfare`;
  readonly #servers: Deno.ChildProcess[] = [];
  #url = "";

  /**
   * Copies the project.
   *
   * @returns The copy; disposing of it ends its servers and removes it.
   */
  static async make(): Promise<Copy> {
    const copy = new Copy();
    await copyTree(ROOT, copy.#project, new Set([...PACKAGES, ".git", "data", "fanfare"]));
    await link(Deno.execPath(), `${copy.#folder.path}/bin`);
    await link(Deno.env.get("COMPILE_DENO") ?? Deno.execPath(), `${copy.#folder.path}/compiler`);
    return copy;
  }

  /** The folder of the copy. */
  get path(): string {
    return this.#project;
  }

  /**
   * Runs a command to its end.
   *
   * @param line The command.
   * @returns Its exit code and what it wrote.
   */
  async run(line: string): Promise<{ code: number; stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await this.#command(line, {}).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /**
   * Starts a server; other commands use the first one.
   *
   * @param line The command.
   * @param env More of its environment.
   * @returns Its address, without the last slash.
   * @throws {Error} If it ends before it listens.
   */
  async serve(line: string, env: Readonly<Record<string, string>>): Promise<string> {
    const server = this.#command(`exec ${line}`, env).spawn();
    this.#servers.push(server);
    const errors = new Response(server.stderr).text();
    let said = "";
    for await (const part of server.stdout.pipeThrough(new TextDecoderStream())) {
      said += part;
      const [, url] = /^Fanfare listens on (http:\S+)\/ /m.exec(said) ?? [];
      if (url !== undefined) {
        if (this.#url === "") this.#url = url;
        return url;
      }
    }
    throw new Error(`${line} ended before it listened: ${await errors}`);
  }

  #command(line: string, env: Readonly<Record<string, string>>): Deno.Command {
    const { path } = this.#folder;
    const bin = /\bcompile\b/.test(line) ? "compiler" : "bin";
    const changed = line.replaceAll("http://127.0.0.1:8000", this.#url)
      .replace(/\bnpx -y deno@\S+/, "deno");
    return new Deno.Command("sh", {
      args: ["-c", changed],
      cwd: this.#project,
      env: {
        PATH: `${path}/${bin}:${Deno.env.get("PATH")}`,
        NO_COLOR: "1",
        FANFARE_PORT: "0",
        FANFARE_URL: this.#url,
        ...env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.kill("SIGTERM");
    const ends = await within(
      Promise.all(this.#servers.map(({ status }) => status)),
      20_000,
      "the servers' end",
    );
    this.#folder[Symbol.dispose]();
    assertEquals(ends.map(({ code }) => code), ends.map(() => 0));
  }
}

async function copyTree(from: string, to: string, without: ReadonlySet<string>): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (without.has(name)) continue;
    if (isDirectory) await copyTree(`${from}/${name}`, `${to}/${name}`, PACKAGES);
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function link(deno: string, folder: string): Promise<void> {
  await Deno.mkdir(folder);
  await Deno.symlink(deno, `${folder}/deno`);
}
