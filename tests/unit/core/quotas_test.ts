/** Quotas as pure state: what is counted by account, by address and by connection, each at n and at n + 1. */
import { assertEquals, assertLess } from "@std/assert";
import { countedAs, plainAddress } from "../../../lib/config/address.ts";
import { MOST_BUCKETS, Quotas } from "../../../lib/core/quotas.ts";
import { FloodGuard } from "../../../lib/sessions/flood_guard.ts";
import { Bucket, Buckets, GUESSES } from "../../../lib/config/limits.ts";
import type { Limits } from "../../../lib/config/limits.ts";
import { UNBOUNDED } from "../../helpers/limits.ts";

const quotas = (limits: Partial<Limits>) => new Quotas({ ...UNBOUNDED, ...limits });
const from = (address: string, connection = "c1") => ({ address, connection });

// How many of so many tries were let through.
const passed = (tries: number, once: (i: number) => object | undefined) =>
  Array.from({ length: tries }, (_, i) => once(i)).filter((refusal) => refusal === undefined)
    .length;

Deno.test("a bucket gives its burst at once, then its rate", () => {
  const bucket = new Bucket({ rate: 20, burst: 60 }, 0);
  const take = (tries: number, now: number) =>
    Array.from({ length: tries }, () => bucket.take(now)).filter((taken) => taken).length;
  assertEquals(take(100, 0), 60);
  assertEquals(bucket.wait(1, 0), 50);
  assertEquals(take(1, 49), 0);
  assertEquals(take(2, 50), 1);
  assertEquals(take(100, 1050), 20);
  // Time that goes back, as no clock of ours does, gives nothing.
  assertEquals(take(1, 0), 0);
  assertEquals(take(100, 1_000_000), 60);
});

Deno.test("of buckets so many are kept and no more, those used last", () => {
  const buckets = new Buckets({ rate: 1, burst: 2 }, 1000);
  buckets.of("busy", 0).take(0);
  for (let i = 0; i < 50_000; i++) {
    buckets.of(`b${i}`, 0).take(0);
    if (i % 100 === 0) assertEquals(buckets.of("busy", 0).wait(2, 0), 1000);
  }
  assertLess(buckets.size, 1001);
  // What is full again is the same as none, and goes by itself.
  for (let now = 10_000; now < 20_000; now += 1000) buckets.of("one", now).take(now);
  assertEquals(buckets.size, 1);
});

Deno.test("a connection counts for the account that its token names, once that is known", () => {
  const counted = quotas({ perAccount: 1 });
  assertEquals(counted.admit(0, from("192.0.2.1", "c1"), "cookie"), undefined);
  counted.identify(0, "c1", "ada");
  counted.identify(0, "unknown", "eve");
  assertEquals([[...counted.accounts], counted.connections], [["ada"], 1]);
  assertEquals(counted.admit(0, from("192.0.2.1", "c2"), "ada")?.code, "rate_limited");
  assertEquals(counted.admit(0, from("192.0.2.1", "c2"), "cookie"), undefined);
  counted.dismiss(0, "c1");
  assertEquals([...counted.accounts], ["cookie"]);
});

Deno.test("publications are counted for the account, and tenfold for its address; 0 is no limit", () => {
  const counted = quotas({ rate: 20, burst: 60 });
  const publish = (account: string | null, address: string) =>
    counted.publish(0, { address }, account, 0);
  assertEquals(passed(61, () => publish("ada", "192.0.2.1")), 60);
  assertEquals(passed(61, () => publish("ada", "192.0.2.2")), 0);
  assertEquals(passed(601, (i) => publish(`a${i}`, "192.0.2.1")), 540);
  // Where there is no account the address is one.
  assertEquals(passed(61, () => publish(null, "192.0.2.3")), 60);
  assertEquals(passed(61, () => publish(null, "127.0.0.1")), 60);
  // Behind a proxy that isn't told of, or on this machine, addresses say nothing.
  assertEquals(passed(2000, (i) => publish(`b${i}`, "127.0.0.1")), 2000);
  const free = quotas({});
  assertEquals(passed(10_000, () => free.publish(0, { address: "192.0.2.1" }, "ada", 0)), 10_000);
});

Deno.test("one that was refused is refused until its retry is over, which is long enough for five", () => {
  const counted = quotas({ rate: 20, burst: 60 });
  counted.admit(0, from("192.0.2.1"), "ada");
  counted.admit(0, from("192.0.2.1", "c2"), "ada");
  const publish = (now: number, connection = "c1") =>
    counted.publish(0, from("192.0.2.1", connection), "ada", now);
  assertEquals(passed(60, () => publish(0)), 60);
  assertEquals(publish(0), {
    code: "rate_limited",
    message: "Too many publications",
    retry: 250,
  });
  // A token has been earned meanwhile; another connection may have it, this one keeps its order.
  assertEquals(publish(60)?.retry, 190);
  assertEquals(publish(60, "c2"), undefined);
  assertEquals(publish(250 - 1)?.retry, 1);
  assertEquals(passed(5, () => publish(250)), 4);
});

