// Bun's built-in publish, as its documentation has it: https://bun.com/docs/runtime/http/websockets
let seq = 0;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("Upgrade failed", { status: 500 });
  },
  websocket: {
    message(ws, text) {
      const { subscribe, publish } = JSON.parse(text);
      if (subscribe !== undefined) {
        ws.subscribe(subscribe.channel);
        ws.send(JSON.stringify({ subscribed: subscribe.channel }));
        return;
      }
      const { channel, data } = publish;
      const message = { channel, seq: ++seq, time: Date.now(), from: "1f0c9a2b", data };
      server.publish(channel, JSON.stringify({ message }));
    },
  },
});
console.log(`http://127.0.0.1:${server.port}/`);
