/** Behind nginx and Caddy, set up as the README says: pages, sockets, event streams as they come, slow heads refused. */
import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { pause, within } from "../helpers/child_server.ts";
import { EventStream, http } from "../helpers/http.ts";
import { tempFolder } from "../helpers/log.ts";
import { TLS_LINES } from "../helpers/nginx.ts";
import { cookieOf, NativeClient, startServer, type TestServer } from "../helpers/server.ts";
import { tool } from "../helpers/tools.ts";

const TLS = new URL("../fixtures/tls/", import.meta.url).pathname;
const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

/** What is run, and its file of settings, as a recipe with another port and a shorter wait for heads. */
interface Proxy {
  readonly command: Deno.Command;
  readonly file: string;
  readonly settings: string;
}

type MakeProxy = (folder: string, port: number, upstream: string) => Proxy;

/** The README's recipe in a language, with some of its words replaced; each has to be there. */
function recipe(language: string, words: Readonly<Record<string, string>>): string {
  const [, block = ""] = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(README) ?? [];
  return Object.entries(words).reduce((text, [word, other]) => {
    assertEquals(text.split(word).length, 2, `"${word}" is there once in ${language}`);
    return text.replace(word, other);
  }, block);
}

const nginx: MakeProxy = (folder, port, upstream) =>
  nginxBy(
    recipe("nginx", {
      [TLS_LINES]: `listen 127.0.0.1:${port};`,
      "http://127.0.0.1:8000": upstream,
      "client_header_timeout 10s": "client_header_timeout 1s",
      "$scheme": "http",
    }),
    folder,
  );

function nginxBy(block: string, folder: string): Proxy {
  const file = `${folder}/nginx.conf`;
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  return {
    command: new Deno.Command(tool("nginx"), {
      args: ["-p", folder, "-c", file],
      stdout: "null",
      stderr: "null",
    }),
    file,
    settings: `daemon off; pid ${folder}/pid; error_log stderr; ${
      Deno.uid() === 0 ? "user root;" : ""
    }
    events {} http { access_log off; ${paths.join(" ")} ${block} }`,
  };
}

const caddy: MakeProxy = (folder, port, upstream) => {
  const file = `${folder}/Caddyfile`;
  return {
    command: new Deno.Command(tool("caddy"), {
      args: ["run", "--config", file, "--adapter", "caddyfile"],
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      stdout: "null",
      stderr: "null",
    }),
    file,
    settings: recipe("caddy", {
      "{\n  servers": "{\n  admin off\n  servers",
      "chat.example {": `http://127.0.0.1:${port} {`,
      "127.0.0.1:8000": upstream.replace("http://", ""),
      "read_header 10s": "read_header 1s",
    }),
  };
};

async function freePort(): Promise<number> {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return await Promise.resolve(taken.addr.port);
}

function testBehind(name: string, make: MakeProxy, over: "port" | "unix"): void {
  Deno.test(`behind ${name} as the README says, by ${over}: page, socket, event stream, slow heads refused`, async () => {
    using folder = tempFolder("disk");
    const unix = over === "unix" ? `${folder.path}/s` : undefined;
    await using server = await startServer({
      ...{ open: true, trustProxy: true },
      origins: ["https://chat.example"],
      ...(unix === undefined ? {} : { unix, workers: 0 }),
    });
    const port = await freePort();
    const upstream = unix === undefined ? server.url : `http://unix:${unix}:`;
    const { command, file, settings } = make(folder.path, port, upstream);
    await Deno.writeTextFile(file, settings);
    const proxy = command.spawn();
    try {
      const front = { ...server, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` };
      await within(answers(front), 10_000, name);
      assertMatch(await cookieOf(front), /^fanfare_/);
      await speak(front);
      await stream(front);
      await beSlow(port, name);
    } finally {
      proxy.kill("SIGTERM");
      await proxy.status;
    }
  });
}

async function answers({ url }: TestServer): Promise<void> {
  while (!await fetch(`${url}/healthz`).then((r) => r.text(), () => "")) await pause(10);
}

async function speak(front: TestServer): Promise<void> {
  await using ada = await NativeClient.open(front);
  await ada.do("publish", { channel: "room:a", data: { text: "x".repeat(60_000) } });
  await ada.do("subscribe", { channel: "room:a" });
  await ada.do("publish", { channel: "room:a", data: { text: "hello" } });
  assertEquals(Object((await ada.hear("message")).data).text, "hello");
}

/** Each event is there while the stream goes on, and before the next: a proxy that gathers them would hold them back. */
async function stream(front: TestServer): Promise<void> {
  const opening = EventStream.open(front, "/events?channel=push:all");
  await using events = await within(opening, 10_000, "the stream to begin");
  assertMatch(events.headers.get("content-type") ?? "", /^text\/event-stream/);
  for (const text of ["one", "two", "three"]) {
    await http(front, "/push/all", { text });
    const { data } = await within(events.until("message"), 10_000, `the event "${text}"`);
    assertEquals(Object(data.data).text, text);
  }
}

/** Half a head, and nothing more: the proxy has enough of it, and the server never sees it. */
async function beSlow(port: number, name: string): Promise<void> {
  using slow = await Deno.connect({ hostname: "127.0.0.1", port });
  const since = performance.now();
  await slow.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: chat.example\r\n"));
  const told = await within(new Response(slow.readable).text(), 20_000, `${name} to hang up`);
  assertMatch(told, /^$|^HTTP\/1\.1 4\d\d/);
  assertGreater(performance.now() - since, 900);
  assertLess(performance.now() - since, 4000);
}

Deno.test("the recipe for nginx has all that it takes to serve over TLS", async () => {
  using folder = tempFolder("disk");
  await using server = await startServer({ trustProxy: true, origins: ["https://chat.example"] });
  const port = await freePort();
  const { command, file, settings } = nginxBy(
    recipe("nginx", {
      "listen 443 ssl;": `listen 127.0.0.1:${port} ssl;`,
      "http://127.0.0.1:8000": server.url,
      "/etc/ssl/chat.example.pem": `${TLS}cert.pem`,
      "/etc/ssl/chat.example.key": `${TLS}key.pem`,
    }),
    folder.path,
  );
  await Deno.writeTextFile(file, settings);
  const proxy = command.spawn();
  try {
    using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(`${TLS}cert.pem`)] });
    const init = { client, headers: { "accept": "text/html" } };
    const url = `https://127.0.0.1:${port}`;
    const alive = () => fetch(`${url}/healthz`, init).then((r) => r.text(), () => "");
    const served = async () => {
      while (!await alive()) await pause(10);
    };
    await within(served(), 10_000, "nginx");
    const page = await fetch(`${url}/to_chat/`, init);
    await page.body?.cancel();
    // It knows that browsers reach it by TLS.
    assertMatch(page.headers.get("set-cookie") ?? "", /^__Host-fanfare_[^;]+; Secure;/);
  } finally {
    proxy.kill("SIGTERM");
    await proxy.status;
  }
});

testBehind("nginx", nginx, "port");
testBehind("nginx", nginx, "unix");
testBehind("Caddy", caddy, "port");
