/** What clients of `/chat/` received of their direct messages: when it is written, and what they get once they are back. */
import { assertEquals } from "@std/assert";
import { firstChat } from "../../../lib/codecs/demo_chat.ts";
import { Connection } from "../../../lib/delivery/connection.ts";
import { directFeed } from "../../../lib/protocol/channel.ts";
import { FirstChatSession, OnlineList } from "../../../lib/sessions/demo.ts";
import { DirectPlaces, PLACE_PAUSE } from "../../../lib/sessions/demo_receipts.ts";
import { memoryFolder } from "../../helpers/log.ts";
import { FakeSocket, World } from "../../helpers/world.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function withRoom(run: (room: Room) => Promise<void>): Promise<void> {
  const folder = memoryFolder();
  const world = await World.open(folder);
  try {
    const room = new Room(world);
    await room.send("bob", "room:a", "bob exists");
    await run(room);
  } finally {
    world.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

class Room {
  readonly #list: OnlineList;
  #places: DirectPlaces;
  #opened = 0;

  constructor(readonly world: World) {
    this.#list = new OnlineList(world.edge);
    this.#places = new DirectPlaces(world.edge);
  }

  /** Forgets what isn't in the log, as a restart does. */
  restart(): void {
    this.#places = new DirectPlaces(this.world.edge);
  }

  async send(from: string, channel: string, text: string): Promise<number> {
    const { session, socket, connection } = this.world.connect(from);
    session.receive(JSON.stringify({ id: 1, publish: { channel, data: { text } } }));
    await this.world.settle();
    const [answer] = socket.read();
    connection.end();
    return JSON.parse(answer ?? "").publish.seq;
  }

  async join(): Promise<{ socket: FakeSocket; connection: Connection }> {
    const { world } = this;
    const socket = new FakeSocket();
    const id = `chat${++this.#opened}`;
    const connection = new Connection(id, socket, firstChat, world.edge.hub, "127.0.0.1");
    const who = { account: "bob", admin: false };
    const session = new FirstChatSession(connection, who, world.edge, this.#list, this.#places);
    session.receive("test");
    await world.settle();
    return { socket, connection };
  }

  get place(): number {
    return this.world.log.places.received("bob", directFeed("bob"));
  }
}

const textsOf = (socket: FakeSocket): string[] =>
  socket.read().map((frame) => JSON.parse(frame)).filter(({ type }) => type === 1)
    .map(({ data }) => data.msg);

Deno.test("a direct message counts as received once the socket has nothing unsent, and is sent again where it broke before", async () => {
  await withRoom(async (room) => {
    const sent = await room.send("ada", "dm:ada.bob", "waits");
    const lost = await room.join();
    assertEquals(lost.connection.unsent > 0, true);
    // As Deno has it: then nothing is said to be unsent.
    lost.socket.readyState = WebSocket.CLOSED;
    await pause(12);
    lost.connection.end();
    assertEquals(room.place, 0);
    const stalled = await room.join();
    stalled.socket.stall();
    assertEquals(textsOf(stalled.socket), ["waits"]);
    await pause(12);
    assertEquals(room.place, 0);
    stalled.socket.flow();
    await pause(150);
    assertEquals(room.place, sent);
    stalled.connection.end();
    const { socket } = await room.join();
    assertEquals(textsOf(socket), []);
  });
});

Deno.test("a place is written at most once in 2 s, never at a disconnect or for the room's messages, and no less for it", async () => {
  await withRoom(async (room) => {
    const { world } = room;
    const { socket, connection } = await room.join();
    const say = async (channel: string, text: string) => {
      const sent = await room.send("ada", channel, text);
      socket.read();
      await pause(12);
      await world.settle();
      return sent;
    };
    await say("dm:ada.bob", "creates both accounts");
    await pause(PLACE_PAUSE + 20);
    const before = world.log.seq;
    await say("room:lobby", "to all");
    assertEquals(world.log.seq, before + 1, "only the message");
    const first = await say("dm:ada.bob", "one");
    assertEquals([room.place, world.log.seq], [first, first + 1], "the message and the place");
    const second = await say("dm:ada.bob", "two");
    connection.end();
    await world.settle();
    assertEquals([room.place, world.log.seq], [first, second], "nothing is written yet");
    // It isn't in the log yet, and isn't sent again all the same.
    const again = await room.join();
    assertEquals(textsOf(again.socket), []);
    await pause(PLACE_PAUSE);
    await world.settle();
    assertEquals([room.place, world.log.seq], [second, second + 1]);
    again.connection.end();
    await world.settle();
    assertEquals(world.log.seq, second + 1);
    const away = await room.send("ada", "dm:ada.bob", "while it was away");
    room.restart();
    const back = await room.join();
    assertEquals(textsOf(back.socket), ["while it was away"]);
    await pause(12);
    await world.settle();
    assertEquals(room.place, away);
  });
});
