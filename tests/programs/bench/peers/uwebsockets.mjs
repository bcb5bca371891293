// uWebSockets.js, as its examples Broadcast.js and PubSub.js have it.
import { createRequire } from "node:module";
import process from "node:process";

const { App, DISABLED, us_socket_local_port } = createRequire(`${process.env.PEERS}/`)(
  "uwebsockets",
);
let seq = 0;
const decoder = new TextDecoder();
const app = App().ws("/*", {
  compression: DISABLED,
  maxPayloadLength: 16 * 1024 * 1024,
  idleTimeout: 60,
  // Its default of 64 KiB skips messages of those who are behind; with this it loses none at the rates that it keeps up with.
  maxBackpressure: 16 * 1024 * 1024,
  message(ws, bytes) {
    const { subscribe, publish } = JSON.parse(decoder.decode(bytes));
    if (subscribe !== undefined) {
      ws.subscribe(subscribe.channel);
      ws.send(JSON.stringify({ subscribed: subscribe.channel }));
      return;
    }
    const { channel, data } = publish;
    const message = { channel, seq: ++seq, time: Date.now(), from: "1f0c9a2b", data };
    const text = JSON.stringify({ message });
    // Not in the handler as its examples do: there the publisher's socket is the corked one, every reader gets a send for each
    // message, and 4,000 msg/s come to a tenth of this.
    setImmediate(() => app.publish(channel, text));
  },
}).listen("127.0.0.1", 0, (socket) => {
  console.log(`http://127.0.0.1:${us_socket_local_port(socket)}/`);
});
