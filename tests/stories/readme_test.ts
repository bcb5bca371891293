/**
 * The README's commands do what it says, one after the other in a fresh copy of the project; its Chinese version has the same
 * ones. A command that isn't in the table below fails.
 */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { HELP } from "../../lib/config/config.ts";
import { within } from "../helpers/child_server.ts";
import { Copy } from "../helpers/copy.ts";
import { http } from "../helpers/http.ts";
import { startServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DOCS = `${ROOT}static/docs/`;

/** What is done with a command of the README. */
type Check =
  /** It is run as it stands, and writes this. */
  | { readonly shows: RegExp }
  /** It is run as it stands: a server, which is ended at the end; it has this in `push:all`. */
  | { readonly serves: string; readonly env?: Readonly<Record<string, string>> }
  /** It takes too long: a shorter form is run. */
  | { readonly shorter: string; readonly shows: RegExp }
  /** It is run elsewhere: this stands in that file. */
  | { readonly stands: string; readonly in: string };

const BENCH: Check = {
  // Others measure for minutes, and fetch their peers; that there are scenarios of their names is looked at below.
  shorter: "deno task bench start --quick --runs 1",
  shows: /^start: from the command to an answer/m,
};
const TOKEN = /^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+\n$/;

const TABLE = new Map<string, Check>([
  ["deno task start", { serves: "" }],
  // The Deno that runs this test stands for the one that npx would fetch.
  ["npx -y deno@2.9.6 task start", { serves: "", env: { FANFARE_DATA: "data-of-another" } }],
  ['curl -d msg="Backup done" http://127.0.0.1:8000/send/', { shows: /^\{"msg":"success"\}$/ }],
  ['curl -d "Backup done" http://127.0.0.1:8000/push/backups', { shows: /"text":"Backup done"/ }],
  ['curl -s "http://127.0.0.1:8000/push/backups/json?poll=1&since=10m"', {
    shows: /"event":"message".*"message":"Backup done"/,
  }],
  ["deno task compile", { shows: /^$/ }],
  ['./fanfare publish push:all "Backup done"', { shows: /^\{"channel":"push:all","seq":\d+/ }],
  ["./fanfare subscribe push:all --since 0 --count 1", { shows: /^\{.*"Backup done".*\}\n$/ }],
  ["./fanfare history push:all --limit 0", { shows: /^(?:\{.*"Backup done".*\}\n){2}$/ }],
  ["head -c 32 /dev/urandom | base64 > secret.txt", { shows: /^$/ }],
  ["./fanfare token --sub ci --publish 'push:*' --expires 30d --jwt-secret-file secret.txt", {
    shows: TOKEN,
  }],
  ["deno task token --sub ci --publish 'push:*' --expires 30d --jwt-secret-file secret.txt", {
    shows: TOKEN,
  }],
  ["./fanfare backup copy.db", { shows: /^Copied all up to seq \d+, \d+ bytes, to "copy.db"\n$/ }],
  ["./fanfare check", { shows: /^Read 3 messages, found no fault\n/ }],
  [
    "mkdir restored && cp data/cookie.key data/admin.token restored && cp copy.db restored/fanfare.db",
    { shows: /^$/ },
  ],
  ["./fanfare --data restored", { serves: "Backup done" }],
  ["deno task bench saturation quiet cpu --quick", BENCH],
  ["deno task bench joins recovery acks start memory", BENCH],
  ["deno task bench", BENCH],
  // Both run this very test.
  ["deno task ok", { stands: "deno task lint", in: ".ci/run" }],
  ["deno task test", { stands: "deno task test", in: ".ci/run" }],
  ["deno task torture", { shorter: "deno task torture --kills 1", shows: /lost 0, repeated 0/ }],
  ["deno task fuzz", {
    shorter: "deno task fuzz --cases 200",
    shows: /^200 cases in .*, no crash/m,
  }],
]);

const readme = await Deno.readTextFile(`${ROOT}README.md`);
const chinese = await Deno.readTextFile(`${DOCS}README.zh-CN.md`);
const operations = await Deno.readTextFile(`${DOCS}operations.md`);
const protocol = await Deno.readTextFile(`${DOCS}protocol.md`);

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/```(\w+)\n([^]*?)```/g)].filter(([, name]) => name === language)
    .map(([, , code = ""]) => code);
}

/** The commands of all blocks for a shell, without what is said of them. */
function commandsOf(text: string): string[] {
  return blocks(text, "sh").flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/(?:^|\s+)#\s.*$/, "")).filter((line) => line !== "");
}

async function perform(copy: Copy, command: string, check: Check): Promise<void> {
  if ("stands" in check) {
    const text = await Deno.readTextFile(ROOT + check.in);
    assert(
      text.split(/\n/).some((line) => line.includes(check.stands)),
      `${check.in} has no ${check.stands}`,
    );
  } else if ("serves" in check) {
    const url = await within(copy.serve(command, check.env ?? {}), 30_000, command);
    assertEquals((await http({ url }, "/readyz")).status, 200);
    const { body } = await http({ url }, "/push/all/json?poll=1&since=all");
    assert(String(body).includes(check.serves), String(body));
  } else {
    const run = "shorter" in check ? check.shorter : command;
    const { code, stdout, stderr } = await copy.run(run);
    assertEquals(code, 0, `${run}: ${stderr}`);
    assertMatch(stdout, check.shows, stderr);
  }
}

