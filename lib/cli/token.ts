/** `token`: makes a token for a program, signed with the secret of `--jwt-secret-file`. */
import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { ConfigError } from "../config/config.ts";
import { readSecret } from "../auth/secrets.ts";
import { isAccount } from "../protocol/channel.ts";
import { AUDIENCE, Tokens } from "../auth/tokens.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** How the command is called. */
export const TOKEN_HELP = [
  "Usage: fanfare token --sub ACCOUNT --jwt-secret-file FILE [--flag value …]",
  "",
  "  --sub ACCOUNT             whose token it is",
  "  --name NAME               the display name",
  "  --publish CHANNEL         where it may publish, like push:* (repeatable); not given: as any account",
  "  --subscribe CHANNEL       where it may read, like room:team-* (repeatable); not given: as any account",
  "  --expires TIME            after how long it ends, like 1h or 30d (1h)",
  "  --jwt-secret-file FILE    the secret, as the server has it (or FANFARE_JWT_SECRET_FILE)",
  "  --account-claim NAME      the claim that names the account (sub)",
  "  --jwt-audience NAME       for which server it is (fanfare)",
  "",
  "Exit codes: 0 made; 1 the secret can't be read, or is too short; 2 wrong command line.",
].join("\n");

/**
 * Makes a token.
 *
 * @param args What follows `token` on the command line.
 * @param env Tells an environment variable.
 * @param now Seconds since 1970.
 * @returns The token, or the help that was asked for.
 * @throws {ConfigError} If a flag is wrong; the message names it.
 */
export async function makeToken(
  args: string[],
  env: (name: string) => string | undefined,
  now: number,
): Promise<string> {
  const given = read(args);
  if (given.help) return TOKEN_HELP;
  const { sub, name, publish, subscribe, expires = "1h" } = given;
  const file = given["jwt-secret-file"] || env("FANFARE_JWT_SECRET_FILE");
  const claim = given["account-claim"] || env("FANFARE_ACCOUNT_CLAIM") || "sub";
  const audience = given["jwt-audience"] || env("FANFARE_JWT_AUDIENCE") || AUDIENCE;
  if (sub === undefined || !isAccount(sub)) {
    throw new ConfigError(
      'The flag --sub must be an account: 1 to 63 letters, digits, "_" or "-"',
    );
  }
  for (const [flag, patterns = []] of [["publish", publish], ["subscribe", subscribe]] as const) {
    const wrong = patterns.find((pattern) => !CHANNELS.test(pattern));
    if (wrong === undefined) continue;
    throw new ConfigError(`The flag --${flag} is "${wrong}", but must be like push:* or room:dev`);
  }
  const [, count = "", unit = ""] = /^(0*[1-9]\d{0,5})([smhd])$/.exec(expires) ?? [];
  if (unit === "") throw new ConfigError(`The flag --expires is "${expires}", but must be like 1h`);
  if (!file) throw new ConfigError("The flag --jwt-secret-file is missing");
  const channels = { ...(publish && { publish }), ...(subscribe && { subscribe }) };
  const secret = await readSecret(file);
  const token = await new SignJWT({
    [claim]: sub,
    ...(name === undefined ? {} : { name }),
    ...(Object.keys(channels).length === 0 ? {} : { channels }),
    aud: audience,
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + Number(count) * (UNITS[unit] ?? 0),
  }).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret);
  // What the server wouldn't take isn't given out.
  const settings = { secret, accountClaim: claim, audience, withdrawn: [] };
  const looked = await new Tokens(settings).look(token, 1000 * now);
  if ("fault" in looked) throw new ConfigError(looked.fault);
  if (name !== looked.grant.name) throw new ConfigError("The flag --name isn't a name");
  return token;
}

// A channel, or the beginning of some with a star behind.
const CHANNELS = /^(?:(?:push|room|dm):(?:[^*]+\*?|\*)|(?:|p|pu|pus|push|r|ro|roo|room|d|dm)\*)$/;

function read(args: string[]) {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true } as const;
  try {
    return parseArgs({
      args,
      options: {
        sub: text,
        name: text,
        publish: list,
        subscribe: list,
        expires: text,
        "jwt-secret-file": text,
        "account-claim": text,
        "jwt-audience": text,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new ConfigError(`${error instanceof Error ? error.message : error}; see token --help`);
  }
}
