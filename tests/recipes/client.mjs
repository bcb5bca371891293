// Run by Node (or Deno) as a program of its own: follows a channel by token, publishes through the client, and tells what it got.
import process from "node:process";

const [library, url, token] = process.argv.slice(2);
const { connect, follow } = await import(library);
const client = connect({ url, token });
const heard = [];
client.subscribe("room:a", {
  history: 0,
  onMessages: (messages) => heard.push(...messages.map(({ data }) => data)),
});
// Until the subscription and the stream stand there is nobody to hear it.
let n = 0;
while (heard.length === 0) await client.publish("room:a", n++);
const ended = new AbortController();
const got = [];
const reading = (async () => {
  for await (const { message } of follow(["room:a"], { url, token, signal: ended.signal })) {
    got.push(message.data);
    if (got.length === 3) ended.abort();
  }
})();
while (got.length < 3) await client.publish("room:a", n++);
await reading;
while (!heard.includes(got[2])) await new Promise((resolve) => setTimeout(resolve, 10));
client.close();
console.log(JSON.stringify({ account: client.account, got, heard }));
process.exit(0);
