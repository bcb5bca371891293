import { createRequire } from "node:module";
import { join } from "node:path";

const SOURCE = new URL("../fixtures/demo/", import.meta.url);
const NAMES = ["to_recmsg.html", "to_sendmsg.html", "to_chat.html"];
const WRITTEN_HOST = "localhost:8000";

/** A folder with the first demo's pages and their jQuery; it is removed when disposed of. */
export interface DemoPages extends AsyncDisposable {
  /** The folder's path. */
  readonly folder: string;
  /**
   * Writes another host into the pages, for a server whose port is known only once it runs.
   *
   * @param host Host and port, as in a URL.
   */
  setHost(host: string): Promise<void>;
}

/**
 * Lays out the first demo's pages in a temp folder, as a user of it has them.
 *
 * @param host The host and port that are written into the pages.
 * @returns The folder.
 */
export async function makeDemoPages(host = WRITTEN_HOST): Promise<DemoPages> {
  const folder = await Deno.makeTempDir({ prefix: "fanfare-demo-" });
  const pages: DemoPages = {
    folder,
    async setHost(host) {
      for (const name of NAMES) {
        const text = await Deno.readTextFile(new URL(name, SOURCE));
        await Deno.writeTextFile(join(folder, name), text.replaceAll(WRITTEN_HOST, host));
      }
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
  const jquery = createRequire(import.meta.url).resolve("jquery");
  await Deno.copyFile(jquery, join(folder, "jquery.js"));
  await pages.setHost(host);
  return pages;
}
