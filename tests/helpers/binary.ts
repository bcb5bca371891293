/** The program as one binary, made as `deno task compile` makes it. */

const ROOT = new URL("../../", import.meta.url);

// The Deno that compiles: a machine that can't fetch the runtime part of its own names another.
const compiler = () => Deno.env.get("COMPILE_DENO");

const adviceFor = (named: string | undefined) =>
  named === undefined
    ? `Cannot compile with this Deno: it fetches its runtime part from dl.deno.land. Where that can't be reached, say
eval "$(.ci/compile-kit.sh)" first, which makes a pair of Deno and runtime part out of npm packages.`
    : `Cannot compile with the Deno that COMPILE_DENO names, ${named}.`;

/** A compiled program; disposing of it removes it. */
export interface Binary extends Disposable {
  readonly path: string;
}

/**
 * Compiles the program.
 *
 * @param env More of the environment in which it is compiled.
 * @returns The binary.
 * @throws {Error} If it can't be compiled.
 */
export async function compile(env: Readonly<Record<string, string>> = {}): Promise<Binary> {
  const folder = await Deno.makeTempDir({ prefix: "fanfare-compile-" });
  const path = `${folder}/fanfare`;
  const { success, stderr } = await new Deno.Command(compiler() ?? Deno.execPath(), {
    args: ["task", "compile", "--output", path],
    cwd: ROOT,
    env: { ...env },
  }).output();
  if (!success) {
    Deno.removeSync(folder, { recursive: true });
    throw new Error(`${adviceFor(compiler())}\n${new TextDecoder().decode(stderr)}`);
  }
  return { path, [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
}
