/** Firefox, by WebDriver BiDi: one socket, and nothing to install but the browser. */
import { tool } from "./tools.ts";
import { Window } from "./window.ts";

/** A browser that opens windows. */
export interface OtherBrowser extends AsyncDisposable {
  /** Its name and version, as it tells them. */
  readonly version: string;
  /** Opens a window with a profile of its own. */
  open(): Promise<Window>;
}

const STARTS_IN = 30_000;

/**
 * Starts a headless Firefox with a new profile.
 *
 * @returns The browser; it ends when it is disposed of.
 * @throws {Error} If there is none, or it doesn't start.
 */
export async function launchFirefox(): Promise<OtherBrowser> {
  const profile = await Deno.makeTempDir({ prefix: "fanfare-firefox-" });
  const process = new Deno.Command(tool("firefox-esr"), {
    args: ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  const end = async () => {
    process.kill("SIGTERM");
    await process.status;
    await Deno.remove(profile, { recursive: true });
  };
  try {
    const bidi = await Bidi.open(await address(profile));
    const { capabilities } = await bidi.do("session.new", { capabilities: {} });
    const { browserName, browserVersion } = Object(capabilities);
    return {
      version: `${browserName} ${browserVersion}`,
      open: () => openWindow(bidi),
      async [Symbol.asyncDispose]() {
        bidi.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Where it listens, which it writes down once it does. */
async function address(profile: string): Promise<string> {
  const deadline = Date.now() + STARTS_IN;
  for (;;) {
    try {
      const text = await Deno.readTextFile(`${profile}/WebDriverBiDiServer.json`);
      const { ws_host, ws_port } = JSON.parse(text);
      return `ws://${ws_host}:${ws_port}/session`;
    } catch (error) {
      // Not there yet, or half of it.
      const early = error instanceof Deno.errors.NotFound || error instanceof SyntaxError;
      if (!early || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function openWindow(bidi: Bidi): Promise<Window> {
  const { userContext } = await bidi.do("browser.createUserContext", {});
  const { context } = await bidi.do("browsingContext.create", { type: "window", userContext });
  return new Window({
    async go(url) {
      await bidi.do("browsingContext.navigate", { context, url, wait: "complete" });
    },
    async call(functionDeclaration) {
      const target = { context };
      const call = { functionDeclaration, target, awaitPromise: true };
      const { result, exceptionDetails } = await bidi.do("script.callFunction", call);
      if (exceptionDetails !== undefined) throw new Error(String(Object(exceptionDetails).text));
      return String(Object(result).value);
    },
    async press(keys) {
      // Keys go to the window that is in front.
      await bidi.do("browsingContext.activate", { context });
      const actions = keys.flatMap((value) => [
        { type: "keyDown", value },
        { type: "keyUp", value },
      ]);
      await bidi.do("input.performActions", {
        context,
        actions: [{ type: "key", id: "keyboard", actions }],
      });
    },
    async end() {
      await bidi.do("browsingContext.close", { context });
    },
  });
}

/** Commands on a socket, each answered under its number. */
class Bidi {
  readonly #socket: WebSocket;
  readonly #asked = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const { id, type, result, error, message } = JSON.parse(data);
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (type === "success") asked?.resolve(result);
      else asked?.reject(new Error(`${error}: ${message}`));
    };
    socket.onclose = () => {
      for (const { reject } of this.#asked.values()) reject(new Error("Firefox has ended"));
    };
  }

  static async open(url: string): Promise<Bidi> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`Cannot reach Firefox at ${url}`));
    });
    return new Bidi(socket);
  }

  do(method: string, params: unknown): Promise<Record<string, unknown>> {
    const asked = Promise.withResolvers<Record<string, unknown>>();
    const id = ++this.#id;
    this.#asked.set(id, asked);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return asked.promise;
  }

  close(): void {
    this.#socket.close();
  }
}
