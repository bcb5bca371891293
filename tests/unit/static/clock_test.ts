/** The days of a page that is left open. */
import { assertEquals } from "@std/assert";
import { dayText } from "../../../static/ui/i18n.js";
import { followDays, startOfDay } from "../../../static/ui/days.js";

/** A clock that stands until it is told to go on; while it sleeps no timer runs. */
function fakeClock(now: number) {
  let timer: { at: number; run: () => void } | undefined;
  let wakes = 0;
  return {
    now: () => now,
    after(ms: number, run: () => void) {
      const mine = timer = { at: now + ms, run };
      return () => void (timer = timer === mine ? undefined : timer);
    },
    /** Goes on to a time, and runs what is due on the way. @returns How often something ran. */
    to(time: number): number {
      wakes = 0;
      while (timer !== undefined && timer.at <= time) {
        const { at, run } = timer;
        [now, timer] = [at, undefined];
        run();
        wakes += 1;
      }
      now = time;
      return wakes;
    },
    sleepTo: (time: number) => void (now = time),
    get waits() {
      return timer === undefined ? undefined : timer.at - now;
    },
  };
}

const at = (day: number, hour = 0, minute = 0, second = 0, ms = 0) =>
  new Date(2026, 11, day, hour, minute, second, ms).getTime();

Deno.test("right at midnight it is another day, though nothing else happens; over the year, too", () => {
  const clock = fakeClock(at(30, 23, 58));
  const { today, stop } = followDays(clock);
  const seen: number[] = [];
  today.subscribe((day: number) => seen.push(day));
  clock.to(at(30, 23, 59, 59, 999));
  assertEquals(today.value, at(30));
  clock.to(at(31));
  assertEquals(today.value, at(31), "not a millisecond later");
  clock.to(at(34, 12));
  assertEquals(seen, [30, 31, 32, 33, 34].map((day) => at(day)), "once each");
  stop();
  assertEquals(clock.waits, undefined);
});

Deno.test("after a sleep the day is right at once where the page is told, and within a minute where it isn't", () => {
  const clock = fakeClock(at(1, 12));
  const page = new EventTarget();
  const { today, stop } = followDays(clock, [page]);
  for (const [i, event] of ["focus", "pageshow", "resume", "visibilitychange"].entries()) {
    clock.sleepTo(at(2 + i, 9));
    page.dispatchEvent(new Event(event));
    assertEquals(today.value, at(2 + i), event);
  }
  clock.sleepTo(at(20, 9));
  assertEquals((clock.waits ?? Infinity) <= 60_000, true);
  clock.to(at(20, 9, 1));
  assertEquals(today.value, at(20));
  // Somebody sets the clock back.
  clock.sleepTo(at(19, 9));
  page.dispatchEvent(new Event("focus"));
  assertEquals(today.value, at(19));
  stop();
  clock.sleepTo(at(25));
  page.dispatchEvent(new Event("focus"));
  assertEquals(today.value, at(19), "it has ended");
});

/** Runs in a process of its own: a process has one time zone. */
async function inZone(zone: string, code: string): Promise<unknown> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    env: { TZ: zone, NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test("days of 23 and 25 hours begin and end at their own midnights, also where summer time begins at midnight", async () => {
  const url = import.meta.resolve("../../../static/ui/days.js");
  const code = (days: readonly (readonly [number, number, number])[]) => `
    const { followDays } = await import(${JSON.stringify(url)});
    const found = ${JSON.stringify(days)}.map(([year, month, day]) => {
      const start = new Date(year, month, day).getTime();
      let now = start, timer;
      const clock = { now: () => now, after: (ms, run) => (timer = { at: now + ms, run }, () => {}) };
      const { today } = followDays(clock);
      const begun = today.value;
      while (today.value === begun) { now = timer.at; timer.run(); }
      return [(begun - start) / 3600000, (now - start) / 3600000, new Date(now).getDate()];
    });
    console.log(JSON.stringify(found));
  `;
  const berlin = [[2026, 2, 29], [2026, 9, 25], [2026, 9, 26]] as const;
  assertEquals(await inZone("Europe/Berlin", code(berlin)), [[0, 23, 30], [0, 25, 26], [
    0,
    24,
    27,
  ]]);
  // There is no midnight on this day: it begins at one.
  assertEquals(await inZone("America/Santiago", code([[2026, 8, 5], [2026, 8, 6]])), [
    [0, 24, 6],
    [0, 23, 7],
  ]);
});

Deno.test("what was today is yesterday after midnight, and what comes from a clock that is ahead gets its day", () => {
  const time = at(30, 23, 59);
  assertEquals([at(30, 23, 59, 59), at(31)].map((now) => dayText(time, startOfDay(now))), [
    "Today",
    "Yesterday",
  ]);
  assertEquals([at(30, 23, 59), at(31)].map((now) => dayText(at(31), now)), [
    "Thursday, December 31",
    "Today",
  ]);
});
