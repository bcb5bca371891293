/** The recipes of static/docs/recipes.md work as they stand there. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { EventStream, http } from "./helpers/http.ts";
import { startServer } from "./helpers/server.ts";
import { tool } from "./helpers/tools.ts";

const ROOT = new URL("../", import.meta.url);
const TOKEN = "0123456789abcdef0123";
const SECRET = "a secret of at least thirty-two characters";
const text = await Deno.readTextFile(new URL("static/docs/recipes.md", ROOT));

function blocks(language: string): string[] {
  return [...text.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, name]) => name === language)
    .map(([, , code = ""]) => code);
}

async function run(command: string, args: string[], env: Record<string, string>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env,
    cwd: fileURLToPath(ROOT),
    signal: AbortSignal.timeout(20_000),
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

async function closed() {
  const [adminTokenFile, jwtSecretFile] = [await Deno.makeTempFile(), await Deno.makeTempFile()];
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await Deno.writeTextFile(jwtSecretFile, SECRET);
  const server = await startServer({ adminTokenFile, jwtSecretFile });
  return { server, jwtSecretFile };
}

Deno.test("recipes of the shell: push, read back, and the same key twice", async () => {
  tool("curl");
  await using open = await startServer();
  const [first = "", whole = "", keyed = "", poll = ""] = blocks("sh");
  const pushed = JSON.parse(await run("sh", ["-c", first], { URL: open.url }));
  assertEquals(pushed.data, { text: "Backup done" });
  const { server } = await closed();
  await using _ = server;
  const env = { URL: server.url, TOKEN };
  assertEquals(JSON.parse(await run("sh", ["-c", whole], env)).data, {
    text: "Backup done",
    title: "Backup",
    priority: 4,
    tags: ["nightly", "ok"],
    click: "https://example.com/",
  });
  await run("sh", ["-c", keyed], env);
  assertEquals(JSON.parse(await run("sh", ["-c", keyed], env)).duplicate, true);
  assertEquals((await run("sh", ["-c", poll], env)).split("\n").length, 2);
});

Deno.test("recipes of Python: publish with a key, follow from a place, make a token of one's own", async () => {
  tool("python3");
  const { server, jwtSecretFile } = await closed();
  await using _ = server;
  const [publish = "", follow = "", token = ""] = blocks("python");
  const env = { URL: server.url, TOKEN };
  await using stream = await EventStream.open(server, "/events?channel=room:orders", {
    authorization: `Bearer ${TOKEN}`,
  });
  const place = (await stream.next())?.id ?? "";
  const [seq, duplicate] = (await run("python3", ["-c", publish], env)).split("\n");
  assertEquals([Number(seq) > 0, duplicate], [true, "True"]);
  assertEquals(
    await run("python3", ["-c", follow], { ...env, PLACE: place }),
    "Order 17 is paid",
  );
  const made = await run("python3", ["-c", token], { SECRET_FILE: jwtSecretFile });
  const me = await http(server, "/api/me", { headers: { authorization: `Bearer ${made}` } });
  assertEquals(me.body, { account: "user-17", name: "Ada" });
});

// Node has WebSocket by itself from 22 on.
for (
  const [command, before] of [["node", ["--experimental-websocket"]], [Deno.execPath(), [
    "run",
    "-A",
  ]]] as const
) {
  const where = command === "node" ? "Node" : "Deno";
  Deno.test(`the client library in ${where}: publishes, and follows by fetch with a token`, async () => {
    if (command === "node") tool("node");
    const { server } = await closed();
    await using _ = server;
    const token = await new SignJWT({ sub: "program" }).setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
    const script = fileURLToPath(new URL("tests/recipes/client.mjs", ROOT));
    const library = new URL("static/fanfare.js", ROOT).href;
    const out = await run(command, [...before, script, library, server.url, token], {});
    const { account, got, heard } = JSON.parse(out);
    assertEquals(account, "program");
    assertEquals(got, [got[0], got[0] + 1, got[0] + 2]);
    assertEquals(heard.slice(heard.indexOf(got[0])).slice(0, 3), got);
  });
}
