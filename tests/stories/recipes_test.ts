/** The recipes of static/docs/recipes.md work as they stand there. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { SignJWT } from "jose";
import { EventStream, http } from "../helpers/http.ts";
import { startServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

const ROOT = new URL("../../", import.meta.url);
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

// Of a command that follows for ever; empty lines say that the server is there.
async function firstLine(script: string, env: Record<string, string>): Promise<string> {
  const child = new Deno.Command("sh", { args: ["-c", script], env, stdout: "piped" }).spawn();
  const timer = setTimeout(() => child.kill(), 20_000);
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (/\S.*\n/.test(text)) break;
  }
  clearTimeout(timer);
  child.kill();
  await child.status;
  return text.trim();
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
  const [first = "", whole = "", keyed = "", poll = "", root = "", high = ""] = blocks("sh");
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
  assertEquals(JSON.parse(await run("sh", ["-c", root], { URL: open.url })).topic, "backups");
  assertEquals(await firstLine(`exec ${high}`, { URL: open.url }), "Backup done");
});

Deno.test("recipes of Python: publish with a key, follow from a place, make a token of one's own", async () => {
  tool("python3");
  const { server, jwtSecretFile } = await closed();
  await using _ = server;
  const [publish = "", , follow = "", token = ""] = blocks("python");
  const env = { URL: server.url, TOKEN };
  await using stream = await EventStream.open(server, "/events?channel=room:orders", {
    authorization: `Bearer ${TOKEN}`,
  });
  const place = (await stream.next())?.id ?? "";
  const [once, again] = (await run("python3", ["-c", publish], env)).split("\n");
  assertEquals(again, once?.replace(/\}$/, ", 'duplicate': True}"));
  assertEquals(
    await run("python3", ["-c", follow], { ...env, PLACE: place }),
    "Order 17 is paid",
  );
  const made = await run("python3", ["-c", token], { SECRET_FILE: jwtSecretFile });
  const me = await http(server, "/api/me", { headers: { authorization: `Bearer ${made}` } });
  assertEquals(me.body, { account: "user-17", name: "Ada" });
});

// A whole Django with a database, and an order of whatever kind.
const DJANGO = `
import os, sys
sys.path.insert(0, os.environ["FOLDER"])
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import transaction
import orders

class Order:
    def __init__(self, id):
        self.id = id
    def save(self):
        pass

try:
    with transaction.atomic():
        orders.pay(Order(16))
        raise KeyError
except KeyError:
    pass
orders.pay(Order(17))
os.environ["URL"] = "http://127.0.0.1:9"
orders.pay(Order(18))
print("paid all the same")
`;

async function withDjango(): Promise<string | undefined> {
  for (const python of ["/usr/bin/python3", "python3"]) {
    try {
      const command = new Deno.Command(python, { args: ["-c", "import django"] });
      if ((await command.output()).success) return python;
    } catch {
      // There is no such Python.
    }
  }
  return undefined;
}

const django = await withDjango();

Deno.test("the recipe of Django: told after the commit, not after a rollback, and without harm when nobody is there", async () => {
  assert(django !== undefined, "This test needs Django: apt-get install python3-django");
  const { server } = await closed();
  await using _ = server;
  const [publish = "", hook = ""] = blocks("python");
  const FOLDER = await Deno.makeTempDir();
  await Deno.writeTextFile(`${FOLDER}/fanfare.py`, publish);
  await Deno.writeTextFile(`${FOLDER}/orders.py`, hook);
  const env = { URL: server.url, TOKEN, FOLDER };
  assertEquals(await run(django ?? "", ["-c", DJANGO], env), "paid all the same");
  await Deno.remove(FOLDER, { recursive: true });
  const { body } = await http(server, "/api/channels/room:orders/messages", {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const texts = Object(body).messages.map(({ data }: { data: { text: string } }) => data.text);
  assertEquals(texts, ["Order 17 is paid"]);
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
    const library = new URL("static/client/fanfare.js", ROOT).href;
    const out = await run(command, [...before, script, library, server.url, token], {});
    const { account, got, heard } = JSON.parse(out);
    assertEquals(account, "program");
    assertEquals(got, [got[0], got[0] + 1, got[0] + 2]);
    assertEquals(heard.slice(heard.indexOf(got[0])).slice(0, 3), got);
  });
}

for (
  const [name, command, before] of [
    ["Node", "node", ["--experimental-websocket", "--input-type=module", "-e"]],
    ["Deno", Deno.execPath(), ["eval"]],
  ] as const
) {
  Deno.test(`the recipe of ${name} runs as it stands`, async () => {
    if (command === "node") tool("node");
    const { server } = await closed();
    await using _ = server;
    const token = await new SignJWT({ sub: "program" }).setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
    await using stream = await EventStream.open(server, "/events?channel=room:orders", {
      authorization: `Bearer ${TOKEN}`,
    });
    const place = (await stream.next())?.id ?? "";
    const [code = ""] = blocks("js");
    const env = { URL: server.url, TOKEN: token, PLACE: place };
    const told = await run(command, [...before, code], env);
    const { id } = await stream.until("message");
    assertEquals(told, `${id} Order 18 is paid`);
  });
}
