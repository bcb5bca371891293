/** A connection is a cursor: what a slow socket missed comes from the ring, or from the log, once and in order. */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { directBus } from "../../../lib/bus/bus.ts";
import { Core } from "../../../lib/core/core.ts";
import { localSequencer } from "../../../lib/sequencer/sequencer.ts";
import { Connection, type Socket } from "../../../lib/delivery/connection.ts";
import {
  FRAME_CUT,
  heldAtMost,
  LITTLE,
  PAGED,
  SendBudget,
  UNSENT,
} from "../../../lib/delivery/send_budget.ts";
import { firstPush } from "../../../lib/codecs/demo_push.ts";
import { Hub } from "../../../lib/delivery/hub.ts";
import { native } from "../../../lib/codecs/native.ts";
import { RING_BYTES } from "../../../lib/delivery/feed_ring.ts";
import { Log } from "../../../lib/store/writer.ts";
import { Reader } from "../../../lib/store/reader.ts";
import type { Codec } from "../../../lib/codecs/codec.ts";
import { UNBOUNDED } from "../../helpers/limits.ts";
import { until } from "../../helpers/world.ts";

/** A socket whose reader stops and goes on at will. */
class FakeSocket implements Socket {
  bufferedAmount = 0;
  readonly readyState = WebSocket.OPEN;
  readonly frames: string[] = [];
  /** How many lines came. */
  lines = 0;
  closed: number | undefined;

  send(frame: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    this.frames.push(String(frame));
    this.lines += String(frame).split("\n").length;
  }

  close(code?: number): void {
    this.closed = code;
  }
}

