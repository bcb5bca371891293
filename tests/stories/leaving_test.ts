/** A server that goes away, over HTTP: 503 for what is new, and after every other refusal (protocol.md, "HTTP"). */
import { assertEquals } from "@std/assert";
import { directBus } from "../../lib/bus/bus.ts";
import { Core } from "../../lib/core/core.ts";
import { localSequencer } from "../../lib/sequencer/sequencer.ts";
import { startEdge } from "../../lib/isolates/edge.ts";
import { native } from "../../lib/codecs/native.ts";
import { NativeSession } from "../../lib/sessions/native.ts";
import { Sockets } from "../../lib/transports/sockets.ts";
import { Log } from "../../lib/store/writer.ts";
import { EDGE_TOKEN, edgeSettings } from "../helpers/edge.ts";
import { type Ask, http } from "../helpers/http.ts";
import { UNBOUNDED } from "../helpers/limits.ts";
import { tempFolder } from "../helpers/log.ts";
import { ask, HANDSHAKE } from "../helpers/raw_http.ts";
import { cookieOf, NativeClient } from "../helpers/server.ts";
import { World } from "../helpers/world.ts";

const ADMIN = { authorization: `Bearer ${EDGE_TOKEN}` };

Deno.test("who comes while it leaves is told what is wrong, and else to come back; who is in goes on", async () => {
  using folder = tempFolder();
  const path = `${folder.path}/log.db`;
  const log = new Log(path, () => "epoch");
  const bus = directBus();
  const now = () => performance.now();
  const sequencer = localSequencer(log, Date.now);
  const core = new Core({ bus: bus.core, log, sequencer, now, limits: UNBOUNDED });
  const settings = edgeSettings(path);
  const edge = await startEdge(settings, {
    ...{ bus: bus.edge, seq: log.seq, clock: Date.now, reusePort: false, name: "core" },
    metrics: () => Promise.resolve(""),
  });
  const { address } = edge.server;
  const host = `127.0.0.1:${"port" in address ? address.port : 0}`;
  const server = { host, url: `http://${host}` };
  const cookie = await cookieOf(server);
  await using inside = await NativeClient.open(server, { cookie });
  await inside.do("publish", { channel: "room:a", data: 1 });
  edge.server.refuseNew();
  const seq = log.seq;
  const room = "/api/channels/room:a/messages";
  const json = { data: 1 };
  const text = { "content-type": "text/plain" };
  const put = { method: "PUT", headers: ADMIN };
  const steps: [string, Ask, number][] = [
    [room, { headers: { origin: "https://evil.example" }, json }, 403],
    [room, { method: "DELETE" }, 405],
    [room, { json }, 401],
    [room, {}, 401],
    ["/api/channels", { headers: { authorization: "Bearer wrong" } }, 401],
    [room, { headers: { cookie, ...text }, text: "x" }, 415],
    [room, { headers: { cookie }, json: {} }, 400],
    [`${room}?limit=0`, { headers: { cookie } }, 400],
    ["/api/channels", { headers: { cookie } }, 403],
    ["/api/channels/dm:a.b/messages", { headers: { cookie } }, 403],
    ["/api/nothing", {}, 404],
    [room, { headers: { cookie }, json }, 503],
    [room, { headers: { cookie } }, 503],
    ["/api/messages", { headers: { cookie }, json: [{ channel: "room:a", data: 1 }] }, 503],
    ["/api/me", { headers: { cookie } }, 503],
    ["/api/channels", { headers: ADMIN }, 503],
    ["/api/withdrawals", { headers: ADMIN, json: { jti: "x" } }, 503],
    ["/api/accounts/ada/mute", put, 503],
    ["/events?channel=push:a", {}, 503],
    ["/push/a/json?poll=1", {}, 503],
    ["/push/a", { text: "x" }, 503],
    ["/to_chat/", {}, 503],
    ["/send/", { headers: FORM, text: "msg=x" }, 503],
    ["/healthz", {}, 200],
    ["/readyz", {}, 503],
  ];
  for (const [where, request, status] of steps) {
    const answer = await http(server, where, request);
    assertEquals(answer.status, status, `${where} ${JSON.stringify(request)}`);
    assertEquals(answer.headers.get("retry-after"), status === 503 ? "2" : null, where);
  }
  for (const path of ["/ws", "/link/", "/chat/"]) {
    assertEquals((await ask(host, { path, headers: HANDSHAKE })).status, 503, path);
  }
  const unasked = { ...HANDSHAKE, "sec-websocket-protocol": "another" };
  assertEquals((await ask(host, { path: "/ws", headers: unasked })).status, 400);
  // Nothing of it was done, and who was there before still is.
  assertEquals(log.seq, seq);
  assertEquals((await inside.do("publish", { channel: "room:a", data: 2 })).seq, seq + 1);
  const left = edge.server.leave({ spread: 0, retry: 100 });
  assertEquals(await inside.socket.closed, 1001);
  await left;
  await core.settle();
  core.close();
  edge.close();
  log.close();
});

const FORM = { "content-type": "application/x-www-form-urlencoded" };

Deno.test("a socket whose handshake was answered before all were sent away is closed as it opens, and one that comes later isn't let in", async () => {
  using folder = tempFolder();
  const world = await World.open(folder.path);
  const sockets = new Sockets(world.edge);
  const who = { account: "ada", admin: false };
  const sessions: NativeSession[] = [];
  const welcome = {
    ...{ codec: native, who, protocol: "fanfare.v1", headers: new Headers() },
    begin: (connection: ConstructorParameters<typeof NativeSession>[0]) => {
      const session = new NativeSession(connection, who, world.edge);
      sessions.push(session);
      return session;
    },
  };
  const caller = { address: "127.0.0.1", secure: false };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const response = await sockets.upgrade(request, caller, welcome);
      sockets.end();
      return response;
    },
  );
  const meet = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}/ws`, "fanfare.v1");
    // As quick as a client can be.
    socket.onopen = () => socket.send('{"id":1,"hello":{}}');
    socket.onerror = (event) => event.preventDefault();
    return await new Promise<number>((resolve) => socket.onclose = ({ code }) => resolve(code));
  };
  // What Deno says where the handshake was refused.
  assertEquals([await meet(), await meet()], [1001, 0]);
  assertEquals([sessions.length, sockets.size], [0, 0]);
  await server.shutdown();
  world.close();
});
