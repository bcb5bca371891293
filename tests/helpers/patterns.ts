/** Finds every regular expression in TypeScript and JavaScript: what stands between two slashes where an expression may begin. */

/** A regular expression, and where it stands. */
export interface Pattern {
  readonly source: string;
  readonly flags: string;
  /** From the start of the file. */
  readonly line: number;
}

/** What is found in a file. */
export interface Patterns {
  readonly literals: readonly Pattern[];
  /** Lines that make one at run time. */
  readonly made: readonly number[];
}

// After one of these a value begins, so that a slash is no division.
const BEFORE_VALUE = new Set([..."(,=:[!&|?{};+-*%<>~^"]);
const WORDS_BEFORE_VALUE = new Set(
  ["return", "typeof", "case", "in", "of", "new", "delete", "void", "throw", "yield", "await"],
);

/**
 * Finds all regular expressions of a file. Texts and comments aren't looked into, what stands in `${…}` is.
 *
 * @param code The file's text.
 * @returns What is found.
 */
export function patternsIn(code: string): Patterns {
  return new Scanner(code).scan();
}

class Scanner {
  readonly #code: string;
  readonly #literals: Pattern[] = [];
  readonly #made: number[] = [];
  #at = 0;
  // The last word or sign that isn't white space or a comment.
  #last = "";
  // How many braces are open in each template around here.
  readonly #open: number[] = [];

  constructor(code: string) {
    this.#code = code;
  }

  scan(): Patterns {
    while (this.#at < this.#code.length) this.#step();
    return { literals: this.#literals, made: this.#made };
  }

  #step(): void {
    const [one = "", two = ""] = [this.#code[this.#at], this.#code[this.#at + 1]];
    if (/\s/.test(one)) this.#at += 1;
    else if (one === "/" && two === "/") this.#skipTo("\n");
    else if (one === "/" && two === "*") this.#skipTo("*/");
    else if (one === "/" && this.#valueBegins()) this.#literal();
    else if (one === '"' || one === "'") this.#text(one);
    else if (one === "`") this.#template();
    else if (/[\w$]/.test(one)) this.#word();
    else this.#sign(one);
  }

  #valueBegins(): boolean {
    return this.#last === "" || BEFORE_VALUE.has(this.#last) || WORDS_BEFORE_VALUE.has(this.#last);
  }

  #skipTo(end: string): void {
    const found = this.#code.indexOf(end, this.#at + 2);
    this.#at = found < 0 ? this.#code.length : found + end.length;
  }

  #literal(): void {
    const start = this.#at;
    let inClass = false;
    for (this.#at += 1; this.#at < this.#code.length; this.#at += 1) {
      const char = this.#code[this.#at];
      if (char === "\\") this.#at += 1;
      else if (char === "[") inClass = true;
      else if (char === "]") inClass = false;
      else if (char === "/" && !inClass) break;
    }
    const source = this.#code.slice(start + 1, this.#at);
    this.#at += 1;
    const begun = this.#at;
    while (/[a-z]/.test(this.#code[this.#at] ?? "")) this.#at += 1;
    this.#literals.push({
      source,
      flags: this.#code.slice(begun, this.#at),
      line: this.#lineOf(start),
    });
    this.#last = "value";
  }

  #text(quote: string): void {
    for (this.#at += 1; this.#code[this.#at] !== quote; this.#at += 1) {
      if (this.#at >= this.#code.length) return;
      if (this.#code[this.#at] === "\\") this.#at += 1;
    }
    this.#at += 1;
    this.#last = "value";
  }

  // From a backtick, or from the brace that ends what is put in, to the next of both.
  #template(): void {
    for (this.#at += 1; this.#at < this.#code.length; this.#at += 1) {
      const char = this.#code[this.#at];
      if (char === "\\") this.#at += 1;
      else if (char === "`") {
        this.#at += 1;
        this.#last = "value";
        return;
      } else if (char === "$" && this.#code[this.#at + 1] === "{") {
        this.#at += 2;
        this.#open.push(0);
        this.#last = "{";
        return;
      }
    }
  }

  #word(): void {
    const start = this.#at;
    while (/[\w$]/.test(this.#code[this.#at] ?? "")) this.#at += 1;
    this.#last = this.#code.slice(start, this.#at);
    const makes = this.#last === "RegExp" && this.#code[this.#at] === "(";
    if (makes) this.#made.push(this.#lineOf(start));
  }

  #sign(sign: string): void {
    const open = this.#open.at(-1);
    if (open !== undefined && sign === "{") this.#open[this.#open.length - 1] = open + 1;
    if (open !== undefined && sign === "}") {
      if (open === 0) {
        this.#open.pop();
        return this.#template();
      }
      this.#open[this.#open.length - 1] = open - 1;
    }
    this.#at += 1;
    this.#last = sign;
  }

  #lineOf(at: number): number {
    return this.#code.slice(0, at).split("\n").length;
  }
}
