/** A log that isn't whole is refused, never opened as a shorter one; what SQLite alone lets through (threats.md L5). */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backup } from "../../../lib/store/backup.ts";
import { check } from "../../../lib/store/fsck.ts";
import { LogDamaged } from "../../../lib/store/integrity/errors.ts";
import { Log } from "../../../lib/store/writer.ts";
import { copyAsKilled, messages, readLog, tempFolder } from "../../helpers/log.ts";
import { fc } from "../../helpers/properties.ts";

const ACKNOWLEDGED = 300;

/** A log with commits in its file and more in its WAL, which was restarted once, as a kill leaves it. */
function killedLog(folder: string): void {
  const live = `${folder}/live`;
  Deno.mkdirSync(live);
  const log = new Log(`${live}/log.db`, () => "epoch");
  // Carried over and begun anew: behind its end the WAL has frames of the older round.
  for (let seq = 1; seq <= 150; seq++) log.apply(messages(seq, 1));
  log.heal();
  for (let seq = 151; seq <= ACKNOWLEDGED; seq += 3) log.apply(messages(seq, 3));
  copyAsKilled(live, `${folder}/killed`);
  log.close();
}

const fresh = (folder: string, run: number): string => {
  const copy = `${folder}/run-${run}`;
  copyAsKilled(`${folder}/killed`, copy);
  return copy;
};

/** Opens it: refused, or all that was acknowledged is there; or reading says that it is damaged. */
function assertWholeOrRefused(folder: string): "whole" | "refused" {
  try {
    const { seq, messages } = readLog(folder);
    assertEquals([seq, messages.length], [ACKNOWLEDGED, ACKNOWLEDGED]);
    assertEquals(messages.every((message, i) => message.seq === i + 1), true);
    return "whole";
  } catch (error) {
    if (error instanceof LogDamaged) return "refused";
    if (
      error instanceof Error && /checksum is wrong|malformed|not a database/.test(error.message)
    ) {
      return "refused";
    }
    throw error;
  }
}

function change(path: string, how: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): void {
  Deno.writeFileSync(path, how(Deno.readFileSync(path)));
}

Deno.test("what a kill leaves is opened whole", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  assertEquals(assertWholeOrRefused(`${folder.path}/killed`), "whole");
  const { messages: checked, faults } = check(`${folder.path}/killed/log.db`);
  assertEquals([checked, faults], [ACKNOWLEDGED, []]);
});

Deno.test("a WAL with a changed byte, or cut, at any place: all is there or it is refused", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  const size = Deno.statSync(`${folder.path}/killed/log.db-wal`).size;
  let run = 0;
  const seen = { whole: 0, refused: 0 };
  fc.assert(
    fc.property(fc.nat(size - 1), fc.integer({ min: 0, max: 255 }), (at, bits) => {
      const copy = fresh(folder.path, run++);
      change(`${copy}/log.db-wal`, (bytes) => {
        if (bits === 0) return bytes.subarray(0, at);
        bytes[at] = (bytes[at] ?? 0) ^ bits;
        return bytes;
      });
      seen[assertWholeOrRefused(copy)] += 1;
      Deno.removeSync(copy, { recursive: true });
    }),
    { numRuns: 300, endOnFailure: true },
  );
  // Both happen: what lies behind the last commit is of no use to anyone.
  assertEquals([seen.whole > 0, seen.refused > 50], [true, true]);
});

