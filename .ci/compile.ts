/**
 * Makes one binary of the program: `deno task compile [--target TARGET] [--output FILE]`. What `deno compile` is told stands in
 * the task. It would take in the whole of node_modules, a browser for tests included: what no module needs is left out here.
 */
import { join } from "node:path";

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
function refuseForeign(args: readonly string[]): void {
  const target = args[args.indexOf("--target") + 1];
  if (!args.includes("--target") || target === Deno.build.target || !Deno.env.has("DENORT_BIN")) {
    return;
  }
  console.error(
    `Cannot compile for ${target}: DENORT_BIN names a runtime part for ${Deno.build.target}. Unset it, and Deno fetches the right one.`,
  );
  Deno.exit(2);
}

refuseForeign(Deno.args);
const excludes = surplus(await needed()).flatMap((folder) => ["--exclude", folder]);
const output = Deno.args.includes("--output") ? [] : ["--output", "fanfare"];
await deno(["compile", ...Deno.args, ...output, ...excludes, "main.ts"]);
