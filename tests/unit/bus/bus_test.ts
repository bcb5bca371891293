/** The bus between isolates, one loss at a time: what is held back, looked up, asked for, and told once. */
import { assertEquals } from "@std/assert";
import type {
  Answer,
  Beat,
  Downward,
  NumberedPost,
  Post,
  Receiver,
  Upward,
} from "../../../lib/bus/bus.ts";
import { inOneTurn, newestPage } from "../../../lib/store/pages.ts";
import { Broadcast } from "../../../lib/bus/core_end.ts";
import { EdgeBroadcast } from "../../../lib/bus/edge_end.ts";
import type { PresenceDelta } from "../../../lib/protocol/presence.ts";
import { tempFolder } from "../../helpers/log.ts";
import { turn, World } from "../../helpers/world.ts";

/** An edge whose posts the test hands over, or doesn't; what it has taken in is written down. */
class Desk implements Receiver {
  seq = 0;
  readonly taken: string[] = [];
  readonly up: Upward[] = [];
  readonly bus = new EdgeBroadcast((message) => this.up.push(message), 0);

  constructor() {
    this.bus.listen(this);
  }

  receive(post: Post): void {
    this.seq = Math.max(this.seq, post.seq);
    this.taken.push(`post ${post.seq}`);
  }

  repair(seq: number): void {
    this.seq = Math.max(this.seq, seq);
    this.taken.push(`log ${seq}`);
  }

  repairPresence(deltas: readonly PresenceDelta[] | undefined): void {
    this.taken.push(`presence ${deltas?.map(({ version }) => version) ?? "unknown"}`);
  }

  hearWritable(writable: boolean): void {
    this.taken.push(writable ? "writable" : "not writable");
  }

  /** Sends a proposal up, and takes it from there. */
  async propose(name: string): Promise<void> {
    const proposal = { kind: "account", account: name } as const;
    this.bus.send({ op: "propose", proposal }, () => this.taken.push(`answer ${name}`));
    await turn();
  }
}

const post = (number: number, after: number, seq: number): NumberedPost => ({
  number,
  after,
  seq,
  messages: [],
  presence: [],
  signals: [],
  writable: true,
});
const answered = (seq: number, answers = 1): Downward => ({
  kind: "answers",
  seq,
  answers: [Array.from({ length: answers }, () => ({ outcome: { seq, time: 0 } }))],
});

Deno.test("an answer that is faster than its commit waits for it, and those behind it wait too", async () => {
  const desk = new Desk();
  await desk.propose("ada");
  await desk.propose("bob");
  desk.bus.receive(answered(5));
  desk.bus.receive(answered(6));
  assertEquals([desk.taken, desk.bus.idle], [[], false]);
  desk.bus.hear(post(1, 0, 5));
  assertEquals(desk.taken, ["post 5", "answer ada"]);
  desk.bus.hear(post(2, 5, 6));
  assertEquals(desk.taken.slice(2), ["post 6", "answer bob"]);
  assertEquals(desk.bus.idle, true);
  desk.bus.close();
});

Deno.test("a commit whose post doesn't come is looked up, and its post is taken all the same when it does", async () => {
  const desk = new Desk();
  await desk.propose("ada");
  desk.bus.receive(answered(5));
  while (!desk.bus.idle) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(desk.taken, ["log 5", "answer ada"]);
  // It may carry presence and signals.
  desk.bus.hear(post(1, 0, 5));
  assertEquals(desk.taken.at(-1), "post 5");
  assertEquals(desk.bus.holes, 0);
  desk.bus.close();
});

Deno.test("a hole is filled up to where the next post begins, before that one is taken", () => {
  const desk = new Desk();
  desk.bus.hear(post(1, 0, 2));
  desk.bus.hear(post(4, 7, 9));
  assertEquals(desk.taken, ["post 2", "log 7", "post 9"]);
  assertEquals(desk.up, [{ kind: "lost", from: 2, to: 3 }]);
  // One that was overtaken is known by now.
  desk.bus.hear(post(3, 5, 7));
  assertEquals(desk.taken.length, 3);
});

Deno.test("the loss of the last post shows in the next word of a quiet bus", () => {
  const desk = new Desk();
  desk.bus.hear(post(1, 0, 2));
  const beat: Beat = { beat: true, number: 2, seq: 3, writable: false };
  desk.bus.hear(beat);
  desk.bus.hear(beat);
  // Whether publications are taken may have been in a post that was lost.
  assertEquals(desk.taken, ["post 2", "not writable", "log 3", "not writable"]);
  assertEquals(desk.up, [{ kind: "lost", from: 2, to: 2 }]);
});

