/** The program as one binary, made as `deno task compile` makes it. */

const ROOT = new URL("../../", import.meta.url);

// The Deno that compiles: a machine that can't fetch the runtime part of its own names another.
const compiler = () => Deno.env.get("COMPILE_DENO");

/** A compiled program; disposing of it removes it. */
export interface Binary extends Disposable {
  readonly path: string;
}

/**
 * Tells whether a program can be compiled here: a Deno that was named must be able to, and one's own has to fetch its runtime
 * part from a host that not every machine reaches.
 *
 * @returns Whether it can.
 */
export async function canCompile(): Promise<boolean> {
  if (compiler() !== undefined) return true;
  const folder = await Deno.makeTempDir({ prefix: "fanfare-compile-" });
  try {
    await Deno.writeTextFile(`${folder}/empty.ts`, "");
    const args = ["compile", "--quiet", "--output", `${folder}/empty`, `${folder}/empty.ts`];
    return (await new Deno.Command(Deno.execPath(), { args, stderr: "null" }).output()).success;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Compiles the program.
 *
 * @returns The binary.
 * @throws {Error} If it can't be compiled.
 */
export async function compile(): Promise<Binary> {
  const folder = await Deno.makeTempDir({ prefix: "fanfare-compile-" });
  const path = `${folder}/fanfare`;
  const { success, stderr } = await new Deno.Command(compiler() ?? Deno.execPath(), {
    args: ["task", "compile", "--output", path],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(`Cannot compile: ${new TextDecoder().decode(stderr)}`);
  return { path, [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
}
