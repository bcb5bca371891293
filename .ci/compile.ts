/**
 * Makes one binary of the program: `deno task compile [--target TARGET] [--output FILE]`. What `deno compile` is told stands in
 * the task, before `--`. It would take in the whole of node_modules, a browser for tests included: what no module needs is left out here.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The program, what is started by its name alone, and what browsers load. */
const ROOTS = ["main.ts", "lib/edge/worker.ts", "lib/log/copier.ts", "static/ui.js"];

const STORE = "node_modules/.deno";

const decoder = new TextDecoder();

async function deno(args: readonly string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], stderr: "inherit" });
  const { code, stdout } = await command.output();
  // It has said why.
  if (code !== 0) Deno.exit(code);
  return decoder.decode(stdout);
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly dependencies: readonly string[];
}

interface Graph {
  readonly modules: readonly { readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<Record<string, Package>>;
}

/** Packages that some module imports, and those that they need, as `name@version`. */
async function needed(): Promise<Set<string>> {
  const found = new Set<string>();
  for (const root of ROOTS) {
    const { modules, npmPackages }: Graph = JSON.parse(await deno(["info", "--json", root]));
    const walk = (id: string) => {
      const known = npmPackages[id];
      const name = `${known?.name}@${known?.version}`;
      if (known === undefined || found.has(name)) return;
      found.add(name);
      known.dependencies.forEach(walk);
    };
    for (const { npmPackage } of modules) if (npmPackage !== undefined) walk(npmPackage);
  }
  return found;
}

/** The folders of all packages that aren't needed. */
function surplus(wanted: ReadonlySet<string>): string[] {
  const folders: string[] = [];
  for (const { name: entry, isDirectory } of Deno.readDirSync(STORE)) {
    // Such as `@preact+signals@2.11.4`, with `_1` behind it where there are copies.
    const name = entry.replace("+", "/").replace(/_\d+$/, "");
    const at = name.lastIndexOf("@");
    if (!isDirectory || at <= 0 || wanted.has(name)) continue;
    folders.push(join(STORE, entry, "node_modules", name.slice(0, at)));
  }
  return folders;
}

/** A runtime part that was named would be taken for any target, and make a binary that doesn't run there. */
function refuseForeign(target: string | undefined): void {
  if (target === undefined || target === Deno.build.target || !Deno.env.has("DENORT_BIN")) return;
  refuse(
    `Cannot compile for ${target}: DENORT_BIN names a runtime part for ${Deno.build.target}. Unset it, and Deno fetches the right one.`,
  );
}

function refuse(sentence: string): never {
  console.error(sentence);
  Deno.exit(2);
}

const USAGE = `Usage: deno task compile [--target TARGET] [--output FILE]

  --target TARGET  another system, such as aarch64-unknown-linux-gnu
  --output FILE    the binary (fanfare)`;

function asked(args: string[]): { target?: string; output?: string; help?: boolean } {
  const text = { type: "string" } as const;
  try {
    const help = { type: "boolean", short: "h" } as const;
    return parseArgs({ args, options: { target: text, output: text, help } }).values;
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

const end = Deno.args.indexOf("--");
const { target, output = "fanfare", help } = asked(Deno.args.slice(end + 1));
if (help) {
  console.log(USAGE);
} else {
  refuseForeign(target);
  const excludes = surplus(await needed()).flatMap((folder) => ["--exclude", folder]);
  const own = [...(target === undefined ? [] : ["--target", target]), "--output", output];
  await deno(["compile", ...Deno.args.slice(0, end), ...own, ...excludes, "main.ts"]);
}
