/** The roster as pure state; time is a number. */
import { assertEquals } from "@std/assert";
import { LINGER, Presence, quietFor } from "../../../lib/core/presence.ts";
import { ROSTER_SIZE } from "../../../lib/protocol/presence.ts";
import { fc } from "../../helpers/properties.ts";

const EDGE = 1;

function listed(presence: Presence, channel: string): { account: string; name?: string }[] {
  return JSON.parse(presence.roster(channel).list);
}

Deno.test("a second connection of an account changes nothing, and neither does its end", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", "Ada", "c1", EDGE);
  assertEquals(presence.take(0), [{
    channel: "room:a",
    version: 1,
    count: 1,
    joined: [{ account: "ada", name: "Ada" }],
    left: [],
  }]);
  presence.join("room:a", "ada", "Ada", "c2", EDGE);
  presence.leave("room:a", "ada", "c1", 0);
  assertEquals([presence.nextDue(), presence.take(10_000)], [undefined, []]);
});

Deno.test("a reload is no leave and join; staying away is a leave", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1", EDGE);
  presence.take(0);
  presence.leave("room:a", "ada", "c1", 0);
  presence.join("room:a", "ada", null, "c2", EDGE);
  assertEquals(presence.take(LINGER), []);
  presence.leave("room:a", "ada", "c2", 5000);
  assertEquals(presence.take(5000 + LINGER - 1), []);
  assertEquals(presence.nextDue(), 5000 + LINGER);
  assertEquals(presence.take(5000 + LINGER), [{
    channel: "room:a",
    version: 2,
    count: 0,
    joined: [],
    left: ["ada"],
  }]);
  assertEquals(presence.nextDue(), undefined);
});

Deno.test("a roster that is made anew has a version above the one that was dropped", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1", EDGE);
  presence.take(0);
  presence.leave("room:a", "ada", "c1", 0);
  presence.take(LINGER);
  presence.join("room:a", "ada", null, "c2", EDGE);
  assertEquals(presence.take(LINGER)[0]?.version, 3);
});

Deno.test("a rename is told as a join once more", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1", EDGE);
  presence.take(0);
  presence.rename("ada", null);
  assertEquals(presence.take(1000), []);
  presence.rename("ada", "Ada");
  assertEquals(presence.take(1000), [{
    channel: "room:a",
    version: 2,
    count: 1,
    joined: [{ account: "ada", name: "Ada" }],
    left: [],
  }]);
});

Deno.test("at most 1,000 are listed, the count is right, and beyond that a delta has no lists", () => {
  const presence = new Presence();
  for (let i = 0; i < ROSTER_SIZE; i++) presence.join("room:a", `a${i}`, null, `c${i}`, EDGE);
  assertEquals(presence.take(0)[0]?.joined?.length, ROSTER_SIZE);
  assertEquals(listed(presence, "room:a").length, ROSTER_SIZE);
  presence.join("room:a", "more", null, "c", EDGE);
  const count = ROSTER_SIZE + 1;
  assertEquals(presence.take(1000), [{ channel: "room:a", version: 2, count }]);
  assertEquals([listed(presence, "room:a").length, presence.roster("room:a").count], [
    ROSTER_SIZE,
    count,
  ]);
});

Deno.test("what comes right after a delta is told with the next, all at once; a calm channel tells at once", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1", EDGE);
  assertEquals(presence.take(50).length, 1);
  for (const who of ["bob", "eve"]) presence.join("room:a", who, null, who, EDGE);
  assertEquals([presence.take(50), presence.nextDue()], [[], 50 + quietFor(1)]);
  // Whoever asks meanwhile has them in the list, at the version before they are told.
  assertEquals(presence.roster("room:a").version, 1);
  assertEquals(listed(presence, "room:a").length, 3);
  const [delta] = presence.take(50 + quietFor(1));
  assertEquals([delta?.version, delta?.joined?.length], [2, 2]);
});

Deno.test("whoever came and went between two deltas was never there; who went and came again is told as there", () => {
  const presence = new Presence();
  const far = 25 * LINGER;
  // So large a room is quiet for longer than anybody lingers.
  for (let i = 0; i < far; i++) presence.join("room:a", `a${i}`, null, `c${i}`, EDGE);
  presence.take(0);
  presence.join("room:a", "moth", null, "m", EDGE);
  presence.leave("room:a", "moth", "m", 1);
  presence.leave("room:a", "a0", "c0", 1);
  presence.take(1 + LINGER);
  presence.join("room:a", "a0", null, "again", EDGE);
  presence.leave("room:a", "a0", "again", 2 + LINGER);
  assertEquals(presence.take(2 + 2 * LINGER), []);
  assertEquals(presence.take(quietFor(far)), [{ channel: "room:a", version: 2, count: far - 1 }]);
});

Deno.test("what an edge held goes with it, and what other edges hold stays", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1", 1);
  presence.join("room:a", "ada", null, "c2", 2);
  presence.join("room:a", "bob", null, "c3", 1);
  presence.take(0);
  presence.drop(1, 1000);
  assertEquals(presence.take(1000 + LINGER)[0]?.left, ["bob"]);
});

type Step =
  | { do: "join"; who: number; on: number }
  | { do: "leave"; who: number; on: number }
  | { do: "wait"; ms: number }
  | { do: "drop"; edge: number };

Deno.test("a list that is kept by deltas is the roster, whatever comes and goes", () => {
  const who = fc.nat(5);
  const on = fc.nat(3);
  const step = fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ do: fc.constant("join" as const), who, on }),
    fc.record({ do: fc.constant("leave" as const), who, on }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.nat(2500) }),
    fc.record({ do: fc.constant("drop" as const), edge: fc.nat(1) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const presence = new Presence();
    const known = new Set<string>();
    const held = new Set<string>();
    let now = 0;
    let version = 0;
    const take = () => {
      for (const delta of presence.take(now)) {
        version = delta.version;
        for (const account of delta.left ?? []) known.delete(account);
        for (const { account } of delta.joined ?? []) known.add(account);
        assertEquals(known.size, delta.count);
      }
    };
    for (const one of steps) {
      if (one.do === "wait") now += one.ms;
      else if (one.do === "drop") {
        presence.drop(one.edge, now);
        for (const name of held) if (Number(name.at(-1)) % 2 === one.edge) held.delete(name);
      } else if (one.do === "join") {
        presence.join("room:a", `a${one.who}`, null, `a${one.who} ${one.on}`, one.on % 2);
        held.add(`a${one.who} ${one.on}`);
      } else {
        presence.leave("room:a", `a${one.who}`, `a${one.who} ${one.on}`, now);
        held.delete(`a${one.who} ${one.on}`);
      }
      take();
    }
    now += LINGER;
    take();
    now += quietFor(6);
    take();
    const there = new Set([...held].map((name) => name.split(" ")[0]));
    assertEquals(new Set(listed(presence, "room:a").map(({ account }) => account)), there);
    assertEquals([...known].sort(), [...there].sort());
    assertEquals(presence.roster("room:a").version >= version, true);
    assertEquals(presence.nextDue(), undefined);
  }));
});
