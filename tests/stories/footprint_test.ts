/** What a start downloads: only what the server and its pages need. What tests need besides has its own list, `tests/deno.json`. */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Copy } from "../helpers/copy.ts";
import { CountingProxy } from "../helpers/counting_proxy.ts";
import { http } from "../helpers/http.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MB = 1_000_000;

interface Config {
  readonly imports: Readonly<Record<string, string>>;
  readonly links: readonly string[];
  readonly [setting: string]: unknown;
}

interface Lock {
  readonly npm: Readonly<Record<string, unknown>>;
}

async function read<T>(file: string): Promise<T> {
  return JSON.parse(await Deno.readTextFile(join(ROOT, file)));
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesIn(join(folder, name));
    else if (isFile) yield join(folder, name);
  }
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const file of filesIn(folder)) bytes += (await Deno.stat(file)).size;
  return bytes;
}

Deno.test("a start from empty caches downloads at most 15 MB, and then needs no network", async () => {
  using proxy = CountingProxy.listen();
  await using copy = await Copy.make();
  const caches = join(copy.path, "caches");
  const url = await copy.serve("deno task start", { ...proxy.env, DENO_DIR: caches });
  const downloaded = proxy.received;
  assertGreater(downloaded, 100_000);
  assertLess(downloaded, 15 * MB);
  assertLess(await sizeOf(caches) + await sizeOf(join(copy.path, "node_modules")), 60 * MB);

  for (const page of ["/", "/to_chat/", "/to_recmsg/", "/to_sendmsg/", "/docs/"]) {
    const { status, body } = await http({ url }, page);
    assertEquals(status, 200, page);
    const [, map = ""] = /<script type="importmap">(.*?)<\/script>/.exec(String(body)) ?? [];
    const { imports }: Pick<Config, "imports"> = JSON.parse(map);
    assertGreater(Object.keys(imports).length, 4);
    for (const library of Object.values(imports)) {
      const { status, body } = await http({ url }, library);
      assertEquals(status, 200, library);
      assertMatch(String(body), /export|import/);
    }
  }
  assertEquals(proxy.received, downloaded);
});

Deno.test("the server's list of imports has nothing that only tests need", async () => {
  const { imports } = await read<Config>("deno.json");
  let code = await Deno.readTextFile(join(ROOT, "main.ts"));
  for (const folder of ["lib", "static"]) {
    for await (const file of filesIn(join(ROOT, folder))) {
      if (/\.(?:ts|js)$/.test(file)) code += await Deno.readTextFile(file);
    }
  }
  const unused = Object.keys(imports).filter((name) => !new RegExp(`"${name}["/]`).test(code));
  assertEquals(unused, []);
});

Deno.test("the tests' list of imports has all of the server's, in the same versions and with the same settings", async () => {
  const [server, tests] = [await read<Config>("deno.json"), await read<Config>("tests/deno.json")];
  for (const [name, version] of Object.entries(server.imports)) {
    assertEquals(tests.imports[name], version, name);
  }
  for (const link of server.links) {
    assert(tests.links.includes(link.replace("./", "../")), `tests/deno.json: links lacks ${link}`);
  }
  for (const setting of ["nodeModulesDir", "unstable", "compilerOptions"]) {
    assertEquals(tests[setting], server[setting], setting);
  }
  const { npm } = await read<Lock>("tests/deno.lock");
  for (const [name, entry] of Object.entries((await read<Lock>("deno.lock")).npm)) {
    assertEquals(npm[name], entry, name);
  }
});
