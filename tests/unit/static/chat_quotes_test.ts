/** Looking up what a message replies to: what isn't there, and what can't be told now. */
import { assertEquals } from "@std/assert";
import { FanfareError, State } from "../../../static/client/fanfare.js";
import { makeQuotes } from "../../../static/pages/chat/effects/quotes.js";

type Client = Parameters<typeof makeQuotes>[0];
type Message = Awaited<ReturnType<Client["history"]>>["messages"][number];

const message = { channel: "room:a", seq: 5, time: 5, from: "bob", data: { text: "m5" } };

/** Answers in turn, the last again and again; waits are done when the test says so. */
function set(...answers: (string | Message[])[]) {
  const [found, waits, asked]: [unknown[], [number, () => void][], unknown[]] = [[], [], []];
  const client: { -readonly [K in keyof Client]: Client[K] } = {
    state: State.open,
    history(channel, range) {
      asked.push([channel, range]);
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
      return typeof answer === "string"
        ? Promise.reject(new FanfareError(answer, "No"))
        : Promise.resolve({ messages: answer, more: false });
    },
  };
  const quotes = makeQuotes(
    client,
    ({ seq, message }) => found.push([seq, message?.data]),
    (ms, run) => waits.push([ms, run]),
  );
  return { client, quotes, found, waits, asked };
}
const turn = () => new Promise((done) => setTimeout(done));

Deno.test("a message that isn't there is told so at once", async () => {
  for (const answer of ["not_found", "forbidden", "bad_request", []]) {
    const { quotes, found, waits } = set(answer);
    quotes.quote("room:a", 5);
    await turn();
    assertEquals([found, waits], [[[5, undefined]], []]);
  }
});

Deno.test("what can't be told now is asked again, later and later, until it is told", async () => {
  for (const passing of ["rate_limited", "unavailable", "internal"]) {
    const { quotes, found, waits, asked } = set(passing, passing, passing, [message]);
    quotes.quote("room:a", 5);
    for (let i = 0; i < 3; i++) {
      await turn();
      assertEquals([found, asked.length, waits.length], [[], i + 1, i + 1], passing);
      quotes.quote("room:a", 5);
      await turn();
      assertEquals(asked.length, i + 1, "nobody hurries a server that is in trouble");
      waits[i]?.[1]();
    }
    await turn();
    assertEquals([found, waits.map(([ms]) => ms)], [[[5, { text: "m5" }]], [1000, 2000, 4000]]);
  }
});

Deno.test("without a connection it waits for the next one; a row that is gone asks no more", async () => {
  const { client, quotes, found, waits, asked } = set("closed", [message]);
  quotes.quote("room:a", 5);
  client.state = State.waiting;
  await turn();
  assertEquals([found, waits, asked.length], [[], [], 1]);
  const forget = quotes.quote("room:a", 4);
  forget();
  client.state = State.open;
  quotes.connected();
  await turn();
  assertEquals([found, asked.length], [[[5, { text: "m5" }]], 2]);
});

Deno.test("of two rows that reply to the same one may go, and the other still learns what that said", async () => {
  const { client, quotes, found } = set([message]);
  client.state = State.waiting;
  const forget = quotes.quote("room:a", 5);
  quotes.quote("room:a", 5);
  forget();
  forget();
  client.state = State.open;
  quotes.connected();
  await turn();
  assertEquals(found, [[5, { text: "m5" }]]);
});
