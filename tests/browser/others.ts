/**
 * The pages in Firefox and in WebKit, each driven by its own keyboard: `deno task test:others`. The machine has to have them; the
 * stories in full are told in Chromium.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { launchFirefox } from "../helpers/firefox.ts";
import { startServer, type TestServer } from "../helpers/server.ts";
import { launchWebKit } from "../helpers/webkit.ts";
import { KEYS, type Window } from "../helpers/window.ts";

const BOX = ".composer textarea";

const has = (selector: string, text = "") =>
  [...document.querySelectorAll(selector)].some(({ textContent }) => textContent?.includes(text));
const heard = (window: Window, text: string) => window.until(has, ".message .text", text);

for (const [name, launch] of [["Firefox", launchFirefox], ["WebKit", launchWebKit]] as const) {
  Deno.test(`two people talk, lose the server, push and read in ${name}`, async (test) => {
    await using browser = await launch();
    console.log(browser.version);
    await using rooms = await startServer();
    await using ada = await browser.open();
    await using bob = await browser.open();
    await test.step("a name, a mention, a reply, all by keyboard", () => talk(rooms, ada, bob));
    await test.step("a private word", () => whisper(ada, bob));
    await test.step("older messages come without a jump", () => scroll(rooms, bob));
    await test.step("pushes, while one reads further down", () => push(rooms, ada, bob));
    await test.step("home and reference", () => read(rooms, bob));
    await test.step("without a server, and back", () => lose(rooms, ada, bob));
  });
}

/** Both are in the lobby, and know each other. */
async function talk({ url }: TestServer, ada: Window, bob: Window): Promise<void> {
  for (const one of [ada, bob]) await one.go(`${url}/to_chat/`);
  await bob.until(() => document.querySelectorAll(".members li").length === 2);
  await ada.until(has, ".me .name");
  await ada.click(".me .rename");
  await ada.until(() => document.activeElement?.matches(".me input") === true);
  await ada.type("", `Ada${KEYS.enter}`);
  await bob.until(has, ".members", "Ada");
  await ada.type(BOX, `hello${KEYS.enter}`);
  await heard(bob, "hello");
  await bob.type(BOX, "@Ad");
  await bob.until(has, ".completions li", "Ada");
  await ada.until(has, ".typing", "typing");
  await bob.type("", `${KEYS.tab}look${KEYS.enter}`);
  await ada.until(has, ".calls-me .mention.own", "@Ada");
  await bob.type(BOX, `${KEYS.up}${KEYS.enter}`);
  await bob.until(has, ".replying");
  await bob.type(BOX, `once more${KEYS.enter}`);
  await ada.until(has, "button.quote .excerpt", "look");
}

async function whisper(ada: Window, bob: Window): Promise<void> {
  await bob.click(".members a", "Ada");
  await bob.until(has, "h1", "Ada");
  await bob.type(BOX, `psst${KEYS.enter}`);
  await ada.until(has, ".talk.unread .last", "psst");
}

async function scroll({ url }: TestServer, window: Window): Promise<void> {
  const client = `${url}/fanfare.js`;
  await window.run(async (client) => {
    const { connect } = await import(client);
    const fanfare = connect({ adopts: () => false });
    for (let i = 0; i < 15; i++) {
      await Promise.all(
        Array.from(
          { length: 20 },
          (_, k) =>
            fanfare.publish("room:long", { text: `line ${i * 20 + k}${" word".repeat(k * 2)}` }),
        ),
      );
    }
    await fanfare.close();
  }, client);
  await window.go(`${url}/to_chat/?anew#room:long`);
  await window.until(() => document.querySelectorAll(".message").length >= 40);
  const { jump, first } = await window.run(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const top = (seq: string | undefined) =>
      document.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect().top;
    let jump = 0;
    for (let i = 0; i < 200; i++) {
      const seen = [...document.querySelectorAll<HTMLElement>(".message")].find((message) =>
        message.getBoundingClientRect().top > 250
      );
      const before = top(seen?.dataset.seq);
      document.querySelector(".timeline")?.scrollBy(0, -160);
      await frame();
      await frame();
      const after = top(seen?.dataset.seq);
      if (before === undefined || after === undefined) continue;
      jump = Math.max(jump, after - before - 160, before - after);
    }
    return { jump, first: document.querySelector(".message .text")?.textContent };
  });
  assertEquals([jump < 3, first], [true, "line 0"], `it jumped by ${jump} pixels`);
}

async function push({ url }: TestServer, sender: Window, receiver: Window): Promise<void> {
  await receiver.go(`${url}/to_recmsg/?topic=builds`);
  await receiver.until(has, "pre");
  await sender.go(`${url}/to_sendmsg/?topic=builds`);
  await sender.type("#msg", "by hand");
  await sender.click("form.one > button");
  await receiver.until(has, ".push .text", "by hand");
  const send = async (from: number, to: number) => {
    for (let i = from; i <= to; i++) {
      const answer = await fetch(`${url}/push/builds`, { method: "POST", body: `push ${i}` });
      await answer.body?.cancel();
    }
  };
  await send(1, 90);
  await receiver.until(() => document.querySelector(".push .text")?.textContent === "push 90");
  const place = () => [...document.querySelectorAll(".push")].at(20)?.getBoundingClientRect().top;
  await receiver.run(async () => {
    scrollTo(0, 900);
    // The page is told of a scroll with the next frame.
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  });
  const before = await receiver.run(place);
  await send(91, 95);
  await receiver.until(has, ".to-top", "5 new");
  assertEquals(await receiver.run(place), before);
  await receiver.click(".to-top");
  await receiver.until(() => document.querySelector(".push .text")?.textContent === "push 95");
}

async function read({ url }: TestServer, window: Window): Promise<void> {
  for (const path of ["/", "/docs"]) {
    await window.go(url + path);
    await window.until(has, "h2");
    const wide = () => document.documentElement.scrollWidth > innerWidth;
    assertEquals(await window.run(wide), false, path);
  }
}

async function lose(server: TestServer, ada: Window, bob: Window): Promise<void> {
  for (const one of [ada, bob]) await one.go(`${server.url}/to_chat/?again#room:lobby`);
  await ada.until(() => document.querySelectorAll(".members li").length === 2);
  await server.restart(async () => {
    await ada.until(has, ".banner");
    await ada.type(BOX, `while away${KEYS.enter}`);
    await ada.until(has, ".unsent.pending .said", "while away");
  });
  await ada.until(() => document.querySelector(".banner, .tray") === null);
  await heard(bob, "while away");
}
