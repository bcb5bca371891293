/** Places of accounts in feeds: they rise, end at the feed's newest message, and go with their feed or their account. */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { Proposal } from "../../../lib/protocol/message.ts";
import { KEY_AGE } from "../../../lib/store/feeds.ts";
import { check } from "../../../lib/store/fsck.ts";
import { Log } from "../../../lib/store/writer.ts";
import { tempFolder } from "../../helpers/log.ts";

function append(log: Log, time: number, ...proposals: Proposal[]): void {
  log.apply(proposals.map((proposal, i) => ({ ...proposal, seq: log.seq + 1 + i, time })));
}

const word = (from: string, channel: string): Proposal => ({
  ...{ kind: "message", channel, from, data: "1" },
});
const place = (account: string, feed: string, received: number): Proposal => ({
  ...{ kind: "place", account, feed, received },
});

Deno.test("a place rises to the feed's newest message at most; unknown accounts and feeds have none", () => {
  using folder = tempFolder();
  const log = new Log(`${folder.path}/log.db`, () => "epoch");
  append(log, 1, word("ada", "room:a"), word("ada", "room:a"), word("ada", "room:b"));
  append(log, 1, place("ada", "room:a", 1), place("nobody", "room:a", 1));
  append(log, 1, place("ada", "room:none", 1));
  const places = () =>
    [["ada", "room:a"], ["nobody", "room:a"], ["ada", "room:none"]].map((
      [account = "", feed = ""],
    ) => log.places.received(account, feed));
  assertEquals(places(), [1, 0, 0]);
  append(log, 1, place("ada", "room:a", log.seq));
  assertEquals(places(), [2, 0, 0]);
  append(log, 1, place("ada", "room:a", 1));
  assertEquals(places(), [2, 0, 0]);
  log.close();
  assertEquals(check(`${folder.path}/log.db`).faults, []);
});

Deno.test("places go with their feed, and with an account that is forgotten", () => {
  using folder = tempFolder();
  const path = `${folder.path}/log.db`;
  const log = new Log(path, () => "epoch");
  append(log, 1, word("ada", "room:a"), word("ada", "room:b"), { kind: "account", account: "bob" });
  append(log, 1, place("ada", "room:a", 1), place("bob", "room:a", 1), place("bob", "room:b", 2));
  const bob = () => ["room:a", "room:b"].map((feed) => log.places.received("bob", feed));
  assertEquals(bob(), [1, 2]);
  append(log, 2 * KEY_AGE, { kind: "trim", scope: "all", upTo: 1 });
  append(log, 2 * KEY_AGE, { kind: "trim_feeds", feeds: ["room:a"] });
  assertEquals(bob(), [0, 2]);
  append(log, 2 * KEY_AGE, { kind: "forget", accounts: ["ada", "bob"], before: 2 });
  assertEquals(bob(), [0, 0]);
  log.close();
  assertEquals(check(path).faults, []);
});

Deno.test("`check` names places that are in no feed or beyond the end of the log", () => {
  using folder = tempFolder();
  const path = `${folder.path}/log.db`;
  const log = new Log(path, () => "epoch");
  append(log, 1, word("ada", "room:a"));
  log.close();
  const db = new DatabaseSync(path);
  db.exec("INSERT INTO places VALUES (2, 'ada', 1), (77, 'ada', 1), (2, 'bob', 2)");
  db.close();
  assertEquals(check(path).faults, ["2 places are in no feed, or beyond the end of the log"]);
});
