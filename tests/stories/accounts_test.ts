/** Accounts that left nothing behind: when they are forgotten, when they aren't, and that whoever comes back doesn't notice. */
import { assert, assertEquals, assertLess, assertNotEquals } from "@std/assert";
import { ABSENCE, Roll } from "../../lib/core/retention.ts";
import { ACCOUNTS_STEP, dayOf } from "../../lib/store/accounts.ts";
import { check } from "../../lib/store/fsck.ts";
import { Log } from "../../lib/store/writer.ts";
import type { Proposal } from "../../lib/protocol/message.ts";
import { EventStream, http } from "../helpers/http.ts";
import { messages, tempFolder } from "../helpers/log.ts";
import { cookieOf, NativeClient, startServer, type TestServer } from "../helpers/server.ts";

const DAY = 86_400_000;
// Noon of some day.
const NOON = 20_717 * DAY + DAY / 2;

function withLog(run: (log: Log, path: string) => void): void {
  using folder = tempFolder();
  const path = `${folder.path}/log.db`;
  const log = new Log(path, () => "epoch");
  run(log, path);
  log.close();
}

function append(log: Log, proposals: readonly Proposal[], time: number): void {
  const seq = log.seq + 1;
  log.apply(proposals.map((proposal, i) => ({ ...proposal, seq: seq + i, time })));
}

/** Does what the core does once in a while, to the end; gives the size of each record that forgets. */
function tend(log: Log, roll: Roll, now: number, connected: readonly string[] = []): number[] {
  const sizes: number[] = [];
  for (;;) {
    const proposals = roll.next(log, connected, now);
    if (proposals.length === 0 && !roll.calling) return sizes;
    for (const one of proposals) if (one.kind === "forget") sizes.push(one.accounts.length);
    append(log, proposals, now);
  }
}

const come = (account: string): Proposal => ({ kind: "account", account });

Deno.test("who only came is forgotten after thirty days; who has a name, published or was written to isn't", () => {
  withLog((log) => {
    const all = ["came", "named", "unnamed", "spoke", "pushed", "written"];
    append(log, all.map(come), NOON);
    append(log, [
      { kind: "rename", account: "named", name: "Ada" },
      { kind: "rename", account: "unnamed", name: "Bob" },
      { kind: "rename", account: "unnamed", name: null },
      { kind: "message", channel: "dm:spoke.written", from: "spoke", data: "1" },
      { kind: "message", channel: "push:a", from: "pushed", data: "1" },
      // What retention takes was published all the same.
      { kind: "trim", scope: "push", upTo: 99 },
    ], NOON);
    const there = () => all.filter((account) => log.account(account) !== undefined);
    const lastDay = (dayOf(NOON) + ABSENCE + 1) * DAY;
    assertEquals(tend(log, new Roll(), lastDay - 1), []);
    assertEquals(there(), all);
    assertEquals(tend(log, new Roll(), lastDay), [2]);
    assertEquals(there(), ["named", "spoke", "pushed", "written"]);
  });
});

Deno.test("who is connected is here, once a day in the log, and is never among those who are gone", () => {
  withLog((log) => {
    append(log, ["a", "b", "c"].map(come), NOON);
    const roll = new Roll();
    for (let day = 0; day < 40; day++) {
      const before = log.seq;
      for (const hour of [0, 5, 10]) {
        tend(log, roll, NOON + day * DAY + hour * 3_600_000, ["a", "unknown"]);
      }
      // The one more is the record that forgets the others.
      const stamps = day === 0 ? 0 : day === ABSENCE + 1 ? 2 : 1;
      assertEquals(log.seq - before, stamps, `day ${day}`);
    }
    assertEquals(["a", "b", "c", "unknown"].filter((one) => log.account(one)), ["a"]);
    // A clock that jumps: the roll is called to its end before anyone is forgotten.
    const many = Array.from({ length: 3 * ACCOUNTS_STEP }, (_, i) => `m${i}`);
    append(log, many.map(come), NOON);
    assertEquals(tend(log, roll, NOON + 400 * DAY, many), [1]);
    assert(many.every((account) => log.account(account) !== undefined));
  });
});

