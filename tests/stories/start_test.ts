/** A start that can't be: one line that says which flag or folder is in the way, and nothing of it is left to others to read. */
import { assertEquals, assertMatch } from "@std/assert";
import { runProgram } from "../helpers/child_server.ts";
import { messages, tempFolder } from "../helpers/log.ts";
import { startServer } from "../helpers/server.ts";
import { Log } from "../../lib/store/writer.ts";
import { backup } from "../../lib/store/backup.ts";

Deno.test("what is missing or taken is named by its flag, in one line, with exit code 2 where it names a file", async () => {
  using folder = tempFolder("disk");
  const { path } = folder;
  await using server = await startServer();
  const { port } = new URL(server.url);
  await Deno.writeTextFile(`${path}/file`, "");
  const none = `${path}/none`;
  const cases: [string[], RegExp][] = [
    [["--port", port], /Cannot listen on 127\.0\.0\.1:\d+ .*--port.*: another/],
    [["--port", port, "--workers", "1"], /Cannot listen on 127\.0\.0\.1:\d+ .*--port.*: another/],
    [["--host", "192.0.2.1"], /Cannot listen on 192\.0\.2\.1:0 .*--host/],
    [["--host", "nowhere.invalid"], /Cannot listen on nowhere\.invalid:0 .*--host/],
    [["--unix", `${none}/socket`], /Cannot listen on "[^"]*none\/socket" .*--unix/],
    [["--data", `${path}/file`], /data folder "[^"]*\/file".*--data/],
    [["--data", `${path}/file/in`], /data folder "[^"]*\/in".*--data/],
    [["--pages", none], /--pages, "[^"]*none"/],
    [["--pages", `${path}/file`], /--pages, "[^"]*file"/],
    [["--settings", none], /--settings, "[^"]*none"/],
    [["--settings", path], /--settings, ".*a folder/],
    [["--admin-token-file", none], /--admin-token-file, "[^"]*none"/],
    [["--jwt-secret-file", none], /--jwt-secret-file, "[^"]*none"/],
    [["--jwks", none], /--jwks, "[^"]*none"/],
    [["--cert", none, "--key", none], /--cert, "[^"]*none"/],
    [["publish", "push:a", "x", "--token-file", none], /--token-file, "[^"]*none"/],
    [["token", "--sub", "a", "--jwt-secret-file", none], /--jwt-secret-file, "[^"]*none"/],
  ];
  for (const [args, sentence] of cases) {
    const serves = args[0]?.startsWith("--");
    const rest = serves && args[0] !== "--data" ? ["--data", `${path}/data`] : [];
    const more = serves && !args.includes("--port") ? ["--port", "0", ...rest] : rest;
    const { code, stderr } = await runProgram([...args, ...more]);
    assertMatch(stderr, /^fanfare: [^\n]+\n$/, args.join(" "));
    assertMatch(stderr, sentence);
    const names = args.some((arg) => /^--(?:pages|settings|[a-z-]+-file|jwks|cert)$/.test(arg));
    assertEquals(code, names ? 2 : 1, args.join(" "));
  }
});

Deno.test("the log is for its owner alone, and so is a copy, in a folder that others may look into too", async () => {
  using folder = tempFolder("disk");
  const path = `${folder.path}/fanfare.db`;
  await Deno.chmod(folder.path, 0o755);
  const modes = () =>
    [...Deno.readDirSync(folder.path)].filter(({ name }) => name.startsWith("fanfare.db"))
      .map(({ name }) => `${name} ${modeOf(`${folder.path}/${name}`).toString(8)}`).sort();
  const own = ["", "-mark", "-shm", "-wal"].map((end) => `fanfare.db${end} 600`);
  const log = new Log(path, () => "epoch");
  log.apply(messages(1, 3));
  assertEquals(modes(), own);
  // The copy is as well, from its first byte on.
  let seen = 0;
  await backup(path, `${folder.path}/copy`, () => {
    for (const { name } of Deno.readDirSync(folder.path)) {
      if (name.startsWith("copy")) seen |= modeOf(`${folder.path}/${name}`);
    }
  });
  assertEquals(seen, 0o600);
  log.close();
});

function modeOf(file: string): number {
  return (Deno.statSync(file).mode ?? 0) & 0o777;
}
