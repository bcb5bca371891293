/** The data folder under a real process: a second one, a full disk, a backup under load. */
import { assertEquals, assertLess, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { check } from "../../lib/store/fsck.ts";
import { Log } from "../../lib/store/writer.ts";
import { messages, readLog, tempFolder } from "../helpers/log.ts";
import { cookieFrom, pause, runProgram, spawnServer, within } from "../helpers/child_server.ts";
import { NativeClient, startServer } from "../helpers/server.ts";

const at = (port: number) => ({ host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` });

async function clientOf(port: number): Promise<NativeClient> {
  const cookie = await cookieFrom(at(port).url);
  return await NativeClient.open(at(port), { cookie });
}

Deno.test("what a check tells of a log fits what it read, though a server wrote meanwhile", () => {
  using folder = tempFolder("disk");
  const path = `${folder.path}/fanfare.db`;
  const log = new Log(path, () => "epoch");
  log.apply(messages(1, 10));
  let wrote = false;
  const { messages: read, sizes } = check(path, () => {
    if (!wrote) log.apply(messages(11, 20));
    wrote = true;
  });
  log.close();
  assertEquals([read, sizes.seq], [30, 30]);
});

Deno.test("a second process is refused within a second and told who is first; a kill leaves no dead lock", async () => {
  using folder = tempFolder("disk");
  const first = await spawnServer({ data: folder.path });
  const port = await first.listening;
  const began = performance.now();
  const { code, stderr } = await runProgram(["--data", folder.path, "--port", "0"]);
  const took = performance.now() - began;
  assertEquals(code, 1);
  assertMatch(
    stderr,
    new RegExp(
      `^fanfare: [^\n]*in use by process ${first.pid} at http://127.0.0.1:${port}/[^\n]*\n$`,
    ),
  );
  await first[Symbol.asyncDispose]();
  await using again = await spawnServer({ data: folder.path });
  await again.listening;
  // The start of the runtime itself is most of it; the machine is shared with other tests.
  assertLess(took, 5000);
});

Deno.test("two servers in one process can't share a folder either", async () => {
  await using server = await startServer();
  await assertRejects(() => startServer({ data: server.data }), Error, `process ${Deno.pid} at`);
});

/** A file system of 16 MiB of its own, without being root. */
const SMALL_DISK = ["unshare", "-rm", "sh", "-c"];

Deno.test("a full disk refuses publications and nothing else, heals when there is room, and loses nothing", async () => {
  using folder = tempFolder("disk");
  const mount = `mount -t tmpfs -o size=16m tmpfs '${folder.path}' && exec "$0" "$@"`;
  await using child = await spawnServer({ data: folder.path, by: [...SMALL_DISK, mount] });
  const healed = Promise.withResolvers<void>();
  child.onLog = ({ message }) => message === "log.healed" && healed.resolve();
  const port = await child.listening;
  // The child's own view of its disk.
  const disk = `/proc/${child.pid}/root${folder.path}`;
  await using ada = await clientOf(port);
  await using bob = await clientOf(port);
  await bob.do("subscribe", { channel: "room:a" });
  const acknowledged: unknown[] = [];
  const publish = async () => {
    const data = { text: "x".repeat(20_000) };
    const answer = await ada.ask("publish", { channel: "room:a", data });
    if ("error" in answer) return answer.error;
    acknowledged.push(field(answer.publish, "seq"));
    return undefined;
  };
  assertEquals(await publish(), undefined);
  assertEquals(Deno.statSync(`${disk}/fanfare.db-spare`).size, 4 * 1_048_576);
  fill(`${disk}/filler`);
  let refused: unknown;
  for (let i = 0; i < 1000 && refused === undefined; i++) refused = await publish();
  assertEquals([field(refused, "code"), field(refused, "retry")], ["unavailable", 1000]);
  const ready = await get(port, "/readyz");
  assertEquals([ready.status, ready.headers.get("retry-after")], [503, "5"]);
  assertEquals((await get(port, "/healthz")).status, 200);
  for (const seq of acknowledged) assertEquals((await bob.hear("message")).seq, seq);
  const { messages } = await bob.do("history", { channel: "room:a", limit: 3 });
  assertEquals(Array.isArray(messages) && messages.map(({ seq }) => seq), acknowledged.slice(-3));
  await using eve = await clientOf(port);
  await eve.do("subscribe", { channel: "room:a", history: 1 });
  // What was kept for this is in use now.
  assertEquals(Deno.statSync(`${disk}/fanfare.db-spare`).size, 0);
  Deno.removeSync(`${disk}/filler`);
  // Who was refused last comes back first: until then the others hear the same, and for how long.
  const retried = async () => {
    for (let again = await publish(); again !== undefined; again = await publish()) {
      assertEquals(field(again, "message"), field(refused, "message"));
      await pause(Math.min(50, Number(field(again, "retry"))));
    }
  };
  await within(Promise.all([healed.promise, retried()]), 15_000, "the log to heal");
  assertEquals((await bob.hear("message")).seq, acknowledged.at(-1));
  assertEquals((await get(port, "/readyz")).status, 200);
  const all = await allSeqs(eve, "room:a");
  assertEquals(all, acknowledged);
  Deno.mkdirSync(`${folder.path}-copy`);
  try {
    child.signal("SIGSTOP");
    for (const name of ["fanfare.db", "fanfare.db-wal", "fanfare.db-mark"]) {
      Deno.copyFileSync(`${disk}/${name}`, `${folder.path}-copy/${name.replace("fanfare", "log")}`);
    }
    assertEquals(readLog(`${folder.path}-copy`).messages.map(({ seq }) => seq), acknowledged);
  } finally {
    child.signal("SIGCONT");
    Deno.removeSync(`${folder.path}-copy`, { recursive: true });
  }
});

