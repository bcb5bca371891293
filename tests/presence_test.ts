/** The roster as pure state; time is a number. */
import { assertEquals } from "@std/assert";
import { LINGER, Presence } from "../lib/core/presence.ts";
import { ROSTER_SIZE } from "../lib/protocol/presence.ts";

Deno.test("a second connection of an account changes nothing, and neither does its end", () => {
  const presence = new Presence();
  assertEquals(presence.join("room:a", "ada", "Ada", "c1"), {
    channel: "room:a",
    version: 1,
    count: 1,
    joined: [{ account: "ada", name: "Ada" }],
    left: [],
  });
  assertEquals(presence.join("room:a", "ada", "Ada", "c2"), undefined);
  presence.leave("room:a", "ada", "c1", 0);
  assertEquals(presence.nextExpiry(), undefined);
});

Deno.test("a reload is no leave and join; staying away is a leave", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1");
  presence.leave("room:a", "ada", "c1", 0);
  presence.join("room:a", "ada", null, "c2");
  assertEquals(presence.expire(LINGER), []);
  presence.leave("room:a", "ada", "c2", 5000);
  assertEquals(presence.expire(5000 + LINGER - 1), []);
  assertEquals(presence.expire(5000 + LINGER), [{
    channel: "room:a",
    version: 2,
    count: 0,
    joined: [],
    left: ["ada"],
  }]);
});

Deno.test("a roster that is made anew has a version above the one that was dropped", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1");
  presence.leave("room:a", "ada", "c1", 0);
  presence.expire(LINGER);
  assertEquals(presence.join("room:a", "ada", null, "c2")?.version, 3);
});

Deno.test("a rename is told as a join once more", () => {
  const presence = new Presence();
  presence.join("room:a", "ada", null, "c1");
  assertEquals(presence.rename("ada", null), []);
  assertEquals(presence.rename("ada", "Ada"), [{
    channel: "room:a",
    version: 2,
    count: 1,
    joined: [{ account: "ada", name: "Ada" }],
    left: [],
  }]);
});

Deno.test("at most 1,000 are listed, the count is right, and beyond that a delta has no lists", () => {
  const presence = new Presence();
  for (let i = 0; i < ROSTER_SIZE; i++) presence.join("room:a", `a${i}`, null, `c${i}`);
  assertEquals(presence.roster("room:a").members.length, ROSTER_SIZE);
  const delta = presence.join("room:a", "more", null, "c");
  assertEquals(delta, { channel: "room:a", version: ROSTER_SIZE + 1, count: ROSTER_SIZE + 1 });
  assertEquals(presence.roster("room:a").members.length, ROSTER_SIZE);
  assertEquals(presence.roster("room:a").count, ROSTER_SIZE + 1);
});
