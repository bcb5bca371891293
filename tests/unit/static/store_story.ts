/** What every store does, told in one story: memory here, IndexedDB in a browser (tests/browser/offline_test.ts). */
import type { Item, Store } from "../../../static/client/outbox/store.js";

/**
 * Uses a store in each way. It stands alone, since a browser gets it as text.
 *
 * @param store An empty store.
 * @returns What was seen.
 */
export async function storeStory(store: Store): Promise<unknown[]> {
  const seen: unknown[] = [];
  const item = (id: string, owner: string, order: number): Item => ({
    ...{ id, owner, order, key: `k${id}`, channel: "room:a", data: { text: id } },
    ...{ time: order, status: "pending" },
  });
  const ids = (items: Item[]) => items.map(({ id, owner }) => `${id} of ${owner}`).sort();
  seen.push(await store.owners());
  const writes = [
    store.put([item("1", "a", 1), item("2", "a", 2)]),
    store.put([item("3", "b", 3)]),
    store.remove(["1"]),
    store.put([{ ...item("2", "a", 2), status: "failed", error: { code: "c", message: "m" } }]),
  ];
  await Promise.all(writes);
  seen.push((await store.owners()).sort());
  await store.set("alive:a", 100);
  seen.push(ids(await store.take("a", "c", 100)), ids(await store.take("a", "c", 101)));
  seen.push(await store.get("alive:a") ?? null, (await store.owners()).sort());
  const [taken] = await store.take("c", "d");
  seen.push(taken, ids(await store.take("c", "d")), ids(await store.take("nobody", "d")));
  await store.set("me", { account: "ada" });
  seen.push(await store.get("me"));
  await store.set("me", undefined);
  seen.push(await store.get("me") ?? null);
  await store.put([{ ...item("4", "b", 4), channel: "room:b" }]);
  const wanted = (channel: string) => channel === "room:b";
  seen.push(ids(await store.take("b", "g", undefined, wanted)), (await store.owners()).sort());
  await store.remove(["4"]);
  const [one, two] = await Promise.all([store.take("d", "e"), store.take("d", "f")]);
  seen.push(ids(one), ids(two), (await store.owners()).sort());
  store.close();
  return seen;
}

/** What the story tells. */
export const STORY = [
  [],
  ["a", "b"],
  [],
  ["2 of c"],
  null,
  ["b", "c"],
  {
    id: "2",
    owner: "d",
    order: 2,
    key: "k2",
    channel: "room:a",
    data: { text: "2" },
    time: 2,
    status: "failed",
    error: { code: "c", message: "m" },
  },
  [],
  [],
  { account: "ada" },
  null,
  ["4 of g"],
  ["b", "d", "g"],
  ["2 of e"],
  [],
  ["b", "e"],
];
