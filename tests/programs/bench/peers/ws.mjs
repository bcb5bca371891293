// ws, as its README has the broadcast: a send for each client.
import { createRequire } from "node:module";
import process from "node:process";

const { WebSocket, WebSocketServer } = createRequire(`${process.env.PEERS}/`)("ws");
let seq = 0;
const subscribers = new Map();
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", backlog: 4096 });
server.on("connection", (ws) => {
  ws.on("error", console.error);
  ws.on("close", () => subscribers.forEach((clients) => clients.delete(ws)));
  ws.on("message", (bytes) => {
    const { subscribe, publish } = JSON.parse(bytes);
    if (subscribe !== undefined) {
      if (!subscribers.has(subscribe.channel)) subscribers.set(subscribe.channel, new Set());
      subscribers.get(subscribe.channel).add(ws);
      ws.send(JSON.stringify({ subscribed: subscribe.channel }));
      return;
    }
    const { channel, data } = publish;
    const message = { channel, seq: ++seq, time: Date.now(), from: "1f0c9a2b", data };
    const text = JSON.stringify({ message });
    subscribers.get(channel)?.forEach((client) => {
      if (client.readyState === WebSocket.OPEN) client.send(text);
    });
  });
});
server.on("listening", () => console.log(`http://127.0.0.1:${server.address().port}/`));
