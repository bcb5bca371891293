/** ntfy's habits: transcripts of its protocol as vectors, two clients of it from npm, and its streams with filters. */
import { assert, assertEquals } from "@std/assert";
import publishByOne from "@cityssm/ntfy-publish";
import { NtfyClient } from "ntfy";
import vectors from "../vectors/ntfy.json" with { type: "json" };
import { EventStream, http } from "../helpers/http.ts";
import { ask } from "../helpers/raw_http.ts";
import { startServer, type TestServer, TestSocket } from "../helpers/server.ts";

interface Sent {
  /** The request line without its version, then header lines, as they go over the wire in UTF-8. */
  readonly send: readonly string[];
  readonly body?: string;
}

async function send(server: TestServer, { send, body }: Sent) {
  const [line = "", ...headers] = send;
  const [method = "", path = ""] = line.split(" ");
  const length = body === undefined ? [] : [
    `content-length: ${new TextEncoder().encode(body).length}`,
  ];
  const head = [`${method} ${path} HTTP/1.1`, `host: ${server.host}`, "connection: close"];
  return await ask(server.host, [...head, ...headers, ...length, "", body ?? ""].join("\r\n"));
}

async function polled(server: TestServer, path: string): Promise<Record<string, unknown>[]> {
  const { body } = await http(server, path);
  return String(body).split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

Deno.test("what ntfy's clients send is published as they mean it, or refused", async () => {
  await using server = await startServer();
  for (const vector of vectors.publishing) {
    const { about, told } = vector;
    const answer = await send(server, vector);
    if (told === undefined) {
      assertEquals(answer.status, vector.status, about);
      const { detail = "", error = detail } = JSON.parse(answer.body);
      assert(error.startsWith(vector.detail), `${about}: ${error}`);
      continue;
    }
    assert(answer.status === 200 || answer.status === 201, `${about}: ${answer.body}`);
    const [{ id, time, ...rest } = {}] = await polled(server, "/push/t/json?poll=1&since=latest");
    assertEquals(rest, { event: "message", topic: "t", ...told }, about);
    const own = JSON.parse(answer.body);
    // Addresses that are ntfy's alone answer as it does: its client takes nothing but a 200.
    if (answer.status === 200) assertEquals(own, { id, time, ...rest }, about);
    else assertEquals(String(id).replace(/^[a-z]{6}/, ""), String(own.seq), about);
    assertEquals(
      answer.status,
      /^\w+ \/push(?:\/|\/t\/publish)?(?:\?|$)/.test(vector.send[0] ?? "") ? 200 : 201,
    );
  }
});

Deno.test("what ntfy's clients read is what they ask for", async () => {
  await using server = await startServer();
  const ids = new Map<string, string>();
  for (const push of vectors.stored) {
    ids.set(`SEQ:${push.body}`, String(JSON.parse((await send(server, push)).body).seq));
  }
  for (const { id, message } of await polled(server, "/push/t,u/json?poll=1")) {
    ids.set(`ID:${message}`, String(id));
  }
  for (const { about, send: lines, got } of vectors.reading) {
    const filled = lines.map((line) => line.replace(/(?:ID|SEQ):\w+/, (of) => ids.get(of) ?? ""));
    const [line = "", ...headers] = filled;
    const pairs = headers.map((header) => header.split(": "));
    const { body } = await http(server, line.split(" ")[1] ?? "", {
      headers: Object.fromEntries(pairs),
    });
    const texts = String(body).split(/\r?\n/).filter(Boolean).map((line) =>
      /^(?:data: )?\{/.test(line) ? JSON.parse(line.replace(/^data: /, "")).message : line
    );
    assertEquals(texts, got, about);
  }
  for (const vector of vectors.refused) {
    const answer = await send(server, vector);
    assertEquals(answer.status, vector.status, vector.about);
    assert(JSON.parse(answer.body).detail.startsWith(vector.detail), answer.body);
  }
});

Deno.test(
  "a subscription to several topics is opened, filtered and live, by JSON, events and frames",
  async () => {
    await using server = await startServer();
    const push = (name: string, text: string, query = "") =>
      http(server, `/push/${name}${query}`, { method: "POST", text });
    await push("a", "one", "?p=high");
    await push("b", "two");
    await using events = await EventStream.open(server, "/push/a,b/sse?since=all&p=4");
    const open = await events.until("open");
    assertEquals([open.data.event, open.data.topic], ["open", "a,b"]);
    const socket = await TestSocket.open(`ws://${server.host}/push/a,b/ws?since=all`);
    const texts: unknown[] = [];
    for (let i = 0; i < 3; i++) texts.push(JSON.parse(await socket.next()).message);
    assertEquals(texts, [undefined, "one", "two"]);
    await push("b", "three");
    await push("c", "elsewhere", "?p=high");
    await push("b", "four\nfive", "?p=high");
    const heard: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      heard.push(JSON.parse((await events.next())?.data ?? "{}").message);
    }
    assertEquals(heard, ["one", "four\nfive"]);
    assertEquals(JSON.parse(await socket.next()).message, "three");
    assertEquals(JSON.parse(await socket.next()).message, "four\nfive");
    await socket.close();
  },
);

Deno.test("what is polled is kept by nobody on the way", async () => {
  await using server = await startServer();
  for (const format of ["json", "sse", "raw"]) {
    for (const method of ["GET", "HEAD"]) {
      const { headers } = await http(server, `/push/t/${format}?poll=1`, { method });
      assertEquals(headers.get("cache-control"), "no-store", `${method} ${format}`);
    }
  }
});

Deno.test("a poll of more than a page comes whole, in order over several topics", async () => {
  await using server = await startServer();
  const list = Array.from({ length: 700 }, (_, i) => ({
    channel: i % 10 ? "push:busy" : "push:calm",
    data: { text: `${i}`, priority: i === 650 ? 5 : 3 },
  }));
  for (let i = 0; i < list.length; i += 100) {
    await http(server, "/api/messages", { json: list.slice(i, i + 100) });
  }
  const all = await polled(server, "/push/calm,busy/json?poll=1");
  assertEquals(all.map(({ message }) => message), list.map(({ data }) => data.text));
  const [only, ...others] = await polled(server, "/push/calm,busy/json?poll=1&p=5");
  assertEquals([only?.message, others.length], ["650", 0]);
});

Deno.test("two clients of ntfy from npm publish here", async () => {
  await using server = await startServer();
  const base = `${server.url}/push/`;
  const client = new NtfyClient({ server: base });
  const told: unknown = await client.publish({
    topic: "npm",
    message: "Disk full",
    title: "Alert",
    tags: ["warning", "disk"],
    priority: 5,
  });
  const data = { text: "Disk full", title: "Alert", priority: 5, tags: ["warning", "disk"] };
  assertEquals(Object(told).data, data);
  const done = await publishByOne({
    server: base,
    topic: "npm",
    message: "Backup done",
    title: "Nightly",
    tags: ["floppy_disk"],
    clickURL: "https://example.com/",
  });
  assertEquals(done, true);
  const got = await polled(server, "/push/npm/json?poll=1");
  assertEquals(got.map(({ id: _, time: __, ...rest }) => rest), [
    {
      event: "message",
      topic: "npm",
      message: "Disk full",
      title: "Alert",
      priority: 5,
      tags: ["warning", "disk"],
    },
    {
      event: "message",
      topic: "npm",
      message: "Backup done",
      title: "Nightly",
      priority: 3,
      tags: ["floppy_disk"],
      click: "https://example.com/",
    },
  ]);
  let refusal = "";
  await client.publish({ topic: "npm", message: "later", delay: "30min" }).catch((error: Error) =>
    refusal = error.message
  );
  assert(refusal.includes("Bad Request"), refusal);
});
