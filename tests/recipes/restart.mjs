// Run by Node or Deno as a program of its own: publishes by socket, and hears the same channel by socket and by event stream,
// while its server goes and comes back. Says when both stand, and at the end what it heard.
import process from "node:process";

const [library, url, token, count] = process.argv.slice(2);
const { connect, follow } = await import(library);
const CHANNEL = "room:restart";
const client = connect({ url, token });
const ended = new AbortController();
const heard = { socket: [], stream: [], gaps: 0 };
const states = [];
client.on("state", ({ state, reason }) => states.push(`${state} ${reason}`));

const stream = later();
const reading = (async () => {
  for await (
    const { message, gap } of follow([CHANNEL], { url, token, signal: ended.signal })
  ) {
    if (gap !== undefined) heard.gaps += 1;
    else if (message.data === "are you there") stream.resolve();
    else heard.stream.push(message.data);
  }
})();
const socket = later();
client.subscribe(CHANNEL, {
  onReady: () => socket.resolve(),
  onMessages: (messages, gap) => {
    if (gap) heard.gaps += 1;
    heard.socket.push(
      ...messages.map(({ data }) => data).filter((data) => typeof data === "number"),
    );
  },
});
await socket.promise;
// A stream doesn't say when it stands: it hears.
const asking = setInterval(() => client.publish(CHANNEL, "are you there").catch(() => {}), 50);
await stream.promise;
clearInterval(asking);
console.log("both stand");

const places = [];
for (let n = 0; n < Number(count); n++) {
  places.push(client.publish(CHANNEL, n));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await Promise.all(places);
while (heard.stream.length < Number(count) || heard.socket.length < Number(count)) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
ended.abort();
await reading;
client.close();
console.log(JSON.stringify({ ...heard, outbox: client.outbox.length, states }));
process.exit(0);

// Node has Promise.withResolvers from 22 on.
function later() {
  const made = {};
  made.promise = new Promise((resolve) => made.resolve = resolve);
  return made;
}
