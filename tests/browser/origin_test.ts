/** A page of another origin that is allowed: it loads the library, publishes and follows with a token, and has no cookie of ours. */
import { assertEquals } from "@std/assert";
import { SignJWT } from "jose";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { startServer } from "../helpers/server.ts";

const SECRET = "a secret of at least thirty-two characters";

const PAGE = `<!doctype html><title>elsewhere</title><script type="module">
  const { at, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const { connect, follow } = await import(at + "/fanfare.js");
  const client = connect({ url: at, token });
  const path = at + "/api/channels/room:a/messages";
  const headers = { authorization: "Bearer " + token, "content-type": "application/json" };
  const post = (data) => fetch(path, { method: "POST", headers, body: JSON.stringify({ data }) });
  const following = follow(["room:a"], { url: at, token });
  const first = following.next();
  let done = false;
  void first.then(() => done = true);
  const statuses = new Set();
  for (let n = 0; !done; n++) statuses.add((await post(n)).status);
  const { value } = await first;
  await client.publish("room:a", "by socket");
  const seen = [...statuses].join() + " " + value.message.from + " " + client.account + " " + typeof value.message.data;
  document.title = seen;
  const foreign = await fetch(at + "/api/me", { credentials: "include" }).then((r) => r.status, () => "blocked");
  document.title = seen + " " + foreign;
</script>`;

Deno.test("a page of an allowed origin publishes and follows with a token; with credentials it gets nothing", async () => {
  await using other = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(PAGE, { headers: { "content-type": "text/html" } }),
  );
  const origin = `http://127.0.0.1:${other.addr.port}`;
  const jwtSecretFile = await Deno.makeTempFile();
  await Deno.writeTextFile(jwtSecretFile, SECRET);
  await using server = await startServer({ origins: [origin], jwtSecretFile });
  const token = await new SignJWT({ sub: "user-17" }).setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1h").sign(new TextEncoder().encode(SECRET));
  await using browser = await launchBrowser();
  const page = await (await browser.newContext({ locale: "en-US" })).newPage();
  await page.goto(`${origin}/#at=${encodeURIComponent(server.url)}&token=${token}`);
  await page.waitForFunction(() => document.title.split(" ").length === 5);
  assertEquals(await page.title(), "201 user-17 user-17 number blocked");
});

Deno.test("the recipe for a page on another origin runs as it stands", async () => {
  const recipes = await Deno.readTextFile(
    new URL("../../static/docs/recipes.md", import.meta.url),
  );
  const [, code = ""] = [...recipes.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  const jwtSecretFile = await Deno.makeTempFile();
  await Deno.writeTextFile(jwtSecretFile, SECRET);
  const token = await new SignJWT({ sub: "user-17", name: "Ada" })
    .setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
  let page = "";
  await using other = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) =>
      new Response(request.url.endsWith("/my-token") ? token : page, {
        headers: { "content-type": "text/html" },
      }),
  );
  const origin = `http://127.0.0.1:${other.addr.port}`;
  await using server = await startServer({ origins: [origin], jwtSecretFile });
  const here = code.replaceAll("https://chat.example/", `${server.url}/`);
  page = `<!doctype html><title>elsewhere</title><body><script type="module">${here}</script>`;
  await using browser = await launchBrowser();
  const tab = await (await browser.newContext({ locale: "en-US" })).newPage();
  await tab.goto(origin);
  await tab.waitForFunction(() => document.body.innerText.includes("Ada: hello"));
});

Deno.test("the reference is shown with all that can be asked", async () => {
  await using server = await startServer();
  await using browser = await launchBrowser();
  const page = await (await browser.newContext({ locale: "en-US" })).newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${server.url}/docs`);
  await page.waitForSelector("dt");
  const names = await page.locator("dt").allTextContents();
  for (const name of ["subscribe", "refresh"]) assertEquals(names.includes(name), true, name);
  const operations = await page.locator("article").allTextContents();
  for (const name of ["POST /api/messages", "GET /events", "POST /push"]) {
    const shown = operations.filter((text) => text.trim().startsWith(name));
    assertEquals([shown.length > 0, shown[0]?.includes(`${server.url}/`)], [true, true], name);
  }
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy: GET /healthz" }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assertEquals(copied, `curl ${server.url}/healthz`);
  assertEquals(await findBarriers(page), []);
  await page.getByRole("button", { name: "切换到简体中文" }).click();
  await page.getByRole("heading", { name: "面向程序的 Fanfare" }).waitFor();
  await page.getByRole("button", { name: "复制: GET /healthz" }).waitFor();
  assertEquals(await findBarriers(page), []);
  assertEquals(errors, []);
});