async function withHub(
  run: (parts: {
    hub: Hub;
    publish: (channel: string, data: unknown) => void;
    settle: () => Promise<void>;
    open: (codec: Codec) => { socket: FakeSocket; connection: Connection };
  }) => Promise<void>,
  budget?: SendBudget,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const log = new Log(`${folder}/log.db`, () => "epoch");
  const reader = new Reader(`${folder}/log.db`);
  const bus = directBus();
  const core = new Core({
    bus: bus.core,
    log,
    sequencer: localSequencer(log, () => 0),
    now: () => 0,
    limits: UNBOUNDED,
  });
  const hub = new Hub(bus.edge, reader, log.seq, undefined, undefined, budget);
  let opened = 0;
  await run({
    hub,
    publish(channel, data) {
      const proposal = {
        kind: "message" as const,
        channel,
        from: null,
        data: JSON.stringify(data),
      };
      bus.edge.send({ op: "propose", proposal });
    },
    settle: () => core.settle(),
    open(codec) {
      const socket = new FakeSocket();
      const connection = new Connection(`c${++opened}`, socket, codec, hub, "127.0.0.1");
      return { socket, connection };
    },
  });
  core.close();
  reader.close();
  log.close();
  await Deno.remove(folder, { recursive: true });
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

const dataOf = (socket: FakeSocket): unknown[] =>
  socket.frames.flatMap((frame) => frame.split("\n")).map((line) =>
    JSON.parse(line).message.data[0]
  );

Deno.test("one whose socket is full is sent nothing, and then all of it, from ring and log, in order over channels", async () => {
  await withHub(async ({ hub, publish, settle, open }) => {
    const slow = open(native);
    const quick = open(native);
    for (const { connection } of [slow, quick]) {
      connection.cursor.subscribe("push:a", hub.seq);
      connection.cursor.subscribe("push:b", hub.seq);
    }
    slow.socket.bufferedAmount = UNSENT;
    const filler = "x".repeat(2000);
    const count = Math.ceil((3 * RING_BYTES) / filler.length);
    for (let i = 0; i < count; i++) {
      // The second channel is sparse: it stays in its ring while the first falls out.
      publish(i % 100 === 0 ? "push:b" : "push:a", [i, filler]);
      if (i % 50 === 0) await settle();
    }
    await settle();
    const all = Array.from({ length: count }, (_, i) => i);
    await until(() => quick.socket.lines >= count);
    assertEquals(dataOf(quick.socket), all);
    assertEquals(slow.socket.frames, []);
    slow.socket.bufferedAmount = 0;
    await until(() => slow.socket.lines >= count);
    assertEquals(dataOf(slow.socket), all);
    for (const frame of slow.socket.frames) assertLess(frame.length, FRAME_CUT + 3 * filler.length);
    for (const { connection } of [slow, quick]) connection.end();
  });
});

Deno.test("connections at the same place are handed the same frame", async () => {
  await withHub(async ({ hub, publish, settle, open }) => {
    const clients = [open(native), open(native)];
    for (const { connection } of clients) connection.cursor.subscribe("push:a", hub.seq);
    publish("push:a", [1]);
    await settle();
    publish("push:a", [2]);
    publish("push:a", [3]);
    await settle();
    const [one, other] = clients.map(({ socket }) => socket.frames);
    assertEquals(one, other);
    assertEquals(one?.map((frame) => frame.split("\n").length), [1, 2]);
    for (const { connection } of clients) connection.end();
  });
});

Deno.test("clients of the first protocol get one frame for each message by the same cursor", async () => {
  await withHub(async ({ hub, publish, settle, open }) => {
    const { socket, connection } = open(firstPush);
    connection.cursor.subscribe("push:a", hub.seq);
    for (let i = 0; i < 3; i++) publish("push:a", { text: `m${i}` });
    await settle();
    assertEquals(socket.frames, ["m0", "m1", "m2"]);
    // The room that a socket keeps is that of a frame, not of all that were sent in one turn.
    socket.send = (frame) => socket.bufferedAmount += String(frame).length;
    for (let i = 3; i < 6; i++) publish("push:a", { text: `m${i}` });
    await settle();
    assertEquals([connection.unsent, connection.largest], [6, 2]);
    connection.end();
  });
});

Deno.test("words that aren't kept are dropped for a full socket, answers wait", async () => {
  await withHub(async ({ hub, open }) => {
    const { socket, connection } = open(native);
    socket.bufferedAmount = UNSENT;
    assertEquals(connection.tell("gone"), false);
    connection.answer("kept");
    await Promise.resolve();
    assertEquals(socket.frames, []);
    socket.bufferedAmount = 0;
    await until(() => socket.frames.length > 0);
    assertEquals(socket.frames, ["kept"]);
    connection.end();
    assertEquals(hub.seq, 0);
  });
});

Deno.test("where sockets hold too much each is sent little, nothing before it took that, and all of it in order", async () => {
  const most = 1_000_000;
  const budget = new SendBudget(most);
  const others = { held: most, largest: 0 };
  const filler = "x".repeat(1000);
  budget.watch([others]);
  await withHub(async ({ publish, settle, open }) => {
    const { socket, connection } = open(native);
    connection.cursor.subscribe("push:all", 0);
    let sent = 0;
    const longest = async () => {
      // Enough of it that all are counted anew.
      budget.add(most);
      const before = socket.frames.length;
      for (let i = 0; i < 400; i++) publish("push:all", [++sent, filler]);
      await settle();
      while (!dataOf(socket).includes(sent)) await turn();
      return Math.max(...socket.frames.slice(before).map(({ length }) => length));
    };
    assertGreater(await longest(), FRAME_CUT / 2);
    others.held += 1;
    assertLess(await longest(), LITTLE + 2 * filler.length);
    socket.bufferedAmount = 1;
    publish("push:all", [++sent, filler]);
    await settle();
    for (let i = 0; i < 20; i++) await turn();
    assertEquals(dataOf(socket).includes(sent), false);
    socket.bufferedAmount = 0;
    while (!dataOf(socket).includes(sent)) await turn();
    // A little less doesn't make it well again at once.
    others.held = 0.8 * most;
    assertLess(await longest(), LITTLE + 2 * filler.length);
    others.held = 0.7 * most;
    assertGreater(await longest(), FRAME_CUT / 2);
    assertEquals(dataOf(socket), Array.from({ length: sent }, (_, i) => i + 1));
  }, budget);
});

Deno.test("those who are sent little from different places are at the same places soon, and share what follows", async () => {
  const budget = new SendBudget(100);
  budget.watch([{ held: 101, largest: 0 }]);
  budget.add(100);
  await withHub(async ({ publish, settle, open }) => {
    const clients = [open(native), open(native)];
    for (const [i, { socket, connection }] of clients.entries()) {
      socket.bufferedAmount = 1;
      connection.cursor.subscribe("push:a", 5 * i);
    }
    for (let i = 1; i <= 500; i++) publish("push:a", ["x".repeat(i % 100)]);
    await settle();
    for (const { socket } of clients) socket.bufferedAmount = 0;
    await until(() => clients.every(({ socket }, i) => socket.lines === 500 - 5 * i));
    const [one = [], other = []] = clients.map(({ socket }) => socket.frames);
    assertGreater(other.length, 5);
    const ends = (frames: string[]) => frames.map((frame) => frame.length).slice(-5);
    assertEquals(ends(one), ends(other));
  }, budget);
});

Deno.test("whoever was sent much keeps the room for it, and may be sent as much again, in few sizes that others share", () => {
  const budget = new SendBudget(100);
  budget.watch([{ held: 101, largest: 0 }]);
  budget.add(100);
  const of = (largest: number) => budget.of(0, { largest });
  const frames = [0, LITTLE + 1, 9 * LITTLE, 5 * FRAME_CUT].map((largest) => of(largest).frame);
  assertEquals(frames, [LITTLE, LITTLE, 2 * LITTLE, FRAME_CUT]);
  // Answers, words and pages may come in one frame: that the largest grew by it shan't make the next one larger.
  for (const largest of [0, 9 * LITTLE, 20 * LITTLE]) {
    const { frame, page } = of(largest);
    assertEquals(of(Math.max(largest, 3 * frame + 2 * page + 1000)), of(largest));
  }
  const sizes = new Set(Array.from({ length: 2000 }, (_, i) => of(1000 * i).page));
  assertLess(sizes.size, 10);
});

Deno.test("what the sockets of an edge hold that was ended counts for the one in its place, until they are gone", () => {
  const budget = new SendBudget(100);
  const stuck = new Set([{ held: 60, largest: 0 }]);
  const frame = (now: number) => {
    budget.add(100);
    return budget.of(now, { largest: 0 }).frame;
  };
  budget.watch(stuck);
  budget.watch([{ held: 60, largest: 0 }]);
  assertEquals(frame(0), LITTLE);
  stuck.clear();
  assertEquals(frame(1), FRAME_CUT);
  budget.renew(50);
  assertEquals(frame(2), LITTLE);
});

Deno.test("many large pages at once are cut to the size of frames until sockets hold less again; what is live is sent as before", () => {
  const mib = 1_048_576;
  const budget = new SendBudget(1024 * mib);
  const held: { held: number; largest: number }[] = [];
  budget.watch(held);
  const page = (now: number) => budget.of(now, { largest: 0 }).page;
  const usual = page(0);
  assertEquals(usual, mib);
  let now = 0;
  while (page(now += 100) === usual) {
    assertLess(held.length, 3 * PAGED / mib);
    held.push({ held: 2 * mib, largest: mib });
    budget.add(mib);
  }
  assertEquals(budget.of(now, { largest: 0 }), {
    room: UNSENT,
    frame: FRAME_CUT,
    page: FRAME_CUT,
  });
  held.length = 2;
  assertEquals(page(now += 100), usual);
  // However many are sent frames of messages, pages stay as they are.
  for (let i = 0; i < 2000; i++) held.push({ held: 2 * FRAME_CUT, largest: FRAME_CUT });
  for (let i = 0; i < 2000; i++) budget.add(FRAME_CUT);
  assertEquals(page(now += 100), usual);
});

Deno.test("all sockets may hold an eighth of the memory, each isolate its part", () => {
  const mib = 1_048_576;
  const isolates = [0, 1, 4].map((count) => heldAtMost(800 * mib, count) / mib);
  assertEquals([...isolates, heldAtMost(0, 1) / mib], [100, 100, 25, 256]);
});
