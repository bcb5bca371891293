/** Where our server's processor time goes: Linux's perf, told the names of V8's functions by V8 itself. */

/** What the server is started by, so that V8 writes its functions' addresses where perf looks for them. */
export const PROFILED_BY = ["env", "DENO_V8_FLAGS=--perf-basic-prof"];

/**
 * Samples a process.
 *
 * @param pid The process.
 * @param seconds For how long.
 * @param file Where the samples go.
 */
export async function record(pid: number, seconds: number, file: string): Promise<void> {
  const args = ["record", "-q", "-F", "499", "-g", "-o", file, "-p", `${pid}`];
  await perf([...args, "--", "sleep", `${seconds}`]);
}

/**
 * Tells what took most.
 *
 * @param file The samples.
 * @returns A report by threads and functions, each by itself.
 */
export async function report(file: string): Promise<string> {
  const common = ["report", "--stdio", "--no-children", "-g", "none", "-i", file];
  const threads = await perf([...common, "--sort", "comm", "--percent-limit", "1"]);
  const functions = await perf([...common, "--sort", "comm,dso,symbol", "--percent-limit", "0.5"]);
  return `${bare(threads)}\n\n${bare(functions)}`;
}

function bare(text: string): string {
  return text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#")).join("\n");
}

async function perf(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("perf", { args: [...args] }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`perf failed (it needs root): ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
