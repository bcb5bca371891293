/** nginx in front of a server, as the README says. */
import { pause, within } from "./child_server.ts";
import { tool } from "./tools.ts";

const README = new URL("../../README.md", import.meta.url);

/** The README's lines that say where it listens; tests that aren't about TLS do without. */
export const TLS_LINES = `listen 443 ssl;
  ssl_certificate /etc/ssl/chat.example.pem;
  ssl_certificate_key /etc/ssl/chat.example.key;`;

/** How it is started. */
export interface NginxOptions {
  /** A folder of its own. */
  readonly folder: string;
  /** The port on 127.0.0.1 that it listens on. */
  readonly port: number;
  /** What it passes everything on to, such as `http://127.0.0.1:8000`. */
  readonly upstream: string;
  /** What is changed in the README's block, besides where it listens and what it passes on to. */
  readonly changes?: readonly (readonly [string, string])[];
  /** More lines of its main block. */
  readonly main?: string;
  /** Lines of its events block. */
  readonly events?: string;
  /** A port on which it says that all come from the address behind it. */
  readonly foreign?: { readonly port: number; readonly address: string };
}

/**
 * Starts it; disposing of it ends it.
 *
 * @param options How.
 * @returns nginx, once it serves.
 */
export async function startNginx(options: NginxOptions): Promise<AsyncDisposable> {
  const { folder, port, main = "", events = "", foreign } = options;
  const names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = names.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
  const block = await recipe(options);
  // The zone that it counts visitors in stands once.
  const other = foreign === undefined ? "" : block.slice(block.indexOf("server {"))
    .replace(`127.0.0.1:${port}`, `127.0.0.1:${foreign.port}`)
    .replace("$remote_addr", foreign.address);
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `daemon off; pid ${folder}/pid; error_log stderr; ${
      Deno.uid() === 0 ? "user root;" : ""
    } ${main}
    events { ${events} } http { access_log off; ${paths} ${block} ${other} }`,
  );
  const nginx = new Deno.Command(tool("nginx"), {
    args: ["-p", folder, "-c", `${folder}/nginx.conf`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const end = async () => {
    nginx.kill("SIGTERM");
    await nginx.status;
  };
  try {
    await within(answers(port), 20_000, "nginx");
  } catch (error) {
    await end().catch(() => {});
    throw error;
  }
  return { [Symbol.asyncDispose]: end };
}

async function answers(port: number): Promise<void> {
  const ask = () => fetch(`http://127.0.0.1:${port}/healthz`).then((r) => r.text(), () => "");
  while (!await ask()) await pause(10);
}

async function recipe({ port, upstream, changes = [] }: NginxOptions): Promise<string> {
  const [, block = ""] = /```nginx\n([^]*?)```/.exec(await Deno.readTextFile(README)) ?? [];
  const all = [
    [TLS_LINES, `listen 127.0.0.1:${port};`],
    ["http://127.0.0.1:8000", upstream],
    ["$scheme", "http"],
    ...changes,
  ] as const;
  return all.reduce((text, [from, to]) => {
    if (text.includes(from)) return text.replace(from, to);
    throw new Error(`The README's nginx block has no "${from}"`);
  }, block);
}