Deno.test("after a power cut the mark may be behind: damage before the last commit is seen by the WAL alone", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  const FRAMES = 20;
  let run = 0;
  fc.assert(
    fc.property(
      fc.nat(32 + FRAMES * (24 + 4096) - 1),
      fc.integer({ min: 1, max: 255 }),
      (at, bits) => {
        const copy = fresh(folder.path, run++);
        Deno.writeTextFileSync(`${copy}/log.db-mark`, `open ${"0".repeat(16)} epoch\n`);
        change(`${copy}/log.db-wal`, (bytes) => {
          bytes[at] = (bytes[at] ?? 0) ^ bits;
          return bytes;
        });
        assertThrows(() => new Log(`${copy}/log.db`, () => "new"), LogDamaged, "WAL");
        Deno.removeSync(copy, { recursive: true });
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("a log file that was cut at any place is refused, or all of it is still in the WAL", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  const size = Deno.statSync(`${folder.path}/killed/log.db`).size;
  let run = 0;
  fc.assert(
    fc.property(fc.nat(size - 1), (at) => {
      const copy = fresh(folder.path, run++);
      change(`${copy}/log.db`, (bytes) => bytes.subarray(0, at));
      assertWholeOrRefused(copy);
      Deno.removeSync(copy, { recursive: true });
    }),
    { numRuns: 100 },
  );
});

Deno.test("a changed byte in the log file: no message is handed out that isn't what was written, and check finds what is wrong", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  readLog(`${folder.path}/killed`);
  const clean = `${folder.path}/killed`;
  const written = readLog(clean).messages;
  const size = Deno.statSync(`${clean}/log.db`).size;
  let run = 0;
  fc.assert(
    fc.property(fc.nat(size - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
      const copy = `${folder.path}/run-${run++}`;
      Deno.mkdirSync(copy);
      for (const name of ["log.db", "log.db-mark"]) {
        Deno.copyFileSync(`${clean}/${name}`, `${copy}/${name}`);
      }
      change(`${copy}/log.db`, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ bits;
        return bytes;
      });
      let faults: readonly string[] = [];
      try {
        faults = check(`${copy}/log.db`).faults;
      } catch (error) {
        if (!(error instanceof Error) || !/damaged|Cannot open the log/.test(error.message)) {
          throw error;
        }
        faults = [error.message];
      }
      try {
        const { messages } = readLog(copy);
        // What is served is true; what is missing was found by the check.
        const known = new Map(written.map((message) => [message.seq, message]));
        for (const message of messages) assertEquals(message, known.get(message.seq));
        if (messages.length !== written.length) assertEquals(faults.length > 0, true);
      } catch (error) {
        if (!(error instanceof Error) || error.name === "AssertionError") throw error;
        assertEquals(faults.length > 0, true, error.message);
      }
      Deno.removeSync(copy, { recursive: true });
    }),
    { numRuns: 200 },
  );
});

Deno.test("a part that is gone or empty is named, and nothing is changed or made in its place", () => {
  const cases: [string, (folder: string) => void, RegExp][] = [
    ["WAL gone", (folder) => Deno.removeSync(`${folder}/log.db-wal`), /WAL .* is gone/],
    ["WAL empty", (folder) => Deno.truncateSync(`${folder}/log.db-wal`), /WAL .* is empty/],
    ["log gone", (folder) => Deno.removeSync(`${folder}/log.db`), /is gone, only its mark/],
    ["log empty", (folder) => Deno.truncateSync(`${folder}/log.db`), /it is empty/],
    [
      "no log",
      (folder) => Deno.writeTextFileSync(`${folder}/log.db`, "x".repeat(5000)),
      /no SQLite/,
    ],
    ["only a WAL", (folder) => {
      Deno.removeSync(`${folder}/log.db`);
      Deno.removeSync(`${folder}/log.db-mark`);
    }, /only its WAL/],
    ["mark", (folder) => Deno.writeTextFileSync(`${folder}/log.db-mark`, "?"), /can't be read/],
  ];
  for (const [name, spoil, sentence] of cases) {
    using folder = tempFolder();
    killedLog(folder.path);
    const copy = `${folder.path}/killed`;
    spoil(copy);
    const before = [...Deno.readDirSync(copy)].map((entry) => entry.name).sort();
    const error = assertThrows(() => new Log(`${copy}/log.db`, () => "new"), LogDamaged);
    assertMatch(error.message, sentence, name);
    assertEquals([...Deno.readDirSync(copy)].map((entry) => entry.name).sort(), before, name);
  }
});

Deno.test("after an orderly end there is no WAL, and none is missed", () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  log.apply(messages(1, 10));
  log.close();
  const names = [...Deno.readDirSync(folder.path)].map((entry) => entry.name).sort();
  assertEquals(names, ["log.db", "log.db-mark"]);
  assertEquals(readLog(folder.path).messages.length, 10);
});

Deno.test("SQLite may delete the WAL whenever the last one closes: what counts is that nothing acknowledged is missing", () => {
  using folder = tempFolder();
  const live = `${folder.path}/live`;
  Deno.mkdirSync(live);
  const log = new Log(`${live}/log.db`, () => "epoch");
  log.apply(messages(1, 10));
  const closing = (name: string) => {
    copyAsKilled(live, `${folder.path}/${name}`);
    const mark = `${folder.path}/${name}/log.db-mark`;
    Deno.writeTextFileSync(mark, Deno.readTextFileSync(mark).replace("open", "shut"));
    Deno.removeSync(`${folder.path}/${name}/log.db-wal`);
  };
  closing("lost");
  log.heal();
  closing("whole");
  log.close();
  assertEquals(readLog(`${folder.path}/whole`).messages.length, 10);
  const lost = `${folder.path}/lost/log.db`;
  assertThrows(() => new Log(lost, () => "new"), LogDamaged, "0, but 10 was acknowledged");
});

Deno.test("a kill while a backup becomes a log leaves a journal, which is rolled back", async () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/fanfare.db`, () => "epoch");
  log.apply(messages(1, 100));
  const told: [number, number][] = [];
  const { bytes } = await backup(
    `${folder.path}/fanfare.db`,
    `${folder.path}/copy`,
    (done, all) => void told.push([done, all]),
  );
  assertEquals(told.at(-1)?.[0], told.at(-1)?.[1]);
  assertEquals(told.every(([done, all]) => done <= all && all <= bytes), true);
  log.close();
  Deno.mkdirSync(`${folder.path}/restored`);
  const db = new DatabaseSync(`${folder.path}/copy`);
  db.exec(
    "PRAGMA cache_size = 1; BEGIN; UPDATE log SET epoch = 'half'; UPDATE messages SET data = data || ' '",
  );
  for (const end of ["", "-journal"]) {
    Deno.copyFileSync(`${folder.path}/copy${end}`, `${folder.path}/restored/log.db${end}`);
  }
  db.close();
  const { epoch, messages: found } = readLog(`${folder.path}/restored`);
  assertEquals([found.length, epoch === "epoch"], [100, false]);
  assertEquals(check(`${folder.path}/restored/log.db`).faults, []);
});

Deno.test("an older copy in the place of the log is seen by its end", () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  log.apply(messages(1, 10));
  log.close();
  Deno.copyFileSync(`${folder.path}/log.db`, `${folder.path}/older`);
  const again = new Log(`${folder.path}/log.db`, () => "epoch");
  again.apply(messages(11, 10));
  again.close();
  Deno.copyFileSync(`${folder.path}/older`, `${folder.path}/log.db`);
  const error = assertThrows(() => new Log(`${folder.path}/log.db`, () => "new"), LogDamaged);
  assertMatch(error.message, /ends with seq 10, but 20 was acknowledged/);
});

Deno.test("a log of a newer program is refused, and can be opened by that one afterwards", () => {
  using folder = tempFolder();
  killedLog(folder.path);
  const path = `${folder.path}/killed/log.db`;
  const db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 99");
  const wal = Deno.readFileSync(`${path}-wal`);
  const bytes = Deno.readFileSync(path);
  const mark = Deno.readTextFileSync(`${path}-mark`);
  assertThrows(() => new Log(path, () => "new"), Error, "version 99");
  assertEquals(Deno.readFileSync(`${path}-wal`), wal);
  assertEquals(Deno.readFileSync(path), bytes);
  assertEquals(Deno.readTextFileSync(`${path}-mark`), mark);
  db.close();
});

// The schema as version 0.1.0 made it at first; never to be changed.
const SCHEMA_1 = `
  PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
  CREATE TABLE log (epoch TEXT NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL) STRICT;
  CREATE TABLE feeds (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, channel INTEGER NOT NULL, time INTEGER NOT NULL, account TEXT NOT NULL, name TEXT, key TEXT,
    data TEXT NOT NULL, checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE feed_messages (feed INTEGER, seq INTEGER, PRIMARY KEY (feed, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    channel INTEGER, account TEXT, key TEXT, seq INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (channel, account, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE accounts (
    account TEXT PRIMARY KEY, name TEXT, since INTEGER NOT NULL, time INTEGER NOT NULL, seen INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO log VALUES ('old epoch', 1, 5);
  INSERT INTO feeds VALUES (1, 'room:a');
  INSERT INTO messages VALUES (1, 1, 5, 'ada', NULL, 'k', '{"text":"old"}', 2826436759);
  INSERT INTO feed_messages VALUES (1, 1);
  INSERT INTO keys VALUES (1, 'ada', 'k', 1, 5);
  INSERT INTO accounts VALUES ('ada', NULL, 1, 5, 1);
  PRAGMA user_version = 1;
`;

function oldLog(folder: string): void {
  const db = new DatabaseSync(`${folder}/log.db`);
  db.exec(SCHEMA_1);
  db.close();
}

Deno.test("an older log is brought to the newest schema with all that is in it", () => {
  using folder = tempFolder();
  oldLog(folder.path);
  const log = new Log(`${folder.path}/log.db`, () => "new epoch");
  const [again, next] = log.apply(messages(2, 2, (seq) => seq === 2 ? { key: "k" } : {})).outcomes;
  log.close();
  assertEquals([again?.duplicate, again?.seq, next?.seq], [true, 1, 3]);
  const { epoch, messages: found } = readLog(folder.path);
  assertEquals([epoch, found.map(({ seq }) => seq)], ["old epoch", [1, 3]]);
});

Deno.test("a migration that fails leaves the older log as it was", () => {
  using folder = tempFolder();
  oldLog(folder.path);
  const path = `${folder.path}/log.db`;
  const db = new DatabaseSync(path);
  // The last but one statement of the migration can't be done.
  db.exec("INSERT INTO feeds (name) VALUES ('push:*')");
  db.close();
  assertThrows(() => new Log(path, () => "new"), Error, "UNIQUE");
  const after = new DatabaseSync(path);
  assertEquals(after.prepare("PRAGMA user_version").get()?.user_version, 1);
  const columns = after.prepare("SELECT name FROM pragma_table_info('log')").all();
  assertEquals(columns.map(({ name }) => name), ["epoch", "seq", "time"]);
  after.close();
});