Deno.test("a record forgets nobody of whom something came since it was proposed", () => {
  withLog((log) => {
    append(log, ["back", "named", "speaks", "gone"].map(come), NOON);
    const now = NOON + 100 * DAY;
    const [forget] = new Roll().next(log, [], now);
    assert(forget !== undefined);
    const named: Proposal = { kind: "rename", account: "named", name: "Ada" };
    const word = (from: string, channel: string): Proposal => ({
      kind: "message",
      channel,
      from,
      data: "1",
    });
    append(log, [come("back"), named, word("speaks", "room:a"), forget], now);
    const there = ["back", "named", "speaks", "gone"].filter((one) => log.account(one));
    assertEquals(there, ["back", "named", "speaks"]);
    // A direct message that was on its way makes its account once more, as one that hasn't received it.
    append(log, [word("speaks", "dm:gone.speaks")], now);
    assertEquals([log.account("gone")?.kept, log.places.received("gone", "dm:*gone")], [true, 0]);
  });
});

Deno.test("M11: fifty thousand accounts that only came are gone from the log in small steps, and from the memory", () => {
  withLog((log, path) => {
    const count = 50_000;
    for (let from = 0; from < count; from += 2000) {
      append(log, Array.from({ length: 2000 }, (_, i) => come(`a${from + i}`)), NOON);
    }
    log.apply(messages(log.seq + 1, 10));
    assertEquals(check(path).sizes.accounts, count + 1);
    const now = NOON + 31 * DAY;
    const roll = new Roll();
    let longest = 0;
    const sizes: number[] = [];
    for (;;) {
      const began = performance.now();
      const proposals = roll.next(log, [], now);
      if (proposals.length === 0) break;
      for (const one of proposals) if (one.kind === "forget") sizes.push(one.accounts.length);
      append(log, proposals, now);
      longest = Math.max(longest, performance.now() - began);
    }
    assertEquals(sizes, Array(count / ACCOUNTS_STEP).fill(ACCOUNTS_STEP));
    // Some milliseconds each; the machine is shared with other tests.
    assertLess(longest, 500);
    assertEquals(log.account("a49999"), undefined);
    const { sizes: { accounts }, faults } = check(path);
    assertEquals([accounts, faults], [1, []]);
    let pages = 0;
    while (log.tidy()) pages += 1;
    assertLess(0, pages);
  });
});

/** A browser with an account, which it has used once. */
async function browser(
  server: TestServer,
  headers: Record<string, string> = {},
): Promise<{ cookie: string; account: string }> {
  const cookie = await cookieOf(server, "/to_chat/", headers);
  await using client = await NativeClient.open(server, { ...headers, cookie });
  return { cookie, account: String((await client.do("hello", {})).account) };
}

