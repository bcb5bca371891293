// @ts-check
/**
 * Where the outbox is kept: IndexedDB in a browser, memory elsewhere and where a browser refuses (private windows). Both do
 * the same; tests run one story on each.
 *
 * @module
 */
import { machineClock } from "../time.js";

/** A browser may never say whether it opens a database; in milliseconds. */
const OPEN_PATIENCE = 3000;

/**
 * A message on its way, as it is kept.
 *
 * @typedef {object} Item
 * @property {string} id Its name in the outbox; stays the same whatever happens.
 * @property {string} key What makes it one message for the server.
 * @property {string} channel Where to.
 * @property {unknown} data What.
 * @property {string | null} [account] Who wrote it; absent if that wasn't known.
 * @property {number} time When it was written, in milliseconds since 1970.
 * @property {number} order Rises with each item of a tab.
 * @property {string} owner The tab that sends it.
 * @property {"pending" | "failed"} status What it waits for: the server, or a decision.
 * @property {{code: string, message: string}} [error] Why it failed, or why it waits.
 * @property {number} [tried] When it may have been sent first, by the server's clock: its keys go by that.
 */
/**
 * What keeps items, and a few facts by name. Changes are made in the order in which they are asked for.
 *
 * @typedef {object} Store
 * @property {boolean} lasting Whether what it keeps outlives the page, as far as is known now.
 * @property {boolean} shared Whether others may use it at the same time: tabs of a browser.
 * @property {(items: readonly Item[]) => Promise<void>} put Keeps items; the writing begins before this returns.
 * @property {(ids: readonly string[]) => Promise<void>} remove Forgets items.
 * @property {() => Promise<string[]>} owners Whose items there are.
 * @property {(from: string, to: string, unlessAlive?: number, wanted?: (channel: string) => boolean) => Promise<Item[]>} take Makes the items of one owner another's, at once or not at all; only those of wanted channels, and none where the owner's `alive` fact is not older than the time given.
 * @property {(name: string) => Promise<unknown>} get Reads a fact.
 * @property {(name: string, value: unknown) => Promise<void>} set Keeps a fact; `undefined` forgets it.
 * @property {() => void} close Lets go of it.
 */

/**
 * The name of the fact that tells when an owner was last alive.
 *
 * @param {string} owner Which.
 * @returns {string} The fact's name.
 */
export function aliveFact(owner) {
  return `alive:${owner}`;
}

/**
 * Keeps items in memory.
 *
 * @param {boolean} [shared] Whether several clients are given it.
 * @returns {Store} The store.
 */
export function memoryStore(shared = false) {
  /** @type {Map<string, Item>} */
  const items = new Map();
  /** @type {Map<string, unknown>} */
  const facts = new Map();
  return {
    lasting: false,
    shared,
    put(given) {
      for (const item of given) items.set(item.id, structuredClone(item));
      return Promise.resolve();
    },
    remove(ids) {
      for (const id of ids) items.delete(id);
      return Promise.resolve();
    },
    owners: () => Promise.resolve([...new Set([...items.values()].map(({ owner }) => owner))]),
    take(from, to, unlessAlive, wanted = () => true) {
      if (isAlive(facts.get(aliveFact(from)), unlessAlive)) return Promise.resolve([]);
      const taken = [...items.values()].filter(({ owner, channel }) =>
        owner === from && wanted(channel)
      )
        .map((item) => ({ ...item, owner: to }));
      for (const item of taken) items.set(item.id, item);
      facts.delete(aliveFact(from));
      return Promise.resolve(structuredClone(taken));
    },
    get: (name) => Promise.resolve(facts.get(name)),
    set(name, value) {
      if (value === undefined) facts.delete(name);
      else facts.set(name, value);
      return Promise.resolve();
    },
    close() {},
  };
}

/**
 * Opens the store of this browser, or one in memory where there is none.
 *
 * @param {string} name The database.
 * @returns {Store} The store; ready at once, what is asked waits for the database.
 */
export function browserStore(name) {
  const factory = databases();
  return factory === undefined ? memoryStore() : new DatabaseStore(name, factory);
}

/** @returns {IDBFactory | undefined} The browser's databases, where it lets one look at them. */
function databases() {
  try {
    return globalThis.indexedDB;
  } catch {
    return undefined;
  }
}

/** @implements {Store} */
class DatabaseStore {
  shared = true;
  /** @type {IDBDatabase | undefined} */
  #database;
  /** Whether it kept what it was given last: it may be full. */
  #keeps = true;
  /** @type {Promise<void>} */
  #opened;
  /** Instead, where the browser won't. @type {Store | undefined} */
  #memory;

  /** @param {string} name The database. @param {IDBFactory} factory What opens it. */
  constructor(name, factory) {
    this.#opened = this.#open(name, factory);
  }

  get lasting() {
    return this.#memory === undefined && this.#keeps;
  }