Deno.test("what waits for the core has an end, and nobody gets ahead of who was refused", async () => {
  const desk = new Desk();
  const told: string[] = [];
  const propose = (name: string) =>
    desk.bus.send({ op: "propose", proposal: { kind: "account", account: name } }, (answer) => {
      told.push(`${name} ${answer !== null && "refusal" in answer ? answer.refusal.code : "done"}`);
    });
  for (let i = 0; i < 50_001; i++) propose(`a${i}`);
  await turn();
  assertEquals(told, ["a50000 unavailable"]);
  desk.receive(post(1, 0, 50_000));
  desk.bus.receive(answered(50_000, 50_000));
  assertEquals(told.length, 50_001);
  // All are written, and the one that was refused hasn't come back yet.
  propose("later");
  await turn();
  assertEquals(told.at(-1), "later unavailable");
});

Deno.test("the core keeps deltas for edges that lost them, as long as it has room", async () => {
  const posted: NumberedPost[] = [];
  const down: Downward[] = [];
  const core = new Broadcast({
    postMessage: (post) => void posted.push(post),
    close: () => {},
  }, 0);
  core.listen(() => {});
  core.attach(1, { postMessage: (message) => void down.push(message) });
  const tell = (version: number, members: number) => {
    const joined = Array.from({ length: members }, (_, i) => ({ account: `a${i}` }));
    const delta = { channel: "room:a", version, count: members, joined, left: [] };
    core.post({ seq: 0, messages: [], presence: [delta], signals: [], writable: true });
  };
  for (let version = 1; version <= 3; version++) tell(version, 1);
  core.receive(1, { kind: "lost", from: 2, to: 2 });
  tell(4, 9999);
  core.receive(1, { kind: "lost", from: 1, to: 4 });
  core.receive(1, { kind: "lost", from: 4, to: 4 });
  const versions = down.map((message) =>
    message.kind === "lost" && message.deltas?.map(({ version }) => version)
  );
  assertEquals(versions, [[2], undefined, [4]]);
  assertEquals(posted.map(({ number }) => number), [1, 2, 3, 4]);
  await core.close();
});

Deno.test("what edges sent in one turn is answered by one post, in its order", async () => {
  const down: Downward[] = [];
  const asked: ((answer: Answer) => void)[] = [];
  const core = new Broadcast({ postMessage: () => {}, close: () => {} }, 7);
  core.listen(({ answer }) => void asked.push(answer));
  core.attach(1, { postMessage: (message) => void down.push(message) });
  const up = { op: "roster", channel: "room:a" } as const;
  core.receive(1, { kind: "ups", ups: [up, up] });
  core.receive(1, { kind: "ups", ups: [up] });
  const outcome = (seq: number) => ({ outcome: { seq, time: 0 } });
  asked[2]?.(outcome(3));
  asked[1]?.(outcome(2));
  await turn();
  // The second post is complete, but the first one comes first.
  assertEquals(down, []);
  asked[0]?.(outcome(1));
  await turn();
  assertEquals(down, [
    { kind: "answers", seq: 7, answers: [[outcome(1), outcome(2)], [outcome(3)]] },
  ]);
  await core.close();
});

Deno.test("what was acknowledged on one edge is there on another, though its posts were lost", async () => {
  using folder = tempFolder();
  let lost = false;
  const world = await World.open(folder.path, {}, { edges: 3, lost: () => lost, late: () => 0 });
  const [ada, bob] = [world.connect("ada"), world.connect("bob")];
  const send = ({ session }: typeof ada, command: object) =>
    session.receive(JSON.stringify(command));
  const lines = ({ socket }: typeof ada) =>
    socket.read().flatMap((frame) => frame.split("\n")).map((line) => JSON.parse(line));
  send(bob, { id: 1, subscribe: { channel: "room:a" } });
  await world.settle();
  bob.socket.read();
  lost = true;
  send(ada, { id: 1, publish: { channel: "room:a", data: 1 } });
  const first = async (client: typeof ada) => {
    for (;;) {
      const [line] = lines(client);
      if (line !== undefined) return line;
      await turn();
    }
  };
  const { publish: { seq } } = await first(ada);
  // Whoever comes over with its place finds it known; who asks for what there is is given it.
  // One edge after the other: these are on two that nothing was posted to.
  const [eve, , other] = [world.connect("eve"), world.connect("eve"), world.connect("eve")];
  const { epoch } = world.reader;
  send(eve, { id: 1, subscribe: { channel: "room:a", since: { epoch, seq } } });
  send(other, { id: 1, history: { channel: "room:a" } });
  const [subscribed, history] = [await first(eve), await first(other)];
  assertEquals(subscribed.subscribe?.recovered, true);
  assertEquals(history.history?.messages.length, 1);
  // The one that listens is given it once: from the log, and not again from the post that comes late.
  lost = false;
  await world.settle();
  const [message] = inOneTurn(newestPage(world.reader, "room:a", Infinity, { limit: 1 })).messages;
  const messages = message === undefined ? [] : [message];
  const post = { seq: world.log.seq, messages, presence: [], signals: [], writable: true };
  for (const edge of world.edges) edge.hub.receive(post);
  await turn();
  assertEquals(lines(bob).filter((line) => "message" in line).length, 1);
  world.close();
});
