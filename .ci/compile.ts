/**
 * Makes one binary of the program: `deno task compile [--target TARGET] [--output FILE]`. What `deno compile` is told stands in
 * the task, before `--`. The binary has all of node_modules in it, so packages that an earlier version needed are removed first.
 */
import { parseArgs } from "node:util";

async function deno(...args: string[]): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  // It has said why.
  if (code !== 0) Deno.exit(code);
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
  const own = [...(target === undefined ? [] : ["--target", target]), "--output", output];
  await deno("install", "--quiet");
  await deno("compile", ...Deno.args.slice(0, end), ...own, "main.ts");
}
