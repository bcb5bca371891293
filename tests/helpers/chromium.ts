/**
 * Finds a Chromium: the machine's own, else the one inside the npm package @sparticuz/chromium.
 * Run as a program it unpacks that one into the temp folder; only {@linkcode findChromium} does so.
 *
 * @module
 */

import packaged from "@sparticuz/chromium";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Where Chromium is, and what it needs. */
export interface Chromium {
  /** The program. */
  executablePath: string;
  /** The folder with the libraries that it brings along, to go on `LD_LIBRARY_PATH`. */
  libraries?: string;
}

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/**
 * Finds Chromium; the first time on a machine that has none it is unpacked (2 s, 211 MB in the temp
 * folder), and kept there for all that come later.
 *
 * @returns The program and its libraries.
 * @throws {Error} If it can't be unpacked.
 */
export async function findChromium(): Promise<Chromium> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    for (const name of NAMES) {
      const executablePath = join(folder, name);
      if (folder && await isOurs(executablePath, [0, Deno.uid()])) return { executablePath };
    }
  }
  const folder = join(tmpdir(), `fanfare-chromium-${await packagedVersion()}-${Deno.uid()}`);
  const executablePath = join(folder, "chromium");
  using lock = await Deno.open(`${folder}.lock`, { create: true, write: true, mode: 0o600 });
  await lock.lock(true);
  if (!await isOurs(executablePath, [Deno.uid()])) await unpack(folder);
  return { executablePath, libraries: join(folder, "al2023", "lib") };
}

async function packagedVersion(): Promise<string> {
  const manifest = new URL("../package.json", import.meta.resolve("@sparticuz/chromium"));
  const { version } = JSON.parse(await Deno.readTextFile(manifest));
  return String(version);
}

/** In a shared temp folder anyone could have put a program under that name. */
async function isOurs(path: string, owners: (number | null)[]): Promise<boolean> {
  try {
    const info = await Deno.stat(path);
    return info.isFile && owners.includes(info.uid);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

/**
 * The package knows where to unpack and whether to unpack the libraries from the environment, which
 * is the whole process's; so a process of its own does it. The folder appears under its name only
 * when it is complete, since who unpacks may be killed.
 */
async function unpack(folder: string): Promise<void> {
  const staging = await Deno.makeTempDir({ dir: tmpdir(), prefix: "fanfare-chromium-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.url],
      env: { TMPDIR: staging, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" },
    }).output();
    if (!success) {
      throw new Error(`Cannot unpack Chromium: ${new TextDecoder().decode(stderr).trim()}`);
    }
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    await Deno.rename(staging, folder);
  } finally {
    await Deno.remove(staging, { recursive: true }).catch(() => {});
  }
}

if (import.meta.main) await packaged.executablePath();
