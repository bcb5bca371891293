/** SIGHUP: settings are read again, and hold in all isolates; what is wrong with them changes nothing. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ConfigError, readSettings } from "../../lib/config/config.ts";
import { type ChildServer, type LogLine, spawnServer, within } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { NativeClient } from "../helpers/server.ts";

const ORIGIN = "https://other.example";

/** Waits for an event of the server's log; those that came before are passed over. */
function heard(child: ChildServer, event: string): Promise<LogLine> {
  const { promise, resolve } = Promise.withResolvers<LogLine>();
  child.onLog = (line) => line.message === event && resolve(line);
  return within(promise, 10_000, event);
}

for (const workers of ["0", "2"]) {
  Deno.test(`settings are read again at SIGHUP, with ${workers} isolates`, async () => {
    using folder = tempFolder("disk");
    const [file, token] = [`${folder.path}/settings`, `${folder.path}/token`];
    const write = (...lines: string[]) => Deno.writeTextFile(file, lines.join("\n"));
    await write("# Ours", `FANFARE_WORKERS=${workers}`);
    await Deno.writeTextFile(token, "the first of the tokens");
    const flags = ["--settings", file, "--admin-token-file", token];
    await using child = await spawnServer({ data: `${folder.path}/data`, flags });
    const host = `127.0.0.1:${await child.listening}`;
    const again = async (event = "settings.read") => {
      const told = heard(child, event);
      child.signal("SIGHUP");
      return await told;
    };
    const push = async (headers: Record<string, string>) => {
      const body = new URLSearchParams({ msg: "hello" });
      const response = await fetch(`http://${host}/send/`, { method: "POST", body, headers });
      await response.body?.cancel();
      return response.status;
    };
    const first = { authorization: "Bearer the first of the tokens" };
    assertEquals([await push(first), await push({ ...first, origin: ORIGIN })], [200, 403]);

    // The level alone: nobody is cut.
    const ada = await NativeClient.open({ host });
    await write(`FANFARE_WORKERS=${workers}`, "FANFARE_LOG_LEVEL=debug");
    assertEquals((await again()).logLevel, "debug");
    for (let i = 0; i < 6; i++) {
      const opened = heard(child, "connection.open");
      const client = await NativeClient.open({ host });
      await opened;
      await client.socket.close();
    }
    await ada.do("ping", {});

    // Origins, limits and the token: edges are replaced, and their clients come back.
    await write(`FANFARE_WORKERS=${workers}`, `FANFARE_ORIGIN="${ORIGIN}"`, "FANFARE_MAX_NAME=7");
    await Deno.writeTextFile(token, "the second of the tokens");
    await again();
    await ada.socket.closed;
    const second = { authorization: "Bearer the second of the tokens" };
    assertEquals([await push(first), await push({ ...second, origin: ORIGIN })], [401, 200]);
    await using bob = await NativeClient.open({ host });
    assertEquals(Object(await bob.do("hello", {})).limits.name, 7);

    // What only a start can change is named, not taken for read.
    const other = (Number(workers) + 1) % 3;
    await write(`FANFARE_WORKERS=${other}`, "FANFARE_HOST=0.0.0.0", "FANFARE_PAGES=/nowhere");
    assertEquals((await again()).restart, "host, pages, workers");
    await write(`FANFARE_WORKERS=${workers}`);
    assertEquals((await again()).restart, undefined);

    await write("FANFARE_RAT=1");
    assertEquals(String((await again("settings.refused")).error).includes("Line 1 of"), true);
    assertEquals(await push(second), 200);
    child.signal("SIGTERM");
    assertEquals((await within(child.ended, 10_000, "the end")).code, 0);
  });
}

const TLS = new URL("../fixtures/tls/", import.meta.url).pathname;

// Whoever trusts nothing but this certificate reaches the server, or doesn't.
async function reaches(port: number, certificate: string): Promise<boolean> {
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(certificate)] });
  // The DOM's types know no client, Deno's fetch does.
  const trusting = { client, method: "GET" };
  return await fetch(`https://127.0.0.1:${port}/healthz`, trusting).then(
    async (response) => (await response.text()).includes("alive"),
    () => false,
  );
}

for (const workers of ["0", "2"]) {
  Deno.test(`a renewed certificate serves from SIGHUP on, one without its key changes nothing, with ${workers} isolates`, async () => {
    using folder = tempFolder("disk");
    const [cert, key] = [`${folder.path}/cert.pem`, `${folder.path}/key.pem`];
    const first = { cert: `${TLS}cert.pem`, key: `${TLS}key.pem` };
    const renewed = { cert: `${TLS}renewed_cert.pem`, key: `${TLS}renewed_key.pem` };
    await Deno.copyFile(first.cert, cert);
    await Deno.copyFile(first.key, key);
    const flags = ["--workers", workers, "--cert", cert, "--key", key];
    await using child = await spawnServer({ data: `${folder.path}/data`, flags });
    const port = await child.listening;
    const again = async (event: string) => {
      const told = heard(child, event);
      child.signal("SIGHUP");
      return await told;
    };
    const shown = async () => [await reaches(port, first.cert), await reaches(port, renewed.cert)];
    assertEquals(await shown(), [true, false]);

    await Deno.copyFile(renewed.cert, cert);
    const { error } = await again("settings.refused");
    assertMatch(
      String(error),
      /^Cannot use ".+cert\.pem" with the key ".+key\.pem" \(--cert and --key\): .*KeyMismatch/,
    );
    assertEquals(await shown(), [true, false]);

    await Deno.copyFile(renewed.key, key);
    await again("settings.read");
    assertEquals(await shown(), [false, true]);
    child.signal("SIGTERM");
    assertEquals((await within(child.ended, 10_000, "the end")).code, 0);
  });
}

Deno.test("a file of settings has a variable a line, comments, and nothing else", () => {
  const text = `# a\n\n; b\nFANFARE_PORT=1\n  FANFARE_DATA = x\n`;
  assertThrows(() => readSettings(text, "f"), ConfigError, `Line 5 of "f"`);
  const read = readSettings(
    `FANFARE_PORT=1\r\nFANFARE_ORIGIN='https://a.example https://b.example'\n`,
    "f",
  );
  assertEquals([...read], [
    ["FANFARE_PORT", "1"],
    ["FANFARE_ORIGIN", "https://a.example https://b.example"],
  ]);
});
