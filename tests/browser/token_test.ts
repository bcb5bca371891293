/** The send page of a closed server asks for the admin token, once, and keeps nothing of it that a script could read. */
import { assertEquals } from "@std/assert";
import { findBarriers } from "../helpers/axe.ts";
import { launchBrowser } from "../helpers/browser.ts";
import { NativeClient, startServer } from "../helpers/server.ts";

const TOKEN = "a token that is long enough";

Deno.test("I4: a closed server's send page asks for the token; what was refused is sent once it is given, and it isn't asked for again", async () => {
  const adminTokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(adminTokenFile, TOKEN);
  await using server = await startServer({ adminTokenFile });
  await using receiver = await NativeClient.open(server);
  await receiver.do("subscribe", { channel: "push:all" });
  await using browser = await launchBrowser();
  const page = await (await browser.newContext({ locale: "en-US" })).newPage();
  await page.goto(`${server.url}/to_sendmsg/`);
  const push = async (text: string) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Push", exact: true }).click();
  };
  const show = async (token: string) => {
    await page.getByRole("textbox", { name: "Admin token" }).fill(token);
    await page.getByRole("button", { name: "Use it" }).click();
  };
  await push("first");
  await page.getByRole("textbox", { name: "Admin token" }).waitFor();
  assertEquals(await findBarriers(page), []);
  await show("not this one");
  await page.getByText("The token isn't right.").waitFor();
  await show(TOKEN);
  assertEquals(Object((await receiver.hear("message")).data).text, "first");
  await push("second");
  assertEquals(Object((await receiver.hear("message")).data).text, "second");
  await page.reload();
  await push("third");
  assertEquals(Object((await receiver.hear("message")).data).text, "third");
  assertEquals(await page.getByRole("form", { name: "Admin token" }).count(), 0);
  const readable = await page.evaluate(() =>
    JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])
  );
  assertEquals(readable.includes(TOKEN) || readable.includes("fanfare_"), false);
  // The chat of the same browser still has its account.
  await page.goto(`${server.url}/to_chat/`);
  await page.locator(".composer textarea").fill("as myself");
  await page.keyboard.press("Enter");
  await page.getByText("as myself").first().waitFor();
  await Deno.remove(adminTokenFile);
});