Deno.test("connections in all, of an address and of an account: n come in, the next doesn't, and one that goes makes room", () => {
  for (
    const [limits, name, code] of [
      [{ connections: 3 }, (i: number) => [`192.0.2.${i}`, `a${i}`], "unavailable"],
      [{ perAddress: 3 }, (i: number) => ["192.0.2.1", `a${i}`], "rate_limited"],
      [{ perAddress: 3 }, (i: number) => [`2001:db8::${i}`, `a${i}`], "rate_limited"],
      [{ perAccount: 3 }, (i: number) => [`192.0.2.${i}`, "ada"], "rate_limited"],
    ] as const
  ) {
    const counted = quotas(limits);
    const admit = (i: number) => {
      const [address = "", account = ""] = name(i);
      return counted.admit(i % 2, from(address, `c${i}`), account);
    };
    assertEquals(passed(3, admit), 3);
    const refusal = admit(3);
    assertEquals([refusal?.code, (refusal?.retry ?? 0) > 0], [code, true]);
    assertEquals(counted.connections, 3);
    counted.dismiss(0, "c0");
    counted.dismiss(0, "c0");
    counted.dismiss(1, "never");
    assertEquals([admit(4), counted.connections], [undefined, 3]);
  }
  const local = quotas({ perAddress: 3 });
  assertEquals(passed(10, (i) => local.admit(0, from("127.0.0.1", `c${i}`), null)), 10);
});

Deno.test("an edge that is gone takes with it all that it held", () => {
  const counted = quotas({ perAddress: 2, perAccount: 2 });
  counted.admit(1, from("192.0.2.1", "c1"), "ada");
  counted.admit(2, from("192.0.2.1", "c1"), "ada");
  assertEquals(counted.admit(2, from("192.0.2.1", "c2"), "ada")?.code, "rate_limited");
  counted.drop(1);
  assertEquals(counted.admit(2, from("192.0.2.1", "c2"), "ada"), undefined);
  counted.drop(2);
  assertEquals([counted.connections, counted.names], [0, 0]);
});

Deno.test("an address brings sixty accounts a minute into being; twenty wrong tokens a minute are looked at", () => {
  const counted = quotas({ newAccounts: 60 });
  assertEquals(passed(61, () => counted.create("192.0.2.1", 0)), 60);
  assertEquals(counted.create("192.0.2.1", 0)?.retry, 1000);
  assertEquals(passed(2, () => counted.create("192.0.2.1", 1000)), 1);
  assertEquals(passed(61, () => counted.create("127.0.0.1", 0)), 61);
  assertEquals(passed(1000, () => counted.token("127.0.0.1", true, 0)), 1000);
  assertEquals(passed(1000, () => counted.token("127.0.0.1", false, 0)), GUESSES);
  // A right one isn't told from a wrong one then.
  assertEquals(counted.token("127.0.0.1", true, 0)?.code, "rate_limited");
  assertEquals(counted.token("192.0.2.1", true, 0), undefined);
  assertEquals(counted.token("127.0.0.1", true, 3000), undefined);
});

Deno.test("M11: a million accounts and addresses leave a bounded number of names", () => {
  const counted = quotas({ rate: 20, burst: 60, newAccounts: 60 });
  for (let i = 0; i < 1_000_000; i++) {
    const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    counted.publish(0, { address }, `a${i}`, i / 1000);
    counted.create(address, i / 1000);
    counted.token(address, false, i / 1000);
  }
  assertLess(counted.names, 4 * MOST_BUCKETS + 1);
});

Deno.test("addresses: IPv6 counts by its /64, IPv4 in its clothes as IPv4, what is none as none", () => {
  const same = (one: string, other: string) =>
    countedAs(plainAddress(one) ?? "") === countedAs(plainAddress(other) ?? "");
  assertEquals(same("2001:db8:1:2::1", "2001:0db8:0001:0002:ffff:ffff:ffff:ffff"), true);
  assertEquals(same("2001:db8:1:2::1", "2001:db8:1:3::1"), false);
  assertEquals(same("2001:db8::1", "2001:db8:0:0:9:9:9:9"), true);
  assertEquals(same("::ffff:192.0.2.1", "192.0.2.1"), true);
  assertEquals(same("192.0.2.1", "192.0.2.2"), false);
  for (
    const wrong of ["", "a", "1.2.3", "1.2.3.256", "::g", "1::2::3", "fe80::1%eth0", "1.2.3.4\r\n"]
  ) {
    assertEquals(plainAddress(wrong), undefined, wrong);
  }
});

Deno.test("a flood is more than ten times the rate refused in each of ten seconds, not less, and not with a pause", () => {
  const play = (perSecond: (second: number) => number, rate = 20) => {
    const flood = new FloodGuard(rate);
    for (let second = 5; second < 40; second++) {
      for (let i = 0; i < perSecond(second); i++) if (flood.add(second * 1000 + i)) return second;
    }
    return undefined;
  };
  assertEquals(play(() => 201), 14);
  assertEquals(play(() => 200), undefined);
  assertEquals(play((second) => second % 10 === 4 ? 200 : 900), undefined);
  assertEquals(play((second) => second % 10 === 4 ? 0 : 900), undefined);
  assertEquals(play(() => 999, 0), undefined);
});

Deno.test("what a connection sends once its session ended is refused by the core, unless a token took its place", () => {
  const counted = quotas({});
  for (const connection of ["c1", "c2", "c3"]) {
    const session = connection === "c3" ? "other" : "one";
    counted.admit(0, from("192.0.2.1", connection), "ada", session);
  }
  counted.identify(0, "c2", "eve");
  counted.leaveSession(0, "c2");
  counted.endSessions(["one", "unknown"]);
  const ended = ["c1", "c2", "c3", "c4"].map((connection) => counted.sessionEnded(0, connection));
  assertEquals(ended, [true, false, false, false]);
});
