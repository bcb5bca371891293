/** JSON on one line for every reader of lines: Python's `splitlines` and httpx break lines at more characters than a line feed. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { native } from "../../lib/codecs/native.ts";
import { formatsOf } from "../../lib/codecs/ntfy.ts";
import { sse } from "../../lib/codecs/event_stream.ts";
import { onOneLine, toJson } from "../../lib/protocol/json.ts";
import { messageJson } from "../../lib/protocol/message.ts";
import { NativeClient, startServer, TestSocket } from "../helpers/server.ts";

// Where Python ends a line, besides CR, LF and what JSON has to escape.
const BREAKS = /[[\p{Cc}\p{Zl}\p{Zp}]--[\t\n\r]]/v;
const TEXT = "one\u2028two\u2029three\x85four";
const message = { channel: "push:a", seq: 1, time: 1, from: null, key: TEXT };

Deno.test("no codec sends a character at which a reader of lines would break a line", () => {
  const data = JSON.stringify({ text: TEXT, title: TEXT, [TEXT]: [TEXT] });
  const told = { ...message, data };
  const signal = { channel: "push:a", from: null, data };
  const member = { account: "ada", name: TEXT };
  const lines = [
    messageJson(told),
    native.message(told),
    native.signal(signal) ?? "",
    native.presence({ channel: "push:a", version: 1, count: 1, joined: [member] }) ?? "",
    sse("epoch").message(told),
    ...Object.values(formatsOf("epoch")).map(({ codec }) => codec.message(told)),
  ];
  for (const line of lines) assertEquals([line, BREAKS.test(line)], [line, false]);
  const [first = "{}"] = lines;
  assertEquals(JSON.parse(first), { ...message, data: JSON.parse(data) });
  const plain = '{"text":"a é 永"}';
  assertEquals(onOneLine(plain) === plain, true);
  assertEquals(JSON.parse(toJson(TEXT)), TEXT);
});

Deno.test("nothing that a server answers or streams has one either", async () => {
  await using server = await startServer();
  await using client = await NativeClient.open(server);
  await client.do("publish", { channel: "push:a", data: { text: TEXT }, key: TEXT });
  const texts: string[] = [];
  for (
    const path of [
      "/api/channels/push:a/messages",
      "/push/a/json?poll=1&since=all",
      "/push/a/sse?poll=1&since=all",
      `/api/channels/push:a/messages?${encodeURIComponent(TEXT)}=1`,
    ]
  ) {
    texts.push(await (await fetch(server.url + path)).text());
  }
  const pushed = await fetch(`${server.url}/push/a`, { method: "POST", body: TEXT });
  texts.push(await pushed.text());
  await using socket = await TestSocket.open(`ws://${server.host}/ws`);
  for (
    const line of [
      { id: 1, [TEXT]: {} },
      { id: 1, ping: { [TEXT]: 1 } },
      { id: 1, history: { channel: "push:a" } },
      { id: 1, subscribe: { channel: "push:a", history: 10 } },
    ]
  ) {
    socket.send(JSON.stringify(line));
    texts.push(await socket.next());
  }
  for (const text of texts) assertEquals([text, BREAKS.test(text)], [text, false]);
  assertStringIncludes(texts[0] ?? "", "\\u2028");
});
