/** Programs of the machine that tests work with. A machine without one fails with what to install: nothing is passed over. */

// Debian's packages; where the program is not on the path of every user.
const TOOLS = {
  caddy: { package: "caddy", also: [] },
  curl: { package: "curl", also: [] },
  nginx: { package: "nginx-light", also: ["/usr/sbin", "/usr/local/sbin"] },
  "firefox-esr": { package: "firefox-esr", also: [] },
  MiniBrowser: {
    package: "libwebkit2gtk-4.1-0",
    also: [`/usr/lib/${Deno.build.arch}-linux-gnu/webkit2gtk-4.1`],
  },
  WebKitWebDriver: { package: "webkit2gtk-driver", also: [] },
  Xvfb: { package: "xvfb", also: [] },
  node: { package: "nodejs", also: [] },
  python3: { package: "python3", also: [] },
  script: { package: "bsdutils", also: [] },
} as const;

/**
 * Finds a program.
 *
 * @param name Which.
 * @returns Its path.
 * @throws {Error} If it isn't there; the message says what to install.
 */
export function tool(name: keyof typeof TOOLS): string {
  const { also, package: from } = TOOLS[name];
  for (const folder of [...Deno.env.get("PATH")?.split(":") ?? [], ...also]) {
    const path = `${folder}/${name}`;
    if (isFile(path)) return path;
  }
  throw new Error(`This test needs ${name}: install it, on Debian by "apt-get install ${from}"`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