/** Whether an account is known, asked in a way that leaves nothing behind. */
async function isKnown(server: TestServer, cookie: string, account: string): Promise<boolean> {
  const headers = { cookie, "x-forwarded-for": "192.0.2.9" };
  const me = Object((await http(server, "/api/me", { headers })).body).account;
  const json = [account, "zz"].map((other) => ({
    channel: `dm:${[me, other].sort().join(".")}`,
    data: 1,
  }));
  const refused = await http(server, "/api/messages", { headers, json });
  assertEquals(refused.status, 404);
  return !String(Object(refused.body).detail).includes(`"${account}"`);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await holds()) {
    assertLess(performance.now(), end);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

Deno.test("thirty days and just before, over restarts: who was there in time is the same account, who wasn't is a newcomer", async () => {
  let now = NOON - DAY;
  await using server = await startServer({}, { clock: () => now });
  const ada = await browser(server);
  await http(server, "/api/channels/room:a/messages", {
    headers: { cookie: ada.cookie },
    json: { data: "something" },
  });
  const early = await browser(server);
  now = NOON;
  const [one, other] = [await browser(server), await browser(server)];
  now = (dayOf(NOON) + ABSENCE + 1) * DAY - 1;
  await server.restart();
  await until(async () => !await isKnown(server, ada.cookie, early.account));
  const knows = (account: string) => isKnown(server, ada.cookie, account);
  assertEquals([await knows(one.account), await knows(other.account)], [true, true]);
  const say = (account: string) =>
    http(server, `/api/channels/dm:${[ada.account, account].sort().join(".")}/messages`, {
      headers: { cookie: ada.cookie },
      json: { data: "hello" },
    });
  assertEquals((await say(one.account)).status, 201);
  now += 1;
  await server.restart();
  await until(async () => !await knows(other.account));
  assertEquals([await knows(one.account), (await say(other.account)).status], [true, 404]);
  {
    // Its session went with its account, which left nothing behind: the cookie begins another.
    const { cookie } = other;
    await using client = await NativeClient.open(server, { cookie });
    const account = String((await client.do("hello", {})).account);
    assertNotEquals(account, other.account);
    await client.do("subscribe", { channel: "dm:*" });
    assertEquals((await say(account)).status, 201);
    assertEquals((await client.hear("message")).from, ada.account);
    const placed = await client.do("publish", { channel: "room:a", data: 1 });
    assertEquals(typeof placed.seq, "number");
  }
  const { cookie, account } = one;
  await using client = await NativeClient.open(server, { cookie });
  assertEquals((await client.do("hello", {})).account, account);
});

Deno.test("a day's first connection is one record, of whatever kind", async () => {
  let now = NOON;
  await using server = await startServer({}, { clock: () => now });
  const { cookie } = await browser(server);
  const seq = async () => {
    await using client = await NativeClient.open(server, { cookie });
    return Number((await client.do("hello", {})).seq);
  };
  const first = await seq();
  assertEquals(await seq(), first);
  now += DAY;
  // Also where many come at once.
  const many = Array.from({ length: 20 }, () => NativeClient.open(server, { cookie }));
  for (const client of await Promise.all(many)) await client.socket.close();
  assertEquals([await seq(), await seq()], [first + 1, first + 1]);
  now += DAY;
  // An event stream sends no command.
  await using stream = await EventStream.open(server, "/events?channel=room:a", { cookie });
  assertEquals(stream.status, 200);
  assertEquals(await seq(), first + 2);
  {
    await using client = await NativeClient.open(server, { cookie });
    await client.do("publish", { channel: "room:a", data: 1 });
  }
  now += DAY;
  assertEquals(await seq(), first + 4);
});

Deno.test("without a restart: who was forgotten counts as new, who stays connected for forty days doesn't", async () => {
  let now = NOON;
  const changes = { trustProxy: true, limits: { newAccounts: 2 } };
  await using server = await startServer(changes, { clock: () => now });
  const from = { "x-forwarded-for": "192.0.2.1" };
  const greet = async (cookie: string) => {
    await using client = await NativeClient.open(server, { ...from, cookie });
    return await client.ask("publish", { channel: "room:a", data: 1 });
  };
  // Each from an address of its own, so that none counts for the one that is looked at.
  const gone = await browser(server, { "x-forwarded-for": "192.0.2.2" });
  const ada = await browser(server, { "x-forwarded-for": "192.0.2.3" });
  await greet(ada.cookie);
  const stays = await browser(server, { "x-forwarded-for": "192.0.2.4" });
  await using connected = await NativeClient.open(server, { ...from, cookie: stays.cookie });
  // One of two that the address may bring.
  assert("publish" in await greet(await cookieOf(server, "/to_chat/", from)));
  now += 40 * DAY;
  await until(async () => !await isKnown(server, ada.cookie, gone.account));
  assertEquals(await isKnown(server, ada.cookie, stays.account), true);
  assert("publish" in await connected.ask("publish", { channel: "room:a", data: 1 }));
  assert("publish" in await greet(gone.cookie));
  const { error } = await greet(await cookieOf(server, "/to_chat/", from));
  assertEquals(Object(error).code, "rate_limited");
});
