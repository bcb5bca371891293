/** What a command writes: results on standard output, everything else on standard error; colours and progress on terminals. */

const encoder = new TextEncoder();

/** Where a command writes to. */
export class Terminal {
  /** Whether people look at the results. */
  readonly people: boolean;
  readonly #colours: boolean;
  readonly #progress: boolean;
  #drawn = false;
  #written = false;
  #unread = false;
  #next = 0;

  /**
   * @param noColor What the environment says of colours: `NO_COLOR`.
   * @param kind What it says of the terminal: `TERM`. A dumb one can't move its cursor.
   */
  constructor(noColor: string | undefined, kind: string | undefined) {
    const dumb = kind === "dumb";
    this.people = Deno.stdout.isTerminal();
    this.#colours = this.people && !dumb && (noColor === undefined || noColor === "");
    this.#progress = Deno.stderr.isTerminal() && !dumb;
  }

  /**
   * Writes a line of what was asked for. Where nobody reads it any more, such as behind `head`, the program has done its work.
   *
   * @param line Without its end.
   * @throws {Error} If it can't be written.
   */
  line(line: string): void {
    if (!this.#write(line)) Deno.exit(0);
  }

  /**
   * Writes a line about work that is done whether anybody reads of it or not.
   *
   * @param line Without its end.
   * @throws {Error} If it can't be written, though somebody would read it.
   */
  report(line: string): void {
    this.#unread ||= !this.#write(line);
  }

  // Whether somebody reads it.
  #write(line: string): boolean {
    if (this.#unread) return false;
    // Behind a pipe they are in nobody's way.
    if (this.people) this.clear();
    this.#written = true;
    try {
      let rest = encoder.encode(`${line}\n`);
      while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot write to standard output: ${why}`, { cause: error });
    }
  }

  /**
   * Tells something beside the results.
   *
   * @param sentence What.
   */
  tell(sentence: string): void {
    this.fault(`fanfare: ${sentence}`);
  }

  /**
   * Tells a fault that was looked for. Whether anybody reads of it changes nothing: the exit code says it too.
   *
   * @param line Without its end.
   */
  fault(line: string): void {
    this.clear();
    try {
      Deno.stderr.writeSync(encoder.encode(`${line}\n`));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  /**
   * Shows how far something is, on a terminal, ten times a second. Where people see the results come, those show it.
   *
   * @param done How much is done.
   * @param all Of how much; undefined where that isn't known.
   * @param what Of what.
   */
  progress(done: number, all: number | undefined, what: string): void {
    const now = performance.now();
    if (!this.#progress || (this.people && this.#written)) return;
    if (now < this.#next && done !== all) return;
    this.#next = now + 100;
    this.#drawn = true;
    const share = all === undefined || all === 0 ? undefined : Math.min(1, done / all);
    const bar = share === undefined ? "" : `${"█".repeat(Math.round(30 * share)).padEnd(30, "░")} `;
    const of = all === undefined ? "" : ` of ${all}`;
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${bar}${done}${of} ${what}`));
  }

  /**
   * Colours a text for people.
   *
   * @param code Of SGR, such as 2 for faint.
   * @param text The text.
   * @returns It, coloured where that shows.
   */
  colour(code: number, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }

  /** Takes away what shows how far something is: it is over, or something else comes there. */
  clear(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
  }
}

/**
 * Makes a text harmless on a terminal: what people write may hold sequences that move its cursor or change its title.
 *
 * @param text Whatever somebody wrote.
 * @returns It, with its control characters shown.
 */
export function plain(text: string): string {
  return text.replace(/(?![\t\n])[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}
