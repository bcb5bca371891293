/** What is tortured: the compiled program, unless the source is asked for. */
import { fileURLToPath } from "node:url";
import { compile } from "../../helpers/binary.ts";

/** The program. */
export interface Program extends Disposable {
  /** The binary, undefined where the source is run. */
  readonly binary: string | undefined;
  /** For the page. */
  readonly what: string;
}

const KIT = fileURLToPath(new URL("../../../.ci/compile-kit.sh", import.meta.url));

/**
 * Finds the program, or makes it.
 *
 * @param options A binary that is there, or that the source is to be run.
 * @returns The program.
 * @throws {Error} If none can be made here.
 */
export async function findProgram(
  { program, source }: { program?: string | undefined; source: boolean },
): Promise<Program> {
  const nothing = { [Symbol.dispose]() {} };
  if (source) return { ...nothing, binary: undefined, what: "the source, by deno run" };
  if (program !== undefined) {
    const binary = await Deno.realPath(program);
    return { ...nothing, binary, what: `the binary ${binary}, ${await sizeOf(binary)}` };
  }
  // This Deno can compile where it reaches its runtime part; else as CI does.
  const made = await compile().catch(async (error) => {
    if (Deno.env.has("COMPILE_DENO")) throw error;
    if (await findKit()) return await compile();
    throw new Error(CANNOT, { cause: error });
  });
  return {
    binary: made.path,
    what: `the binary of deno task compile, ${await sizeOf(made.path)}`,
    [Symbol.dispose]: () => made[Symbol.dispose](),
  };
}

const CANNOT = "Cannot compile the program here: this Deno can't fetch its runtime part, and " +
  ".ci/compile-kit.sh makes no other; give a binary with --program FILE, or --source to run the source";

async function findKit(): Promise<boolean> {
  const { success, stdout } = await new Deno.Command(KIT, { stderr: "null" }).output();
  if (!success) return false;
  for (const [, name = "", value = ""] of text(stdout).matchAll(/^export (\w+)='(.*)'$/gm)) {
    Deno.env.set(name, value);
  }
  return true;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function sizeOf(path: string): Promise<string> {
  return `${((await Deno.stat(path)).size / 1e6).toFixed(0)} MB`;
}
