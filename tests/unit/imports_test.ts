/** Data flows one way: which room of lib/ and static/ may import which, read off the imports themselves. */
import { assertEquals } from "@std/assert";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("../../", import.meta.url).pathname;

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name === "node_modules") continue;
    if (isDirectory) yield* sources(join(folder, name));
    else if (/\.(ts|js)$/.test(name)) yield join(folder, name);
  }
}

const IMPORT =
  /^(?:import|export)\s+(type\s+)?(?:(?:\*(?:\s+as\s+\w+)?|\w+|\{([^}]*)\})\s+from\s+)?"([^"]+)"/gm;

interface Import {
  readonly name: string;
  /** Whether it is gone once the program runs. */
  readonly typesOnly: boolean;
}

async function importsOf(file: string): Promise<Import[]> {
  const text = await Deno.readTextFile(join(ROOT, file));
  return [...text.matchAll(IMPORT)].map(([, type, names = "", name = ""]) => {
    const each = names.split(",").map((one) => one.trim()).filter((one) => one !== "");
    return {
      name: name.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), name)) : name,
      typesOnly: type !== undefined ||
        (each.length > 0 && each.every((one) => one.startsWith("type "))),
    };
  });
}

const graph = new Map<string, Import[]>();
for await (const file of sources("lib")) graph.set(file, await importsOf(file));
for await (const file of sources("static")) graph.set(file, await importsOf(file));
graph.set("main.ts", await importsOf("main.ts"));

const ARCHITECTURE = await Deno.readTextFile(`${ROOT}static/docs/architecture.md`);

/** The rooms of the program as architecture.md draws them, line by line: each imports only what is on lines below its own. */
const LINES = (/^```text\n(main\.ts\n[^]*?)```$/m.exec(ARCHITECTURE)?.[1] ?? "").split("\n")
  .map((line) => line.trim().split(/\s+/).filter((word) => /^[\w./]+$/.test(word)))
  .filter((line) => line.length > 0);
const ROOMS = LINES.flat();

// At most so many files in a room; one with more is divided.
const MOST_FILES = 16;

const roomOf = (file: string) =>
  ROOMS.includes(file) ? file : dirname(file).replace(/^static\/client\/outbox$/, "static/client");
const lineOf = (file: string) => LINES.findIndex((line) => line.includes(roomOf(file)));

function broken(from: RegExp, to: RegExp, except = /^$/): string[] {
  return [...graph].filter(([file]) => from.test(file)).flatMap(([file, imports]) =>
    imports.filter(({ name }) => to.test(name) && !except.test(name)).map(({ name }) =>
      `${file} imports ${name}`
    )
  );
}

Deno.test("every file stands in a room, and no room has too many", () => {
  assertEquals([ROOMS[0], new Set(ROOMS).size], ["main.ts", ROOMS.length]);
  const files = [...graph.keys()].filter((file) => !file.startsWith("lib/std/"));
  assertEquals(files.filter((file) => !ROOMS.includes(roomOf(file))), []);
  const crowded = ROOMS.filter((room) =>
    files.filter((file) => roomOf(file) === room).length > MOST_FILES
  );
  assertEquals(crowded, []);
});

Deno.test("rooms import only what is below them, but for types", () => {
  const upward = [...graph].flatMap(([file, imports]) =>
    imports.filter(({ name, typesOnly }) =>
      !typesOnly && graph.has(name) && roomOf(name) !== roomOf(file) &&
      lineOf(name) <= lineOf(file)
    ).map(({ name }) => `${file} imports ${name}`)
  );
  assertEquals(upward, []);
});

