/** What goes on under its epoch and what gets a new one: a log, its mark, its WAL and a journal in all combinations (threats.md L13). */
import { assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { LogDamaged } from "../../lib/store/integrity/errors.ts";
import { Log } from "../../lib/store/writer.ts";
import { type LogLine, spawnServer, within } from "../helpers/child_server.ts";
import { copyAsKilled, messages, readLog, tempFolder } from "../helpers/log.ts";
import { NativeClient, startServer } from "../helpers/server.ts";

const RECORDS = 120;

const MARKS = ["open", "shut", "missing", "foreign", "damaged"] as const;
const WALS = ["own", "missing", "empty", "foreign", "damaged"] as const;
const JOURNALS = ["missing", "own", "foreign", "damaged"] as const;

interface Case {
  readonly mark: (typeof MARKS)[number];
  readonly wal: (typeof WALS)[number];
  readonly journal: (typeof JOURNALS)[number];
}

/** As a kill leaves it in `killed`, as an orderly end does in `stopped`, and half-way to another epoch in `renewing`. */
function makeLog(folder: string, epoch: string, records: number): void {
  const live = `${folder}/stopped`;
  Deno.mkdirSync(live, { recursive: true });
  const log = new Log(`${live}/log.db`, () => epoch);
  log.apply(messages(1, 100));
  log.heal();
  for (let seq = 101; seq <= records; seq++) log.apply(messages(seq, 1));
  copyAsKilled(live, `${folder}/killed`);
  log.close();
  Deno.mkdirSync(`${folder}/renewing`);
  Deno.copyFileSync(`${live}/log.db`, `${folder}/db`);
  const db = new DatabaseSync(`${folder}/db`);
  db.exec("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1");
  db.exec("BEGIN; UPDATE log SET epoch = 'half'; UPDATE messages SET data = data || ' '");
  for (const end of ["", "-journal"]) {
    Deno.copyFileSync(`${folder}/db${end}`, `${folder}/renewing/log.db${end}`);
  }
  db.close();
}

function change(path: string, at: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  Deno.writeFileSync(path, bytes);
}

function prepare(folder: string, into: string, { mark, wal, journal }: Case): string {
  Deno.mkdirSync(into);
  const path = `${into}/log.db`;
  const killed = wal === "own" || wal === "damaged";
  const half = journal === "own" && !killed;
  Deno.copyFileSync(
    `${folder}/own/${half ? "renewing" : killed ? "killed" : "stopped"}/log.db`,
    path,
  );
  const seq = String(RECORDS).padStart(16, "0");
  if (mark === "damaged") Deno.writeTextFileSync(`${path}-mark`, "?");
  else if (mark !== "missing") {
    const [state, epoch] = mark === "foreign" ? ["open", "foreign"] : [mark, "own"];
    Deno.writeTextFileSync(`${path}-mark`, `${state} ${seq} ${epoch}\n`);
  }
  if (wal === "empty") Deno.writeFileSync(`${path}-wal`, new Uint8Array());
  else if (wal !== "missing") {
    const whose = wal === "foreign" ? "foreign" : "own";
    Deno.copyFileSync(`${folder}/${whose}/killed/log.db-wal`, `${path}-wal`);
    if (wal === "damaged") change(`${path}-wal`, 32 + 24 + 100);
  }
  if (journal !== "missing") {
    const whose = journal === "foreign" ? "foreign" : "own";
    Deno.copyFileSync(`${folder}/${whose}/renewing/log.db-journal`, `${path}-journal`);
    if (journal === "damaged") change(`${path}-journal`, 512 + 4 + 4096 - 200);
  }
  return path;
}

/** What it comes to: the sentence of the refusal, or which epoch it has with all its messages. */
function expected({ mark, wal, journal }: Case): RegExp | "own" | "new" {
  if (journal !== "missing" && wal !== "missing" && wal !== "empty") {
    return /a WAL and a journal/;
  }
  if (journal === "damaged") return /journal ".*" is damaged/;
  if (journal === "foreign") return /journal ".*" is another database's/;
  if (mark === "damaged") return /mark .* can't be read/;
  if (wal === "damaged") return /its WAL is damaged/;
  if (wal === "foreign") return /the WAL ".*" is another log's/;
  if (mark === "missing" || mark === "foreign") return "new";
  if (wal === "own" || mark === "shut") return "own";
  return wal === "empty" ? /WAL .* is empty/ : /WAL .* is gone/;
}

const contents = (folder: string) =>
  [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => [name, Deno.readFileSync(`${folder}/${name}`)]);

Deno.test("a log goes on under its epoch only with its own mark; nothing of another log is ever applied to it", () => {
  using folder = tempFolder();
  makeLog(`${folder.path}/own`, "own", RECORDS);
  makeLog(`${folder.path}/foreign`, "foreign", RECORDS + 5);
  for (const mark of MARKS) {
    for (const wal of WALS) {
      for (const journal of JOURNALS) {
        const about = `mark ${mark}, WAL ${wal}, journal ${journal}`;
        const into = `${folder.path}/case`;
        const path = prepare(folder.path, into, { mark, wal, journal });
        const before = contents(into);
        const outcome = expected({ mark, wal, journal });
        if (outcome instanceof RegExp) {
          const error = assertThrows(() => new Log(path, () => "new"), LogDamaged, "", about);
          assertMatch(error.message, outcome, about);
          // A journal that was rolled back is gone; all else is as it was.
          if (journal === "missing") assertEquals(contents(into), before, about);
        } else {
          const log = new Log(path, () => "new");
          assertEquals(
            [log.epoch, log.seq, log.renewed],
            [outcome, RECORDS, outcome === "new"],
            about,
          );
          log.close();
          const read = readLog(into);
          assertEquals([read.epoch, read.messages.length], [outcome, RECORDS], about);
        }
        Deno.removeSync(into, { recursive: true });
      }
    }
  }
});

Deno.test("a journal that nothing was written under is removed, and cuts nothing", () => {
  using folder = tempFolder();
  makeLog(`${folder.path}/own`, "own", RECORDS);
  const at = `${folder.path}/own/stopped`;
  const header = Deno.readFileSync(`${folder.path}/own/renewing/log.db-journal`).slice(0, 512);
  // No records, and a database of a single page.
  new DataView(header.buffer).setUint32(8, 0);
  new DataView(header.buffer).setUint32(16, 1);
  Deno.writeFileSync(`${at}/log.db-journal`, header);
  const { epoch, messages: found } = readLog(at);
  assertEquals([epoch, found.length], ["own", RECORDS]);
});

Deno.test("a journal without a log makes none", () => {
  using folder = tempFolder();
  makeLog(`${folder.path}/own`, "own", RECORDS);
  const at = `${folder.path}/own/renewing`;
  Deno.removeSync(`${at}/log.db`);
  assertThrows(() => new Log(`${at}/log.db`, () => "new"), LogDamaged, "only its journal");
  assertEquals([...Deno.readDirSync(at)].map(({ name }) => name), ["log.db-journal"]);
});

Deno.test("a kill between any two steps of getting a new epoch leaves a log that gets one at the next start", () => {
  using folder = tempFolder();
  makeLog(`${folder.path}/own`, "own", RECORDS);
  const path = `${folder.path}/db`;
  Deno.copyFileSync(`${folder.path}/own/stopped/log.db`, path);
  const db = new DatabaseSync(path);
  const steps = [
    "PRAGMA journal_mode = DELETE",
    "BEGIN IMMEDIATE",
    "UPDATE log SET epoch = 'half'",
    "PRAGMA application_id = 1180790374",
    "PRAGMA cache_size = 1; UPDATE messages SET time = time + 0",
    "COMMIT",
    "PRAGMA journal_mode = WAL",
    "UPDATE log SET opened = opened + 1",
  ];
  for (const [i, step] of steps.entries()) {
    db.exec(step);
    const copy = `${folder.path}/step-${i}`;
    Deno.mkdirSync(copy);
    for (const { name } of Deno.readDirSync(folder.path)) {
      if (!/^db(?:-journal|-wal)?$/.test(name)) continue;
      Deno.copyFileSync(`${folder.path}/${name}`, `${copy}/${name.replace("db", "log.db")}`);
    }
    const { epoch, messages: found } = readLog(copy);
    assertEquals([epoch === "own", epoch === "half", found.length], [false, false, RECORDS], step);
  }
  db.close();
});

Deno.test("a journal of a change of mode, which holds the first page alone, is rolled back where it belongs", () => {
  using folder = tempFolder();
  makeLog(`${folder.path}/own`, "own", RECORDS);
  makeLog(`${folder.path}/foreign`, "foreign", 1000);
  const journalOf = (page: Uint8Array): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(512 + 4 + 4096 + 4);
    const view = new DataView(bytes.buffer);
    const head = [0xd9d505f9, 0x20a163d7, 1, 7, 30, 512, 4096];
    for (const [i, word] of head.entries()) view.setUint32(4 * i, word);
    view.setUint32(512, 1);
    bytes.set(page, 516);
    let sum = 7;
    for (let at = 4096 - 200; at > 0; at -= 200) sum += page[at] ?? 0;
    view.setUint32(516 + 4096, sum);
    return bytes;
  };
  for (const whose of ["own", "foreign"]) {
    const at = `${folder.path}/own/stopped`;
    const first = Deno.readFileSync(`${folder.path}/${whose}/stopped/log.db`).slice(0, 4096);
    first[18] = first[19] = 1;
    Deno.writeFileSync(`${at}/log.db-journal`, journalOf(first));
    if (whose === "own") assertEquals(readLog(at).messages.length, RECORDS);
    else assertThrows(() => readLog(at), LogDamaged, "is another database's");
  }
});