Deno.test("every command of the README is run, in a fresh copy and in its order", async (t) => {
  tool("curl");
  const commands = [...commandsOf(readme), ...commandsOf(protocol), ...commandsOf(operations)];
  assertGreater(commands.length, 20);
  await using copy = await Copy.make();
  for (const command of new Set(commands)) {
    await t.step(command, async () => {
      const check = TABLE.get(command);
      assert(check !== undefined, `Nobody knows how to try: ${command}`);
      await perform(copy, command, check);
    });
  }
  await t.step("there are scenarios of all names", async () => {
    const { stderr } = await copy.run("deno task bench none-of-them");
    const [, list = ""] = /there are: (.*)/.exec(stderr) ?? [];
    const named = commands.filter((command) => command.startsWith("deno task bench"))
      .flatMap((command) => command.split(" ").slice(3)).filter((word) => !word.startsWith("--"));
    for (const name of named) assert(list.split(", ").includes(name), `${name}: ${list}`);
  });
});

Deno.test("the table has no command that isn't there any more", () => {
  const there = new Set([readme, protocol, operations].flatMap(commandsOf));
  assertEquals([...TABLE.keys()].filter((command) => !there.has(command)), []);
});

Deno.test("what texts call a task is one, and the Deno of the README is that of CI", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  for await (const { name } of Deno.readDir(DOCS)) {
    if (!name.endsWith(".md")) continue;
    const text = (await Deno.readTextFile(DOCS + name)) + readme;
    for (const [, task = ""] of text.matchAll(/deno task ([a-z:]+)/g)) {
      assert(task in tasks, `${name}: deno task ${task}`);
    }
  }
  const versions = (text: string) =>
    new Set([...text.matchAll(/deno@([\d.]+)/g)].map(([, v]) => v));
  assertEquals(versions(readme), versions(await Deno.readTextFile(`${ROOT}.ci/run`)));
  assertEquals(versions(chinese), versions(readme));
});

const flagsOf = (text: string) =>
  [...new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag))].sort();

// Of the tables that have flags in them.
const tabled = (text: string) =>
  flagsOf(text.split("\n").filter((line) => /^\|.*`--/.test(line)).join());

Deno.test("the README is short; it and the operations name every flag of the server, and none that there isn't", () => {
  assertLess(readme.split("\n").length, 251);
  const server = flagsOf(HELP.slice(HELP.indexOf("Flags of serve")));
  assertEquals(tabled(readme), server);
  assertEquals(tabled(operations), server);
});

Deno.test("the Chinese version has the same headings, commands, flags, recipes, links and figures", () => {
  const levels = (text: string) =>
    text.replace(/```[^]*?```/g, "").split("\n").map((line) => /^#+ /.exec(line)?.[0])
      .filter((level) => level !== undefined);
  assertEquals(levels(chinese), levels(readme));
  assertEquals(commandsOf(chinese), commandsOf(readme));
  assertEquals(flagsOf(chinese), flagsOf(readme));
  const recipes = (text: string) =>
    ["nginx", "caddy"].map((language) => blocks(text, language).join().replace(/ *#.*/g, ""));
  assertEquals(recipes(chinese), recipes(readme));
  const links = (text: string) => [...text.matchAll(/\]\((https:[^)]*)\)/g)].map(([, to]) => to);
  assertEquals(links(chinese), links(readme));
  const figures = (text: string) => text.match(/\d[\d,.]* (?:ms|µs|KiB)/g);
  assertEquals(figures(chinese), figures(readme));
  const files = (text: string) =>
    [...new Set(text.match(/(?:\w+\/)*\w+\.(?:ts|js|db|key|token)\b/g))].sort();
  assertEquals(files(chinese), files(readme));
  assert(readme.includes("(static/docs/README.zh-CN.md)") && chinese.includes("(../../README.md)"));
});

Deno.test("links between texts lead to files, and to headings that there are", async () => {
  const anchor = (heading: string) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\- ]/gu, "").replaceAll(" ", "-");
  const texts = [`${ROOT}README.md`];
  for await (const { name } of Deno.readDir(DOCS)) {
    if (name.endsWith(".md")) texts.push(DOCS + name);
  }
  for (const from of texts) {
    const text = await Deno.readTextFile(from);
    for (
      const [, to = ""] of text.replace(/```[^]*?```/g, "").matchAll(/\]\((?!https?:)([^)]*)\)/g)
    ) {
      const [path = "", hash] = decodeURIComponent(to).split("#");
      const file = path === "" ? from : fileURLToPath(new URL(path, `file://${from}`));
      assert((await Deno.stat(file)).isFile, `${from}: ${to}`);
      if (hash === undefined) continue;
      const headings = [...(await Deno.readTextFile(file)).matchAll(/^#+ (.*)$/gm)].map((
        [, h = ""],
      ) => anchor(h));
      assert(headings.includes(hash), `${from}: ${to} of ${headings}`);
    }
  }
});

Deno.test("every guide is served and listed at /docs", async () => {
  await using server = await startServer();
  const list = await Deno.readTextFile(`${ROOT}static/pages/docs/main.js`);
  for await (const { name } of Deno.readDir(DOCS)) {
    if (!name.endsWith(".md")) continue;
    const { status, headers, body } = await http(server, `/docs/${name}`);
    assertEquals([status, headers.get("content-type")], [200, "text/plain; charset=utf-8"], name);
    assertEquals(body, await Deno.readTextFile(DOCS + name));
    // Those in both languages are listed by the English name.
    const names = [name, name.replace(".zh-CN.md", ".md")];
    const listed = names.some((name) => list.includes(`["${name}", `)) ||
      list.includes(`href="/docs/${name}"`);
    assert(listed, `static/pages/docs/main.js doesn't list ${name}`);
  }
  for (
    const path of ["/docs/nothing.md", "/docs/index.html", "/docs/..%2fREADME.md", "/docs/.md"]
  ) {
    assertEquals((await http(server, path)).status, 404, path);
  }
});
