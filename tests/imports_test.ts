/** What may import what (design: data flows one way): read off the imports themselves. */
import { assertEquals } from "@std/assert";
import { dirname, join, relative } from "node:path";

const ROOT = new URL("..", import.meta.url).pathname;

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name === "node_modules") continue;
    if (isDirectory) yield* sources(join(folder, name));
    else if (/\.(ts|js)$/.test(name)) yield join(folder, name);
  }
}

const IMPORT =
  /^(?:import|export)\s+(?:(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\w+|\{[^}]*\})\s+from\s+)?"([^"]+)"/gm;

async function importsOf(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, file));
  return [...text.matchAll(IMPORT)].map(([, name = ""]) =>
    name.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), name)) : name
  );
}

const graph = new Map<string, string[]>();
for await (const file of sources("lib")) graph.set(file, await importsOf(file));
graph.set("main.ts", await importsOf("main.ts"));

function broken(from: RegExp, to: RegExp, except = /^$/): string[] {
  return [...graph].filter(([file]) => from.test(file)).flatMap(([file, imports]) =>
    imports.filter((name) => to.test(name) && !except.test(name)).map((name) =>
      `${file} imports ${name}`
    )
  );
}

Deno.test("protocol imports nothing of ours but itself", () => {
  assertEquals(broken(/^lib\/protocol\//, /^(lib|main)/, /^lib\/protocol\//), []);
});

Deno.test("codecs import only protocol", () => {
  const codecs = /^lib\/edge\/(native|first_push|first_chat|sse|ntfy)\.ts$/;
  // A checksum is arithmetic.
  assertEquals(broken(codecs, /./, /^(lib\/protocol\/|node:zlib$)/), []);
});

Deno.test("edge and core don't know each other", () => {
  assertEquals(broken(/^lib\/edge\//, /^lib\/core\//), []);
  assertEquals(broken(/^lib\/core\//, /^lib\/edge\//), []);
});

Deno.test("an edge only reads the log, and only lib/log knows SQL", () => {
  assertEquals(
    broken(/^lib\/edge\//, /^lib\/log\//, /^lib\/log\/(reader|pages|feed_index)\.ts$/),
    [],
  );
  assertEquals(broken(/^(?!lib\/(log|store)\/)/, /^node:sqlite$/), []);
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
    for (const next of graph.get(file) ?? []) {
      const cycle = walk(next, [...path, file]);
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
    ["tests/fuzz/main.ts", "Math.random"],
    ["tests/torture/front.ts", "Math.random"],
    ["tests/helpers/properties.ts", '"fast-check"'],
    ["tests/imports_test.ts", "Math.random"],
  ]);
  const found: string[] = [];
  for await (const file of sources("tests")) {
    if (file.startsWith("tests/bench/")) continue;
    const [what] = /Math\.random|"fast-check"/.exec(await Deno.readTextFile(join(ROOT, file))) ??
      [];
    if (what !== undefined && exceptions.get(file) !== what) found.push(`${file}: ${what}`);
  }
  assertEquals(found, []);
});