Deno.test("on a full disk an end in order is one, and retention by size makes room", async () => {
  using folder = tempFolder("disk");
  const mount = `mount -t tmpfs -o size=20m tmpfs '${folder.path}' && exec "$0" "$@"`;
  const flags = ["--keep-bytes", "4M"];
  await using child = await spawnServer({
    data: folder.path,
    by: [...SMALL_DISK, mount],
    flags,
  });
  const port = await child.listening;
  const ada = await clientOf(port);
  const data = { text: "x".repeat(20_000) };
  let bytes = 0;
  // Twice what the disk has goes through it.
  for (const end = Date.now() + 30_000; bytes < 40_000_000 && Date.now() < end;) {
    const batch = Array.from(
      { length: 20 },
      () => ada.ask("publish", { channel: "room:a", data }),
    );
    const taken = (await Promise.all(batch)).filter((answer) => "publish" in answer).length;
    bytes += taken * 20_000;
    if (taken < batch.length) await pause(100);
  }
  assertLess(39_999_999, bytes);
  const disk = `/proc/${child.pid}/root${folder.path}`;
  fill(`${disk}/filler`);
  // Retention goes on making room in the log itself; whether something is refused now or not, the end is one in order.
  for (let i = 0; i < 100; i++) await ada.ask("publish", { channel: "room:a", data });
  child.signal("SIGTERM");
  await ada.socket.closed;
  assertEquals((await within(child.ended, 10_000, "the end")).code, 0);
});

function fill(path: string): void {
  using file = Deno.openSync(path, { create: true, write: true });
  for (const size of [1_048_576, 4096]) {
    try {
      for (;;) file.writeSync(new Uint8Array(size));
    } catch {
      // It is full now.
    }
  }
}

async function get(port: number, path: string): Promise<Response> {
  const response = await fetch(at(port).url + path);
  await response.body?.cancel();
  return response;
}

function field(value: unknown, name: string): unknown {
  return Object.entries(value ?? {}).find(([key]) => key === name)?.[1];
}

async function allSeqs(client: NativeClient, channel: string): Promise<unknown[]> {
  const seqs: number[] = [];
  for (let more = true; more;) {
    const page = await client.do("history", { channel, after: seqs.at(-1) ?? 0, limit: 200 });
    if (Array.isArray(page.messages)) seqs.push(...page.messages.map(({ seq }) => seq));
    more = page.more === true;
  }
  return seqs;
}

