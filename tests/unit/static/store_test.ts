/** The store of the outbox, in memory; the same story runs on IndexedDB in tests/browser/offline_test.ts. */
import { assertEquals } from "@std/assert";
import { browserStore, memoryStore } from "../../../static/client/outbox/store.js";
import { storeStory, STORY } from "./store_story.ts";

Deno.test("a store in memory keeps, forgets, hands over once, and knows who is alive", async () => {
  assertEquals(await storeStory(memoryStore()), STORY);
});

Deno.test("where there is no IndexedDB the store is one in memory", async () => {
  assertEquals(await storeStory(browserStore("none")), STORY);
});

Deno.test("what is kept is a copy: what the page does with its own changes nothing", async () => {
  const store = memoryStore();
  const data = { text: "before" };
  await store.put([{
    ...{ id: "1", owner: "a", order: 1, key: "k", channel: "room:a", data, time: 1 },
    status: "pending",
  }]);
  data.text = "after";
  assertEquals((await store.take("a", "b"))[0]?.data, { text: "before" });
});
