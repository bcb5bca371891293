/** Data folders as earlier programs left them: made by those, and opened by this one. */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { check } from "../../lib/store/fsck.ts";
import { directFeed } from "../../lib/protocol/channel.ts";
import { Reader } from "../../lib/store/reader.ts";
import { Log } from "../../lib/store/writer.ts";
import type { NEWEST_SCHEMA } from "../../lib/store/integrity/format.ts";
import { runProgram } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { NativeClient, startServer } from "../helpers/server.ts";

const FIXTURES = new URL("../fixtures/logs/", import.meta.url);

// Where SQLite keeps `user_version`.
const VERSION_AT = 60;

// The newest record of each, and up to which seq the two accounts had received their direct messages.
const LEFT = [[5, 1, 5], [5, 1, 5], [5, 1, 5], [5, 1, 4], [6, 0, 5]] as const satisfies {
  readonly length: typeof NEWEST_SCHEMA;
};

for (const [i, [last, ...received]] of LEFT.entries()) {
  const version = i + 1;
  Deno.test(`a data folder of schema ${version} opens with all that is in it, and goes on`, async () => {
    using folder = tempFolder("disk");
    const from = new URL(`v${version}/`, FIXTURES);
    for (const { name } of Deno.readDirSync(from)) {
      Deno.copyFileSync(new URL(name, from), `${folder.path}/${name}`);
    }
    const header = new DataView(Deno.readFileSync(`${folder.path}/fanfare.db`).buffer);
    assertEquals(header.getUint32(VERSION_AT), version);
    // Whoever checks before the first start with a newer program, or an older backup, finds it whole.
    const before = await runProgram(["check", "--data", folder.path]);
    assertEquals([before.code, before.stderr], [0, ""]);
    {
      // Whatever day it is.
      const retention = { keep: 0, keepPush: 0, keepBytes: 0 };
      await using server = await startServer({ data: folder.path, retention });
      await using client = await NativeClient.open(server);
      const { epoch, seq } = await client.do("hello", {});
      // Whoever was greeted is a record.
      assertEquals([epoch, seq], ["an-epoch-of-then", last + 1]);
      const of = async (channel: string) => (await client.do("history", { channel })).messages;
      const time = 1790000000000;
      assertEquals(await of("push:all"), [
        { channel: "push:all", seq: 3, time: time + 2, from: null, data: { text: "Backup done" } },
      ]);
      const said = { from: "1f0c9a2b", name: "Ada", key: "k1", data: { text: "你好" } };
      assertEquals(await of("room:lobby"), [
        { channel: "room:lobby", seq: 4, time: time + 3, ...said },
      ]);
      const next = await client.do("publish", { channel: "room:lobby", data: "now" });
      assertEquals(next.seq, last + 2);
    }
    const reader = new Reader(`${folder.path}/fanfare.db`);
    const places = ["1f0c9a2b", "2b3c4d5e"].map((account) =>
      reader.places.received(account, directFeed(account))
    );
    reader.close();
    assertEquals(places, received);
    const { messages, faults } = check(`${folder.path}/fanfare.db`);
    assertEquals([messages, faults], [4, []]);
    const told = await runProgram(["check", "--data", folder.path]);
    assertEquals([told.code, told.stderr], [0, ""]);
  });
}

Deno.test("from schema 2: who may have left something behind is kept, and all were here on the log's last day", () => {
  using folder = tempFolder();
  const path = `${folder.path}/fanfare.db`;
  Deno.copyFileSync(new URL("v2/fanfare.db", FIXTURES), path);
  const old = new DatabaseSync(path);
  // Up to 40 something was trimmed: nobody knows any more who had published it.
  old.exec(`
    UPDATE log SET seq = 60;
    UPDATE feeds SET trimmed = 40 WHERE name = 'push:all';
    INSERT INTO feeds (name) VALUES ('dm:*written');
    INSERT INTO keys VALUES (1, 'forgotten', 'k', 44, 1790000000003);
    INSERT INTO messages VALUES (45, 2, 1790000000003, 'spoke', NULL, NULL, '1', 0);
    INSERT INTO accounts VALUES
      ('before', NULL, 40, 1, 40), ('after', NULL, 41, 1, 41), ('written', NULL, 42, 1, 42),
      ('named', 'Ada', 43, 1, 43), ('forgotten', NULL, 44, 1, 44), ('spoke', NULL, 45, 1, 45);
  `);
  old.close();
  const log = new Log(path, () => "epoch");
  const names = ["before", "after", "written", "named", "forgotten", "spoke", "2b3c4d5e"];
  const found = Object.fromEntries(names.map((name) => [name, log.account(name)?.kept]));
  assertEquals(found, {
    before: true,
    after: false,
    written: true,
    named: false,
    forgotten: true,
    spoke: true,
    "2b3c4d5e": true,
  });
  const day = Math.floor(1790000000004 / 86_400_000);
  assertEquals(names.map((name) => log.account(name)?.here), names.map(() => day));
  assertEquals([log.gone(day), log.gone(day + 1)], [[], ["after"]]);
  log.close();
});
