/**
 * The server as the program starts it, but with isolates that go wrong when they are told (faulty_worker.ts) and lose posts;
 * SIGHUP replaces them all.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { readConfig } from "../../lib/config/config.ts";
import { startLogging } from "../../lib/observability/logger.ts";
import { serve } from "../../lib/app.ts";

const config = readConfig(Deno.args, (name) => Deno.env.get(name));
if (typeof config === "string") throw new Error("Cannot start: the configuration is none");
startLogging(config.logLevel);
const worker = new URL("./faulty_worker.ts?lossy", import.meta.url);
const running = await serve(config, { worker });
Deno.addSignalListener("SIGTERM", () => void running.stop().then(() => Deno.exit(0)));
Deno.addSignalListener("SIGHUP", () => {
  void running.replaceEdges().then(() => getLogger("fanfare").info("edges.replaced"));
});
console.log(`Fanfare listens on ${running.url}`);
