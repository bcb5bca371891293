/**
 * Ten thousand connections that are cut at once, and how long it takes until all are back with what they missed (threats.md L2):
 * `deno run -A tests/programs/bench/cut.ts [--clients 10000] [--behind 20] [-- server flags]`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { spawnServer } from "../../helpers/child_server.ts";
import { table, Watch } from "../../helpers/load/figures.ts";
import { cutAll } from "../../helpers/load/cut.ts";

/** Within so many seconds all have to be back. */
const LIMIT = 60;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: "string", default: "10000" },
    behind: { type: "string", default: "20" },
  },
});
const data = await Deno.makeTempDir({ prefix: "fanfare-bench-" });
try {
  // Nobody is an account with so many connections, nor an address of the loopback's.
  const env = { FANFARE_MAX_PER_ACCOUNT: "0" };
  await using server = await spawnServer({ data, flags: positionals, env });
  using watch = new Watch(server.pid);
  const [clients, behind] = [Number(values.clients), Number(values.behind)];
  const { seconds, half, refused, slowest } = await cutAll({
    port: await server.listening,
    clients,
    behind,
  });
  console.log(table([
    ["clients", "half back", "all back", "refused", "slowest ping of another", "memory"],
    [
      clients,
      `${half.toFixed(1)} s`,
      `${seconds.toFixed(1)} s`,
      refused,
      `${Math.round(slowest)} ms`,
      `${Math.max(...watch.memory)} MiB`,
    ],
  ]));
  if (seconds > LIMIT) throw new Error(`It took longer than ${LIMIT} s`);
} finally {
  await Deno.remove(data, { recursive: true });
}