Deno.test("a backup under load is whole up to its seq, and the server that opens it begins a new epoch", async () => {
  using folder = tempFolder("disk");
  const data = `${folder.path}/data`;
  const file = `${folder.path}/copy.db`;
  await using child = await spawnServer({ data });
  const port = await child.listening;
  await using ada = await clientOf(port);
  const hello = await ada.do("hello", {});
  let seq = 0;
  let running = true;
  const load = (async () => {
    while (running) {
      const batch = Array.from({ length: 50 }, (_, i) => ({ text: `${i} ${"x".repeat(500)}` }));
      const placed = await Promise.all(
        batch.map((data) => ada.do("publish", { channel: "room:a", data })),
      );
      seq = Number(placed.at(-1)?.seq);
    }
  })();
  while (seq < 2000) await pause(5);
  const before = seq;
  const copied = await runProgram(["backup", file, "--data", data]);
  const after = seq;
  assertEquals([copied.code, copied.stderr], [0, ""]);
  // What a server writes meanwhile is no damage.
  for (let i = 0; i < 3; i++) assertEquals(check(`${data}/fanfare.db`).faults, []);
  running = false;
  await load;
  const end = Number(/up to seq (\d+)/.exec(copied.stdout)?.[1]);
  assertEquals([before <= end, end <= after, before < after], [true, true, true]);
  const missing = await runProgram(["backup", `${folder.path}/no/where`, "--data", data]);
  assertMatch(missing.stderr, /no folder/);
  const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assertEquals(names, ["copy.db", "data"]);
  assertEquals(check(file).faults, []);
  assertMatch((await runProgram(["backup", file, "--data", data])).stderr, /it exists/);
  Deno.mkdirSync(`${folder.path}/restored`);
  Deno.copyFileSync(file, `${folder.path}/restored/fanfare.db`);
  await using restored = await spawnServer({ data: `${folder.path}/restored` });
  await using bob = await clientOf(await restored.listening);
  const since = { epoch: hello.epoch, seq: end };
  const answer = await bob.do("subscribe", { channel: "room:a", since, history: 1 });
  assertEquals([answer.recovered, answer.epoch === hello.epoch], [false, false]);
  const seqs = await allSeqs(bob, "room:a");
  assertEquals([seqs.at(-1), seqs.length], [end, end - Number(seqs[0]) + 1]);
  // The mark of a backup is taken off once: a restart stays in the new epoch.
  const epochs = [answer.epoch];
  await restored[Symbol.asyncDispose]();
  const log = new Log(`${folder.path}/restored/fanfare.db`, () => "another");
  epochs.push(log.epoch);
  log.close();
  assertEquals(epochs[0], epochs[1]);
});

Deno.test("a backup beside another log's WAL is refused, since SQLite would mix them", async () => {
  using folder = tempFolder("disk");
  const log = new Log(`${folder.path}/fanfare.db`, () => "epoch");
  assertEquals((await runProgram(["backup", `${folder.path}/b`, "--data", folder.path])).code, 0);
  log.close();
  Deno.copyFileSync(`${folder.path}/b`, `${folder.path}/fanfare.db`);
  Deno.writeTextFileSync(`${folder.path}/fanfare.db-wal`, "another's");
  const { code, stderr } = await runProgram(["--data", folder.path, "--port", "0"]);
  assertEquals(code, 1);
  assertMatch(stderr, /is a backup, but .*another log's/);
});

Deno.test("check tells what it found, and ends with 1 where that is damage", async () => {
  using folder = tempFolder("disk");
  const path = `${folder.path}/fanfare.db`;
  const log = new Log(path, () => "epoch");
  const data = JSON.stringify({ text: "somewhere in the file" });
  const record = { kind: "message", channel: "room:a", from: "ada", data, time: 1 } as const;
  log.apply([{ ...record, seq: 1 }, { ...record, seq: 2 }]);
  log.close();
  const whole = await runProgram(["check", "--data", folder.path]);
  assertEquals(whole.code, 0);
  assertMatch(
    whole.stdout,
    /^Read 2 messages, found no fault\nThe log has \d{5} bytes and its WAL 0, of which messages are \d\d\nIt has 1 channels and 1 accounts, and ends with seq 2\n$/,
  );
  const bytes = Deno.readFileSync(path);
  const place = new TextDecoder("latin1").decode(bytes).indexOf("somewhere");
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  Deno.writeFileSync(path, bytes);
  const damaged = await runProgram(["check", "--data", folder.path]);
  assertEquals(damaged.code, 1);
  assertMatch(damaged.stderr, /^Message \d: Cannot read message \d: its checksum is wrong/);
  const missing = await runProgram(["check", "--data", `${folder.path}/nowhere`]);
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /no log/);
});

Deno.test("a damaged log isn't copied as if it were whole, and a folder that is gone takes nothing", async () => {
  using folder = tempFolder("disk");
  const path = `${folder.path}/fanfare.db`;
  const log = new Log(path, () => "epoch");
  const record = { kind: "message", channel: "room:a", from: "ada", data: "1", time: 1 } as const;
  log.apply([{ ...record, seq: 1 }, { ...record, seq: 2 }]);
  Deno.mkdirSync(`${folder.path}/damaged`);
  for (const end of ["", "-mark"]) {
    Deno.copyFileSync(path + end, `${folder.path}/damaged/fanfare.db${end}`);
  }
  const copy = `${folder.path}/copy`;
  const { code, stderr } = await runProgram(["backup", copy, "--data", `${folder.path}/damaged`]);
  assertEquals(code, 1);
  assertMatch(stderr, /WAL .* is gone/);
  assertEquals(
    [...Deno.readDirSync(folder.path)].filter(({ name }) => name.startsWith("copy")),
    [],
  );
  Deno.renameSync(path, `${path}.away`);
  Deno.writeTextFileSync(path, "another file");
  assertThrows(() => log.tidy(), Error, "another file is in its place");
  Deno.removeSync(path);
  assertThrows(() => log.heal());
  Deno.renameSync(`${path}.away`, path);
  log.heal();
  log.close();
});
