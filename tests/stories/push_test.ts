/** `/push/NAME`: one-line publishing, and reading with the habits of ntfy. */
import { assertEquals } from "@std/assert";
import { EventStream, http } from "../helpers/http.ts";
import { startServer, TestSocket } from "../helpers/server.ts";

Deno.test(
  "one line publishes, with ntfy's headers, their short names, query parameters and encoded titles",
  async () => {
    await using server = await startServer();
    const push = async (path: string, text: string, headers: Record<string, string> = {}) => {
      const form = { "content-type": "application/x-www-form-urlencoded" };
      return await http(server, path, { method: "POST", text, headers: { ...form, ...headers } });
    };
    const first = await push("/push/backups", "Backup done");
    const { seq, time } = Object(first.body);
    assertEquals([first.status, first.body], [201, {
      channel: "push:backups",
      seq,
      time,
      from: null,
      data: { text: "Backup done" },
    }]);
    const dataOf = async (...ask: Parameters<typeof push>) =>
      Object((await push(...ask)).body).data;
    const whole = {
      text: "x",
      title: "T",
      priority: 5,
      tags: ["a", "b c"],
      click: "https://a.example/",
    };
    const { text: _, ...rest } = whole;
    assertEquals(
      await dataOf("/push/a", "x", {
        Title: "T",
        Priority: "5",
        Tags: "a, b c",
        Click: rest.click,
      }),
      whole,
    );
    assertEquals(
      await dataOf("/push/a/", "x", { t: "T", p: "urgent", ta: "a,b c", "x-click": rest.click }),
      whole,
    );
    assertEquals(
      await dataOf(`/push/a?title=T&prio=max&tags=a,b%20c&click=${rest.click}`, "x"),
      whole,
    );
    assertEquals(
      (await dataOf("/push/a", "x", { t: "=?UTF-8?B?44GC?= =?utf-8?q?=E3=81=84_u?=" })).title,
      "あい u",
    );
    assertEquals((await dataOf("/push/a", "", { m: "in a header" })).text, "in a header");
    assertEquals((await dataOf("/push/a", "")).text, "triggered");
    assertEquals((await dataOf("/push/a", "one\r\ntwo\u0007\n")).text, "one\ntwo");
    const key = { "idempotency-key": "once" };
    const one = await push("/push/a", "first", key);
    const again = await push("/push/a", "second", key);
    assertEquals([again.status, again.body], [200, { ...Object(one.body), duplicate: true }]);
    const put = await http(server, "/push/a", { method: "PUT", text: "put" });
    assertEquals(put.status, 201);
  },
);

Deno.test("H13: titles, tags and links with line feeds or other than web addresses are refused", async () => {
  await using server = await startServer();
  for (
    const query of [
      "t=a%0d%0ab",
      "t=a%E2%80%A8b",
      "t=%00",
      "ta=a,b%0ac",
      "click=javascript:alert(1)",
      "click=data:text/html,x",
      "p=6",
      "p=constructor",
      `t=${"x".repeat(1001)}`,
    ]
  ) {
    const answer = await http(server, `/push/a?${query}`, { method: "POST", text: "x" });
    assertEquals(answer.status, 400, query);
  }
  for (const name of ["a%20b", "a%0ab", "%E2%80%AE", "x".repeat(129), "*"]) {
    assertEquals(
      (await http(server, `/push/${name}`, { method: "POST", text: "x" })).status,
      400,
      name,
    );
  }
  const encoded = { title: "=?utf-8?q?a=0Ab?=" };
  const hidden = await http(server, "/push/a", { method: "POST", text: "x", headers: encoded });
  assertEquals(hidden.status, 400);
  const nul = await http(server, "/push/a", { method: "POST", text: "a\0b" });
  assertEquals(nul.status, 400);
  assertEquals(Object((await http(server, "/api/channels/push:a/messages")).body).messages, []);
  assertEquals((await http(server, "/push/a")).status, 405);
});

Deno.test(
  "pushes are read as ntfy's subscribers do: json, sse, raw, ws; polled, and since when",
  async () => {
    await using server = await startServer();
    const seqs: number[] = [];
    for (const text of ["one", "two\nlines", "three"]) {
      const { body } = await http(server, "/push/a", { method: "POST", text, headers: { t: "T" } });
      seqs.push(Object(body).seq);
      await http(server, "/push/other", { method: "POST", text: "else" });
    }
    const lines = (body: unknown) => String(body).split("\n").filter((line) => line !== "");
    const poll = async (query: string) =>
      lines((await http(server, `/push/a/json?poll=1${query}`)).body).map((line) =>
        JSON.parse(line)
      );
    const all = await poll("");
    assertEquals(all.map(({ message }) => message), [
      "one",
      "two\nlines",
      "three",
    ]);
    assertEquals(Object.keys(all[0]), [
      "id",
      "time",
      "event",
      "topic",
      "message",
      "title",
    ]);
    const { id, event, topic, title } = all[0];
    assertEquals([id.replace(/^[a-z]{6}/, ""), event, topic, title], [
      `${seqs[0]}`,
      "message",
      "a",
      "T",
    ]);
    assertEquals((await poll("&since=latest")).map(({ message }) => message), ["three"]);
    assertEquals((await poll(`&since=${seqs[1]}`)).map(({ message }) => message), ["three"]);
    assertEquals((await poll("&since=10m")).length, 3);
    assertEquals((await poll(`&since=${all[0].time}`)).length, 3);
    assertEquals((await poll(`&since=${all[0].time + 3600}`)).length, 0);
    assertEquals((await poll("&since=none")).length, 0);
    assertEquals((await http(server, "/push/a/json?poll=1&since=yesterday")).status, 400);
    const raw = await http(server, "/push/a/raw?poll=1");
    assertEquals(lines(raw.body), ["one", "two lines", "three"]);
    await using stream = await EventStream.open(server, "/push/a/sse?since=all");
    assertEquals((await stream.next())?.event, "open");
    for (const { message } of all) {
      assertEquals(JSON.parse((await stream.next())?.data ?? "").message, message);
    }
    const socket = await TestSocket.open(`ws://${server.host}/push/a/ws?since=${seqs[1]}`);
    assertEquals(JSON.parse(await socket.next()).event, "open");
    assertEquals(JSON.parse(await socket.next()).message, "three");
    await http(server, "/push/a", { method: "POST", text: "live" });
    assertEquals(JSON.parse(await socket.next()).message, "live");
    assertEquals(JSON.parse((await stream.next())?.data ?? "").message, "live");
    await socket.close();
  },
);