  /** @param {readonly Item[]} items Items. @returns {Promise<void>} Once they are kept. */
  put(items) {
    return this.#do((store) => store.put(items), "items", (table) => {
      for (const item of items) table("items").put(item);
    });
  }

  /** @param {readonly string[]} ids Items. @returns {Promise<void>} Once they are forgotten. */
  remove(ids) {
    return this.#do((store) => store.remove(ids), "items", (table) => {
      for (const id of ids) table("items").delete(id);
    });
  }

  /** @returns {Promise<string[]>} Whose items there are. */
  owners() {
    return this.#do((store) => store.owners(), "read", (table, give) => {
      const request = table("items").index("owner").openKeyCursor(null, "nextunique");
      /** @type {string[]} */
      const owners = [];
      give(owners);
      request.onsuccess = () => {
        const cursor = request.result;
        if (cursor === null) return;
        owners.push(String(cursor.key));
        cursor.continue();
      };
    });
  }

  /**
   * @param {string} from One owner. @param {string} to Another. @param {number} [unlessAlive] Since when.
   * @param {(channel: string) => boolean} [wanted] Of which channels.
   * @returns {Promise<Item[]>} What was taken.
   */
  take(from, to, unlessAlive, wanted = () => true) {
    const otherwise = (/** @type {Store} */ store) => store.take(from, to, unlessAlive, wanted);
    return this.#do(otherwise, "all", (table, give) => {
      /** @type {Item[]} */
      const taken = [];
      give(taken);
      const alive = table("facts").get(aliveFact(from));
      alive.onsuccess = () => {
        if (isAlive(alive.result, unlessAlive)) return;
        table("facts").delete(aliveFact(from));
        const request = table("items").index("owner").openCursor(from);
        request.onsuccess = () => {
          const cursor = request.result;
          if (cursor === null) return;
          if (wanted(cursor.value.channel)) {
            const item = { ...cursor.value, owner: to };
            taken.push(item);
            cursor.update(item);
          }
          cursor.continue();
        };
      };
    });
  }

  /** @param {string} name A fact. @returns {Promise<unknown>} Its value. */
  get(name) {
    return this.#do((store) => store.get(name), "read", (table, give) => {
      const request = table("facts").get(name);
      request.onsuccess = () => give(request.result);
    });
  }

  /** @param {string} name A fact. @param {unknown} value Its value. @returns {Promise<void>} Once it is kept. */
  set(name, value) {
    return this.#do((store) => store.set(name, value), "facts", (table) => {
      if (value === undefined) table("facts").delete(name);
      else table("facts").put(value, name);
    });
  }

  /** Lets go of it. */
  close() {
    this.#database?.close();
    this.#database = undefined;
    this.#memory ??= memoryStore();
  }

  /** @param {string} name The database. @param {IDBFactory} factory What opens it. */
  async #open(name, factory) {
    try {
      this.#database = await openDatabase(name, factory, () => this.close());
    } catch {
      // A newer library's, a private window, a full disk: what is sent now is sent from memory.
      this.#memory = memoryStore();
    }
  }

  /**
   * @template T
   * @param {(memory: Store) => Promise<T>} otherwise What is done where there is no database.
   * @param {"read" | "items" | "facts" | "all"} kind What is touched.
   * @param {(table: (name: string) => IDBObjectStore, give: (value: any) => void) => void} change What is done; what it gives is the result.
   * @returns {Promise<T>} Once it is done.
   */
  async #do(otherwise, kind, change) {
    // No wait where the database is there: a page that is being closed still starts its last write.
    if (this.#database === undefined && this.#memory === undefined) await this.#opened;
    if (this.#database === undefined) return otherwise(this.#memory ??= memoryStore());
    try {
      const result = await transact(this.#database, kind, change);
      if (kind === "items") this.#keeps = true;
      return result;
    } catch (error) {
      this.#keeps = false;
      throw error;
    }
  }
}

/**
 * @param {IDBDatabase} database Where.
 * @param {"read" | "items" | "facts" | "all"} kind What is touched.
 * @param {(table: (name: string) => IDBObjectStore, give: (value: any) => void) => void} change What is done; what it gives is the result.
 * @returns {Promise<any>} The result, once it is committed.
 */
async function transact(database, kind, change) {
  const tables = kind === "items" || kind === "facts" ? [kind] : ["items", "facts"];
  const transaction = database.transaction(tables, kind === "read" ? "readonly" : "readwrite");
  /** @type {any} */
  let result;
  const done = ended(transaction);
  change((table) => transaction.objectStore(table), (value) => result = value);
  // What only writes is committed without another turn of this page, which may not come.
  if (kind === "items" || kind === "facts") transaction.commit?.();
  await done;
  return result;
}

/**
 * @param {string} name The database.
 * @param {IDBFactory} factory What opens it.
 * @param {() => void} gone Called when a newer version of the library needs it.
 * @returns {Promise<IDBDatabase>} The database.
 */
function openDatabase(name, factory, gone) {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, 1);
    const stop = machineClock.after(OPEN_PATIENCE, () => {
      // One that comes after all isn't waited for any more.
      request.onsuccess = () => request.result.close();
      reject(new Error("The database doesn't open"));
    });
    request.onupgradeneeded = () => {
      request.result.createObjectStore("items", { keyPath: "id" }).createIndex("owner", "owner");
      request.result.createObjectStore("facts");
    };
    // Another version's tab may hold it: once that is closed it opens.
    request.onerror = () => {
      stop();
      reject(request.error);
    };
    request.onsuccess = () => {
      stop();
      const database = request.result;
      database.onversionchange = gone;
      database.onclose = gone;
      resolve(database);
    };
  });
}

/** @param {IDBTransaction} transaction One. @returns {Promise<void>} Once it is committed. */
function ended(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** @param {unknown} alive When last. @param {number | undefined} since Since when it counts. @returns {boolean} Whether. */
function isAlive(alive, since) {
  return since !== undefined && typeof alive === "number" && alive >= since;
}