Deno.test("codecs import only protocol", () => {
  // A checksum is arithmetic.
  assertEquals(broken(/^lib\/codecs\//, /./, /^(lib\/(protocol|codecs)\/|node:zlib$)/), []);
});

Deno.test("edge and core meet on the bus alone", () => {
  const edge = /^lib\/(http|transports|sessions|channels|delivery|site|web)\//;
  assertEquals(broken(edge, /^lib\/(core|sequencer)\//), []);
  assertEquals(broken(/^lib\/(core|sequencer)\//, edge), []);
});

Deno.test("an edge only reads the log, and only lib/store knows SQL", () => {
  assertEquals(
    broken(
      /^lib\/(http|transports|sessions|channels|delivery)\//,
      /^lib\/store\//,
      /^lib\/store\/(reader|pages|feed_index)\.ts$/,
    ),
    [],
  );
  assertEquals(broken(/^(?!lib\/store\/)/, /^node:sqlite$/), []);
});

Deno.test("of static/ the program imports the client library alone, and pages import no other page", () => {
  assertEquals(broken(/^(lib\/|main\.ts$)/, /^static\//, /^static\/client\//), []);
  assertEquals(broken(/^lib\/(?!cli\/)/, /^static\//), []);
  for (const page of ["home", "docs", "receive", "send", "chat"]) {
    const own = new RegExp(`^static/pages/${page}/`);
    assertEquals(broken(own, /^static\/pages\//, own), []);
  }
});

Deno.test("the models of pages are pure: no page, no client, no clock of their own", async () => {
  const model =
    /^static\/(pages\/chat\/model\/|pages\/receive\/state\.js$|ui\/(text\/|push\/content\.js$))/;
  assertEquals(broken(model, /./, model), []);
  const impure =
    /\b(document|window|navigator|location|history|globalThis|localStorage|sessionStorage|fetch|setTimeout|performance|Date\.now)\b/;
  const found: string[] = [];
  for (const file of graph.keys()) {
    if (!model.test(file)) continue;
    const code = (await Deno.readTextFile(join(ROOT, file)))
      .replace(/\/\*(?:(?!\*\/)[^])*\*\/|\/\/.*/g, "");
    const [what] = impure.exec(code) ?? [];
    if (what !== undefined) found.push(`${file}: ${what}`);
  }
  assertEquals(found, []);
});

Deno.test("only main.ts reads arguments and environment", async () => {
  const readers: string[] = [];
  for (const file of graph.keys()) {
    if (/Deno\.(args|env)/.test(await Deno.readTextFile(join(ROOT, file)))) readers.push(file);
  }
  assertEquals(readers, ["main.ts"]);
});

Deno.test("there is no cycle of imports", () => {
  const done = new Set<string>();
  const walk = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const { name } of graph.get(file) ?? []) {
      const cycle = walk(name, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) assertEquals(walk(file, []), []);
});

Deno.test("tests draw from a seed", async () => {
  // A run by hand has a seed of its own, which it prints; ports are drawn so that runs don't meet.
  const exceptions = new Map([
    ["tests/programs/fuzz/main.ts", "Math.random"],
    ["tests/programs/torture/front.ts", "Math.random"],
    ["tests/helpers/load/attacks.ts", "Math.random"],
    ["tests/helpers/load/cut.ts", "Math.random"],
    ["tests/helpers/properties.ts", '"fast-check"'],
    ["tests/unit/imports_test.ts", "Math.random"],
  ]);
  const found: string[] = [];
  for await (const file of sources("tests")) {
    if (file.startsWith("tests/programs/bench/")) continue;
    const [what] = /Math\.random|"fast-check"/.exec(await Deno.readTextFile(join(ROOT, file))) ??
      [];
    if (what !== undefined && exceptions.get(file) !== what) found.push(`${file}: ${what}`);
  }
  assertEquals(found, []);
});

Deno.test("no test imports from a program but the program's own", async () => {
  const found: string[] = [];
  for await (const file of sources("tests")) {
    if (file.startsWith("tests/programs/")) continue;
    const code = await Deno.readTextFile(join(ROOT, file));
    if (/from "[./]+\/programs\//.test(code)) found.push(file);
  }
  assertEquals(found, []);
});
