/** static/docs/events.md lists the events of the log with their levels: no more, no less. */
import { assertEquals } from "@std/assert";
import { EVENTS } from "../../../lib/observability/events.ts";

const ROOT = new URL("../../../", import.meta.url);

for (const page of ["events.md", "events.zh-CN.md"]) {
  Deno.test(`the list of events in ${page} is that of the code, with their levels`, async () => {
    const list = await Deno.readTextFile(new URL(`static/docs/${page}`, ROOT));
    const listed = [...list.matchAll(/^\| `([a-z.]+)` +\| (\w+) +\|/gm)].map(([, event, level]) =>
      `${event} ${level}`
    );
    const events = Object.entries(EVENTS).map(([event, { level }]) =>
      `${event} ${level === "refused" ? "info" : level}`
    );
    assertEquals(listed.toSorted(), events.toSorted());
  });
}
