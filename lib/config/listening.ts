/** Where a server listens: its address, its certificate and its socket file. */
import { type Config, ConfigError } from "./config.ts";
import { readNamed } from "./system_errors.ts";
import type { EdgeSettings } from "../isolates/messages.ts";

/**
 * Writes an address as people open it.
 *
 * @param address Where a server listens.
 * @param secure Whether by TLS.
 * @returns `http://host:port/`.
 */
export function urlOf(address: Deno.NetAddr | Deno.UnixAddr, secure = false): string {
  if (!("port" in address)) return `unix:${address.path}`;
  const { hostname, port } = address;
  return `http${secure ? "s" : ""}://${
    hostname.includes(":") ? `[${hostname}]` : hostname
  }:${port}/`;
}

/**
 * Begins the sentence for a start that fails where it listens.
 *
 * @param config What the program was told.
 * @returns The beginning.
 */
export function listening({ host, port, unix }: Config): string {
  return unix === undefined
    ? `Cannot listen on ${host}:${port} (--host and --port)`
    : `Cannot listen on "${unix}" (--unix)`;
}

/**
 * Reads the certificate and its key, and looks whether they can be used.
 *
 * @param config What the program was told.
 * @returns Both in PEM; undefined where it serves without TLS.
 * @throws {ConfigError} If a file can't be read, or they don't fit.
 */
export async function certificate({ tls, host }: Config): Promise<EdgeSettings["tls"]> {
  if (tls === undefined) return undefined;
  const [cert, key] = [await readNamed(tls.cert, "cert"), await readNamed(tls.key, "key")];
  try {
    // Whether they can be used is told before a listener is given up for them.
    Deno.listenTls({ hostname: host, port: 0, cert, key }).close();
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      `Cannot use "${tls.cert}" with the key "${tls.key}" (--cert and --key): ${sentence}`,
    );
  }
  return { cert, key };
}

/**
 * Removes the file of a socket that a killed process left behind: nobody could listen there.
 *
 * @param path The socket's file.
 * @throws {Error} If something else is there, or another process listens.
 */
export async function removeStale(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (there === undefined) return;
  if (!there.isSocket) throw new Error(`Cannot listen on "${path}": it is there, and no socket`);
  const answers = await Deno.connect({ transport: "unix", path }).then(
    (connection) => {
      connection.close();
      return true;
    },
    () => false,
  );
  if (answers) throw new Error(`Cannot listen on "${path}": another process does`);
  await Deno.remove(path);
}
