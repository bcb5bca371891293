/** WebKit, as WebKitGTK has it, by WebDriver: the engine of Safari, on a screen that nobody sees. */
import type { OtherBrowser } from "./firefox.ts";
import { tool } from "./tools.ts";
import { Window } from "./window.ts";

const STARTS_IN = 30_000;

/**
 * Starts what drives WebKit; each window is a browser of its own.
 *
 * @returns The browser; it ends when it is disposed of.
 * @throws {Error} If something of it isn't there, or doesn't start.
 */
export async function launchWebKit(): Promise<OtherBrowser> {
  const parts = new AsyncDisposableStack();
  try {
    const args = ["-displayfd", "1", "-screen", "0", "1400x1000x24"];
    const screen = start(parts, tool("Xvfb"), args);
    const display = `:${await firstLine(screen.stdout)}`;
    // A driver has one session.
    const spare = [await drive(parts, display)];
    return {
      version: spare[0]?.version ?? "",
      open: async () => windowOf(spare.pop() ?? await drive(parts, display)),
      [Symbol.asyncDispose]: () => parts.disposeAsync(),
    };
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

function start(
  parts: AsyncDisposableStack,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Deno.ChildProcess {
  const pipes = { stdin: "null", stdout: "piped", stderr: "null" } as const;
  const process = new Deno.Command(program, { args: [...args], env, ...pipes }).spawn();
  parts.defer(async () => {
    process.kill("SIGTERM");
    await process.stdout.cancel();
    await process.status;
  });
  return process;
}

async function drive(parts: AsyncDisposableStack, DISPLAY: string): Promise<Session> {
  const port = freePort();
  // The sandbox of its pages needs what containers don't give.
  const env = { DISPLAY, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" };
  start(parts, tool("WebKitWebDriver"), ["-p", String(port)], env);
  return await Session.open(`http://127.0.0.1:${port}`);
}

function windowOf(session: Session): Window {
  return new Window({
    async go(url) {
      await session.do("POST", "/url", { url });
    },
    async call(source) {
      const script = `const done = arguments[arguments.length - 1];
        (${source})().then(done, (error) => done({ error: String(error) }));`;
      const value = await session.do("POST", "/execute/async", { script, args: [] });
      if (typeof value !== "string") throw new Error(String(Object(value).error));
      return value;
    },
    async press(keys) {
      const actions = keys.flatMap((value) => [
        { type: "keyDown", value },
        { type: "keyUp", value },
      ]);
      await session.do("POST", "/actions", {
        actions: [{ type: "key", id: "keyboard", actions }],
      });
    },
    async end() {
      await session.do("DELETE", "");
    },
  });
}

/** One browser, as its driver has it. */
class Session {
  private constructor(readonly url: string, readonly version: string) {}

  static async open(driver: string): Promise<Session> {
    const options = { binary: tool("MiniBrowser"), args: ["--automation"] };
    const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": options } };
    const deadline = Date.now() + STARTS_IN;
    for (;;) {
      try {
        const made = Object(await ask("POST", `${driver}/session`, { capabilities }));
        const { browserName, browserVersion } = Object(made.capabilities);
        return new Session(
          `${driver}/session/${made.sessionId}`,
          `WebKitGTK ${browserVersion} (${browserName})`,
        );
      } catch (error) {
        // It doesn't listen yet.
        if (!(error instanceof TypeError) || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  do(method: string, path: string, body?: unknown): Promise<unknown> {
    return ask(method, this.url + path, body);
  }
}

async function ask(method: string, url: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, { method, ...body ? { body: JSON.stringify(body) } : {} });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${value?.error}: ${value?.message}`);
  return value;
}

async function firstLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  const reader = stream.getReader();
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("Cannot start Xvfb: it has ended");
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text.trim();
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
