/** A server of its own, a client that is known, and the mutations between them. */
import { type ChildServer, spawnServer, within } from "../../helpers/child_server.ts";
import { newKey } from "../../../static/client/fanfare.js";
import { accountOf, cookieOf, NativeClient } from "../../helpers/server.ts";
import { fuzz, type FuzzReport } from "./fuzz.ts";
import { CLAIMS, TOKEN_HEAD } from "./seeds.ts";
import { signer } from "./sign.ts";

/** How long the known client may wait for its message, in milliseconds. */
const MESSAGE_TIME = 5000;

/** What the proxy adds that the server expects in front of it. */
const FROM = { "x-forwarded-for": "192.0.2.1" };

/** A run that was wrong, with the line that plays it again. */
export class FuzzFailure extends Error {
  override name = "FuzzFailure";
}

/**
 * Runs cases against a server of its own.
 *
 * @param options The seed, which case to begin with, how many at most, and for how many milliseconds at most.
 * @returns What came of it.
 * @throws {FuzzFailure} If the server ended, wrote of an error, answered with one of its own, or the known client lost a message.
 */
export async function runFuzz(
  { seed, first = 0, cases, limit }: { seed: number; first?: number; cases: number; limit: number },
): Promise<FuzzReport> {
  const data = await Deno.makeTempDir({ prefix: "fanfare-fuzz-" });
  const secret = newKey();
  const secretFile = `${data}/secret.txt`;
  await Deno.writeTextFile(secretFile, secret);
  await using server = await spawnServer({
    data,
    flags: ["--jwt-secret-file", secretFile, "--open", "--trust-proxy"],
  });
  try {
    const host = `127.0.0.1:${await server.listening}`;
    const ended = { now: false };
    void server.ended.then(() => ended.now = true);
    await using known = await NativeClient.open({ host }, FROM);
    await known.do("subscribe", { channel: "room:known" });
    const cookie = await cookieOf({ url: `http://${host}` }, "/to_chat/", FROM);
    const account = await accountOf({ host }, cookie, FROM);
    const sign = await signer(secret);
    const token = await sign(TOKEN_HEAD, CLAIMS[0]);
    const wrong = (what: string) =>
      new FuzzFailure(`${what}; again: deno task fuzz --seed ${seed} --cases ${first + cases}`);
    let told = 0;
    const report = await fuzz({
      host,
      cookie,
      account,
      token,
      sign,
      seed,
      first,
      cases,
      until: performance.now() + limit,
      async onThousand(done) {
        if (ended.now) throw wrong(`The server ended before case ${first + done}`);
        const count = ++told;
        await within(hear(known, { host }, count), MESSAGE_TIME, `message ${count}`)
          .catch((error) => {
            throw wrong(
              `The known client lost its message at case ${first + done}: ${error.message}`,
            );
          });
      },
    });
    assertQuiet(server, report, wrong);
    return report;
  } finally {
    await server[Symbol.asyncDispose]();
    await Deno.remove(data, { recursive: true });
  }
}

async function hear(known: NativeClient, server: { host: string }, count: number): Promise<void> {
  await using other = await NativeClient.open(server, FROM);
  await other.do("publish", { channel: "room:known", data: count, key: `known-${count}` });
  for (;;) if ((await known.hear("message")).key === `known-${count}`) return;
}

function assertQuiet(
  server: ChildServer,
  { faults }: FuzzReport,
  wrong: (what: string) => FuzzFailure,
): void {
  if (faults.length > 0) throw wrong(`Wrong answers: ${faults.join("; ")}`);
  if (server.troubles.length > 0) throw wrong(`Errors in the log: ${server.troubles.join("; ")}`);
}