Deno.test("a folder that is moved whole keeps its epoch; after its mark is lost clients are told of the gap", async () => {
  await using server = await startServer();
  let epoch: unknown;
  {
    await using ada = await NativeClient.open(server);
    epoch = (await ada.do("hello", {})).epoch;
    await ada.do("publish", { channel: "room:a", data: 1 });
  }
  const come = async () => {
    await using bob = await NativeClient.open(server);
    return await bob.do("subscribe", { channel: "room:a", since: { epoch, seq: 0 } });
  };
  await server.restart();
  const same = await come();
  assertEquals([same.epoch, same.recovered], [epoch, true]);
  await server.restart(() => Deno.remove(`${server.data}/fanfare.db-mark`));
  const other = await come();
  assertNotEquals(other.epoch, epoch);
  assertEquals([other.recovered, Array.isArray(other.messages) && other.messages.length], [
    false,
    1,
  ]);
});

Deno.test("a new epoch is logged, with its name", async () => {
  using folder = tempFolder("disk");
  const log = new Log(`${folder.path}/fanfare.db`, () => "lost");
  log.apply(messages(1, 3));
  log.close();
  Deno.removeSync(`${folder.path}/fanfare.db-mark`);
  await using child = await spawnServer({ data: folder.path });
  const told = Promise.withResolvers<LogLine>();
  child.onLog = (line) => line.message === "log.renewed" && told.resolve(line);
  await child.listening;
  const { level, epoch } = await within(told.promise, 10_000, "the new epoch");
  assertEquals([level, typeof epoch], ["WARN", "string"]);
  assertNotEquals(epoch, "lost");
});
